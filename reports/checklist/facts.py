"""Read a study once and keep what the predicates ask for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Generic, TypeVar

from harness.core.canonical import Json, sha256_text
from harness.core.records import Document, RunRecord, StudyRecord, Table, run_folder
from harness.core.registry import load
from harness.core.types import Cost, RunSpec
from reports.checklist.model import Evidence
from reports.checklist.passage import Meeting, Passage, passage_of

Value = TypeVar("Value")

NAME = "checklist"
SHOWN = 3  # pointers to single files of one kind
Cell = tuple[str, str, str]
"""Track, method, variant."""


@dataclass(frozen=True, slots=True)
class Run:
    """What is kept of a run.

    Attributes:
        passage: what its trials tell.
        finalists: how many networks are trained finally.
    """

    spec: RunSpec
    status: str
    reason: str
    journal: str
    manifest: Mapping[str, Json]
    seconds: Mapping[str, float]
    final: Mapping[str, Mapping[str, float]]
    final_cost: Cost | None
    passage: Passage
    started: float | None
    finalists: int

    @property
    def folder(self) -> str:
        """Its folder within the study."""
        return run_folder(self.spec)

    @property
    def cell(self) -> Cell:
        """Track, method, variant."""
        return self.spec.track, self.spec.method, self.spec.variant


@dataclass(frozen=True)
class Facts:
    """A study as the predicates see it.

    Attributes:
        study: the record without its runs.
        runs: every run of the plan, in plan order.
        meetings: by track: the draws of random search, the architectures of all, contradictions between runs.
        documents: the study's other reports, made anew from the records.
    """

    study: StudyRecord
    runs: tuple[Run, ...]
    meetings: Mapping[str, Meeting]
    documents: Mapping[str, Document]
    _hashes: dict[str, str] = field(default_factory=dict)

    @property
    def protocol(self) -> Mapping[str, Any]:
        """The resolved protocol."""
        return self.study.protocol

    @property
    def plans(self) -> Mapping[str, Mapping[str, Any]]:
        """The tracks of the protocol by id."""
        return {track["id"]: track for track in self.protocol["tracks"]}

    def options(self, row: str) -> Mapping[str, Any]:
        """Return the options of a row: those that its tuning chose, else its own in the protocol."""
        chosen: Any = self.study.tuning.get(row, {}).get("options")
        own: Mapping[str, Any] = next(
            entry["options"] for entry in self.protocol["methods"] if row == (entry["id"] or entry["name"])
        )
        return own if chosen is None else dict(chosen)

    @property
    def opened(self) -> list[str]:
        """The tracks whose benchmark could be opened and was not skipped."""
        return [key for key in self.plans if key in self.study.tracks and not self.study.tracks[key].skipped]

    @property
    def done(self) -> list[Run]:
        """The complete runs."""
        return [run for run in self.runs if run.status == "done"]

    def cells(self) -> dict[Cell, list[Run]]:
        """Return the runs of each cell, without the cells that were skipped as a whole."""
        found: dict[Cell, list[Run]] = {}
        for run in self.runs:
            found.setdefault(run.cell, []).append(run)
        return {cell: runs for cell, runs in found.items() if any(run.status != "skipped" for run in runs)}

    def base(self, track: str) -> dict[str, list[Run]]:
        """Return the complete runs of each row of the comparison on a track."""
        return {
            method: [run for run in runs if run.status == "done"]
            for (where, method, variant), runs in self.cells().items()
            if where == track and variant == "base"
        }

    def environments(self) -> list[str]:
        """Return the environments in which complete runs began, in the order of their first run."""
        return list(
            dict.fromkeys(str(run.manifest["environment"]) for run in self.done if "environment" in run.manifest)
        )

    def environment(self, name: str) -> Mapping[str, Any]:
        """Return an environment record; an empty one where a run names an environment that no start recorded."""
        return self.study.environments.get(name, {})

    def tables(self, prefix: str) -> list[Table]:
        """Return the tables of the study's reports whose names begin so."""
        sections = [section for document in self.documents.values() for section in document.sections]
        return [table for section in sections for table in section.tables if table.name.startswith(prefix)]

    def content(self, path: str) -> Json:
        """Return a JSON file of the study's folder; None where there is none, or it is no JSON."""
        try:
            found: Json = json.loads(self.study.files[path])
        except (KeyError, ValueError):
            return None
        return found

    def at(self, path: str, pointer: str = "") -> Evidence:
        """Return a pointer into a file of the record, with its hash."""
        if path not in self._hashes:
            content = self.study.files.get(path)
            self._hashes[path] = "" if content is None else sha256(content).hexdigest()
        return Evidence(f"{path}#{pointer}", self._hashes[path])

    def in_protocol(self, pointer: str) -> tuple[Evidence, ...]:
        """Return a pointer into the protocol."""
        return (self.at("protocol.json", pointer),)

    def in_tracks(self, tracks: list[str], pointer: str) -> tuple[Evidence, ...]:
        """Return pointers to the same place of several tracks."""
        return tuple(self.at("study.json", f"/tracks/{track}{pointer}") for track in tracks)

    def in_environments(self, pointer: str = "") -> tuple[Evidence, ...]:
        """Return pointers to the same place of every environment in use."""
        return tuple(self.at(f"environments/{name}.json", pointer) for name in self.environments())

    def in_runs(self, runs: list[Run], file: str = "trials.jsonl", pointer: str = "") -> tuple[Evidence, ...]:
        """Return pointers to the same file of some runs: the first few of them."""
        return tuple(self.at(f"{run.folder}/{file}", pointer) for run in runs[:SHOWN])

    def everything(self) -> tuple[Evidence, ...]:
        """Return the journals of all runs as one piece of evidence."""
        lines = "".join(f"{run.folder}/trials.jsonl {run.journal}\n" for run in self.runs)
        return (Evidence("runs/", sha256_text(lines)),)


