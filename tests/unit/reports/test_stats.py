from __future__ import annotations

from itertools import combinations
from math import comb, isnan, sqrt

import numpy as np
import pytest
from scipy import stats as reference

from harness.core.seeds import SeedTree
from reports.stats import (
    BCA,
    CONSTANT,
    NONE,
    RESAMPLES,
    Moments,
    T,
    attainable_mann_whitney,
    attainable_signed_rank,
    bca_interval,
    cliffs_delta,
    compare,
    compare_paired,
    equivalence,
    gap_closed,
    holm,
    mean_interval,
    relative_improvement,
    summarise,
    welch_interval,
)

NODE = SeedTree.root("test", 0)


def draws(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(93.7, 0.35, n)


def test_a_summary_uses_n_minus_one_and_says_its_interval() -> None:
    found = summarise(np.array([1.0, 2.0, 3.0, 6.0]), NODE)
    assert (found.n, found.mean, found.median, found.quartiles) == (4, 3.0, 2.5, (1.75, 3.75))
    assert found.sd == pytest.approx(sqrt(14 / 3))
    half = 3.182446305284263 * sqrt(14 / 3) / 2  # t of 3 degrees of freedom at 0.975
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half))
    assert found.method == T


@pytest.mark.parametrize(("n", "method"), [(2, T), (19, T), (20, BCA), (500, BCA)])
def test_small_samples_get_student_and_large_ones_the_bootstrap(n: int, method: str) -> None:
    assert summarise(draws(n), NODE).method == method


def test_runs_that_agree_but_for_rounding_get_student_and_no_warning() -> None:
    sample = np.array([0.1] * 19 + [np.nextafter(0.1, 1)])
    low, high, method = mean_interval(sample, NODE)
    assert method == T
    assert (low, high) == pytest.approx((0.1, 0.1))


def test_samples_without_spread_or_size_claim_no_interval() -> None:
    none, one, equal = (summarise(np.array(values), NODE) for values in ([], [5.0], [5.0] * 30))
    assert (none.n, none.method, one.method, equal.method) == (0, NONE, NONE, CONSTANT)
    assert isnan(none.mean)
    assert one.mean == equal.mean == 5.0
    assert isnan(one.sd)
    assert equal.sd == 0.0
    assert all(isnan(end) for found in (none, one, equal) for end in (found.low, found.high))


def test_the_student_interval_covers_what_it_promises_at_five_runs() -> None:
    rng = np.random.default_rng(11)
    trials = 2000
    hits = 0
    for _ in range(trials):
        low, high, _ = mean_interval(rng.normal(0.0, 1.0, 5), NODE)
        hits += low <= 0.0 <= high
    error = sqrt(0.95 * 0.05 / trials)
    assert abs(hits / trials - 0.95) < 4 * error


def test_the_bootstrap_interval_is_the_one_of_efron() -> None:
    """Against the formulas of Efron (1987), written out here on resamples of another generator."""
    sample = np.random.default_rng(5).lognormal(0.0, 1.2, 40)
    resampled = np.random.default_rng(6).choice(sample, (200_000, 40)).mean(axis=1)
    below = (resampled < sample.mean()).mean()
    bias = reference.norm.ppf(below)
    left_out = (sample.sum() - sample) / 39
    gaps = left_out.mean() - left_out
    acceleration = (gaps**3).sum() / (6 * (gaps**2).sum() ** 1.5)
    z = bias + reference.norm.ppf([0.025, 0.975])
    ends = np.quantile(resampled, reference.norm.cdf(bias + z / (1 - acceleration * z)))
    assert bca_interval(sample, NODE) == pytest.approx(tuple(ends), abs=0.05)
    plain = np.quantile(resampled, [0.025, 0.975])
    assert abs(plain[1] - ends[1]) > 0.1  # a percentile interval would not pass for it


def test_the_bootstrap_equals_scipy_and_draws_from_its_own_node() -> None:
    sample = draws(60)
    expected = reference.bootstrap(
        (sample,), np.mean, n_resamples=RESAMPLES, method="BCa", rng=NODE.generator()
    ).confidence_interval
    assert bca_interval(sample, NODE) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert bca_interval(sample, NODE) == bca_interval(sample, NODE)
    assert bca_interval(sample, NODE.child("other cell")) != bca_interval(sample, NODE)


def test_the_published_example_is_equivalent_with_500_runs_and_inconclusive_with_10() -> None:
    published = Moments(93.70, 0.36, 500)
    many = equivalence(Moments(93.72, 0.35, 500), published, margin=0.1, alpha=0.05)
    few = equivalence(Moments(93.72, 0.35, 10), published, margin=0.1, alpha=0.05)
    assert (round(many.p, 4), many.verdict) == (0.0002, "equivalent")
    assert (round(few.p, 2), few.verdict) == (0.25, "inconclusive")


