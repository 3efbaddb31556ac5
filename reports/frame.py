"""Read the runs of a study once and keep of each only what the reports need: its step function and its account.

The reported architecture after a trial is what the method recommended, or the best objective it had been told
(the protocol's `selection.rule`). Trials past the budget, discarded or kept, are never reported: the incumbent is
the last one at or before the limit. The sealed value of an architecture is its final evaluation where the record
holds one, else the sealed metrics of the trial that evaluated it at the search fidelity, else of any trial of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.core.records import RunRecord, Status, StudyRecord, TrackRecord, TrialRecord
from harness.core.types import Evaluate, Failure, RunSpec
from reports.curves import Step

Floats = NDArray[np.float64]
Key = tuple[str, str, str]
"""Track, method, variant."""

BASE = "base"


@dataclass(frozen=True, slots=True)
class Trace:
    """What is kept of one run.

    Attributes:
        spec: the run.
        status: as recorded; `excluded` says whether the analysis plan leaves it out.
        reason: why it was skipped, or why it ended.
        excluded: the declared reason for leaving it out, or an empty string.
        at: budget spent at each change of the reported architecture, shape (k,).
        final: its sealed metrics, in the order of the track's final metrics, shape (k, metrics); NaN: not recorded.
        objective: its measured objective, shape (k,).
        interim: the sealed metric `interim_metric` of its search trial, shape (k,); NaN: not recorded. Real training
            knows the final metrics of the last architecture alone, and this of every one.
        interim_metric: the sealed metric of search trials, an accuracy rather than a loss; empty: none recorded.
        arch: the architecture reported at the end, or None.
        spent: budget spent at the end of the run.
        trials: trials told to the method.
        discarded: trials that crossed the budget and were discarded.
        failures: reason -> failed trials.
        seconds: real seconds by phase.
    """

    spec: RunSpec
    status: Status
    reason: str
    excluded: str
    at: Floats
    final: Floats
    objective: Floats
    interim: Floats
    interim_metric: str
    arch: str | None
    spent: float
    trials: int
    discarded: int
    failures: Mapping[str, int]
    seconds: Mapping[str, float]

    @property
    def valued(self) -> bool:
        """Tell whether the run counts in tables and curves: complete, not excluded, and with an incumbent."""
        return self.status == "done" and not self.excluded and len(self.at) > 0

    def step(self, metric: int) -> Step:
        """Return the sealed metric with this index as a step function of the budget."""
        return Step(self.at, self.final[:, metric])


@dataclass(frozen=True, slots=True)
class Cell:
    """All runs of one method variant on one track, in plan order."""

    key: Key
    traces: tuple[Trace, ...]

    @property
    def spec(self) -> RunSpec:
        """The first run, for what all runs of the cell share: implementation and options."""
        return self.traces[0].spec

    @property
    def label(self) -> str:
        """The row's name in tables and legends."""
        _, method, variant = self.key
        return method if variant == BASE else f"{method} [{variant}]"

    @property
    def valued(self) -> list[Trace]:
        """The runs that count."""
        return [trace for trace in self.traces if trace.valued]

    def finals(self, metric: int) -> Floats:
        """Return the metric of the architecture reported at the full budget, one value per run that has it."""
        values = np.array([trace.final[-1, metric] for trace in self.valued], dtype=np.float64)
        return values[np.isfinite(values)]

    def by_replicate(self, metric: int) -> dict[int, float]:
        """Return the same by replicate, for paired comparisons."""
        found = ((trace.spec.replicate, float(trace.final[-1, metric])) for trace in self.valued)
        return {replicate: value for replicate, value in found if np.isfinite(value)}


@dataclass(frozen=True, slots=True)
class TrackFrame:
    """One track with its cells.

    Attributes:
        plan: the track as the resolved protocol holds it.
        record: what the study knew of it before the first run.
        cells: in plan order.
    """

    plan: Mapping[str, Any]
    record: TrackRecord
    cells: tuple[Cell, ...]

    @property
    def id(self) -> str:
        """The track's id."""
        return str(self.plan["id"])

    @property
    def metrics(self) -> tuple[str, ...]:
        """Qualified names of the final metrics; the first is primary."""
        return tuple(self.plan["final"]["metrics"])

    @property
    def limit(self) -> float:
        """The budget of a run."""
        return float(self.plan["budget"]["limit"])

    @property
    def descriptive(self) -> bool:
        """Tell whether the protocol declares too few replicates to test anything."""
        return bool(self.plan["purpose"] == "descriptive")

    @property
    def base(self) -> list[Cell]:
        """The cells that are no ablation."""
        return [cell for cell in self.cells if cell.key[2] == BASE]


