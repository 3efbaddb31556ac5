"""Set the methods of a track against the whole space: regret, percentile, gap closed, improvement over sampling."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.core.canonical import Json
from harness.core.records import Table
from reports.analysis import TrackAnalysis, node_of
from reports.curves import Step, area
from reports.final import facts
from reports.frame import Cell, Frame, TrackFrame
from reports.stats import NONE, Summary, gap_closed, relative_improvement, summarise
from reports.wording import (
    INTERVALS,
    amount,
    budget_unit,
    interval,
    number,
    quartiles,
    reference,
    runs_of,
    scale,
    signed,
    spread,
)

Floats = NDArray[np.float64]

AREA_FROM = 0.01
"""The share of the budget from which the area under a curve is taken; fixed, so that no other row can move it."""

_PERCENTILE = "Better than: the share of all architectures with a worse value, to 0.1 %. "


@dataclass(frozen=True, slots=True)
class _Line:
    """One row of the table: its texts by column, and its facts for the CSV."""

    texts: Mapping[str, str]
    data: Mapping[str, Json]


def space_table(frame: Frame, analysis: TrackAnalysis) -> Table | None:
    """Return each method against random sampling and the optimum; None where the space's optimum is unknown."""
    track = analysis.track
    metric = track.metrics[0]
    best, sampling = reference(track, "optimum", metric, "value"), reference(track, "random_sampling", metric, "mean")
    cells = [cell for cell in track.cells if analysis.primary(cell).n]
    if best is None or sampling is None or not cells:
        return None
    reading = scale(track, metric)
    lines = [_space_line(frame, analysis, cell, best, sampling) for cell in cells]
    return Table(
        name=f"space-{track.id}",
        title=f"Against the whole space of {track.id}, {metric}",
        columns=tuple(lines[0].texts),
        rows=tuple(tuple(line.texts.values()) for line in lines),
        note=(
            f"Regret is the distance to the optimum of the space ({number(best, reading.digits)}). The area is the "
            f"mean regret of the incumbent over log10(budget) from {amount(track.limit * AREA_FROM)} to "
            f"{amount(track.limit)} {budget_unit(track)}, exact sums over the steps; before its first incumbent a run "
            "counts as random sampling. Lower is better in both. "
            + (_PERCENTILE if quantiles_of(track, metric) is not None else "")
            + "Gap closed: 0 is random sampling, 100 the optimum. Relative improvement as in Yang et al. (2020). Both "
            "are shown for the mean of the runs, with its interval carried over: the references are exact. "
            f"{_beyond_optimum(analysis, cells, best)}{INTERVALS}"
        ),
        data=tuple(line.data for line in lines),
    )


def _beyond_optimum(analysis: TrackAnalysis, cells: Sequence[Cell], best: float) -> str:
    ends = [(analysis.primary(cell).low, analysis.primary(cell).high) for cell in cells]
    higher = scale(analysis.track, analysis.track.metrics[0]).higher
    passes = any(high > best if higher else low < best for low, high in ends)
    return "Intervals here pass the optimum, which no architecture does. " if passes else ""


def _space_line(frame: Frame, analysis: TrackAnalysis, cell: Cell, best: float, sampling: float) -> _Line:
    track = analysis.track
    reading = scale(track, track.metrics[0])
    summary = analysis.primary(cell)
    regret = regret_of(summary, best, higher=reading.higher)
    areas = summarise(_areas(track, cell, best, sampling), node_of(frame, *cell.key, "area"))
    closed = _carried(summary, lambda value: gap_closed(value, sampling, best))
    sign = 1 if reading.higher else -1
    improvement = _carried(summary, lambda value: sign * relative_improvement(value, sampling))
    beaten = _percentiles(track, cell)
    share = {} if beaten is None else {"better than, % of the space: median [quartiles]": quartiles(beaten, 1)}
    texts = {
        "method": cell.label,
        "n": runs_of(regret.n, len(cell.traces)),
        f"regret, {reading.points}: median [quartiles]": quartiles(regret, reading.digits),
        **share,
        f"area under the regret curve, {reading.points}: mean ± sd [interval]": spread(areas, reading.digits),
        "gap closed, % [interval]": f"{number(closed[0], 1)} {interval(closed[1], closed[2], 1)}",
        "relative improvement over random sampling, % [interval]": (
            f"{signed(improvement[0])} {interval(improvement[1], improvement[2])}"
        ),
    }
    data: dict[str, Json] = {"row": cell.label, "n": regret.n, "planned": len(cell.traces)}
    data |= {f"regret_{name}": value for name, value in facts(regret).items()}
    data |= {f"area_{name}": value for name, value in facts(areas).items()}
    data |= _ends("gap_closed", closed) | _ends("relative_improvement", improvement)
    return _Line(texts, data | _beaten_facts(beaten))


