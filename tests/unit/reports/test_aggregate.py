"""Aggregates over tracks against the definitions of Agarwal et al. (2021), written out naively."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from harness.core.seeds import SeedTree
from reports.aggregate import (
    improvement,
    interquartile_mean,
    mean_score,
    median_score,
    optimality_gap,
    profile,
    score,
    with_interval,
)
from reports.shares import FEWEST, RESAMPLES

NODE = SeedTree.root("test", 0)


def scores(*sizes: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.beta(4 + place, 1.5, size) for place, size in enumerate(sizes)]


def test_a_score_is_the_covered_share_of_the_way_from_random_sampling_to_the_optimum() -> None:
    assert score(np.array([86.0, 94.0, 90.0]), 94.0, 86.0) == pytest.approx([0, 1, 0.5])
    assert score(np.array([0.30, 0.10, 0.15]), 0.1, 0.3) == pytest.approx([0, 1, 0.75])  # an error: less is better


@pytest.mark.parametrize("sizes", [(10, 10, 10), (7,), (13, 12)])
def test_the_interquartile_mean_is_the_mean_of_the_middle_half(sizes: tuple[int, ...]) -> None:
    tracks = scores(*sizes)
    pooled = sorted(value for runs in tracks for value in runs)
    cut = len(pooled) // 4
    assert interquartile_mean(tracks) == pytest.approx(np.mean(pooled[cut : len(pooled) - cut]))


def test_median_mean_and_gap_are_over_tracks() -> None:
    tracks = [np.array([0.2, 0.4]), np.array([0.9, 1.3]), np.array([0.5, 0.7])]
    assert median_score(tracks) == pytest.approx(0.6)
    assert mean_score(tracks) == pytest.approx((0.3 + 1.1 + 0.6) / 3)
    assert optimality_gap(tracks) == pytest.approx(np.mean([0.7, (0.1 + 0) / 2, 0.4]))


def test_the_interval_resamples_the_runs_within_each_track() -> None:
    tracks = scores(30, 20)
    found = with_interval(interquartile_mean, tracks, NODE)
    rng = np.random.default_rng(1)
    naive = []
    for _ in range(8000):
        pooled = np.sort(np.concatenate([runs[rng.integers(len(runs), size=len(runs))] for runs in tracks]))
        naive.append(pooled[12:38].mean())  # a quarter of 50, rounded down, is cut at each end
    assert found.value == pytest.approx(float(interquartile_mean(tracks)))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(naive, [0.025, 0.975])), abs=0.006)
    pooled_spread = np.ptp([*tracks[0], *(tracks[1] + 5)])
    apart = with_interval(mean_score, [tracks[0], tracks[1] + 5], NODE)
    assert apart.high - apart.low < 0.1 * pooled_spread  # resampling across tracks would mix 0 and 5


def test_the_interval_depends_on_its_node_alone() -> None:
    tracks = scores(15, 15)
    assert with_interval(mean_score, tracks, NODE) == with_interval(mean_score, tracks, NODE)
    assert with_interval(mean_score, tracks, NODE) != with_interval(mean_score, tracks, NODE.child("other"))


def test_the_probability_of_improvement_is_the_mean_over_tracks_of_all_pairs() -> None:
    first, second = scores(12, 15, seed=1), scores(11, 14, seed=2)
    naive = np.mean(
        [
            np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a in one for b in other])
            for one, other in zip(first, second, strict=True)
        ]
    )
    found = improvement(first, second, NODE)
    assert found.value == pytest.approx(naive)
    rng = np.random.default_rng(3)
    resampled = [
        np.mean(
            [_share(rng.choice(one, len(one)), rng.choice(other, len(other))) for one, other in _both(first, second)]
        )
        for _ in range(3000)
    ]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(resampled, [0.025, 0.975])), abs=0.02)


def _both(first: list[np.ndarray], second: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(zip(first, second, strict=True))


def _share(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.mean(np.greater.outer(one, other) + 0.5 * np.equal.outer(one, other)))


def test_a_profile_is_the_share_of_runs_above_each_level() -> None:
    tracks, levels = scores(20, 12), np.linspace(0, 1, 7)
    middle, low, high = profile(tracks, levels, NODE)
    naive = [np.mean([np.mean([run > level for run in runs]) for runs in tracks]) for level in levels]
    assert middle == pytest.approx(naive)
    assert (low <= middle + 1e-12).all()
    assert (middle <= high + 1e-12).all()
    assert (high - low).max() > 0.1


def test_few_runs_get_no_interval() -> None:
    few, enough = scores(FEWEST - 1, 30), scores(FEWEST, 30)
    assert isnan(with_interval(mean_score, few, NODE).low)
    assert not isnan(with_interval(mean_score, enough, NODE).low)
    assert isnan(improvement(few, enough, NODE).high)
    middle, low, high = profile(few, np.array([0.5]), NODE)
    assert middle == low == high


def test_the_point_estimate_needs_no_resample() -> None:
    assert RESAMPLES == 2_000
    assert with_interval(mean_score, scores(3, 3), NODE).value == pytest.approx(float(mean_score(scores(3, 3))))
