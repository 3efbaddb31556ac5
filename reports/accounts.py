"""Account for every run of the plan."""

from __future__ import annotations

from collections import Counter
from math import isfinite

from harness.core.canonical import Json
from harness.core.records import Status, Table
from reports.frame import Cell, Frame, TrackFrame, tidy
from reports.trace import Trace
from reports.wording import ABSENT

_STATES: tuple[Status, ...] = ("done", "partial", "skipped", "missing")


def runs_table(frame: Frame) -> Table:
    """Return planned, complete, partial, skipped and missing runs per cell, with failures and their reasons."""
    cells = [(track, cell) for track in frame.tracks for cell in track.cells]
    counts = [_counts(track, cell) for track, cell in cells]
    idle = f" Declared exclusions that name no run of this study: {'; '.join(frame.idle_exclusions)}."
    return Table(
        name="runs",
        title="Runs and failures",
        columns=(
            "track",
            "method",
            "planned",
            "done",
            "partial",
            "skipped",
            "missing",
            "excluded",
            "without a result",
            "trials",
            "failed trials",
            "discarded trials",
            "reasons",
        ),
        rows=tuple(tuple(_text(value) for value in row.values()) for row in counts),
        note=(
            "Only complete runs with a result enter tables and curves; all others stand here and in every n as 'k of "
            "planned'. Without a result: complete, but no architecture was ever recommended within the budget or its "
            "sealed metric is not recorded. Discarded: the trial that would have crossed the budget. Failed trials are "
            "charged." + (idle if frame.idle_exclusions else "")
        ),
        data=tuple(counts),
    )


def _text(value: Json) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value) or ABSENT


def _counts(track: TrackFrame, cell: Cell) -> dict[str, Json]:
    states = Counter(trace.status for trace in cell.traces)
    complete = [trace for trace in cell.traces if trace.status == "done" and not trace.excluded]
    return {
        "track": track.id,
        "method": cell.label,
        "planned": len(cell.traces),
        **{state: states[state] for state in _STATES},
        "excluded": sum(1 for trace in cell.traces if trace.excluded),
        "without_a_result": len(complete) - len(cell.finals(0)),
        "trials": sum(trace.trials for trace in cell.traces),
        "failed_trials": sum(sum(trace.failures.values()) for trace in cell.traces),
        "discarded_trials": sum(trace.discarded for trace in cell.traces),
        "reasons": "; ".join(_reasons(cell)),
    }


def _reasons(cell: Cell) -> list[str]:
    """Return 'what: reason (how often)' for every end, skip, exclusion and failure, most frequent first."""
    said: Counter[str] = Counter()
    for trace in cell.traces:
        said.update(_reasons_of(trace))
    return [f"{text} ({count:,})" for text, count in sorted(said.items(), key=lambda item: (-item[1], item[0]))]


def _reasons_of(trace: Trace) -> Counter[str]:
    said: Counter[str] = Counter({f"failed: {reason}": count for reason, count in trace.failures.items()})
    if trace.excluded:
        said[f"excluded: {trace.excluded}"] += 1
    if trace.reason:
        said[f"{'skipped' if trace.status == 'skipped' else 'ended'}: {trace.reason}"] += 1
    return said


def run_rows(frame: Frame) -> Table:
    """Return one row per run, for the CSV alone; recorded numbers keep every digit, so that they can be looked up."""
    rows = tidy(frame).to_dict(orient="records")
    data = tuple({str(column): _recorded(value) for column, value in row.items()} for row in rows)
    return Table("per-run", "Every run", (), (), note="One row per run, in plan order; no real seconds.", data=data)


def _recorded(value: Json) -> Json:
    return repr(float(value)) if isinstance(value, float) and isfinite(value) else value
