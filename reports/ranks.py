"""Rank methods: over the budget across tracks, and over many benchmarks with the groups that no test separates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from reports.stats import holm

Floats = NDArray[np.float64]

FEWEST_BENCHMARKS = 10
"""Below so many benchmarks no test over benchmarks can separate several methods, and none is made."""


def ranks(values: Floats) -> Floats:
    """Return ranks along the first axis, 1 for the highest value, means among equals; shape as given."""
    return np.asarray(stats.rankdata(-values, axis=0))


@dataclass(frozen=True, slots=True)
class Critical:
    """Methods ranked over benchmarks.

    Attributes:
        ranks: mean rank of each method, 1 is best, shape (methods,).
        friedman: p-value of the Friedman test that all methods are equal.
        p: Holm-adjusted p-values of Wilcoxon's signed-rank test, Pratt's zeros, shape (methods, methods).
        cliques: the largest groups in which no pair is separated, members in the order of their ranks.
    """

    ranks: Floats
    friedman: float
    p: Floats
    cliques: tuple[tuple[int, ...], ...]


def critical(results: Floats, alpha: float) -> Critical:
    """Rank methods over at least ten benchmarks: Friedman's test, then Wilcoxon-Holm.

    Benavoli, Corani and Mangili (2016), "Should We Really Use Post-Hoc Tests Based on Mean-Ranks?", show why the
    pairs are tested by Wilcoxon's test and not by the difference of mean ranks. Where Friedman's test finds nothing,
    nothing is separated.

    Args:
        results: one value for each benchmark and method, more is better, shape (benchmarks, methods), three methods
            or more.
        alpha: the level of both tests.
    """
    mean_ranks = ranks(results.T).mean(axis=1)
    varies = bool(np.any(np.ptp(results, axis=1) > 0))
    friedman = float(stats.friedmanchisquare(*results.T).pvalue) if varies else 1.0
    p = np.eye(results.shape[1])
    places = np.triu_indices_from(p, 1)
    p[places] = holm(
        [_signed_rank(results[:, first] - results[:, second]) for first, second in zip(*places, strict=True)]
    )
    p = np.maximum(p, p.T)
    apart = (p < alpha) & (friedman < alpha)
    return Critical(mean_ranks, friedman, p, cliques(mean_ranks, apart))


def _signed_rank(gaps: Floats) -> float:
    """Return the p-value of Wilcoxon's test; methods that are equal everywhere are as equal as can be."""
    return float(stats.wilcoxon(gaps, zero_method="pratt").pvalue) if np.any(gaps) else 1.0


def cliques(order: Floats, apart: NDArray[np.bool_]) -> tuple[tuple[int, ...], ...]:
    """Return the largest groups of two or more methods in which no pair is separated, best group first.

    A group need not be an unbroken stretch of ranks: a pair is in one group if, and only if, it is not separated.
    """
    methods = [int(index) for index in np.argsort(order, kind="stable")]
    groups: list[tuple[int, ...]] = []
    for size in range(len(methods), 1, -1):
        for group in combinations(methods, size):
            free = not any(apart[first, second] for first, second in combinations(group, 2))
            if free and not any(set(group) <= set(known) for known in groups):
                groups.append(group)
    return tuple(sorted(groups, key=lambda group: [order[member] for member in group]))


def replicate_ranks(curves: Sequence[Floats]) -> Floats:
    """Return the rank of each method at each place, averaged over tracks, one row per replicate.

    Args:
        curves: one array for each track, shape (methods, replicates, places), more is better.

    Returns:
        Shape (methods, replicates, places).
    """
    return np.asarray(np.mean([ranks(track) for track in curves], axis=0))
