"""Compute exact facts of a table for the reports: random sampling, the optimum, random search, how values spread."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.tabular.expectation import expected_best, expected_curve, expected_random_search
from benchmarks.tabular.lookup import Prices
from benchmarks.tabular.query import Column
from harness.core.budget import Budget
from harness.core.canonical import Json
from harness.core.types import Direction

CURVE_POINTS = 40
QUANTILES = 1001
DRAWS = (1, 2, 3, 4, 5, 7, 10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640, 1000)
"""The numbers of draws at which the expected best of so many is given."""


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


def quantiles(columns: Sequence[Column]) -> dict[str, Json]:
    """Return 1001 evenly spaced quantiles of the recorded cells of each column, the least and the greatest included."""
    facts: dict[str, Json] = {}
    for name, series, policy in columns:
        values = series.per_cell(policy)
        values = values[~np.isnan(values)]
        if values.size:
            facts[name] = np.quantile(values, np.linspace(0, 1, QUANTILES)).tolist()
    return facts


def ranges(columns: Sequence[Column]) -> dict[str, Json]:
    """Return the least and the greatest recorded value of each column, and whether 'higher' or 'lower' is better."""
    facts: dict[str, Json] = {}
    for name, series, policy in columns:
        values = series.per_cell(policy)
        if not np.isnan(values).all():
            better = "higher" if series.rises else "lower"
            facts[name] = {"low": float(np.nanmin(values)), "high": float(np.nanmax(values)), "better": better}
    return facts


def fronts(target: Column, costs: Sequence[Column]) -> dict[str, Json]:
    """Return the Pareto front of the whole table between `target` and each column of `costs`, by the latter's name.

    Each front is `{metric, cost: [...], value: [...]}`, from its best cost to its best value; equal points once.
    """
    name, series, policy = target
    values = series.per_cell(policy) * (1.0 if series.rises else -1.0)
    facts: dict[str, Json] = {}
    for cost_name, cost_series, cost_policy in costs:
        prices = cost_series.per_cell(cost_policy) * (-1.0 if cost_series.rises else 1.0)
        rows = np.flatnonzero(~np.isnan(values) & ~np.isnan(prices))
        rows = rows[np.lexsort((-values[rows], prices[rows]))]
        before = np.maximum.accumulate(np.append(-np.inf, values[rows]))[:-1]
        front = rows[values[rows] > before]
        facts[cost_name] = {
            "metric": name,
            "cost": cost_series.per_cell(cost_policy)[front].tolist(),
            "value": series.per_cell(policy)[front].tolist(),
        }
    return facts


def agreement(objective: Column, targets: Sequence[Column]) -> dict[str, Json]:
    """Return Kendall's tau-b between the objective and each target over the cells that hold both."""
    facts: dict[str, Json] = {}
    wanted = objective[1].per_cell(objective[2])
    for name, series, policy in targets:
        reached = series.per_cell(policy)
        both = ~np.isnan(wanted) & ~np.isnan(reached)
        tau = float(stats.kendalltau(wanted[both], reached[both]).statistic) if both.sum() > 1 else np.nan
        if not np.isnan(tau):
            facts[name] = {"objective": objective[0], "kendall_tau": tau, "n": int(both.sum())}
    return facts


def best_of_draws(objective: Column, target: Column, total: int) -> dict[str, Json]:
    """Return the exact expected target of the best objective among so many uniform draws; empty where cells lack."""
    if "trial" in (objective[2], target[2]):
        return {}
    wanted, reached = objective[1].per_cell(objective[2]), target[1].per_cell(target[2])
    if total != len(wanted) or np.isnan(wanted).any() or np.isnan(reached).any():
        return {}
    direction: Direction = "maximize" if objective[1].rises else "minimize"
    means = expected_best(wanted, reached, DRAWS, direction=direction)
    return {"metric": target[0], "draws": list(DRAWS), "expected": means.tolist()}
