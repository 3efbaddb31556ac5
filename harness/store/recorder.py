"""Record one run: append while it goes, replay what an earlier attempt recorded, seal the end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from harness.core.canonical import canonical_json, sha256_text
from harness.core.codec import cost_to_json, result_from_json, result_to_json, work_to_json
from harness.core.errors import JournalCorrupt, ReplayDiverged
from harness.core.journal import GENESIS, chain, entries
from harness.core.types import Cost, Failure, Outcome, Trial
from harness.store.files import read_lines, write_json, writing

PARTIAL = ".part"
"""The ending of a run folder that is being written; one that a kill left behind is swept away on resume."""

STARTED = "started"
"""Names the lines of timings.jsonl that say when an attempt at the run began."""

CHAINED = ("trials.jsonl", "sealed.jsonl", "final.jsonl")


class _Lines:
    """One journal of a run: the lines recorded before, and those that are new."""

    def __init__(self, name: str, recorded: list[str]) -> None:
        self.name = name
        self.recorded = recorded
        self.written: list[str] = []
        self._previous = GENESIS

    def next(self, entry: dict[str, Any]) -> str | None:
        """Add an entry; return its line if it is new, None if the same line was recorded before.

        Raises:
            ReplayDiverged: another line was recorded at this place.
        """
        line = chain(entry, self._previous)
        self._previous = sha256_text(line)
        position = len(self.written)
        self.written.append(line)
        if position >= len(self.recorded):
            return line
        if self.recorded[position] != line:
            raise ReplayDiverged(
                f"{self.name}:{position + 1}: on resume the run took another course than its journal; the method or "
                "the benchmark is not deterministic, or its code changed: restore the code of the first segment, or "
                "delete this run's folder and resume"
            )
        return None

    def text(self) -> str:
        """Return the whole file."""
        return "".join(line + "\n" for line in self.written)


class Recorder:
    """The journals of one run.

    `durable` runs (real training) append and flush to disk trial by trial. The others (tables, which run again in a
    moment) are written once, under a temporary folder name that is then moved into place.

    Attributes:
        outcomes: the outcomes that an earlier attempt recorded, by trial id.
        finals: the final metrics that an earlier attempt recorded, by architecture and seed.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, Any], *, durable: bool) -> None:
        self.folder = folder
        self.manifest = dict(manifest)
        self.durable = durable
        self.outcomes: dict[int, Outcome] = {}
        self.finals: dict[tuple[str, int], dict[str, float]] = {}
        recorded = self._reopen() if durable else {name: [] for name in CHAINED}
        self._journals = {name: _Lines(f"{folder}/{name}", recorded[name]) for name in CHAINED}
        self._streams: dict[str, TextIO] = {}
        self._timings: list[str] = []

    def _reopen(self) -> dict[str, list[str]]:
        """Read what an earlier attempt recorded, and cut off what a crash tore."""
        recorded = {name: read_lines(self.folder / name) for name in CHAINED}
        # A trial is recorded when its line in trials.jsonl is whole; its sealed line was written just before.
        count = len(recorded["trials.jsonl"])
        if len(recorded["sealed.jsonl"]) < count:
            raise JournalCorrupt(
                f"{self.folder}/sealed.jsonl: {len(recorded['sealed.jsonl'])} lines for {count} trials; restore it "
                "from a copy, or delete this run's folder and resume"
            )
        recorded["sealed.jsonl"] = recorded["sealed.jsonl"][:count]
        self._load(recorded)
        # Seconds are cut too: a torn line would swallow the next one.
        seconds = {"timings.jsonl": read_lines(self.folder / "timings.jsonl")}
        for name, lines in (recorded | seconds).items():
            self._cut(self.folder / name, sum(len(line.encode()) + 1 for line in lines))
        return recorded

    def _load(self, recorded: dict[str, list[str]]) -> None:
        sealed = entries(recorded["sealed.jsonl"], f"{self.folder}/sealed.jsonl")
        for entry in entries(recorded["trials.jsonl"], f"{self.folder}/trials.jsonl"):
            self.outcomes[entry["id"]] = Outcome(result_from_json(entry["result"]), next(sealed)["metrics"])
        for entry in entries(recorded["final.jsonl"], f"{self.folder}/final.jsonl"):
            self.finals[entry["arch"], entry["seed"]] = entry["metrics"]

    def _cut(self, path: Path, size: int) -> None:
        if path.exists() and path.stat().st_size > size:
            with writing(path):
                os.truncate(path, size)

    def append(self, trial: Trial, outcome: Outcome, spent: float, recommended: str | None, *, counted: bool) -> None:
        """Record a trial; the sealed metrics go first, so that a whole trial line always has its sealed line.

        Raises:
            ReplayDiverged: an earlier attempt recorded something else at this place.
        """
        entry = {
            "id": trial.id,
            "work": work_to_json(trial.work),
            "seed": trial.seed,
            "result": result_to_json(outcome.result),
            "spent": spent,
            "counted": counted,
            "recommended": recommended,
        }
        sealed = {} if isinstance(outcome.result, Failure) else dict(outcome.sealed)
        self._add("sealed.jsonl", {"id": trial.id, "metrics": sealed})
        self._add("trials.jsonl", entry)

    def start(self, at: float) -> None:
        """Record when an attempt at the run began, in seconds since 1970; informative, not part of byte equality."""
        self._time([STARTED, round(at, 3)])

    def timing(self, trial_id: int, ask: float, evaluate: float, tell: float) -> None:
        """Record the seconds of a trial; informative, not part of byte equality."""
        self._time([trial_id, round(ask, 7), round(evaluate, 7), round(tell, 7)])

    def phase(self, name: str, seconds: float) -> None:
        """Record the seconds of a phase that is no trial: 'selection', 'final', 'wall'; informative too."""
        self._time([name, round(seconds, 7)])

    def _time(self, row: list[Any]) -> None:
        line = canonical_json(row)
        self._timings.append(line)
        if self.durable:
            self._write("timings.jsonl", line)

    def final(self, arch: str, seed: int, metrics: Mapping[str, float], cost: Cost | None = None) -> None:
        """Record the sealed metrics of the chosen architecture under the final recipe, and what they are charged."""
        charged = {} if cost is None else {"cost": cost_to_json(cost)}
        self._add("final.jsonl", {"arch": arch, "seed": seed, "metrics": dict(metrics), **charged})

    def _add(self, name: str, entry: dict[str, Any]) -> None:
        line = self._journals[name].next(entry)
        if line is not None and self.durable:
            self._write(name, line)

    def _write(self, name: str, line: str) -> None:
        with writing(self.folder / name):
            if name not in self._streams:
                self._begin()
                self._streams[name] = (self.folder / name).open("a", encoding="utf-8", newline="\n")
            stream = self._streams[name]
            stream.write(line + "\n")
            stream.flush()
            if name in CHAINED:
                os.fsync(stream.fileno())

    def _begin(self) -> None:
        if not (self.folder / "manifest.json").exists():
            write_json(self.folder / "manifest.json", self.manifest)

    def finish(self, reason: str, spent: float, recommended: str | None) -> None:
        """Seal the run: `reason` says why it ended."""
        done = {
            "schema": 1,
            "reason": reason,
            "trials": len(self._journals["trials.jsonl"].written),
            "spent": spent,
            "recommended": recommended,
            "files": {name: sha256_text(lines.text()) for name, lines in self._journals.items()},
        }
        self.close()
        if self.durable:
            self._begin()
            with writing(self.folder):
                for name in CHAINED:
                    (self.folder / name).touch()  # a run that never recommended anything has no final line
            write_json(self.folder / "done.json", done)
        else:
            self._write_at_once(done)

    def _write_at_once(self, done: dict[str, Any]) -> None:
        partial = self.folder.with_name(f".{self.folder.name}{PARTIAL}")
        with writing(self.folder):
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            try:
                for name, lines in self._journals.items():
                    (partial / name).write_text(lines.text(), encoding="utf-8", newline="\n")
                timings = "".join(line + "\n" for line in self._timings)
                (partial / "timings.jsonl").write_text(timings, encoding="utf-8", newline="\n")
                write_json(partial / "manifest.json", self.manifest, durable=False)
                write_json(partial / "done.json", done, durable=False)
                partial.replace(self.folder)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise

    def close(self) -> None:
        """Close the files; the run may go on later from what is recorded."""
        for stream in self._streams.values():
            stream.close()
        self._streams.clear()
