"""Draw all runs at the full budget: every point, the share that comes how near to the optimum, the space behind."""

from __future__ import annotations

import numpy as np

from harness.core.records import Figure, Series
from reports.analysis import TrackAnalysis
from reports.curves import Floats, plain
from reports.frame import Cell, TrackFrame
from reports.series import series_of
from reports.shares import wilson
from reports.space import quantiles_of, regrets
from reports.wording import amount, budget_unit, number, reference, runs_of, scale

FEWEST = 5
"""From so many runs of a method on its distribution is drawn; below, the table shows as much."""

_PLACES = 240  # at which the share of runs is drawn
_FLOOR = 0.01  # the smallest distance to the optimum that is told apart, in points of a percentage
_BINS = 60
_GOLDEN = (5**0.5 - 1) / 2  # multiples of it, modulo 1, spread points evenly and the same on every machine
_WIDTH = 0.2  # how far points stray from the middle of their row
_OUTLYING = 0.05  # the share of the space, at its poor end, that the histogram leaves out


def drawable(track: TrackFrame) -> list[Cell]:
    """Return the base methods of a track with enough runs to draw a distribution of."""
    return [cell for cell in track.base if len(cell.finals(0)) >= FEWEST]


def distribution_figure(analysis: TrackAnalysis) -> Figure | None:
    """Return every run at the full budget with the box of each method; None where no method has five runs."""
    track = analysis.track
    cells = drawable(track)
    if not cells:
        return None
    metric = track.metrics[0]
    best = reference(track, "optimum", metric, "value")
    rows = {f"{cell.label} (n = {runs_of(len(cell.finals(0)), len(cell.traces))})": cell for cell in cells}
    series = [
        one
        for row, (name, cell) in enumerate(rows.items())
        for one in _row(name, row, track.base.index(cell), _heights(track, cell, best))
    ]
    return Figure(
        name=f"distribution-{track.id}",
        title=f"All runs on {track.id} at the full budget",
        x_label="method",
        y_label=_quantity(track, best),
        series=tuple(series),
        note=(
            f"Every point is one run at {amount(track.limit)} {budget_unit(track)}; bar and stroke: quartiles and "
            "median. The height of a point within its row means nothing."
            + ("" if best is None else f" {at_the_floor(track)}")
        ),
        x_log="linear",
        y_log="linear" if best is None else "log",
        names={name: float(row) for row, name in enumerate(rows)},
    )


def _heights(track: TrackFrame, cell: Cell, best: float | None) -> Floats:
    """Return the runs' metric, or their regret where the optimum is known, no lower than the floor."""
    values = cell.finals(0)
    if best is None:
        return values
    distances = regrets(values, best, higher=scale(track, track.metrics[0]).higher)
    return np.asarray(np.maximum(distances, floor_of(track)))


def _quantity(track: TrackFrame, best: float | None) -> str:
    reading = scale(track, track.metrics[0])
    if best is None:
        return f"{track.metrics[0]}{f', {reading.unit}' if reading.unit else ''}"
    return f"regret at the full budget, {reading.points}\n{track.metrics[0]}"


def floor_of(track: TrackFrame) -> float:
    """Return the smallest regret that figures tell apart: 0.01 points, or a thousandth of random sampling's regret."""
    metric = track.metrics[0]
    best, sampling = reference(track, "optimum", metric, "value"), reference(track, "random_sampling", metric, "mean")
    if scale(track, metric).unit == "%" or best is None or not sampling or sampling == best:
        return _FLOOR
    return abs(best - sampling) / 1000


def at_the_floor(track: TrackFrame) -> str:
    """Say where a figure with a logarithmic axis draws the smallest regrets."""
    return f"Regrets below {floor_of(track):g}, zero among them, are drawn there."


def _row(name: str, row: int, place: int, values: Floats) -> list[Series]:
    low, middle, high = (float(value) for value in np.percentile(values, [25, 50, 75]))
    stray = row + _WIDTH * (2 * np.modf(np.arange(len(values), dtype=np.float64) * _GOLDEN)[0] - 1)
    points = plain(values)
    return [
        Series(name, (float(row),), (middle,), (low,), (high,), style="box", place=place),
        Series(name, plain(stray), points, points, points, style="points", place=place),
    ]


