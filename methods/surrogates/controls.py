"""Offer the surrogates that a new one has to beat: chance, counting, and regression on the features of a cell."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.core.interfaces import SearchSpace
from harness.core.types import Arch
from methods.surrogates.cells201 import CONV_1X1, CONV_3X3, SKIP, check_space, operations
from methods.surrogates.surrogate import Effort, Floats, Ranking, features, normal_scores

PENALTIES = (0.1, 1.0, 10.0)
TREES = 100
LIKELIHOODS = 50
"""How many evaluations of its likelihood a Gaussian process is charged for."""
HIDDEN = 10
ITERATIONS = 2000
"""The most iterations of the network, and what it is charged for: its optimiser stops when it has converged."""


class Random(Ranking):
    """Score by chance: what the loop around a surrogate gives by itself."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._seed = 0

    def fit(self, cells: Sequence[Arch], values: Floats, rng: np.random.Generator) -> None:  # noqa: ARG002 - blind
        """Draw a new order."""
        self._seed = int(rng.integers(2**63))

    def predict(self, cells: Sequence[Arch]) -> Floats:
        """Return draws that depend on the fit alone."""
        return np.random.Generator(np.random.PCG64(self._seed)).random(len(cells))

    def cost(self) -> Effort:
        """Return nothing."""
        return Effort(0.0, 0.0)


class ConvolutionCount(Ranking):
    """Count the convolutions of a NAS-Bench-201 cell: 3x3 whole, 1x1 half, skips to break ties; learns nothing."""

    def __init__(self, space: SearchSpace) -> None:
        check_space(space, "constant_proxy")

    def fit(self, cells: Sequence[Arch], values: Floats, rng: np.random.Generator) -> None:
        """Do nothing: no evaluation is needed."""

    def predict(self, cells: Sequence[Arch]) -> Floats:
        """Return the counts."""
        return np.array([_weight(operations(cell)) for cell in cells])

    def cost(self) -> Effort:
        """Return nothing."""
        return Effort(0.0, 0.0)


def _weight(cell: tuple[int, ...]) -> float:
    # Six edges: a skip on each of them weighs less than half a convolution.
    return cell.count(CONV_3X3) + 0.5 * cell.count(CONV_1X1) + 0.01 * cell.count(SKIP)


class _Regression(ABC):
    """Fit a model of scikit-learn to features and normal scores."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._fitted: Any = None
        self._shape = (0, 0)

    def fit(self, cells: Sequence[Arch], values: Floats, rng: np.random.Generator) -> None:
        """Fit the model."""
        inputs = features(self._space, cells)
        self._shape = inputs.shape[0], inputs.shape[1]
        with warnings.catch_warnings():
            # The iterations are capped on purpose, and a kernel at its bound still predicts.
            warnings.simplefilter("ignore", _convergence_warning())
            self._fitted = self._model(int(rng.integers(2**32))).fit(inputs, normal_scores(values))

    def predict(self, cells: Sequence[Arch]) -> Floats:
        """Return the prediction for each cell."""
        return np.asarray(self._fitted.predict(features(self._space, cells)), dtype=np.float64)

    def cost(self) -> Effort:
        """Return the multiply-adds; a comparison in a tree counts as one."""
        return self._effort(*self._shape)

    @abstractmethod
    def _model(self, seed: int) -> Any:
        """Return the model, not fitted."""

    @abstractmethod
    def _effort(self, rows: int, columns: int) -> Effort:
        """Return what a fit to so many cells with so many features computes."""


def _convergence_warning() -> type[Warning]:
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - scikit-learn takes a second to load

    kind: type[Warning] = ConvergenceWarning
    return kind


class Ridge(_Regression):
    """Linear regression with a squared penalty, chosen by leaving one out."""

    def _model(self, seed: int) -> Any:  # noqa: ARG002 - nothing is random
        from sklearn.linear_model import RidgeCV  # noqa: PLC0415

        return RidgeCV(alphas=PENALTIES)

    def _effort(self, rows: int, columns: int) -> Effort:
        return Effort(len(PENALTIES) * (rows * columns**2 + columns**3), columns)


class Forest(_Regression):
    """A random forest of a hundred trees."""

    def _model(self, seed: int) -> Any:
        from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415

        return RandomForestRegressor(n_estimators=TREES, random_state=seed, n_jobs=1)

    def _effort(self, rows: int, columns: int) -> Effort:
        depth = math.log2(max(2, rows))
        return Effort(TREES * rows * columns * depth, TREES * depth)


class GaussianProcess(_Regression):
    """A Gaussian process with a squared-exponential kernel and white noise, by maximum likelihood."""

    def _model(self, seed: int) -> Any:
        from sklearn.gaussian_process import GaussianProcessRegressor  # noqa: PLC0415
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel  # noqa: PLC0415

        kernel = ConstantKernel(1.0) * RBF(3.0, (0.1, 100.0)) + WhiteKernel(0.1, (1e-4, 10.0))
        return GaussianProcessRegressor(kernel, random_state=seed)

    def _effort(self, rows: int, columns: int) -> Effort:
        return Effort(LIKELIHOODS * (rows**3 + rows**2 * columns), rows * columns)


class Network(_Regression):
    """Two hidden layers of ten tanh units on standardised inputs, trained to convergence by L-BFGS."""

    def _model(self, seed: int) -> Any:
        from sklearn.neural_network import MLPRegressor  # noqa: PLC0415
        from sklearn.pipeline import make_pipeline  # noqa: PLC0415
        from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

        layers = MLPRegressor(
            hidden_layer_sizes=(HIDDEN, HIDDEN),
            activation="tanh",
            solver="lbfgs",
            max_iter=ITERATIONS,
            random_state=seed,
        )
        return make_pipeline(StandardScaler(), layers)

    def _effort(self, rows: int, columns: int) -> Effort:
        weights = HIDDEN * (columns + HIDDEN + 1)
        return Effort(ITERATIONS * 3 * rows * weights, weights)
