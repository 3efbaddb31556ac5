"""Ask how soon runs come near the optimum: the share that has reached a target, and what reaching it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite

import numpy as np

from harness.core.canonical import Json
from harness.core.records import Figure, Series, Table
from reports.analysis import TrackAnalysis, node_of
from reports.curves import Floats
from reports.distribution import drawable
from reports.frame import Cell, Frame, TrackFrame
from reports.series import series_of
from reports.shares import bootstrap_band
from reports.space import regrets
from reports.wording import amount, budget_axis, budget_unit, listed, reference, runs_of, scale

POINTS = (1.0, 0.5, 0.2, 0.1)
"""The targets of a percentage: regrets in points."""
SHARES = (0.1, 0.05, 0.02, 0.01)
"""The targets of any other metric, as shares of the regret of random sampling."""

_PLACES = 160
_SLACK = 1e-9  # 94.37 - 94.27 is a regret of 0.1, whatever its last bit says


@dataclass(frozen=True, slots=True)
class _Reaching:
    """When each run of a method first had an incumbent within each target.

    Attributes:
        cell: the method.
        first: budget spent then, infinity where that never happened, shape (runs, targets).
    """

    cell: Cell
    first: Floats


def targets_of(track: TrackFrame) -> tuple[float, ...]:
    """Return the regrets that count as targets; none where the optimum of the space is unknown."""
    metric = track.metrics[0]
    best, sampling = reference(track, "optimum", metric, "value"), reference(track, "random_sampling", metric, "mean")
    if best is None or sampling is None:
        return ()
    if scale(track, metric).unit == "%":
        return POINTS
    return tuple(share * abs(best - sampling) for share in SHARES)


def first_reached(cell: Cell, best: float, targets: Sequence[float], *, higher: bool) -> Floats:
    """Return the budget at which each run first reported an architecture within each target; infinity for never.

    A later incumbent may lose a target again, because incumbents are chosen on another metric.
    """
    traces = cell.valued
    if not traces:
        return np.empty((0, len(targets)))
    distance = regrets(np.concatenate([trace.final[:, 0] for trace in traces]), best, higher=higher)
    at = np.concatenate([trace.at for trace in traces])
    within = np.where(distance[:, None] <= np.array(targets) + _SLACK, at[:, None], inf)
    begins = np.cumsum([0, *(len(trace.at) for trace in traces[:-1])])
    return np.minimum.reduceat(within, begins, axis=0)


def expected_cost(first: Floats, spent: Floats) -> float:
    """Return the expected running time to a target: all budget spent up to it, for each success.

    Hansen et al. (2021), "COCO", section 4: runs without success count with all that they spent. Infinity where no
    run succeeds.
    """
    reached = np.isfinite(first)
    return float(np.where(reached, first, spent).sum() / reached.sum()) if reached.any() else inf


def _reachings(track: TrackFrame, targets: Sequence[float]) -> list[_Reaching]:
    metric = track.metrics[0]
    best = reference(track, "optimum", metric, "value")
    assert best is not None
    higher = scale(track, metric).higher
    return [_Reaching(cell, first_reached(cell, best, targets, higher=higher)) for cell in drawable(track)]


def target_table(analysis: TrackAnalysis) -> Table | None:
    """Return how many runs reach each target and at which expected cost; None without targets or enough runs."""
    track = analysis.track
    targets = targets_of(track)
    found = _reachings(track, targets) if targets else []
    if not found:
        return None
    points = scale(track, track.metrics[0]).points
    return Table(
        name=f"targets-{track.id}",
        title=f"Reaching targets on {track.id}, {track.metrics[0]}",
        columns=("method", "n", *(f"regret ≤ {target:.3g} {points}" for target in targets)),
        rows=tuple(_row(one) for one in found),
        note=(
            "Runs that ever report an architecture within the target, and the expected running time to it in "
            f"{budget_unit(track)}: all that the runs spent before they reached it, those that never did included, for "
            "each success (Hansen et al., 2021). Runs end at the budget, so a target that few reach is known badly. No "
            "interval is given."
        ),
        data=tuple(line for one in found for line in _data(one, targets)),
    )


def _spent(cell: Cell) -> Floats:
    return np.array([trace.spent for trace in cell.valued])


def _row(one: _Reaching) -> tuple[str, ...]:
    n, spent = len(one.first), _spent(one.cell)
    cells = []
    for column in one.first.T:
        cost = expected_cost(column, spent)
        reached = int(np.isfinite(column).sum())
        cells.append(f"{reached} of {n}" + (f", {amount(cost)}" if isfinite(cost) else ""))
    return (one.cell.label, runs_of(n, len(one.cell.traces)), *cells)


def _data(one: _Reaching, targets: Sequence[float]) -> list[Mapping[str, Json]]:
    spent = _spent(one.cell)
    return [
        {
            "row": one.cell.label,
            "target": target,
            "n": len(one.first),
            "reached": int(np.isfinite(column).sum()),
            "expected_running_time": expected_cost(column, spent),
            "median_time": float(np.median(column)),
        }
        for target, column in zip(targets, one.first.T, strict=True)
    ]


def target_figure(frame: Frame, analysis: TrackAnalysis) -> Figure | None:
    """Return the share of runs and targets reached over the budget; None without targets or where none is reached."""
    track = analysis.track
    targets = targets_of(track)
    found = _reachings(track, targets) if targets else []
    known = [one.first[np.isfinite(one.first) & (one.first > 0)] for one in found]
    start = min((float(times.min()) for times in known if len(times)), default=inf)
    if start >= track.limit:
        return None
    grid = np.geomspace(start, track.limit, _PLACES)
    return Figure(
        name=f"reached-{track.id}",
        title=f"Targets reached on {track.id}",
        x_label=budget_axis(track),
        y_label="share of (run, target) pairs reached",
        series=tuple(_series(frame, track, one, grid) for one in found),
        note=(
            f"Targets: regrets of {listed(f'{target:.3g}' for target in targets)} "
            f"{scale(track, track.metrics[0]).points} in {track.metrics[0]}. A pair counts from the moment at which "
            "the run first reports an architecture within the target; runs end at the budget, and what they did not "
            "reach by then is not reached. Band: pointwise 95 % bootstrap over the runs, from ten runs on."
        ),
    )


def _series(frame: Frame, track: TrackFrame, one: _Reaching, grid: Floats) -> Series:
    reached = (one.first[:, :, None] <= grid).mean(axis=1)
    low, high = bootstrap_band(reached, node_of(frame, *one.cell.key, "targets"))
    columns = (grid, reached.mean(axis=0), low, high)
    return series_of(track, one.cell, len(one.first), columns)
