"""Tabulate what each method reaches at the full budget, beside the exact references of the space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.core.canonical import Json
from harness.core.records import Table
from reports.analysis import TrackAnalysis, random_search_cell
from reports.frame import Cell, TrackFrame
from reports.stats import Summary
from reports.wording import (
    ABSENT,
    INTERVALS,
    NOT_AVAILABLE,
    amount,
    beyond_bounds,
    budget_unit,
    interval_name,
    number,
    reference,
    runs_of,
    scale,
    spread,
)


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of the final table: its texts, and its facts per metric for the CSV."""

    cells: tuple[str, ...]
    data: tuple[Mapping[str, Json], ...]


def final_table(analysis: TrackAnalysis) -> Table:
    """Return methods x final metrics at the full budget, with the exact references of the space."""
    track = analysis.track
    rows: list[_Row] = []
    strong: set[int] = set()
    for cell in track.base:
        if cell.key in analysis.leaders:
            strong.add(len(rows))
        rows.append(_method_row(analysis, cell))
        if cell is random_search_cell(track.base):
            rows += _expectation_row(track)
    rows += [row for row in (_sampling_row(track), _optimum_row(track)) if row]
    return Table(
        name=f"final-{track.id}",
        title=f"Final performance on {track.id} at {amount(track.limit)} {budget_unit(track)}",
        columns=("method", "n", *(f"{metric}{_in_unit(track, metric)}" for metric in track.metrics)),
        rows=tuple(row.cells for row in rows),
        note=_final_note(analysis),
        data=tuple(line for row in rows for line in row.data),
        strong=frozenset(strong),
    )


def _in_unit(track: TrackFrame, metric: str) -> str:
    unit = scale(track, metric).unit
    return f", {unit}" if unit else ""


def _final_note(analysis: TrackAnalysis) -> str:
    track = analysis.track
    rule = "recommended by the method" if track.plan["selection"]["rule"] == "recommended" else "best validated"
    shown = (
        f"The architecture {rule} at or before the budget, chosen on {track.plan['objective']['metric']} alone and "
        f"shown at its sealed metrics ({track.plan['splits']['final']}); mean ± sd [interval] over n independent runs."
    )
    exact = "References are exact: random sampling is one uniform draw (its ± is the spread over the whole space)."
    parts = [shown, INTERVALS, exact] if "random_sampling" in track.record.references else [shown, INTERVALS]
    parts += [f"{metric}: {NOT_AVAILABLE} ({reason})." for metric, reason in sorted(track.record.unavailable.items())]
    parts += beyond_bounds(
        (analysis.summaries[cell.key, index], scale(track, metric))
        for cell in track.base
        for index, metric in enumerate(track.metrics)
    )
    parts.append(_strong_note(analysis))
    return " ".join(parts)


def _strong_note(analysis: TrackAnalysis) -> str:
    if analysis.track.descriptive:
        return "This track is descriptive: too few replicates to test anything, so nothing is emphasised."
    if not analysis.leaders:
        return "No test separates any method from the best mean, so nothing is emphasised."
    return (
        "Emphasised: the methods that no test separates from the best mean of the first metric (see the comparisons)."
    )


def _method_row(analysis: TrackAnalysis, cell: Cell) -> _Row:
    track = analysis.track
    planned = len(cell.traces)
    found = [analysis.summaries[cell.key, index] for index in range(len(track.metrics))]
    texts = [_shown(track, cell, metric, summary) for metric, summary in zip(track.metrics, found, strict=True)]
    data = tuple(
        {"row": cell.label, "kind": "method", "metric": metric, "n": summary.n, "planned": planned, **facts(summary)}
        for metric, summary in zip(track.metrics, found, strict=True)
    )
    return _Row((cell.label, runs_of(found[0].n, planned), *texts), data)


def _shown(track: TrackFrame, cell: Cell, metric: str, summary: Summary) -> str:
    if metric in track.record.unavailable:
        return NOT_AVAILABLE
    states = {trace.status for trace in cell.traces}
    if summary.n == 0 and len(states) == 1 and states != {"done"}:
        return states.pop()
    return spread(summary, scale(track, metric).digits)


def facts(summary: Summary) -> dict[str, Json]:
    """Return a summary as columns of a CSV."""
    return {
        "mean": summary.mean,
        "sd": summary.sd,
        "low": summary.low,
        "high": summary.high,
        "interval": interval_name(summary.method),
        "median": summary.median,
        "first_quartile": summary.quartiles[0],
        "third_quartile": summary.quartiles[1],
    }


def _reference_row(
    track: TrackFrame, label: str, values: Mapping[str, tuple[float, float | None]], size: str = ABSENT
) -> _Row:
    cells, data = [], []
    for metric in track.metrics:
        digits = scale(track, metric).digits
        mean, sd = values.get(metric, (None, None))
        missing = NOT_AVAILABLE if metric in track.record.unavailable else ABSENT
        text = missing if mean is None else number(mean, digits)
        cells.append(text if sd is None else f"{text} ± {number(sd, digits)}")
        data.append({"row": label, "kind": "reference", "metric": metric, "mean": mean, "sd": sd, "interval": "exact"})
    return _Row((label, size, *cells), tuple(data))


def _sampling_row(track: TrackFrame) -> _Row | None:
    facts_of = {
        metric: (mean, reference(track, "random_sampling", metric, "std"))
        for metric in track.metrics
        if (mean := reference(track, "random_sampling", metric, "mean")) is not None
    }
    sizes = {reference(track, "random_sampling", metric, "n") for metric in facts_of}
    size = next(iter(sizes), None)
    label = f"random sampling (exact over {size:,.0f} architectures)" if size else "random sampling (exact)"
    return _reference_row(track, label, facts_of) if facts_of else None


def _optimum_row(track: TrackFrame) -> _Row | None:
    found = {
        metric: (value, None)
        for metric in track.metrics
        if (value := reference(track, "optimum", metric, "value")) is not None
    }
    return _reference_row(track, "optimum of the space", found) if found else None


def expected_random_search(track: TrackFrame) -> tuple[str, float, str] | None:
    """Return (metric, expectation at the full budget, how it was computed), or None where it is not known."""
    known = track.record.references.get("random_search")
    if not isinstance(known, dict) or not isinstance(known.get("expected"), int | float):
        return None
    return str(known["metric"]), float(known["expected"]), str(known.get("basis", ""))


def _expectation_row(track: TrackFrame) -> list[_Row]:
    expected = expected_random_search(track)
    if expected is None or expected[0] not in track.metrics:
        return []
    return [_reference_row(track, "random search, exact expectation", {expected[0]: (expected[1], None)})]
