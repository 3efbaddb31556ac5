"""Check that a record holds its plan and nothing else: missing and extra runs, strange files, reports."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.core.records import run_folder
from harness.core.types import RunSpec
from harness.verify.reading import Run, Source
from harness.verify.shapes import IndexForm

TOP_FILES = frozenset(
    {
        "protocol.json",
        "study.json",
        "segments.jsonl",
        "segment_ends.jsonl",
        "repeat.json",
        "replay.json",
        "attestations.json",
        ".lock",
    }
)
RUN_FILES = frozenset(
    {"manifest.json", "trials.jsonl", "sealed.jsonl", "final.jsonl", "timings.jsonl", "done.json", "skipped.json"}
)
DEPTH = {"runs": 4, "tuning": 3}
"""Of a run's folder below these: track, method, variant, replicate; a tuning has no track."""
INDEX = "index.json"


class Census:
    """Count the runs as they pass by, and judge at the end what is missing."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._states: Counter[tuple[str, str, str, bool]] = Counter()
        self._skips: list[Run] = []

    def add(self, run: Run) -> None:
        """Note a run that is not done."""
        here = self._source.root / run.folder
        skipped, done = (here / "skipped.json").is_file(), (here / "done.json").is_file()
        if skipped:
            self._skips.append(run)
            if (here / "manifest.json").is_file() or done:
                self._source.note("plan-complete", run.folder, 0, "is skipped and has results")
        elif not done:
            state = "was stopped on the way" if (here / "manifest.json").is_file() else "is missing"
            self._source.note("plan-complete", run.folder, 0, f"the run {state}; `resume` does it")
        elif run.facts is not None and run.facts.skipped:
            self._source.note("track-known", run.folder, 0, "a run on a skipped track", run.facts.skipped)
        self._states[(*self._row(run), skipped)] += 1

    def close(self) -> None:
        """Judge the skipped runs: what a method cannot do in one replicate it cannot do in another."""
        for run in self._skips:
            if self._states[(*self._row(run), False)]:
                self._source.note("plan-complete", run.folder, 0, "is skipped, and other replicates of its row are not")

    def _row(self, run: Run) -> tuple[str, str, str]:
        return run.spec.track, run.spec.method, run.spec.variant


def check_files(source: Source, plan: Sequence[RunSpec]) -> None:
    """Check that every file of the folder has its place."""
    known = {run_folder(spec) for spec in plan}
    strange_runs = set()
    for file in _walk(source.root):
        parts = Path(file).parts
        depth = DEPTH.get(parts[0], len(parts))
        if len(parts) > depth + 1 and not parts[depth].startswith("."):
            folder = "/".join(parts[: depth + 1])
            if folder not in known:
                strange_runs.add(folder)
                continue
        if not _has_place(parts):
            source.note("nothing-else", file, 0, "is no part of a record")
    for folder in sorted(strange_runs):
        source.note("plan-only", folder, 0, "a run that the protocol does not ask for")


def _has_place(parts: tuple[str, ...]) -> bool:
    if parts[0] == "tuning" and len(parts) == 3:  # noqa: PLR2004 - folder, row, file
        return parts[2] == "benchmark.json"
    if parts[0] in DEPTH:
        return (
            len(parts) == DEPTH[parts[0]] + 2
            and parts[-1] in RUN_FILES
            and not any(part.startswith(".") for part in parts)
        )
    if parts[0] == "environments":
        return len(parts) == 2 and parts[1].endswith(".json") and not parts[1].startswith(".")  # noqa: PLR2004 - folder, file
    return parts[0] == "report" or parts in {(name,) for name in TOP_FILES}


def _walk(root: Path) -> Iterator[str]:
    """Yield every file and every link below a folder; links are not followed."""
    for folder, folders, names in os.walk(root):
        folders.sort()
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in sorted([*names, *links]):
            yield Path(folder, name).relative_to(root).as_posix()


def check_reports(source: Source) -> None:
    """Check every report that was made against its index."""
    found = sorted(path.relative_to(source.root).as_posix() for path in (source.root / "report").rglob(INDEX))
    indices = {file: index for file in found if (index := source.form(file, IndexForm)) is not None}
    listed = set(found)
    for file, index in indices.items():
        listed |= _check_index(source, file, index.files)
    if (source.root / "report").is_dir():
        for file in _walk(source.root / "report"):
            if f"report/{file}" not in listed:
                source.note("report-index", f"report/{file}", 0, "is in no index of a report")


def _check_index(source: Source, file: str, files: Mapping[str, str]) -> set[str]:
    folder = file.removesuffix(f"/{INDEX}")
    for name, digest in sorted(files.items()):
        path = source.root / folder / name
        inside = path.resolve().is_relative_to((source.root / folder).resolve())
        found = hashlib.sha256(path.read_bytes()).hexdigest() if inside and path.is_file() else "absent"
        if found != digest:
            source.note("report-index", f"{folder}/{name}", 0, "SHA-256", digest, found)
    return {f"{folder}/{name}" for name in files}