def read(study: StudyRecord) -> Facts:
    """Read the runs of a study, and make its other reports anew on the way."""
    reader = _Reader(study)
    others = [str(name) for name in _protocol(study)["reports"] if name != NAME]
    documents: dict[str, Document] = {}
    for name in others:
        # The first report reads the runs through the reader, so that they are read once for both.
        source = study if documents else replace(study, spread=reader.blocks)
        documents[name] = load("reports", name)(source)
    if not reader.found:
        reader.exhaust()
    return Facts(study, tuple(reader.found), reader.meetings, documents)


def _protocol(study: StudyRecord) -> Mapping[str, Any]:
    return study.protocol


class _Reader:
    """Hand blocks of runs on, and keep of each run what the checklist needs."""

    def __init__(self, study: StudyRecord) -> None:
        self._study = study
        self._plans = {track["id"]: track for track in _protocol(study)["tracks"]}
        self.found: list[Run] = []
        self.meetings = {key: Meeting() for key in self._plans}

    def blocks(self, reduce: Callable[[Iterator[RunRecord]], Value]) -> Iterator[Value]:
        """Yield what `reduce` makes of the blocks, from the first; what was kept before is forgotten."""
        self.found.clear()
        self.meetings = {key: Meeting() for key in self._plans}
        for found, meetings, made in self._study.blocks(_Keeping(self._plans, reduce)):
            self.found += found
            for track, meeting in meetings.items():
                self.meetings[track].add(meeting)
            yield made

    def exhaust(self) -> None:
        """Read the runs for the checklist alone."""
        for _ in self.blocks(_count):
            continue


def _count(runs: Iterator[RunRecord]) -> int:
    return sum(1 for _ in runs)


@dataclass(frozen=True, slots=True)
class _Keeping(Generic[Value]):
    """Keep of a block of runs what the checklist needs, while somebody else reduces it."""

    plans: Mapping[str, Mapping[str, Any]]
    reduce: Callable[[Iterator[RunRecord]], Value]

    def __call__(self, runs: Iterator[RunRecord]) -> tuple[list[Run], dict[str, Meeting], Value]:
        """Return the runs, what those of each track have in common, and what the other made of them."""
        found: list[Run] = []
        meetings = {key: Meeting() for key in self.plans}

        def kept() -> Iterator[RunRecord]:
            for run in runs:
                found.append(_kept(run, self.plans[run.spec.track], meetings[run.spec.track]))
                yield run

        passing = kept()
        made = self.reduce(passing)
        _count(passing)  # what the other left unread
        return found, meetings, made


def _kept(run: RunRecord, plan: Mapping[str, Any], meeting: Meeting) -> Run:
    passage = passage_of(run, plan, meeting)
    final = {arch: dict(metrics) for arch, metrics in run.final.items()}
    kept = (run.spec, run.status, run.reason, run.journal, run.manifest, run.seconds)
    return Run(*kept, final, run.final_cost, passage, run.started, max(1, len(run.retrained)))
