"""Estimate what the best of n random draws is worth, from the draws that runs of random search have made.

Dodge et al. (2019), "Show Your Work", ask what a search of n trials is expected to find. Their plug-in estimate draws
n of the N recorded values with replacement and is biased low; the mean over all subsets of n, without replacement, is
unbiased (a U-statistic).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from harness.core.records import TrialRecord
from harness.core.types import Evaluate, Failure

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Draws:
    """The completed evaluations of one run of random search, in order.

    Attributes:
        objective: what the search compared, signed so that more is better, shape (n,).
        sealed: the sealed metric of the same, shape (n,).
        metric: the name of that sealed metric.
    """

    objective: Floats
    sealed: Floats
    metric: str


def draws_of(trials: Iterable[TrialRecord], plan: Mapping[str, Any], metric: str) -> Draws:
    """Return the draws of a run; evaluations that failed, or that are not at the search fidelity, are left out."""
    sign = 1.0 if plan["objective"]["direction"] == "maximize" else -1.0
    epochs = plan["fidelity"]["search"]
    pairs = [
        (sign * record.result.value, record.sealed[metric])
        for record in trials
        if not isinstance(record.result, Failure)
        and isinstance(record.trial.work, Evaluate)
        and record.trial.work.epochs >= epochs
        and metric in record.sealed
    ]
    values = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return Draws(values[:, 0], values[:, 1], metric)


def expected_best(objective: Floats, sealed: Floats, sizes: Sequence[int]) -> Floats:
    """Return the mean over all subsets of each size of the sealed value of the subset's best objective.

    Args:
        objective: what is compared, more is better, shape (n,).
        sealed: what is shown of the best, shape (n,); among equal objectives their mean is shown.
        sizes: how many draws a subset has, each from 1 to n.

    Returns:
        One expectation for each size.
    """
    order = np.argsort(objective, kind="stable")
    _, group = np.unique(objective, return_inverse=True)
    shown = (np.bincount(group, sealed) / np.bincount(group))[group][order]
    return _weights(len(order), tuple(sizes)) @ shown


@lru_cache(maxsize=4)  # all runs of a track ask for the same
def _weights(n: int, sizes: tuple[int, ...]) -> Floats:
    """Return how often the i-th lowest of n is the highest of a subset, C(i - 1, k - 1) / C(n, k), for each size k."""
    ranks, size = np.arange(1, n + 1)[None, :], np.array(sizes)[:, None]
    inside = ranks >= size
    below = np.where(inside, ranks - 1, size)  # a place that cannot be the highest is masked below
    log = _log_choose(below, size - 1) - _log_choose(np.full_like(size, n), size)
    return np.where(inside, np.exp(log), 0.0)


def _log_choose(n: NDArray[np.int_], k: NDArray[np.int_]) -> Floats:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