def profile_figure(analysis: TrackAnalysis) -> Figure | None:
    """Return the share of runs that end within each distance of the optimum; None where the optimum is unknown."""
    track = analysis.track
    metric, cells = track.metrics[0], drawable(track)
    best = reference(track, "optimum", metric, "value")
    if best is None or not cells:
        return None
    higher = scale(track, metric).higher
    ends = {cell.label: regrets(cell.finals(0), best, higher=higher) for cell in cells}
    quantiles = quantiles_of(track, metric)
    whole = None if quantiles is None else regrets(quantiles, best, higher=higher)
    farthest = max(float(values.max()) for values in (*ends.values(), *(() if whole is None else (whole,))))
    floor = floor_of(track)
    grid = np.geomspace(floor, max(farthest, 2 * floor), _PLACES)
    series = [_shares(track, cell, ends[cell.label], grid) for cell in cells]
    return Figure(
        name=f"profile-{track.id}",
        title=f"How near to the optimum the runs end on {track.id}",
        x_label=f"regret at the full budget, {scale(track, metric).points}",
        y_label="share of runs at most so far\nfrom the optimum",
        series=(*series, *([_space(whole, grid)] if whole is not None else [])),
        note=(
            f"Share of independent runs whose {metric} ends within each distance of the optimum of the space "
            f"({number(best)}), with pointwise 95 % intervals of Wilson (1927). Further to the upper left is better. "
            f"{at_the_floor(track)}"
            + (" Dotted: one uniform draw from the space, to 0.1 %." if whole is not None else "")
        ),
    )


def _shares(track: TrackFrame, cell: Cell, values: Floats, grid: Floats) -> Series:
    reached = np.searchsorted(np.sort(values), grid, side="right").astype(np.float64)
    return series_of(track, cell, len(values), (grid, reached / len(values), *wilson(reached, len(values))))


def _space(values: Floats, grid: Floats) -> Series:
    shares = plain(np.searchsorted(np.sort(values), grid, side="right") / len(values))
    return Series("the whole space", plain(grid), shares, shares, shares, role="reference")


def space_figure(analysis: TrackAnalysis) -> Figure | None:
    """Return the histogram of the whole space with the median of each method; None where the space is not known."""
    track = analysis.track
    metric, cells = track.metrics[0], drawable(track)
    quantiles = quantiles_of(track, metric)
    if quantiles is None or not cells:
        return None
    reading = scale(track, metric)
    cut = _OUTLYING if reading.higher else 1 - _OUTLYING
    edge = float(np.quantile(quantiles, cut))
    kept = quantiles[quantiles >= edge] if reading.higher else quantiles[quantiles <= edge]
    counts, edges = np.histogram(kept, bins=_BINS)
    shares = plain(100 * counts / len(quantiles))
    bars = Series("the whole space", plain(edges[:-1]), shares, (0.0,) * _BINS, shares, "reference", "bars")
    top = max(shares)
    return Figure(
        name=f"space-histogram-{track.id}",
        title=f"Where the methods end within the space of {track.id}",
        x_label=f"{metric}{f', {reading.unit}' if reading.unit else ''}",
        y_label="share of all architectures, %",
        series=(*(_marker(analysis, cell, top, row) for row, cell in enumerate(cells)), bars),
        note=(
            "Bars: the recorded architectures of the space, from its quantiles; the poorest "
            f"{100 * _OUTLYING:.0f} % lie outside the picture. Markers: median over the runs at the full budget, at "
            "heights that mean nothing. How wide the space is says how much a search can gain (Yang et al., 2020)."
        ),
        x_log="linear",
    )


def _marker(analysis: TrackAnalysis, cell: Cell, top: float, row: int) -> Series:
    summary = analysis.primary(cell)
    height = np.array([top * (1.06 + 0.07 * row)])
    columns = (np.array([summary.median]), height, height, height)
    return series_of(analysis.track, cell, summary.n, columns, style="points", of="median")
