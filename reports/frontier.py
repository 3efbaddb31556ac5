"""Report compromises between the sealed metric and a cost, where the protocol lists secondary metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import nan
from typing import Any

import numpy as np

from harness.core.canonical import Json
from harness.core.records import Figure, Series, Table
from reports.analysis import TrackAnalysis
from reports.curves import Floats, Step, common_start, log_grid, on_grid, plain
from reports.distribution import at_the_floor, floor_of
from reports.frame import Cell, TrackFrame
from reports.pareto import (
    Archive,
    Normal,
    attainment,
    attainment_difference,
    distances,
    hypervolume,
    points_at,
    volume_curve,
)
from reports.series import series_of
from reports.wording import ABSENT, budget_axis, interval, number, reference, runs_of, scale

FEWEST = 5
"""From so many runs of a method on curves and surfaces are drawn."""

_PERCENTILES = (25.0, 50.0, 75.0)
_LEVELS = {0.25: 0.2, 0.5: 0.5, 0.75: 0.85}
"""How opaque the areas are in which so large a share of the runs more attains, the next larger share excluded."""

_BASELINE = "random_search"
_MOST = 100  # runs of a method whose attainment is compared: more would be as many areas as nobody can see
_DIGITS = 3
_THIN = 4  # every fourth place of the common grid: a curve that rises slowly needs no more, and each costs a volume


@dataclass(frozen=True, slots=True)
class _Tradeoff:
    """One cost of one track, with what is known of it.

    Attributes:
        index: which archive of a trace it is.
        secondary: the cost.
        metric: the sealed metric that judges.
        normal: how both are normalised.
        front: the Pareto front of the whole space, normalised; None where it is not known.
    """

    track: TrackFrame
    index: int
    secondary: str
    metric: str
    normal: Normal
    front: Floats | None

    @property
    def known(self) -> bool:
        """Whether the optimum of the space is known, so that regret can be shown."""
        return reference(self.track, "optimum", self.metric, "value") is not None

    def archives(self, cell: Cell) -> list[Archive]:
        """Return the archives of the runs that count."""
        return [trace.archives[self.index] for trace in cell.valued if len(trace.archives[self.index].entered)]

    def finals(self, cell: Cell) -> list[Floats]:
        """Return the normalised points of each run at the full budget."""
        return [points_at(archive, self.track.limit, self.normal) for archive in self.archives(cell)]


def _tradeoffs(track: TrackFrame) -> list[_Tradeoff]:
    archives = next((trace.archives for cell in track.base for trace in cell.valued if trace.archives), ())
    return [
        _Tradeoff(track, index, archive.secondary, archive.metric, normal, _front(track, archive, normal))
        for index, archive in enumerate(archives)
        for normal in _normal(track, archive)
    ]


def _normal(track: TrackFrame, archive: Archive) -> list[Normal]:
    """Return the normalisation; empty where the cost does not vary over the space."""
    ranges: Any = track.record.references["ranges"]
    known = ranges[archive.secondary]
    cost = (known["low"], known["high"]) if known["better"] == "lower" else (known["high"], known["low"])
    best, sampling = (
        reference(track, "optimum", archive.metric, "value"),
        reference(track, "random_sampling", archive.metric, "mean"),
    )
    value = (best, sampling) if best is not None and sampling is not None else (100.0, 0.0)
    percent = scale(track, archive.metric).unit == "%"
    sound = cost[0] != cost[1] and value[0] != value[1] and (percent or best is not None)
    return [Normal(value, cost)] if sound else []


def _front(track: TrackFrame, archive: Archive, normal: Normal) -> Floats | None:
    known: Any = track.record.references.get("fronts")
    facts = known.get(archive.secondary) if isinstance(known, dict) else None
    if not isinstance(facts, dict) or facts.get("metric") != archive.metric:
        return None
    return normal(np.array(facts["value"], dtype=np.float64), np.array(facts["cost"], dtype=np.float64))


def tradeoff_table(analysis: TrackAnalysis) -> Table | None:
    """Return hypervolume, IGD+ and additive epsilon of the methods for each cost; None without secondary metrics."""
    track = analysis.track
    found = _tradeoffs(track)
    lines = [line for one in found for line in _lines(one)]
    if not lines:
        return None
    exact = any(one.front is not None for one in found)
    return Table(
        name=f"tradeoffs-{track.id}",
        title=f"Compromises between {found[0].metric} and cost on {track.id}",
        columns=("cost", "method", "n", *_measures(exact=exact)),
        rows=tuple(text for text, _ in lines),
        note=f"{_about(found[0])} {_judged(exact=exact)}",
        data=tuple(data for _, data in lines),
    )


def _measures(*, exact: bool) -> tuple[str, ...]:
    volume = "hypervolume: median [quartiles]"
    return (volume, "of the space's, %", "IGD+: median", "additive epsilon: median") if exact else (volume,)


def _about(one: _Tradeoff) -> str:
    ideal, worst = one.normal.value
    ends = "optimum and mean of the whole space" if one.known else "the ends of the scale"
    return (
        "The archive of a run is what no other architecture that it evaluated beats in both "
        f"{one.track.plan['objective']['metric']} and the cost; it is chosen on these and judged on {one.metric} at "
        f"the full budget. Normalised for every method alike: {one.metric} from {number(ideal)} (0) to {number(worst)} "
        f"(1), {ends}; the cost from the least (0) to the most (1) of the whole space; reference point (1, 1)."
    )


def _judged(*, exact: bool) -> str:
    volume = "Hypervolume: the share of that square which is dominated; more is better."
    more = (
        " Of the space's: in % of the hypervolume of the exact front of the space. IGD+ and additive epsilon are "
        "distances to that front; 0 is best. Medians over n independent runs; nothing is tested."
    )
    return volume + (more if exact else " Median over n independent runs; nothing is tested.")


def _lines(one: _Tradeoff) -> list[tuple[tuple[str, ...], Mapping[str, Json]]]:
    whole = hypervolume(one.front) if one.front is not None else nan
    lines = [_line(one, cell, whole) for cell in one.track.base if one.archives(cell)]
    if one.front is None or not lines:
        return lines
    text = (one.secondary, "front of the space (exact)", ABSENT, number(whole, _DIGITS), "100", "0", "0")
    return [*lines, (text, {"cost": one.secondary, "row": "front of the space", "hypervolume_median": whole})]


def _line(one: _Tradeoff, cell: Cell, whole: float) -> tuple[tuple[str, ...], Mapping[str, Json]]:
    sets = one.finals(cell)
    volumes = np.array([hypervolume(points) for points in sets])
    first, middle, third = (float(value) for value in np.percentile(volumes, [25, 50, 75]))
    size = runs_of(len(sets), len(cell.traces))
    shown = f"{number(middle, _DIGITS)} {interval(first, third, _DIGITS)}"
    text = (one.secondary, cell.label, size, shown)
    data: dict[str, Json] = {"cost": one.secondary, "row": cell.label, "n": len(sets), "planned": len(cell.traces)}
    data |= {"hypervolume_median": middle, "hypervolume_first_quartile": first, "hypervolume_third_quartile": third}
    if one.front is None:
        return text, data
    igd, epsilon = np.median([distances(points, one.front) for points in sets], axis=0)
    data |= {"igd_plus_median": float(igd), "epsilon_median": float(epsilon)}
    return (*text, number(100 * middle / whole, 1), number(igd, _DIGITS), number(epsilon, _DIGITS)), data


def tradeoff_figures(analysis: TrackAnalysis) -> list[Figure]:
    """Return hypervolume over the budget, attainment surfaces and where they differ most, for the first cost.

    Methods with fewer than five runs are not drawn.
    """
    found = _tradeoffs(analysis.track)[:1]
    figures = [
        figure for one in found for figure in (_volume_figure(one), _attainment_figure(one), _difference_figure(one))
    ]
    return [figure for figure in figures if figure]


def _drawn(one: _Tradeoff) -> list[Cell]:
    return [cell for cell in one.track.base if len(one.archives(cell)) >= FEWEST]


def _volume_figure(one: _Tradeoff) -> Figure | None:
    track = one.track
    starts = {cell.key: common_start([Step(a.entered, a.value) for a in one.archives(cell)]) for cell in _drawn(one)}
    cells = [cell for cell in _drawn(one) if 0 < starts[cell.key] < track.limit]
    if not cells:
        return None
    grid = log_grid(min(starts[cell.key] for cell in cells), track.limit)[::_THIN]
    lines = {} if one.front is None else {"front of the space (exact)": hypervolume(one.front)}
    return Figure(
        name=f"hypervolume-{track.id}",
        title=f"Compromises over the budget on {track.id}",
        x_label=budget_axis(track),
        y_label=f"hypervolume of {_short(one.metric)}\nand {_short(one.secondary)}",
        series=tuple(_volume_series(one, cell, grid[grid >= starts[cell.key]]) for cell in cells),
        note=f"Line: median over the runs; band: quartiles. {_about(one)}",
        lines=lines,
    )


def _volume_series(one: _Tradeoff, cell: Cell, grid: Floats) -> Series:
    archives = one.archives(cell)
    curves = [volume_curve(archive, one.normal, plain(grid)) for archive in archives]
    low, middle, high = np.percentile(on_grid(curves, grid), [25, 50, 75], axis=0)
    return series_of(one.track, cell, len(archives), (grid, middle, low, high))


def _attainment_figure(one: _Tradeoff) -> Figure | None:
    cells = _drawn(one)
    if not cells:
        return None
    exact = [] if one.front is None else [_reference(one, one.front)]
    return Figure(
        name=f"attainment-{one.track.id}",
        title=f"What the runs attain at which cost on {one.track.id}",
        x_label=one.secondary,
        y_label=_height_label(one),
        series=(*(_surface(one, cell) for cell in cells), *exact),
        note=(
            "Attainment surfaces at the full budget (Fonseca and Fleming, 1996): line: what half of the runs attain at "
            "most at this cost; band: between what a quarter and what three quarters of them attain. The archive is "
            f"chosen on {one.track.plan['objective']['metric']} and {one.secondary}, and shown at {one.metric}."
            + (" Dotted: the exact front of the space." if exact else "")
            + (f" {at_the_floor(one.track)}" if one.known else "")
        ),
        x_log="linear",
        y_log="log" if one.known else "linear",
    )


def _height_label(one: _Tradeoff) -> str:
    reading = scale(one.track, one.metric)
    return f"regret, {reading.points}\n{one.metric}" if one.known else f"{one.metric}, {reading.unit}"


def _surface(one: _Tradeoff, cell: Cell) -> Series:
    sets = one.finals(cell)
    surfaces = [_steps(one, surface) for surface in attainment(sets, _PERCENTILES)]
    places = np.unique(np.concatenate([*(step.at for step in surfaces), [max(one.normal.cost)]]))
    best, middle, worst = (step(places) for step in surfaces)
    begun = np.isfinite(middle) & np.isfinite(worst)
    low, high = np.minimum(worst, best), np.maximum(worst, best)
    columns = (places[begun], middle[begun], low[begun], high[begun])
    return series_of(one.track, cell, len(sets), columns)


def _steps(one: _Tradeoff, surface: Floats) -> Step:
    """Return a normalised surface as a step function of the cost: the metric, or its regret where that is known."""
    order = np.argsort(surface[:, 1], kind="stable")
    ideal, worst = one.normal.cost
    return Step(surface[order, 1] * (worst - ideal) + ideal, _heights(one, surface[order, 0]))


def _reference(one: _Tradeoff, front: Floats) -> Series:
    step = _steps(one, front)
    places = np.append(step.at, max(one.normal.cost))
    values = plain(step(places))
    return Series("front of the space (exact)", plain(places), values, values, values, role="reference")


def _short(metric: str) -> str:
    return metric.partition("@")[0]


def _difference_figure(one: _Tradeoff) -> Figure | None:
    """Return where random search and the best other method attain otherwise; None if that is nowhere a quarter."""
    if len(_drawn(one)) < 2:  # noqa: PLR2004 - a difference is between two
        return None
    cells = _drawn(one)
    first = next((cell for cell in cells if cell.spec.implementation == _BASELINE), cells[0])
    others = [cell for cell in cells if cell is not first]
    second = max(others, key=lambda cell: float(np.median([hypervolume(points) for points in one.finals(cell)])))
    n = min(len(one.archives(first)), len(one.archives(second)), _MOST)
    areas = attainment_difference(one.finals(first)[:n], one.finals(second)[:n])
    series = [
        area
        for cell, sign in ((first, 1.0), (second, -1.0))
        for least in _LEVELS
        for area in _areas(one, cell, n, areas * [1.0, 1.0, 1.0, 1.0, sign], least)
    ]
    if not series:
        return None
    return Figure(
        name=f"attainment-difference-{one.track.id}",
        title=f"Who attains what more often on {one.track.id}",
        x_label=one.secondary,
        y_label=_height_label(one),
        series=tuple(series),
        note=(
            f"Difference of the empirical attainment functions at the full budget (Lopez-Ibanez, Paquete and Stuetzle, "
            f"2010) of {first.label} and, of the other methods, the one with the largest median hypervolume, "
            f"{second.label}; the first {n} runs of each. Shaded: what a quarter, a half or three quarters of the runs "
            f"of one method more than of the other attain: this {one.metric} and this cost, or better. "
            "Nothing is tested."
        ),
        x_log="linear",
        y_log="log" if one.known else "linear",
    )


def _areas(one: _Tradeoff, cell: Cell, n: int, areas: Floats, least: float) -> list[Series]:
    """Return the areas in which the share of the runs of a method is larger by that much, up to the next level."""
    found = areas[(areas[:, 4] >= least) & (areas[:, 4] < least + 0.25 + (least + 0.25 >= 1))]
    if not len(found):
        return []
    ideal, worst = one.normal.cost
    costs = np.minimum(found[:, 2:4], 1.0) * (worst - ideal) + ideal
    heights = _heights(one, np.minimum(found[:, :2], 1.0))
    kept = (np.abs(costs[:, 1] - costs[:, 0]) > 0) & (np.abs(heights[:, 1] - heights[:, 0]) > 0)
    if not kept.any():
        return []
    (left, right), (low, high) = np.sort(costs[kept], axis=1).T, np.sort(heights[kept], axis=1).T
    middle = np.sqrt(low * high) if one.known else (low + high) / 2
    of = f"{100 * least:g} % more"
    drawn = series_of(one.track, cell, n, (left, middle, low, high), style="areas", of=of)
    return [replace(drawn, ends=plain(right), shade=_LEVELS[least])]


def _heights(one: _Tradeoff, quality: Floats) -> Floats:
    """Return normalised qualities as they are drawn: the metric, or its regret where that is known."""
    best, poorest = one.normal.value
    if one.known:
        return np.maximum(quality * abs(poorest - best), floor_of(one.track))
    return quality * (poorest - best) + best