@dataclass(frozen=True, slots=True)
class Frame:
    """A study as the reports see it.

    Attributes:
        study: the record without its runs.
        tracks: in protocol order.
        idle_exclusions: declared exclusions that name no run of the study.
        journals: (run id, SHA-256 of the journal) in plan order.
    """

    study: StudyRecord
    tracks: tuple[TrackFrame, ...]
    idle_exclusions: tuple[str, ...]
    journals: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Reading:
    """What accumulates while the runs pass by."""

    cells: dict[Key, list[Trace]] = field(default_factory=dict)
    journals: list[tuple[str, str]] = field(default_factory=list)
    met: set[str] = field(default_factory=set)


def read(study: StudyRecord) -> Frame:
    """Read a study's runs once; memory grows with the changes of incumbents, not with the trials."""
    plans = {track["id"]: track for track in _tracks(study)}
    excluded = declared_exclusions(study)
    reading = _Reading()
    for run in study.runs():
        spec = run.spec
        reason = excluded.get(spec.id, "")
        if reason:
            reading.met.add(spec.id)
        trace = trace_of(run, plans[spec.track], reason)
        reading.cells.setdefault((spec.track, spec.method, spec.variant), []).append(trace)
        reading.journals.append((spec.id, run.journal))
    tracks = tuple(_track(plan, study, reading.cells) for plan in plans.values())
    idle = tuple(name for name in excluded if name not in reading.met)
    return Frame(study, tracks, idle, tuple(reading.journals))


def _tracks(study: StudyRecord) -> list[dict[str, Any]]:
    tracks: Any = study.protocol["tracks"]
    return list(tracks)


def _track(plan: Mapping[str, Any], study: StudyRecord, cells: Mapping[Key, list[Trace]]) -> TrackFrame:
    mine = tuple(Cell(key, tuple(traces)) for key, traces in cells.items() if key[0] == plan["id"])
    return TrackFrame(plan, study.tracks[plan["id"]], mine)


def declared_exclusions(study: StudyRecord) -> dict[str, str]:
    """Return run id -> reason from the analysis plan, whose entries read 'RUN: reason'."""
    analysis: Any = study.protocol["analysis"]
    parts = (entry.partition(":") for entry in analysis["exclusions"])
    return {name.strip(): reason.strip() or "no reason given" for name, _, reason in parts}


def trace_of(run: RunRecord, plan: Mapping[str, Any], excluded: str) -> Trace:
    """Reduce a run to its trace."""
    at, archs = incumbents(run.trials, plan)
    final, objective, interim, interim_metric = _values(run, archs, plan)
    told = [record for record in run.trials if record.counted]
    reasons = Counter(record.result.reason for record in told if isinstance(record.result, Failure))
    return Trace(
        spec=run.spec,
        status=run.status,
        reason=run.reason,
        excluded=excluded,
        at=at,
        final=final,
        objective=objective,
        interim=interim,
        interim_metric=interim_metric,
        arch=archs[-1] if archs else None,
        spent=told[-1].spent if told else 0.0,
        trials=len(told),
        discarded=len(run.trials) - len(told),
        failures=dict(sorted(reasons.items())),
        seconds=run.seconds,
    )


def incumbents(trials: Iterable[TrialRecord], plan: Mapping[str, Any]) -> tuple[Floats, list[str]]:
    """Return where the reported architecture changes, and to what, within the budget."""
    limit = plan["budget"]["limit"]
    named = _best_validated(trials, plan) if plan["selection"]["rule"] == "best-validated" else _recommended(trials)
    at: list[float] = []
    archs: list[str] = []
    for spent, arch in named:
        if spent > limit:
            break
        if arch is not None and (not archs or arch != archs[-1]):
            at.append(spent)
            archs.append(arch)
    return np.array(at, dtype=np.float64), archs


