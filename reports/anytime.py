"""Draw how good the reported architecture is at every point of the budget."""

from __future__ import annotations

import numpy as np

from harness.core.records import Figure, Series
from reports.analysis import TrackAnalysis
from reports.curves import Floats, Step, common_start, log_grid, on_grid
from reports.final import regrets
from reports.frame import Cell, TrackFrame
from reports.wording import amount, budget_axis, budget_unit, listed, reference, runs_of, scale


def anytime_figure(analysis: TrackAnalysis) -> Figure | None:
    """Return median and quartiles of the sealed primary metric over the budget; None where no run has a value.

    As regret, on a logarithmic axis, where the optimum of the space is known; otherwise the metric itself.
    """
    track = analysis.track
    curves = {cell.key: _steps(cell) for cell in track.base}
    drawn = [cell for cell in track.base if curves[cell.key] and common_start(curves[cell.key]) < track.limit]
    if not drawn:
        return None
    starts = {cell.key: _first_place(curves[cell.key], track.limit) for cell in drawn}
    grid = log_grid(min(starts.values()), track.limit)
    series = [_series(track, cell, curves[cell.key], grid[grid >= starts[cell.key]]) for cell in drawn]
    expected = _expected_series(track)
    return Figure(
        name=f"anytime-{track.id}",
        title=f"Anytime performance on {track.id}",
        x_label=budget_axis(track),
        y_label=f"{_in_unit(track)}\n{track.metrics[0]}".strip(),
        series=(*series, *([expected] if expected else [])),
        note=_note(analysis, drawn, starts=[starts[cell.key] for cell in drawn]),
        y_log="log" if _as_regret(track) else "linear",
        lines=_lines(track),
    )


def _as_regret(track: TrackFrame) -> bool:
    return reference(track, "optimum", track.metrics[0], "value") is not None


def _in_unit(track: TrackFrame) -> str:
    reading = scale(track, track.metrics[0])
    if _as_regret(track):
        return f"regret in {reading.points}"
    return f"reached, in {reading.unit}" if reading.unit else "reached"


def _steps(cell: Cell) -> list[Step]:
    """Return the curves of the runs whose every incumbent has a sealed value."""
    return [step for trace in cell.valued if np.isfinite((step := trace.step(0)).values).all()]


def _first_place(steps: list[Step], limit: float) -> float:
    """Return where every curve has begun; a start at no cost at all has no logarithm, and moves to the first step."""
    start = common_start(steps)
    if start > 0:
        return start
    later = [place for step in steps for place in step.at if place > 0]
    return min(later, default=limit / 1000)


def _height(track: TrackFrame, values: Floats) -> Floats:
    best = reference(track, "optimum", track.metrics[0], "value")
    return values if best is None else regrets(values, best, higher=scale(track, track.metrics[0]).higher)


def _series(track: TrackFrame, cell: Cell, steps: list[Step], grid: Floats) -> Series:
    heights = _height(track, on_grid(steps, grid))
    low, middle, high = np.percentile(heights, [25, 50, 75], axis=0)
    label = f"{cell.label} (n = {runs_of(len(steps), len(cell.traces))})"
    return Series(label, _plain(grid), _plain(middle), _plain(low), _plain(high))


def _plain(values: Floats) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _expected_series(track: TrackFrame) -> Series | None:
    """Return the exact expectation of random search at the places where the benchmark computed it."""
    known = track.record.references.get("random_search")
    if not isinstance(known, dict) or known.get("metric") != track.metrics[0]:
        return None
    places, means = (np.array(known.get(key) or [], dtype=np.float64) for key in ("spent", "curve"))
    present = np.isfinite(means)
    if not present.any():
        return None
    middle = _plain(_height(track, means[present]))
    return Series("random search, exact mean", _plain(places[present]), middle, middle, middle, role="reference")


def _lines(track: TrackFrame) -> dict[str, float]:
    sampling = reference(track, "random_sampling", track.metrics[0], "mean")
    lines = {}
    if sampling is not None:
        lines["random sampling, exact mean"] = float(_height(track, np.array([sampling]))[0])
    return lines


def _note(analysis: TrackAnalysis, drawn: list[Cell], starts: list[float]) -> str:
    track = analysis.track
    begins = [f"{cell.label} from {amount(start)}" for cell, start in zip(drawn, starts, strict=True)]
    left_out = [cell.label for cell in track.base if cell not in drawn]
    reading = (
        f"Line: median over the runs; band: quartiles. The incumbent is chosen on {track.plan['objective']['metric']} "
        f"and shown at {track.metrics[0]}. Right-continuous steps, never interpolated between two architectures; a "
        f"curve begins where all of its runs have an incumbent ({listed(begins)} {budget_unit(track)})."
    )
    dotted = (
        "The dotted curve is a mean, which a few poor runs pull away from the median."
        if _expected_series(track)
        else ""
    )
    missing = f"Not drawn, for want of a complete run: {listed(left_out)}." if left_out else ""
    return " ".join(part for part in (reading, dotted, _zero_note(track), missing) if part)


def _zero_note(track: TrackFrame) -> str:
    if not _as_regret(track):
        return ""
    return (
        "Regret: distance to the optimum of the space; what lies below the lower edge, as a regret of zero does, is "
        "in the data."
    )
