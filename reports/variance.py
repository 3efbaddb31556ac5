"""Tell how much of the spread between runs is the search and how much the training of the networks it found.

Li and Talwalkar (2019), "Random Search and Reproducibility for Neural Architecture Search", and Yang et al. (2020) show
that a second training of one architecture moves a result as much as many differences between methods. Where a
protocol trains the final architecture of every run under several seeds, the two are told apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from reports.stats import CONFIDENCE

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Components:
    """The variance of one training of the architecture of one run, in two parts.

    Attributes:
        runs: how many search runs entered.
        trainings: how many final trainings each of them has.
        search: variance between the searches; an estimate below zero is set to zero.
        training: variance between trainings of one architecture.
        share: the searches' part of both, in [0, 1].
        low: lower end of the 95 % interval of the share.
        high: upper end of it.
    """

    runs: int
    trainings: int
    search: float
    training: float
    share: float
    low: float
    high: float


def components(values: Floats) -> Components:
    """Split the variance of a balanced table by one-way analysis with random effects.

    The interval of the share is the exact one of the F distribution (Searle, Casella and McCulloch, 1992, section
    3.6), for normally distributed effects; NaN where nothing varies.

    Args:
        values: one row for each search run, one column for each final training; at least two of both.
    """
    runs, trainings = values.shape
    between = trainings * float(np.var(values.mean(axis=1), ddof=1))
    within = float(np.mean(np.var(values, axis=1, ddof=1)))
    search = max((between - within) / trainings, 0.0)
    if within == 0.0:
        share = nan if between == 0.0 else 1.0
        return Components(runs, trainings, search, within, share, nan, nan)
    ratio = between / within
    tail = (1 - CONFIDENCE) / 2
    freedom = (runs - 1, runs * (trainings - 1))
    low, high = (ratio / float(stats.f.ppf(level, *freedom)) for level in (1 - tail, tail))
    ends = (max((end - 1) / (end + trainings - 1), 0.0) for end in (low, high))
    return Components(runs, trainings, search, within, search / (search + within), *ends)