def _recommended(trials: Iterable[TrialRecord]) -> Iterable[tuple[float, str | None]]:
    return ((record.spent, record.recommended) for record in trials if record.counted)


def _best_validated(trials: Iterable[TrialRecord], plan: Mapping[str, Any]) -> Iterable[tuple[float, str | None]]:
    sign = 1.0 if plan["objective"]["direction"] == "maximize" else -1.0
    best, best_value = None, -np.inf
    for record in trials:
        if not record.counted:
            continue
        work, result = record.trial.work, record.result
        at_search = isinstance(work, Evaluate) and work.epochs >= plan["fidelity"]["search"]
        if isinstance(work, Evaluate) and at_search and not isinstance(result, Failure):
            value = sign * result.value
            if value > best_value:
                best, best_value = str(work.arch), value
        yield record.spent, best


def _values(run: RunRecord, archs: Sequence[str], plan: Mapping[str, Any]) -> tuple[Floats, Floats, Floats, str]:
    metrics, epochs = plan["final"]["metrics"], plan["fidelity"]["search"]
    sealed, measured = _known(run.trials, set(archs), epochs)
    final = np.full((len(archs), len(metrics)), np.nan)
    for row, arch in enumerate(archs):
        after, during = run.final.get(arch, {}), sealed.get(arch, {})
        for column, metric in enumerate(metrics):
            final[row, column] = after.get(metric, during.get(metric, np.nan))
    objective = np.array([measured.get(arch, np.nan) for arch in archs], dtype=np.float64)
    name = _interim_metric(run.trials, epochs)
    interim = np.array([sealed.get(arch, {}).get(name, np.nan) for arch in archs], dtype=np.float64)
    return final, objective, interim, name


def _interim_metric(trials: Iterable[TrialRecord], epochs: int) -> str:
    full = (
        record.sealed
        for record in trials
        if record.sealed and isinstance(record.trial.work, Evaluate) and record.trial.work.epochs == epochs
    )
    return min(next(full, ()), key=lambda name: ("loss" in name, name), default="")


def _known(
    trials: Iterable[TrialRecord], wanted: set[str], epochs: int
) -> tuple[dict[str, Mapping[str, float]], dict[str, float]]:
    """Return the sealed metrics and the objective of the wanted architectures; the search fidelity takes precedence."""
    sealed: dict[str, Mapping[str, float]] = {}
    measured: dict[str, float] = {}
    full: set[str] = set()
    for record in trials:
        work = record.trial.work
        if not isinstance(work, Evaluate) or work.arch not in wanted or work.arch in full:
            continue
        if isinstance(record.result, Failure):
            continue
        sealed[work.arch], measured[work.arch] = record.sealed, record.result.value
        if work.epochs == epochs:
            full.add(work.arch)
    return sealed, measured


def tidy(frame: Frame) -> pd.DataFrame:
    """Return one row per run: its identity, its state, and what it reports at the full budget.

    Real seconds are left out, so that the same runs give the same table on any machine.
    """
    rows = [_tidy_row(track, trace) for track in frame.tracks for cell in track.cells for trace in cell.traces]
    return pd.DataFrame(rows)


def _tidy_row(track: TrackFrame, trace: Trace) -> dict[str, Any]:
    row: dict[str, Any] = {
        "track": track.id,
        "method": trace.spec.method,
        "variant": trace.spec.variant,
        "replicate": trace.spec.replicate,
        "seed": trace.spec.seed,
        "status": trace.status,
        "reason": trace.reason,
        "excluded": trace.excluded,
        "trials": trace.trials,
        "failed": sum(trace.failures.values()),
        "discarded": trace.discarded,
        "spent": trace.spent,
        "unit": track.plan["budget"]["unit"],
        "architecture": trace.arch,
        track.plan["objective"]["metric"]: trace.objective[-1] if len(trace.at) else None,
    }
    return row | {
        metric: trace.final[-1, column] if len(trace.at) else None for column, metric in enumerate(track.metrics)
    }
