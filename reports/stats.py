"""Estimate, compare and test: intervals that are honest at small n, and tests that know when n is too small.

Follows Agarwal et al. (2021), "Deep Reinforcement Learning at the Edge of the Statistical Precipice", in
reporting intervals before tests, and Yang et al. (2020), "NAS evaluation is frustratingly hard", in relating every
result to random sampling.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, hypot, nan

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.core.seeds import SeedTree

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
RESAMPLES = 10_000
BOOTSTRAP_FROM = 20  # below this size the percentile and BCa intervals cover too little; t stays honest
_BATCH_VALUES = 50_000  # resampled values held at a time: fits a processor cache, bounds memory at any n

T = "t"
BCA = "BCa"
CONSTANT = "constant"
NONE = "none"


@dataclass(frozen=True, slots=True)
class Summary:
    """A sample in seven numbers.

    Attributes:
        n: the size of the sample.
        mean: NaN where the sample is empty.
        sd: standard deviation with n - 1 in the denominator; NaN below n = 2.
        low: lower end of the 95 % interval of the mean; NaN where there is none (one run, or all runs equal).
        high: upper end of it.
        method: how the interval was made: 't', 'BCa', 'constant' (all values equal) or 'none' (n < 2).
        median: NaN where the sample is empty.
        quartiles: first and third quartile.
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float
    method: str
    median: float
    quartiles: tuple[float, float]


def summarise(sample: Floats, node: SeedTree) -> Summary:
    """Describe a sample of independent runs.

    Args:
        sample: one finite value per run.
        node: the seed-tree node of this cell; the bootstrap draws from it and from nothing else.
    """
    n = len(sample)
    if n == 0:
        return Summary(0, nan, nan, nan, nan, NONE, nan, (nan, nan))
    low, high, method = mean_interval(sample, node)
    first, middle, third = (float(value) for value in np.percentile(sample, [25, 50, 75]))
    sd = float(np.std(sample, ddof=1)) if n > 1 else nan
    return Summary(n, float(np.mean(sample)), sd, low, high, method, middle, (first, third))


def mean_interval(sample: Floats, node: SeedTree) -> tuple[float, float, str]:
    """Return the 95 % interval of the mean and the name of its method.

    Student's t below 20 runs; from 20 on the bias-corrected and accelerated bootstrap of Efron (1987) with
    10,000 resamples. A constant sample has no interval: runs that all agree do not make the next one certain.
    """
    if len(sample) < 2:  # noqa: PLR2004 - one run has no spread
        return nan, nan, NONE
    if np.ptp(sample) == 0.0:
        return nan, nan, CONSTANT
    if len(sample) < BOOTSTRAP_FROM:
        return (*t_interval(sample), T)
    low, high = bca_interval(sample, node)
    if np.isfinite(low) and np.isfinite(high):
        return low, high, BCA
    return (*t_interval(sample), T)


def t_interval(sample: Floats) -> tuple[float, float]:
    """Return Student's 95 % interval of the mean."""
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(sample) - 1) * stats.sem(sample))
    mean = float(np.mean(sample))
    return mean - half, mean + half