def test_a_difference_beyond_the_margin_is_different_on_both_sides() -> None:
    published = Moments(93.70, 0.36, 500)
    for mean in (93.50, 93.90):
        found = equivalence(Moments(mean, 0.36, 500), published, margin=0.1, alpha=0.05)
        assert found.verdict == "different"
        assert found.difference == pytest.approx(mean - 93.70)


def test_equivalence_agrees_with_two_one_sided_welch_tests_of_scipy() -> None:
    first, second = draws(40, 1), draws(25, 2) + 0.05
    ours = Moments(first.mean(), first.std(ddof=1), 40)
    theirs = Moments(second.mean(), second.std(ddof=1), 25)
    found = equivalence(ours, theirs, margin=0.2, alpha=0.05)
    sides = [
        reference.ttest_ind(first + 0.2, second, equal_var=False, alternative="greater").pvalue,
        reference.ttest_ind(first - 0.2, second, equal_var=False, alternative="less").pvalue,
    ]
    assert found.p == pytest.approx(max(sides))
    assert found.p_difference == pytest.approx(reference.ttest_ind(first, second, equal_var=False).pvalue)


def test_equivalence_without_any_spread_compares_the_means_alone() -> None:
    fixed = Moments(54.30, 0.0, 10)
    assert equivalence(fixed, fixed, margin=0.1, alpha=0.05).verdict == "equivalent"
    assert equivalence(Moments(54.0, 0.0, 10), fixed, margin=0.1, alpha=0.05).verdict == "different"


def test_holm_by_hand() -> None:
    # Sorted: .005 x4 = .02, .01 x3 = .03, .03 x2 = .06, .04 x1 -> .06 by monotony.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_cliffs_delta_counts_all_pairs() -> None:
    first, second = np.array([1.0, 2.0, 3.0, 3.0]), np.array([2.0, 2.0, 0.0])
    by_hand = np.sign(np.subtract.outer(first, second)).mean()
    assert cliffs_delta(first, second) == pytest.approx(by_hand) == pytest.approx(6 / 12)
    assert cliffs_delta(second, first) == pytest.approx(-by_hand)


def test_a_comparison_is_mann_whitney_with_welch_ends() -> None:
    first, second = draws(30, 1) + 0.3, draws(25, 2)
    found = compare(first, second)
    assert found.p == reference.mannwhitneyu(first, second).pvalue
    ends = reference.ttest_ind(first, second, equal_var=False).confidence_interval()
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high))
    assert found.difference == pytest.approx(first.mean() - second.mean())
    assert found.delta > 0


def test_a_difference_of_single_runs_has_no_interval() -> None:
    difference, low, high = welch_interval(np.array([2.0]), np.array([1.0, 3.0]))
    assert difference == 0.0
    assert isnan(low)
    assert isnan(high)


def test_a_paired_comparison_is_a_signed_rank_test_of_the_pairs() -> None:
    second = draws(12, 1)
    first = second + np.linspace(0.01, 0.05, 12)
    found = compare_paired(first, second, NODE)
    assert found.p == pytest.approx(2.0**-11)
    assert found.p == pytest.approx(found.attainable)
    assert found.low < 0.03 < found.high
    assert compare(first, second).p > 0.3  # the pairing is what shows it
    assert compare_paired(second, second, NODE).p == 1.0


@pytest.mark.parametrize(("n", "m"), [(3, 3), (2, 5), (4, 3)])
def test_no_mann_whitney_test_can_go_below_the_attainable_p(n: int, m: int) -> None:
    ranks = np.arange(n + m, dtype=float)
    p_values = []
    for chosen in combinations(range(n + m), n):
        mask = np.isin(np.arange(n + m), chosen)
        p_values.append(reference.mannwhitneyu(ranks[mask], ranks[~mask]).pvalue)
    assert min(p_values) == pytest.approx(attainable_mann_whitney(n, m)) == pytest.approx(2 / comb(n + m, n))


@pytest.mark.parametrize(("n", "p"), [(3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_no_signed_rank_test_can_go_below_the_attainable_p(n: int, p: float) -> None:
    assert attainable_signed_rank(n) == p == pytest.approx(reference.wilcoxon(np.arange(1.0, n + 1)).pvalue)


def test_results_are_related_to_random_sampling() -> None:
    # Published figures of NAS-Bench-201 on CIFAR-10: random search, a random cell, the best cell.
    assert gap_closed(93.70, 86.61, 94.37) == pytest.approx(91.4, abs=0.1)
    assert relative_improvement(93.70, 86.61) == pytest.approx(8.19, abs=0.01)
    assert gap_closed(0.05, 0.13, 0.03) == pytest.approx(80.0)  # an error: less is better
    assert isnan(gap_closed(1.0, 2.0, 2.0))
    assert isnan(relative_improvement(1.0, 0.0))
