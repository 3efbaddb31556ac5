"""Score predictions of the sigmoid experiment: inside the training band, and left and right of it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ConstantInputWarning, spearmanr

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

DISH, UNTRAINED = "dish", "dish, untrained"
SGD = "dish, inner SGD"
TANH, PROCESS = "network, tanh", "Gaussian process"


@dataclass(frozen=True)
class Experiment:
    """What was run, as plain data.

    Attributes:
        slopes: the grid, rising, (G,).
        accuracies: in percent, (G, repeats); their means are the ground truth.
        default_init: slopes and mean accuracies of the same networks from torch's default initialisation.
        low: lower end of the training band; `high` is its upper end.
        splits: training slopes of each restart, (R, points), as places of the grid.
        values: predictions by method, (R, G), in z-units of the training slopes.
        train_error: mean squared error on the training slopes by method, (R,).
        redrawn: by method, attempts that diverged and were begun again; `diverged` restarts that diverged to the end.
        seconds: of fitting and predicting all restarts, by method.
        best: the best accuracy known after each round of the search, (seeds, rounds + 1), by method.
        setting: what the reader must know, by name.
        reduced: whether this is the small version.
    """

    slopes: Floats
    accuracies: Floats
    default_init: tuple[Floats, Floats]
    low: float
    high: float
    splits: Rows
    values: Mapping[str, Floats]
    train_error: Mapping[str, Floats]
    redrawn: Mapping[str, int]
    diverged: Mapping[str, int]
    seconds: Mapping[str, float]
    best: Mapping[str, Floats]
    setting: Mapping[str, str]
    reduced: bool

    @property
    def truth(self) -> Floats:
        """The mean accuracy of each slope."""
        means: Floats = self.accuracies.mean(axis=1)
        return means


@dataclass(frozen=True)
class Scores:
    """How a method did on each split, (R,) each.

    Attributes:
        mse: mean squared error in z-units of the training slopes, by region: 'left', 'inside' (held out), 'right'.
        rho: Spearman's correlation, by region.
        renormalised: mean squared error over all held-out slopes, both sides standardised over them (`mse_renorm`): it
            needs the truth of the test slopes, and is here for comparison with published figures only.
        choice: the slope that is predicted to be best.
        regret: accuracy of the best slope minus that of the choice, in points.
        end: predicted minus true value at the flattest slope, in z-units.
    """

    mse: Mapping[str, Floats]
    rho: Mapping[str, Floats]
    renormalised: Floats
    choice: Floats
    regret: Floats
    end: Floats


def scores_of(experiment: Experiment, method: str) -> Scores:
    """Score one method on every split."""
    values, truth = experiment.values[method], experiment.truth
    held_out = ~_chosen(experiment)
    goals = _standardised_by_training(experiment)
    regions = _regions(experiment)
    picked = values.argmax(axis=1)
    rows = range(len(values))
    mse, rho = {}, {}
    for name, region in regions.items():
        parts = [(values[row, held_out[row] & region], goals[row, held_out[row] & region]) for row in rows]
        mse[name] = np.array([np.square(one - other).mean() for one, other in parts])
        rho[name] = np.array([spearman(one, other) for one, other in parts])
    return Scores(
        mse, rho,
        np.array([_renormalised(values[row, held_out[row]], goals[row, held_out[row]]) for row in rows]),
        experiment.slopes[picked], truth.max() - truth[picked], values[:, 0] - goals[:, 0],
    )  # fmt: skip


def accuracy_of(experiment: Experiment, method: str) -> Floats:
    """Return predictions in percent, (R, G)."""
    training = experiment.truth[experiment.splits]
    mean, std = training.mean(axis=1, keepdims=True), training.std(axis=1, keepdims=True)
    values: Floats = mean + std * experiment.values[method]
    return values


def spearman(one: Floats, other: Floats) -> float:
    """Return Spearman's correlation; 0 where a side is constant, since it orders nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantInputWarning)
        value = float(spearmanr(one, other).statistic)
    return 0.0 if np.isnan(value) else value


def noise_of(experiment: Experiment) -> float:
    """Return the noise of the ground truth in points: from second differences of the mean curve, beyond slope 0.4.

    A smooth curve has second differences near zero; independent noise of deviation s gives them the deviation s times
    the root of 6.
    """
    curve = experiment.truth[experiment.slopes > 0.4]  # noqa: PLR2004 - left of it the curve itself bends
    return float(np.sqrt(np.mean(np.diff(curve, 2) ** 2) / 6))


def _regions(experiment: Experiment) -> dict[str, NDArray[np.bool_]]:
    left, right = experiment.slopes < experiment.low, experiment.slopes > experiment.high
    return {"left": left, "inside": ~left & ~right, "right": right}


def _chosen(experiment: Experiment) -> NDArray[np.bool_]:
    chosen = np.zeros((len(experiment.splits), len(experiment.slopes)), dtype=bool)
    np.put_along_axis(chosen, experiment.splits, values=True, axis=1)
    return chosen


def _standardised_by_training(experiment: Experiment) -> Floats:
    training = experiment.truth[experiment.splits]
    goals: Floats = (experiment.truth - training.mean(axis=1, keepdims=True)) / training.std(axis=1, keepdims=True)
    return goals


def _renormalised(values: Floats, goals: Floats) -> float:
    pair = [(row - row.mean()) / max(float(row.std()), 1e-12) for row in (values, goals)]
    return float(np.square(pair[0] - pair[1]).mean())
