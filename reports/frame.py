"""Read the runs of a study once and keep of each only what the reports need: its step function and its account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.core.records import StudyRecord, TrackRecord
from harness.core.types import RunSpec
from reports.trace import Trace
from reports.tracing import Tracing

Floats = NDArray[np.float64]
Key = tuple[str, str, str]
"""Track, method, variant."""

BASE = "base"


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


def read(study: StudyRecord) -> Frame:
    """Read a study's runs once; memory grows with the changes of incumbents, not with the trials."""
    plans = {track["id"]: track for track in _tracks(study)}
    excluded = declared_exclusions(study)
    ranges = {name: _ranges(record) for name, record in study.tracks.items()}
    cells: dict[Key, list[Trace]] = {}
    journals: list[tuple[str, str]] = []
    for block in study.blocks(Tracing(plans, excluded, ranges)):
        for trace, journal in block:
            spec = trace.spec
            cells.setdefault((spec.track, spec.method, spec.variant), []).append(trace)
            journals.append((spec.id, journal))
    tracks = tuple(_track(plan, study, cells) for plan in plans.values())
    met = {name for name, _ in journals}
    idle = tuple(name for name in excluded if name not in met)
    return Frame(study, tracks, idle, tuple(journals))


def _ranges(record: TrackRecord) -> Mapping[str, Any]:
    known = record.references.get("ranges")
    return known if isinstance(known, dict) else {}


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
