"""Account for the real seconds of a study end to end: by phase, as this machine took them."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, nan

from harness.core.canonical import Json
from harness.core.records import Table
from reports.cost import Amount, complete, finished, over, totals
from reports.frame import Cell, Frame, TrackFrame
from reports.trace import Trace
from reports.wording import ABSENT, UNKNOWN, amount

PHASES = {
    "searcher": ("ask", "tell"),
    "evaluation": ("evaluate",),
    "selection": ("selection",),
    "final training": ("final",),
}
"""Phase -> the names under which its real seconds are recorded."""
REST = "recording and the rest"

_ROUNDING = 1e-3
"""Seconds by which the phases of a run may outlast its clock, every line being rounded. A clock that is shorter still
is that of a last attempt alone, which says nothing of the rest."""

_BESIDE = " Where trials ran side by side, evaluation is the sum over processes, and the definitions are of the clock."


def real(trace: Trace, phase: str) -> float:
    """Return the real seconds of a phase of a run; NaN where they are not recorded."""
    if phase == REST:
        rest = trace.seconds.get("wall", nan) - sum(real(trace, other) for other in PHASES)
        return rest if rest > -_ROUNDING else nan
    return sum(trace.seconds.get(name, nan) for name in PHASES[phase])


def seconds_table(frame: Frame) -> Table:
    """Return the real seconds of each row by phase, under both definitions of what counts."""
    cells = finished(frame)
    found = [_line(frame, track, cell) for track, cell in cells]
    return Table(
        name="cost-real",
        title="End-to-end cost in real seconds of this machine, per run",
        columns=("track", "method", "n", *PHASES, REST, *totals(frame), "tuning, once", "all runs and tuning"),
        rows=tuple(row for row, _ in found),
        note=(
            "Complete runs; mean ± sd over n. Searcher: ask and tell, recorded and never charged. Evaluation: look-ups "
            "or trainings. Definition 7 here: searcher, evaluation and selection; Definition 8: with the final "
            "training. Seconds of work that a kill undid are not in it. Real seconds do not repeat to the byte, and "
            "where results are looked up they say nothing of what the trainings took."
            f"{_BESIDE if any(_beside(track) for track, _ in cells) else ''}"
        ),
        data=tuple(data for _, data in found),
    )


def _beside(track: TrackFrame) -> bool:
    """Tell whether trials of a run were evaluated side by side, so that their seconds overlap."""
    return bool(track.plan.get("schedule", "virtual") == "recorded")


def _clock(track: TrackFrame, trace: Trace) -> float:
    """Return the seconds of a run's clock; NaN where the record has not all of them."""
    whole = _beside(track) or isfinite(real(trace, REST))
    return trace.seconds.get("wall", nan) if whole else nan


def _parts(track: TrackFrame, cell: Cell) -> dict[str, Amount]:
    runs = complete(cell)
    parts = {phase: over([real(trace, phase) for trace in runs]) for phase in PHASES}
    walls = [trace.seconds.get("wall", nan) for trace in runs]
    finals = [real(trace, "final training") for trace in runs]
    if _beside(track):
        before = [wall - final for wall, final in zip(walls, finals, strict=True)]
        return parts | {REST: over([nan for _ in runs]), "definition 7": over(before), "definition 8": over(walls)}
    identified = [sum(real(trace, phase) for phase in list(PHASES)[:3]) for trace in runs]
    both = [first + final for first, final in zip(identified, finals, strict=True)]
    rest = [real(trace, REST) for trace in runs]
    return parts | {REST: over(rest), "definition 7": over(identified), "definition 8": over(both)}


def _line(frame: Frame, track: TrackFrame, cell: Cell) -> tuple[tuple[str, ...], dict[str, Json]]:
    parts = _parts(track, cell)
    data = _data(frame, track, cell, parts)
    tuning = data["tuning_seconds"]
    whole = data["all_runs_and_tuning_seconds"]
    assert isinstance(whole, float)
    texts = (
        track.id,
        cell.label,
        str(len(complete(cell))),
        *(part.shown for part in parts.values()),
        amount(tuning) if isinstance(tuning, float) else ABSENT,
        amount(whole) if isfinite(whole) else UNKNOWN,
    )
    return texts, data


def _data(frame: Frame, track: TrackFrame, cell: Cell, parts: Mapping[str, Amount]) -> dict[str, Json]:
    found: dict[str, Json] = {"track": track.id, "row": cell.label, "n": len(complete(cell))}
    for name, value in parts.items():
        key = name.replace(" ", "_")
        found |= {f"{key}_seconds_mean": value.mean, f"{key}_seconds_sd": value.sd}
    ledger = frame.study.tuning.get(cell.key[1])
    tuning = float(str(ledger["seconds"])) if ledger is not None else None
    walls = sum(_clock(track, trace) for trace in complete(cell))
    return found | {"tuning_seconds": tuning, "all_runs_and_tuning_seconds": walls + (tuning or 0.0)}