def bca_interval(sample: Floats, node: SeedTree) -> tuple[float, float]:
    """Return the 95 % BCa bootstrap interval of the mean, drawn from the generator of `node`; NaN where it has none."""
    # Runs that agree but for rounding have no such interval: NaN, which scipy would warn of on the terminal.
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            (sample,),
            np.mean,
            n_resamples=RESAMPLES,
            batch=max(1, _BATCH_VALUES // len(sample)),
            confidence_level=CONFIDENCE,
            method="BCa",
            rng=node.generator(),
        ).confidence_interval
    return float(found.low), float(found.high)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two samples of runs compared.

    Attributes:
        difference: mean of the first minus mean of the second.
        low: lower end of the 95 % interval of it; NaN where a sample has fewer than two runs.
        high: upper end of it.
        delta: Cliff's delta in [-1, 1]; positive where the first sample tends to be larger.
        p: two-sided p-value; NaN where nothing was tested.
        attainable: the smallest p-value that samples of these sizes can reach.
    """

    difference: float
    low: float
    high: float
    delta: float
    p: float
    attainable: float


def compare(first: Floats, second: Floats) -> Comparison:
    """Compare two independent samples with the Mann-Whitney U test."""
    result = stats.mannwhitneyu(first, second, alternative="two-sided")
    attainable = attainable_mann_whitney(len(first), len(second))
    return Comparison(*welch_interval(first, second), cliffs_delta(first, second), float(result.pvalue), attainable)


def compare_paired(first: Floats, second: Floats, node: SeedTree) -> Comparison:
    """Compare two samples over the same replicates with the Wilcoxon signed-rank test (Pratt's zeros).

    The interval is that of the mean difference of the pairs, as `mean_interval` makes it.
    """
    gap = first - second
    p = float(stats.wilcoxon(gap, zero_method="pratt").pvalue) if np.any(gap) else 1.0
    low, high, _ = mean_interval(gap, node)
    attainable = attainable_signed_rank(len(gap))
    return Comparison(float(np.mean(gap)), low, high, cliffs_delta(first, second), p, attainable)


def cliffs_delta(first: Floats, second: Floats) -> float:
    """Return P(first > second) - P(first < second) over all pairs of runs (Cliff, 1993)."""
    ordered = np.sort(second)
    below = np.searchsorted(ordered, first, side="left")
    above = len(second) - np.searchsorted(ordered, first, side="right")
    return float(np.sum(below - above) / (len(first) * len(second)))


def welch_interval(first: Floats, second: Floats) -> tuple[float, float, float]:
    """Return the difference of two means with Welch's 95 % interval (NaN ends below two runs)."""
    difference = float(np.mean(first) - np.mean(second))
    if min(len(first), len(second)) < 2:  # noqa: PLR2004 - one run has no spread
        return difference, nan, nan
    error, freedom = welch_error(_moments(first), _moments(second))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * error if error > 0 else 0.0
    return difference, difference - half, difference + half


@dataclass(frozen=True, slots=True)
class Moments:
    """A sample as others publish it: mean, standard deviation and size."""

    mean: float
    sd: float
    n: int


def _moments(sample: Floats) -> Moments:
    return Moments(float(np.mean(sample)), float(np.std(sample, ddof=1)), len(sample))


def welch_error(first: Moments, second: Moments) -> tuple[float, float]:
    """Return the standard error of the difference of two means, and its degrees of freedom (Welch, 1947)."""
    parts = [moments.sd**2 / moments.n for moments in (first, second)]
    total = sum(parts)
    if total == 0:
        return 0.0, float("inf")
    weight = sum(part**2 / (moments.n - 1) for part, moments in zip(parts, (first, second), strict=True))
    return hypot(first.sd / first.n**0.5, second.sd / second.n**0.5), total**2 / weight


@dataclass(frozen=True, slots=True)
class Equivalence:
    """The answer of an equivalence test.

    Attributes:
        difference: first mean minus second mean.
        p: p-value of the two one-sided tests (the larger of the two).
        p_difference: two-sided p-value of Welch's test of no difference.
        verdict: 'equivalent', 'different' or 'inconclusive'.
    """

    difference: float
    p: float
    p_difference: float
    verdict: str


def equivalence(first: Moments, second: Moments, margin: float, alpha: float) -> Equivalence:
    """Test whether two means differ by less than `margin`: Schuirmann's (1987) two one-sided tests, Welch's errors.

    'equivalent' where the difference is shown to lie inside the margin; otherwise 'different' where it is shown
    not to be zero; otherwise 'inconclusive'. Both samples need at least two runs.
    """
    difference = first.mean - second.mean
    error, freedom = welch_error(first, second)
    if error == 0:
        p, p_difference = float(abs(difference) >= margin), float(difference == 0)
    else:
        inside = (margin - abs(difference)) / error
        p = float(stats.t.sf(inside, freedom))
        p_difference = float(2 * stats.t.sf(abs(difference) / error, freedom))
    return Equivalence(difference, p, p_difference, _verdict(p, p_difference, alpha))


def _verdict(p: float, p_difference: float, alpha: float) -> str:
    if p < alpha:
        return "equivalent"
    return "different" if p_difference < alpha else "inconclusive"


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted by Holm's (1979) step-down rule, in the order given."""
    adjusted = [0.0] * len(p_values)
    reached = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        reached = max(reached, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = reached
    return adjusted


def attainable_mann_whitney(n: int, m: int) -> float:
    """Return the smallest two-sided p-value that a Mann-Whitney test of n against m runs can reach."""
    return 2 / comb(n + m, n)


def attainable_signed_rank(n: int) -> float:
    """Return the smallest two-sided p-value that a Wilcoxon signed-rank test of n pairs can reach."""
    return 2.0 ** (1 - n)


def gap_closed(value: float, sampling: float, optimum: float) -> float:
    """Return how much of the way from random sampling to the optimum is covered, in %; NaN where there is no way."""
    return 100 * (value - sampling) / (optimum - sampling) if optimum != sampling else nan


def relative_improvement(value: float, sampling: float) -> float:
    """Return the improvement over random sampling in % of it (Yang et al., 2020, section 3)."""
    return 100 * (value - sampling) / sampling if sampling != 0 else nan
