"""Compute exact facts of a table for the reports: random sampling, the optimum, the expectation of random search."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.tabular.expectation import expected_curve, expected_random_search
from benchmarks.tabular.lookup import Prices
from benchmarks.tabular.query import Column
from harness.core.budget import Budget
from harness.core.canonical import Json
from harness.core.types import Direction

CURVE_POINTS = 40


def sampling(columns: Sequence[Column]) -> dict[str, Json]:
    """Return mean, standard deviation (ddof 1) and number of the recorded cells of each column."""
    facts: dict[str, Json] = {}
    for name, series, policy in columns:
        values = series.per_cell(policy)
        values = values[~np.isnan(values)]
        if values.size:
            std = float(values.std(ddof=1)) if values.size > 1 else 0.0
            facts[name] = {"mean": float(values.mean()), "std": std, "n": int(values.size)}
    return facts


def optimum(columns: Sequence[Column], archs: Sequence[str]) -> dict[str, Json]:
    """Return the best recorded value of each column and its architecture, the first of equals.

    Where single trials are drawn, a cell counts with the mean of its exact trials.
    """
    facts: dict[str, Json] = {}
    for name, series, policy in columns:
        values = series.per_cell(policy)
        if not np.isnan(values).all():
            best = int(np.nanargmax(values) if series.rises else np.nanargmin(values))
            facts[name] = {"value": float(values[best]), "arch": archs[best]}
    return facts


def random_search(
    objective: Column, target: Column, prices: Prices, epochs: int, budget: Budget, total: int
) -> dict[str, Json]:
    """Return the exact expectation of random search under `budget`; empty where it has none.

    It needs means (a cell must have one value), a value for every architecture of the space, and a limit that at
    least one trial keeps.
    """
    if "trial" in (objective[2], target[2]):
        return {}
    wanted, reached = objective[1].per_cell(objective[2]), target[1].per_cell(target[2])
    costs = np.array([budget.price(prices.of(row, epochs)) for row in range(prices.cells)])
    if total != prices.cells or np.isnan(wanted).any() or np.isnan(reached).any() or costs.min() <= 0:
        return {}
    if budget.limit < costs.max():
        return {}
    direction: Direction = "maximize" if objective[1].rises else "minimize"
    final = expected_random_search(wanted, costs, reached, budget.limit, overrun=budget.overrun, direction=direction)
    spent = _points(costs, budget.limit)
    curve = expected_curve(wanted, costs, reached, spent, direction=direction)
    return {
        "metric": target[0],
        "expected": final.value,
        "low": final.low,
        "high": final.high,
        "spent": list(spent),
        "curve": [None if np.isnan(value) else float(value) for value in curve],
        "basis": f"exact expectation over all {total} cells, drawn uniformly with replacement; no run was made",
    }


def _points(costs: NDArray[np.float64], limit: float) -> tuple[float, ...]:
    """Return points of a curve, evenly spaced in the logarithm, from the dearest single draw to the limit."""
    return tuple(float(point) for point in np.geomspace(costs.max(), limit, CURVE_POINTS))
