"""Compute the exact expected result of random search on a table, without running it.

Random search draws cells uniformly with replacement, pays the cost of each draw, and keeps the best objective so far;
of equal objectives the first found stays. Where all draws cost the same, the answer has a closed form; otherwise it
follows from a renewal equation (`benchmarks.tabular.renewal`) on a grid of costs.

Whole costs, and binary fractions down to 1/1024, are exact on the grid. Other costs are shared between the two
neighbouring points so that their mean is kept, and the answer comes with what rounding all costs down, and all up,
would give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.tabular.renewal import Race, Rounding
from harness.core.errors import UsageError
from harness.core.types import Direction, Overrun

Floats = NDArray[np.float64]

_STEPS_PER_DRAW = 100
_FINEST_WHOLE = 2.0**-10
_CURVE_SPAN = 32.0
_MOST_DRAWS = 100_000
_FEWEST_STEPS, _MOST_STEPS, _MOST_CURVE_STEPS = 2**12, 2**19, 2**13


@dataclass(frozen=True, slots=True)
class Expectation:
    """The expected target of the incumbent at the end of a run.

    Attributes:
        value: the expectation, given that at least one draw counted.
        low: the smallest of `value` and what rounding all costs down, or all up, to the grid gives.
        high: the largest of the three; equal to `low` where the grid is exact or none was needed.
        step: the grid's step in the unit of the costs; 0 where no grid was needed.
        empty: the probability that not one draw counts, because the first already crosses the limit.
    """

    value: float
    low: float
    high: float
    step: float
    empty: float


@dataclass(frozen=True, slots=True)
class Sampling:
    """What one uniform draw from the table gives: mean, population standard deviation, number of cells."""

    mean: float
    std: float
    n: int


def random_sampling(target: ArrayLike) -> Sampling:
    """Return mean and standard deviation of the target over all cells."""
    values = _column("target", target)
    return Sampling(float(values.mean()), float(values.std()), values.size)


def expected_best(
    objective: ArrayLike, target: ArrayLike, draws: ArrayLike, *, direction: Direction = "maximize"
) -> Floats:
    """Return the expected target of the best of so many draws, in closed form.

    Args:
        objective: what the search compares, one value per cell.
        target: what is reported of the incumbent, one value per cell.
        draws: one number of draws or several, each 1 or more; the answer has the same shape.
        direction: whether more objective is better.

    Raises:
        UsageError: a column is empty, not finite or of another length, or a number of draws is below 1.
    """
    signed, values = _columns(direction, objective=objective, target=target)
    counts = np.asarray(draws, dtype=np.float64)
    if not np.all(counts >= 1):
        raise UsageError("expectation: a best of fewer than 1 draws does not exist; give 1 or more draws")
    levels = _levels(signed)
    below = np.cumsum([0, *(len(cells) for cells in reversed(levels))]) / signed.size
    means = np.array([values[cells].mean() for cells in reversed(levels)])
    chances = np.diff(below[:, None] ** counts.ravel()[None, :], axis=0)
    return np.asarray(means @ chances).reshape(counts.shape)


def expected_random_search(
    objective: ArrayLike,
    cost: ArrayLike,
    target: ArrayLike,
    limit: float,
    *,
    overrun: Overrun = "discard",
    direction: Direction = "maximize",
) -> Expectation:
    """Return the expected target of random search's incumbent when its budget is spent.

    Args:
        objective: what the search compares, one value per cell.
        cost: what a draw of each cell costs, above 0.
        target: what is reported of the incumbent, one value per cell.
        limit: the budget, in the unit of the costs.
        overrun: 'discard': the draw that would cross the limit ends the run and does not count; 'keep': it counts.
        direction: whether more objective is better.

    Raises:
        UsageError: a column is empty, not finite or of another length, a cost is not above 0, or the limit is
            below the cheapest draw while the crossing draw is discarded, or pays for over 100,000 draws.
    """
    signed, costs, values = _columns(direction, objective=objective, cost=cost, target=target)
    _check_budget(costs, limit, overrun)
    empty = float(np.mean(costs > limit)) if overrun == "discard" else 0.0
    if costs.min() == costs.max():
        draws = _affordable(float(costs[0]), limit, overrun)
        value = float(expected_best(signed, values, draws))
        return Expectation(value, value, value, 0.0, empty)
    levels, step = _levels(signed), _step(costs, limit, _MOST_STEPS)
    answers = [
        Race(costs / step, values, limit / step, rounding, overrun).final(levels)
        for rounding in _roundings(costs, step)
    ]
    return Expectation(answers[0], min(answers), max(answers), step, empty)


def expected_curve(
    objective: ArrayLike,
    cost: ArrayLike,
    target: ArrayLike,
    spent: Sequence[float],
    *,
    direction: Direction = "maximize",
) -> Floats:
    """Return the expected target of random search's incumbent when so much is spent, given that it has one.

    A draw counts from the moment it is paid for in full, so the last point of a run that keeps its overrun is
    `expected_random_search`, not this. NaN where no draw can be finished yet.

    Args:
        objective: what the search compares, one value per cell.
        cost: what a draw of each cell costs, above 0.
        target: what is reported of the incumbent, one value per cell.
        spent: points of the curve, in the unit of the costs.
        direction: whether more objective is better.

    Raises:
        UsageError: a column is empty, not finite or of another length, a cost is not above 0, `spent` is empty, or
            its last point pays for over 100,000 draws.
    """
    signed, costs, values = _columns(direction, objective=objective, cost=cost, target=target)
    points = _column("spent", spent)
    curve = np.full(points.shape, np.nan)
    left = points >= costs.min()
    if left.any():
        _check_budget(costs, float(points.max()), "discard")
    if costs.min() == costs.max():
        counts = [_affordable(float(costs[0]), point, "discard") for point in points[left]]
        curve[left] = expected_best(signed, values, counts)
        return curve
    while left.any():
        # Each grid serves a span of points only, so that it is fine enough for the earliest of them.
        top = float(points[left].max())
        span = left & (points >= top / _CURVE_SPAN)
        step = _step(costs, top, _MOST_CURVE_STEPS)
        race = Race(costs / step, values, top / step, _roundings(costs, step)[0], "discard")
        curve[span] = race.curve(_levels(signed), points[span] / step)
        left &= ~span
    return curve


def _column(name: str, values: ArrayLike) -> Floats:
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1 or not column.size or not np.isfinite(column).all():
        raise UsageError(f"expectation: {name} must be one row of finite numbers; drop cells without a value first")
    return column


def _columns(direction: Direction, **named: ArrayLike) -> list[Floats]:
    """Return the columns as arrays of one length, the objective signed so that more is better."""
    columns = {name: _column(name, values) for name, values in named.items()}
    if len({column.size for column in columns.values()}) > 1:
        lengths = ", ".join(f"{name} {column.size}" for name, column in columns.items())
        raise UsageError(f"expectation: columns differ in length ({lengths}); give one value per cell in each")
    if direction == "minimize":
        columns["objective"] = -columns["objective"]
    return list(columns.values())


def _check_budget(costs: Floats, limit: float, overrun: Overrun) -> None:
    if costs.min() <= 0:
        raise UsageError(f"expectation: a cell costs {costs.min():g}; every cost must be above 0")
    if not 0 < limit < np.inf or (overrun == "discard" and limit < costs.min()):
        raise UsageError(f"expectation: no draw ends within {limit:g}, the cheapest costs {costs.min():g}; raise it")
    if limit / costs.mean() > _MOST_DRAWS:
        draws = f"{limit:g} pays for {limit / costs.mean():.3g} draws"
        raise UsageError(f"expectation: {draws}, more than the {_MOST_DRAWS:,} that are followed; lower the limit")


def _levels(signed: Floats) -> list[NDArray[np.intp]]:
    """Return the cells of each distinct objective, best first."""
    order = np.argsort(-signed, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(signed[order])) + 1)


def _affordable(price: float, limit: float, overrun: Overrun) -> int:
    """Return how many draws of one price count, adding up as the ledger does."""
    spent = np.cumsum(np.full(int(limit / price) + 2, price))
    counted = int(np.searchsorted(spent, limit, side="right"))
    crossing = overrun == "keep" and (counted == 0 or spent[counted - 1] < limit)
    return counted + int(crossing)


def _whole_step(costs: Floats) -> float:
    """Return the greatest step that divides every cost, 0 where a cost is no multiple of `_FINEST_WHOLE`.

    Sums of such costs are exact in the ledger too, which decides whether a draw that ends on the limit counts.
    """
    multiples = costs / _FINEST_WHOLE
    if np.any(multiples != np.rint(multiples)) or multiples.max() >= 2**53:
        return 0.0
    return float(np.gcd.reduce(multiples.astype(np.int64))) * _FINEST_WHOLE


def _step(costs: Floats, limit: float, most: int) -> float:
    """Return the step of the grid: exact where possible, else about a hundredth of a mean draw."""
    whole = _whole_step(costs)
    if whole and limit / whole <= most:
        return whole
    wanted = _STEPS_PER_DRAW * limit / float(costs.mean())
    # Two less than a power of two, so that the transform, a power of two above it, is no longer than need be.
    return limit / float(2 ** np.ceil(np.log2(np.clip(wanted, _FEWEST_STEPS, most))) - 2)


def _roundings(costs: Floats, step: float) -> tuple[Rounding, ...]:
    return ("exact",) if step == _whole_step(costs) else ("shared", "down", "up")
