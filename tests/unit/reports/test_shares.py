"""Shares and the probability of improvement, held against their definitions and against statsmodels."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from harness.core.seeds import SeedTree
from reports.shares import FEWEST, RESAMPLES, bootstrap_band, probability_of_improvement, resample_counts, wilson

NODE = SeedTree.root("test", 0)
values = st.lists(st.integers(0, 6).map(float), min_size=2, max_size=12).map(np.array)


@pytest.mark.parametrize("n", [3, 10, 30])
def test_wilson_is_that_of_statsmodels(n: int) -> None:
    low, high = wilson(np.arange(n + 1, dtype=float), n)
    expected = [proportion_confint(count, n, method="wilson") for count in range(n + 1)]
    assert pytest.approx(np.array(expected), abs=1e-12) == np.array([low, high]).T


@given(values, values)
def test_the_probability_of_improvement_counts_all_pairs(first: np.ndarray, second: np.ndarray) -> None:
    wins = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in product(first, second)]
    found = probability_of_improvement(first, second)
    assert found.value == pytest.approx(np.mean(wins))
    assert 0 <= found.low <= found.value <= found.high <= 1
    turned = probability_of_improvement(second, first)
    assert (turned.low, turned.high) == pytest.approx((1 - found.high, 1 - found.low), abs=1e-6)


def test_the_ends_of_newcombe_are_what_a_score_test_just_does_not_reject() -> None:
    """Method 5 by its formula, solved by a fine search instead of a root finder."""
    first, second = np.array([3.0, 5.0, 6.0, 9.0]), np.array([1.0, 2.0, 4.0, 7.0, 8.0, 0.5])
    share, n, m = 17 / 24, 4, 6
    theta = np.linspace(1e-6, 1 - 1e-6, 2_000_001)
    spare = (n + m) / 2 - 1
    variance = theta * (1 - theta) / (n * m) * (1 + spare * ((1 - theta) / (2 - theta) + theta / (1 + theta)))
    kept = theta[(share - theta) ** 2 <= stats.norm.ppf(0.975) ** 2 * variance]
    found = probability_of_improvement(first, second)
    assert found.value == pytest.approx(share)
    assert (found.low, found.high) == pytest.approx((kept[0], kept[-1]), abs=2e-6)


def test_complete_separation_of_few_runs_claims_no_certainty() -> None:
    first, second = np.array([4.0, 5.0, 6.0]), np.array([1.0, 2.0, 3.0])
    found = probability_of_improvement(first, second)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low < 0.7  # a percentile bootstrap says [1, 1]


def test_more_runs_make_the_interval_narrower() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(0.5, 1, 400), rng.normal(0, 1, 400)
    few, many = (probability_of_improvement(first[:n], second[:n]) for n in (10, 400))
    assert many.high - many.low < (few.high - few.low) / 4


def test_resamples_hold_n_runs_each_and_are_uniform() -> None:
    counts = resample_counts(NODE.generator(), 25)
    assert counts.shape == (RESAMPLES, 25)
    assert (counts.sum(axis=1) == 25).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(25), abs=5 / np.sqrt(RESAMPLES))
    assert counts.var(axis=0).mean() == pytest.approx(24 / 25, abs=0.05)  # binomial, not all alike


def test_a_band_is_a_percentile_bootstrap_of_the_runs() -> None:
    rows = np.random.default_rng(4).random((20, 3))
    rng = np.random.default_rng(5)
    means = np.array([rows[rng.integers(20, size=20)].mean(axis=0) for _ in range(20_000)])
    low, high = bootstrap_band(rows, NODE)
    assert low == pytest.approx(np.quantile(means, 0.025, axis=0), abs=0.01)
    assert high == pytest.approx(np.quantile(means, 0.975, axis=0), abs=0.01)
    few = bootstrap_band(rows[: FEWEST - 1], NODE)
    assert np.array_equal(few[0], few[1])
