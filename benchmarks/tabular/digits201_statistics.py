"""Measure a packed table: how well its trainings agree on a ranking, and what there is to be found."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from benchmarks.tabular.digits201_file import Packed

Floats = NDArray[np.float64]

_TOP = 0.1
_SURE = 1.96


@dataclass(frozen=True, slots=True)
class Reliability:
    """How well the seeds agree, over the classes; NaN where there are too few seeds or classes.

    Attributes:
        single: Kendall's tau-b between two seeds, mean over the pairs of seeds.
        pair: between the mean of two seeds and a third, mean over the choices of the third.
        top: between two seeds among the best tenth by a third, so that the choice favours neither.
        mean: expected between the means of two disjoint sets of as many seeds as there are (Spearman and Brown), if
            accuracies were normal with the `single` that was found.
        within: standard deviation over the seeds of one class, in points.
        tied: share of the classes whose mean equals the best mean.
        near: share of the classes whose mean is within 1.96 standard errors of a difference of the best mean.
    """

    single: float
    pair: float
    top: float
    mean: float
    within: float
    tied: float
    near: float


def tau(one: Floats, other: Floats) -> float:
    """Return Kendall's tau-b, NaN where one of them does not vary."""
    return float(kendalltau(one, other).statistic) if len(one) > 1 else math.nan


def whole(packed: Packed) -> NDArray[np.bool_]:
    """Return which classes have all their trainings, (classes,)."""
    return np.asarray((np.minimum(packed.valid, packed.test) >= 0).all(axis=(1, 2)))


def reliability(points: Floats) -> Reliability:
    """Return how well seeds agree on the ranking of classes; `points` are accuracies in percent, (classes, seeds)."""
    count = points.shape[1]
    means = points.mean(axis=1)
    within = float(points.var(axis=1, ddof=1).mean()) if count > 1 else math.nan
    single = _mean(tau(points[:, one], points[:, other]) for one, other in combinations(range(count), 2))
    best = means.max()
    return Reliability(
        single=single,
        pair=_mean(tau(np.delete(points, third, axis=1).mean(axis=1), points[:, third]) for third in _thirds(count)),
        top=_mean(_among_the_best(points, third) for third in _thirds(count)),
        mean=_prophesied(single, count),
        within=math.sqrt(within),
        tied=float(np.mean(means >= best - 1e-9)),
        near=float(np.mean(means >= best - _SURE * math.sqrt(2 * within / count))),
    )


def _prophesied(single: float, count: int) -> float:
    """Return tau between means of `count` seeds from that between single ones; by ranks, so outliers do not matter."""
    correlation = math.sin(math.pi / 2 * single)
    return 2 / math.pi * math.asin(count * correlation / (1 + (count - 1) * correlation))


def _thirds(count: int) -> range:
    return range(count) if count > 2 else range(0)  # noqa: PLR2004 - a third seed beside two


def _among_the_best(points: Floats, judge: int) -> float:
    """Return the mean tau between the other seeds among the best tenth by the seed that judges."""
    top = np.argsort(-points[:, judge], kind="stable")[: math.ceil(_TOP * len(points))]
    others = np.delete(points, judge, axis=1)[top]
    return _mean(tau(others[:, one], others[:, other]) for one, other in combinations(range(others.shape[1]), 2))


def _mean(values: Iterator[float]) -> float:
    found = [value for value in values if not math.isnan(value)]
    return sum(found) / len(found) if found else math.nan


@dataclass(frozen=True, slots=True)
class Course:
    """How rankings form over the epochs, each (epochs,).

    Attributes:
        final: tau between the means after each epoch and after the last.
        seeds: tau between two seeds after each epoch.
        fresh: tau between one seed after each epoch and another seed after the last.
    """

    final: Floats
    seeds: Floats
    fresh: Floats


def course(curves: Floats) -> Course:
    """Return how well early epochs tell the ranking at the end; `curves` are (classes, seeds, epochs)."""
    pairs = list(combinations(range(curves.shape[1]), 2))
    means, epochs = curves.mean(axis=1), range(curves.shape[2])
    return Course(
        np.array([tau(means[:, epoch], means[:, -1]) for epoch in epochs]),
        np.array([_mean(tau(curves[:, a, epoch], curves[:, b, epoch]) for a, b in pairs) for epoch in epochs]),
        np.array([_mean(tau(curves[:, a, epoch], curves[:, b, -1]) for a, b in pairs) for epoch in epochs]),
    )
