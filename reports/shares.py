"""Estimate shares and probabilities with intervals that stay within 0 and 1, and open where all runs agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from harness.core.seeds import SeedTree
from reports.stats import CONFIDENCE, cliffs_delta

Floats = NDArray[np.float64]

RESAMPLES = 2_000
FEWEST = 10  # below so many runs the percentile bootstrap covers too little, and no band is given
_Z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))


@dataclass(frozen=True, slots=True)
class Share:
    """An estimated probability with its 95 % interval."""

    value: float
    low: float
    high: float


def wilson(successes: Floats, n: int) -> tuple[Floats, Floats]:
    """Return the ends of Wilson's (1927) 95 % interval of a share of n, for each number of successes."""
    share = successes / n
    centre = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)


def probability_of_improvement(first: Floats, second: Floats) -> Share:
    """Return P(first > second) + P(first = second) / 2 for one run of each, with Newcombe's interval.

    Method 5 of Newcombe (2006), "Confidence intervals for an effect size measure based on the Mann-Whitney
    statistic", part 2: the values that a score test with the variance of Hanley and McNeil (1982), made symmetric
    in the two sizes, does not reject. It stays honest where every run of one sample beats every run of the other,
    where a bootstrap claims certainty.
    """
    value = (1 + cliffs_delta(first, second)) / 2

    def outside(truth: float) -> float:
        return (value - truth) ** 2 - _Z**2 * _variance(truth, len(first), len(second))

    edge = 1e-9  # at 0 and 1 themselves the variance vanishes
    low = 0.0 if value <= edge else float(optimize.brentq(outside, 0.0, value if value < 1 else 1 - edge))
    high = 1.0 if value >= 1 - edge else float(optimize.brentq(outside, value if value > 0 else edge, 1.0))
    return Share(value, low, high)


def bootstrap_band(rows: Floats, node: SeedTree) -> tuple[Floats, Floats]:
    """Return pointwise 95 % percentile ends of the mean over the rows; the mean itself below ten rows.

    Args:
        rows: one row of shares for each run, shape (runs, places).
        node: the seed-tree node that the resamples are drawn from.
    """
    n = len(rows)
    if n < FEWEST:
        return rows.mean(axis=0), rows.mean(axis=0)
    means = resample_counts(node.generator(), n) @ rows / n
    low, high = np.percentile(means, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)], axis=0)
    return low, high


def resample_counts(rng: np.random.Generator, n: int) -> Floats:
    """Return how often each of n runs is in each of 2,000 bootstrap resamples, shape (resamples, n)."""
    chosen = rng.integers(n, size=(RESAMPLES, n))
    chosen += n * np.arange(RESAMPLES)[:, None]
    counts = np.bincount(chosen.ravel(), minlength=RESAMPLES * n)
    return counts.reshape(RESAMPLES, n).astype(np.float64)


def _variance(truth: float, n: int, m: int) -> float:
    spare = (n + m) / 2 - 1
    return truth * (1 - truth) / (n * m) * (1 + spare * ((1 - truth) / (2 - truth) + truth / (1 + truth)))
