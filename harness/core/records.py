"""Define a recorded study as plain data: what the store reads, and what reports are functions of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from harness.core.canonical import Json
from harness.core.types import Cost, Failure, Measurement, RunSpec, Trial

Value = TypeVar("Value")

Status = Literal["done", "partial", "skipped", "missing"]


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One line of a journal.

    Attributes:
        trial: the work with its id and seed.
        result: what the method was told.
        spent: the budget spent after this trial, in the budget's unit.
        counted: False for the trial that crossed the budget where the protocol discards it; the method was
            never told of it and it is not charged.
        recommended: what the method would have shipped after this trial.
        sealed: test metrics of the architecture of this trial; from a file of its own.
    """

    trial: Trial
    result: Measurement | Failure
    spent: float
    counted: bool
    recommended: str | None
    sealed: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run as it stands on disk.

    Attributes:
        status: 'done', 'partial' (stopped on the way), 'skipped' (with `reason`) or 'missing' (never started).
        reason: why it was skipped, or why it ended ('budget', 'exhausted').
        journal: SHA-256 of the journal file, empty where there is none.
        final: sealed metrics of the architecture that the run reports, under the final recipe, mean over final seeds.
        seconds: real seconds by phase ('ask', 'evaluate', 'tell', 'selection', 'final') and of the whole run
            ('wall'), informative, not part of byte equality.
        manifest: what was recorded of the run before its first trial: protocol hash, environment, seeds.
        final_cost: what the final evaluations were charged together; None where no record says.
        finals: what `final` is the mean of, one by one in the order of the final seeds, where there are several.
        started: when its first attempt began, in seconds since 1970, informative as `seconds` are; None where it was
            not recorded.
        retrained: sealed metrics of every architecture that was trained finally, one by one in the order of the final
            seeds: the reported one first, then the rest of its hull where the protocol asks for that.
    """

    spec: RunSpec
    status: Status
    reason: str
    trials: tuple[TrialRecord, ...]
    journal: str
    final: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    manifest: Mapping[str, Json] = field(default_factory=dict)
    final_cost: Cost | None = None
    finals: Mapping[str, tuple[Mapping[str, float], ...]] = field(default_factory=dict)
    started: float | None = None
    retrained: Mapping[str, tuple[Mapping[str, float], ...]] = field(default_factory=dict)


TUNING = "tuning:"
"""What the track of a tuning run begins with; no track of a protocol can, so the two never meet in a seed or folder."""


def run_folder(spec: RunSpec) -> str:
    """Return where a run stands within the folder of its study, with slashes."""
    if spec.track.startswith(TUNING):
        return f"tuning/{spec.method}/{spec.variant}/r{spec.replicate:04d}"
    return f"runs/{spec.track}/{spec.method}/{spec.variant}/r{spec.replicate:04d}"


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """What a study knows of one of its tracks before the first run.

    Attributes:
        fingerprint: content hash of the benchmark's manifest; empty where the benchmark could not be opened.
        manifest: what the benchmark says of itself.
        references: exact facts of the space (random sampling, optimum, expected random search).
        unavailable: metrics that the protocol lists and the benchmark does not hold, with the reason.
        skipped: why the whole track was skipped, or an empty string.
    """

    fingerprint: str
    manifest: Mapping[str, Json]
    references: Mapping[str, Json]
    unavailable: Mapping[str, str]
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A whole study: protocol, environments, tracks, and its runs, read one at a time.

    Attributes:
        protocol: the resolved protocol as plain data.
        protocol_hash: its content hash.
        environments: hardware and software records by their content hash.
        segments: one entry per start or resume: environment id, started (UTC), drift (differing fields), and unless
            it was killed: ended, seconds, and energy (joules, covers, method; None where no counter may be read).
        tracks: by track id.
        runs: opens a fresh iterator over the runs in plan order; runs not on disk are 'missing'.
        files: the files of the study's folder by their path in it, read when asked for, so that a report can name
            a file with its hash.
        tuning: the ledger of each row that was tuned and is done: settings, outcomes, charges, the chosen options.
        spread: reduces the same runs block by block in several processes (see `blocks`); None: all in this one.
    """

    protocol: Mapping[str, Json]
    protocol_hash: str
    environments: Mapping[str, Mapping[str, Json]]
    segments: tuple[Mapping[str, Json], ...]
    tracks: Mapping[str, TrackRecord]
    runs: Callable[[], Iterator[RunRecord]]
    files: Mapping[str, bytes] = field(default_factory=dict)
    tuning: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    spread: Callable[[Callable[[Iterator[RunRecord]], Any]], Iterator[Any]] | None = None

    def blocks(self, reduce: Callable[[Iterator[RunRecord]], Value]) -> Iterator[Value]:
        """Yield what `reduce` makes of each block of consecutive runs, in plan order.

        The runs of one replicate of a track stand in one block.

        `reduce` may be called in another process: it must be picklable, and a function of its runs alone.
        """
        return iter((reduce(self.runs()),)) if self.spread is None else self.spread(reduce)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a report: rows of text cells, with what the caption must say (n, interval method, units).

    Attributes:
        data: the same facts in full precision, one mapping of column to value per row, for the CSV; a table with
            `data` and without `columns` is written as CSV alone.
        strong: indices of the rows that a test sets apart from the rest; nothing else may be emphasised.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    data: tuple[Mapping[str, Json], ...] = ()
    strong: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Series:
    """One curve of a figure: x, the middle, and the band around it.

    Attributes:
        style: how it is drawn: 'steps' (right-continuous), 'line', 'points' (with whiskers where the band is not
            empty), 'box' (low, middle and high of a sample), 'bars' (each from its x to the next), 'stack' (a part of
            a lying bar, from low to high; the middle is its length) or 'areas' (each from its x to its end, and from
            low to high).
        ends: where each of the 'areas' ends; empty for every other style.
        shade: how opaque 'areas' are, from 0 to 1.
        place: the place of the method in the study, which fixes its colour in every figure; -1: as the series come.
    """

    label: str
    x: tuple[float, ...]
    middle: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    role: Literal["method", "reference"] = "method"
    style: Literal["steps", "line", "points", "box", "bars", "stack", "areas"] = "steps"
    place: int = -1
    ends: tuple[float, ...] = ()
    shade: float = 1.0


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a report as plain data.

    Attributes:
        names: name -> x of the rows of a figure whose x is no quantity; it is drawn lying, so that the names are
            read from top to bottom and the heights run to the right. Series with one label share a colour.
        texts: (x, y, words) in the picture; a figure that has some is a drawing without axes, true to scale.
    """

    name: str
    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    note: str = ""
    x_log: str = "log"  # 'log' or 'linear'
    y_log: str = "linear"  # 'log' or 'linear'
    lines: Mapping[str, float] = field(default_factory=dict)  # labelled horizontal reference lines
    names: Mapping[str, float] = field(default_factory=dict)
    texts: tuple[tuple[float, float, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with text, tables and figures."""

    title: str
    text: str = ""
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A report as plain data; renderers turn it into Markdown, CSV and SVG.

    Attributes:
        attachments: texts that are written beside the report as they are, by file name.
    """

    name: str
    title: str
    sections: tuple[Section, ...]
    attachments: Mapping[str, str] = field(default_factory=dict)