def _carried(summary: Summary, shift: Callable[[float], float]) -> tuple[float, float, float]:
    """Return a linear reading of a mean and of the ends of its interval, lower end first."""
    low, high = sorted((shift(summary.low), shift(summary.high)))
    return shift(summary.mean), low, high


def _ends(name: str, value: tuple[float, float, float]) -> dict[str, Json]:
    return dict(zip((name, f"{name}_low", f"{name}_high"), value, strict=True))


def _beaten_facts(beaten: Summary | None) -> dict[str, Json]:
    if beaten is None:
        return {}
    first, third = beaten.quartiles
    return {"percentile_median": beaten.median, "percentile_first_quartile": first, "percentile_third_quartile": third}


def quantiles_of(track: TrackFrame, metric: str) -> Floats | None:
    """Return evenly spaced quantiles of a metric over the whole space, lowest first; None where they are not known."""
    known: Any = track.record.references.get("quantiles")
    values = known.get(metric) if isinstance(known, dict) else None
    return np.array(values, dtype=np.float64) if isinstance(values, list) and values else None


def percentile(values: Floats, quantiles: Floats, *, higher: bool) -> Floats:
    """Return the share of the space that each value beats, in %; architectures that equal it count as half."""
    below, above = np.searchsorted(quantiles, values, side="left"), np.searchsorted(quantiles, values, side="right")
    share = 50 * (below + above) / len(quantiles)
    return share if higher else 100 - share


def _percentiles(track: TrackFrame, cell: Cell) -> Summary | None:
    """Return the middle of the runs' percentiles; no mean is taken of them, and no interval."""
    metric = track.metrics[0]
    quantiles = quantiles_of(track, metric)
    if quantiles is None:
        return None
    shares = percentile(cell.finals(0), quantiles, higher=scale(track, metric).higher)
    first, middle, third = (float(value) for value in np.percentile(shares, [25, 50, 75]))
    return Summary(len(shares), nan, nan, nan, nan, NONE, middle, (first, third))


def regret_of(summary: Summary, best: float, *, higher: bool) -> Summary:
    """Return the summary of the regrets of a summarised sample: shifted, and mirrored where more is better."""
    if not higher:
        ends = summary.low - best, summary.high - best
        first, third = (quartile - best for quartile in summary.quartiles)
    else:
        ends = best - summary.high, best - summary.low
        third, first = (best - quartile for quartile in summary.quartiles)
    sign = -1 if higher else 1
    mean, median = sign * (summary.mean - best), sign * (summary.median - best)
    return replace(summary, mean=mean, low=ends[0], high=ends[1], median=median, quartiles=(first, third))


def regrets(values: np.ndarray, best: float, *, higher: bool) -> np.ndarray:
    """Return the distance of values to the optimum, positive where they fall short of it."""
    return best - values if higher else values - best


def _areas(track: TrackFrame, cell: Cell, best: float, sampling: float) -> np.ndarray:
    """Return each run's area; before its first incumbent a run counts as random sampling."""
    higher = scale(track, track.metrics[0]).higher
    steps = [trace.step(0) for trace in cell.valued]
    whole = [Step(np.append(0.0, step.at), np.append(sampling, step.values)) for step in steps]
    heights = np.array([area(step, track.limit * AREA_FROM, track.limit) for step in whole])
    return regrets(heights[np.isfinite(heights)], best, higher=higher)
