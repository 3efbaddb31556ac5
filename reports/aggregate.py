"""Aggregate normalised scores over tracks: interquartile mean, optimality gap, profiles, probability of improvement.

Follows Agarwal et al. (2021), "Deep Reinforcement Learning at the Edge of the Statistical Precipice": statistics over
all runs of all tracks, with intervals from a bootstrap that resamples the runs within each track. The score is
1 - regret / (regret of random sampling): 0 is an average architecture, 1 the best of the space. It rests on the space
alone, so that no method's score depends on which others are in the study.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import nan

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.core.seeds import SeedTree
from reports.shares import FEWEST, RESAMPLES, Share, resample_counts
from reports.stats import CONFIDENCE, cliffs_delta

Floats = NDArray[np.float64]
Statistic = Callable[[Sequence[Floats]], Floats]
"""From one array (resamples, runs) for each track to one value for each resample."""

_QUARTER = 0.25


def score(values: Floats, best: float, sampling: float) -> Floats:
    """Return 1 - regret / (regret of random sampling), which is the share of the way that was covered."""
    return (values - sampling) / (best - sampling)


def interquartile_mean(tracks: Sequence[Floats]) -> Floats:
    """Return the mean of the middle half of all runs of all tracks."""
    return np.asarray(stats.trim_mean(np.concatenate(tracks, axis=-1), _QUARTER, axis=-1))


def median_score(tracks: Sequence[Floats]) -> Floats:
    """Return the median over the tracks of the mean score in each."""
    return np.asarray(np.median([runs.mean(axis=-1) for runs in tracks], axis=0))


def mean_score(tracks: Sequence[Floats]) -> Floats:
    """Return the mean over the tracks of the mean score in each."""
    return np.asarray(np.mean([runs.mean(axis=-1) for runs in tracks], axis=0))


def optimality_gap(tracks: Sequence[Floats]) -> Floats:
    """Return by how much the runs fall short of 1 on average; what lies above 1 counts as 1."""
    return np.asarray(np.mean([1 - np.minimum(runs, 1).mean(axis=-1) for runs in tracks], axis=0))


def with_interval(statistic: Statistic, tracks: Sequence[Floats], node: SeedTree) -> Share:
    """Return a statistic with its 95 % percentile interval from the stratified bootstrap.

    The interval is NaN where a track has fewer than ten runs.

    Args:
        statistic: what is estimated.
        tracks: the scores of the runs of each track.
        node: the seed-tree node that the resamples are drawn from.
    """
    value = float(statistic(tracks))
    if min(len(runs) for runs in tracks) < FEWEST:
        return Share(value, nan, nan)
    rng = node.generator()
    resampled = [runs[rng.integers(len(runs), size=(RESAMPLES, len(runs)))] for runs in tracks]
    return Share(value, *_ends(statistic(resampled)))


def improvement_value(first: Sequence[Floats], second: Sequence[Floats]) -> float:
    """Return the mean over the tracks of P(first > second) + P(first = second) / 2."""
    return float(np.mean([(1 + cliffs_delta(one, other)) / 2 for one, other in zip(first, second, strict=True)]))


def improvement(first: Sequence[Floats], second: Sequence[Floats], node: SeedTree) -> Share:
    """Return `improvement_value` with the 95 % interval of the stratified bootstrap.

    The interval is NaN where a track has fewer than ten runs of either.
    """
    wins = [_wins(one, other) for one, other in zip(first, second, strict=True)]
    value = improvement_value(first, second)
    if min(min(win.shape) for win in wins) < FEWEST:
        return Share(value, nan, nan)
    rng = node.generator()
    resampled = []
    for win in wins:
        rows, columns = (resample_counts(rng, size) / size for size in win.shape)
        resampled.append(np.sum((rows @ win) * columns, axis=1))
    return Share(value, *_ends(np.mean(resampled, axis=0)))


def profile(tracks: Sequence[Floats], levels: Floats, node: SeedTree) -> tuple[Floats, Floats, Floats]:
    """Return the share of runs with a score above each level, mean over the tracks, with pointwise 95 % ends.

    The ends equal the middle where a track has fewer than ten runs.
    """
    above = [(runs[:, None] > levels).astype(np.float64) for runs in tracks]
    middle = np.mean([hits.mean(axis=0) for hits in above], axis=0)
    if min(len(runs) for runs in tracks) < FEWEST:
        return middle, middle, middle
    rng = node.generator()
    resampled = np.mean([resample_counts(rng, len(hits)) / len(hits) @ hits for hits in above], axis=0)
    low, high = np.percentile(resampled, list(_tails()), axis=0)
    return middle, low, high


def _wins(first: Floats, second: Floats) -> Floats:
    larger = np.greater.outer(first, second).astype(np.float64)
    return larger + 0.5 * np.equal.outer(first, second)


def _ends(resampled: Floats) -> Iterator[float]:
    return (float(end) for end in np.percentile(resampled, list(_tails())))


def _tails() -> tuple[float, float]:
    return 50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)
