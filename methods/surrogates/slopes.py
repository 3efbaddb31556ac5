"""Run the sigmoid experiment: every surrogate on the same splits of a curve, and the search that they drive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from harness.core.clock import Stopwatch
from harness.core.seeds import SeedTree
from methods.surrogates import slope_controls
from methods.surrogates.spd.artefact import Artefact, Floats
from methods.surrogates.spd.dish import Dish
from methods.surrogates.spd.inner import Inner
from methods.surrogates.spd.motif import SigmoidMotif
from methods.surrogates.spd.settings import DishSettings, Phase

Rows = NDArray[np.intp]

DISH, UNTRAINED = "dish", "dish, untrained"
SGD = "dish, inner SGD"
TANH, RELU = "network, tanh", "network, ReLU on the raw slope"
PROCESS, PARABOLA, RANDOM = "Gaussian process", "quadratic", "random"

Predictor = Callable[[Floats, Floats, Floats, int], Floats]
"""Takes training slopes and standardised accuracies, (R, M) each, a grid and a seed; returns predictions, (R, G)."""

Listener = Callable[[int, int], None]

CONTROLS: dict[str, Predictor] = {
    TANH: partial(slope_controls.network, activation="tanh"),
    RELU: partial(slope_controls.network, activation="relu"),
    PROCESS: slope_controls.gaussian_process,
    PARABOLA: slope_controls.quadratic,
}


@dataclass(frozen=True)
class Plan:
    """What is run.

    Attributes:
        dish: the settings of the dish; its restarts are those of every method.
        low: lower end of the band that training slopes come from; `high` is its upper end.
        points: training slopes of a split.
        sgd_rates: learning rates of the inner SGD that is set beside Adam.
        seeds: of the sequential search, at most the restarts; `rounds` of one evaluation each.
    """

    dish: DishSettings = field(default_factory=lambda: DishSettings(restarts=10))
    low: float = 0.41
    high: float = 1.50
    points: int = 15
    sgd_rates: tuple[float, ...] = (0.1, 1.0)
    seeds: int = 5
    rounds: int = 5


REDUCED = Plan(
    DishSettings(Inner(steps=50, rate=0.05), phases=(Phase(15, 0.05), Phase(15, 0.02)), restarts=3),
    sgd_rates=(1.0,), seeds=2, rounds=1,
)  # fmt: skip
"""The small version: everything runs, nothing is settled."""


@dataclass(frozen=True)
class Predictions:
    """What one method predicted for the whole grid after training on each split.

    Attributes:
        values: (R, G) in z-units of the training slopes.
        train_error: mean squared error on the training slopes, (R,).
        seconds: of fitting and predicting all rows.
        redrawn: attempts that diverged and were begun again, over all rows.
        diverged: rows whose last attempt diverged.
    """

    values: Floats
    train_error: Floats
    seconds: float
    redrawn: int = 0
    diverged: int = 0


def drawn_splits(grid: Floats, plan: Plan, seed: int) -> Rows:
    """Return the training slopes of each restart, (R, points), drawn from the band; the same for every method."""
    inside = np.flatnonzero((grid >= plan.low) & (grid <= plan.high))
    node = SeedTree.root("sigmoid-splits", seed)
    draws = [node.child(row).generator().permutation(inside)[: plan.points] for row in range(plan.dish.restarts)]
    return np.sort(np.stack(draws), axis=1)


def standardised(truth: Floats) -> Floats:
    """Return rows with mean 0 and population deviation 1."""
    goals: Floats = (truth - truth.mean(axis=1, keepdims=True)) / truth.std(axis=1, keepdims=True)
    return goals


def one_shot(
    grid: Floats, truth: Floats, splits: Rows, plan: Plan, seed: int, listener: Listener
) -> dict[str, Predictions]:
    """Fit every method to every split and predict the whole grid."""
    methods: dict[str, DishSettings | Predictor] = {
        DISH: plan.dish,
        UNTRAINED: replace(plan.dish, phases=()),
        **CONTROLS,
        **{
            f"{SGD} at {rate:g}": replace(plan.dish, inner=replace(plan.dish.inner, optimiser="sgd", rate=rate))
            for rate in plan.sgd_rates
        },
    }
    found: dict[str, Predictions] = {}
    for done, (name, method) in enumerate(methods.items(), start=1):
        watch = Stopwatch()
        if isinstance(method, DishSettings):
            artefact = _fitted(method, grid, truth, splits, seed)
            found[name] = Predictions(
                artefact.predict(list(grid)), artefact.reading.error, watch.lap(),
                sum(artefact.redrawn), sum(artefact.diverged),
            )  # fmt: skip
        else:
            goals = standardised(truth[splits])
            values = method(grid[splits], goals, grid, seed)
            error = (np.take_along_axis(values, splits, axis=1) - goals) ** 2
            found[name] = Predictions(values, error.mean(axis=1), watch.lap())
        listener(done, len(methods) + 1)
    return found


def _fitted(settings: DishSettings, grid: Floats, truth: Floats, splits: Rows, seed: int) -> Artefact:
    return Dish(SigmoidMotif(), settings).fit(list(grid[splits]), truth[splits], seed)


def sequential(grid: Floats, truth: Floats, splits: Rows, plan: Plan, seed: int) -> dict[str, Floats]:
    """Let every method choose one slope a round from the whole grid, refitted each round to all that was evaluated.

    Returns:
        The best accuracy known after each round, (seeds, rounds + 1), by method.
    """
    start = splits[: plan.seeds]
    settings = replace(plan.dish, restarts=len(start))
    choosers: Mapping[str, Predictor] = {RANDOM: _chance, **CONTROLS}
    best = {}
    for name in (*choosers, DISH):
        rows = start
        for turn in range(plan.rounds):
            if name == DISH:
                values = _fitted(settings, grid, truth, rows, seed + turn).predict(list(grid))
            else:
                values = choosers[name](grid[rows], standardised(truth[rows]), grid, seed + turn)
            values = values.copy()
            np.put_along_axis(values, rows, -np.inf, axis=1)
            rows = np.concatenate([rows, values.argmax(axis=1)[:, None]], axis=1)
        known = np.maximum.accumulate(truth[rows], axis=1)
        best[name] = known[:, start.shape[1] - 1 :]
    return best


def _chance(slopes: Floats, goals: Floats, grid: Floats, seed: int) -> Floats:  # noqa: ARG001 - blind
    node = SeedTree.root("sigmoid-chance", seed)
    return np.stack([node.child(row).generator().random(len(grid)) for row in range(len(slopes))])
