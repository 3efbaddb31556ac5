"""Ranks and critical differences: cliques against the p-matrix, tests against scipy and statsmodels."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from reports.ranks import cliques, critical, ranks, replicate_ranks
from reports.stats import holm


def results(benchmarks: int, gaps: list[float], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    level = rng.normal(0, 1, (benchmarks, 1))
    return level + np.array(gaps) + rng.normal(0, 0.3, (benchmarks, len(gaps)))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_that_of_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())


@st.composite
def separations(draw: st.DrawFn) -> np.ndarray:
    size = draw(st.integers(2, 6))
    apart = np.zeros((size, size), dtype=bool)
    for first, second in combinations(range(size), 2):
        apart[first, second] = apart[second, first] = draw(st.booleans())
    return apart


@given(separations())
def test_two_methods_share_a_clique_exactly_if_they_are_not_separated(apart: np.ndarray) -> None:
    groups = cliques(np.arange(len(apart), dtype=float), apart)
    for first, second in combinations(range(len(apart)), 2):
        together = any({first, second} <= set(group) for group in groups)
        assert together == (not apart[first, second])
    for group in groups:
        assert not any(apart[first, second] for first, second in combinations(group, 2))
        larger = [other for other in range(len(apart)) if other not in group]
        assert all(any(apart[other, member] for member in group) for other in larger), "a clique can grow"


def test_critical_differences_are_friedman_then_wilcoxon_holm() -> None:
    table = results(14, [1.0, 0.9, 0.2, 0.0])
    found = critical(table, 0.05)
    assert found.friedman == pytest.approx(stats.friedmanchisquare(*table.T).pvalue)
    pairs = list(combinations(range(4), 2))
    raw = [stats.wilcoxon(table[:, i], table[:, j], zero_method="pratt").pvalue for i, j in pairs]
    for (i, j), p in zip(pairs, holm(raw), strict=True):
        assert found.p[i, j] == found.p[j, i] == pytest.approx(p)
    long = pd.DataFrame(table).melt(var_name="method")
    theirs = scikit_posthocs.posthoc_wilcoxon(long, "value", "method", zero_method="pratt", p_adjust="holm", sort=True)
    assert found.p == pytest.approx(theirs.to_numpy())
    assert found.ranks == pytest.approx(np.mean([stats.rankdata(-row) for row in table], axis=0))
    together = {pair for group in found.cliques for pair in combinations(sorted(group), 2)}
    assert together == {(i, j) for i, j in pairs if found.p[i, j] >= 0.05}
    assert together
    assert len(together) < len(pairs)


def test_nothing_is_separated_where_friedman_finds_nothing() -> None:
    found = critical(results(10, [0.0, 0.0, 0.0], seed=4), 0.05)
    assert found.friedman > 0.05
    assert found.cliques == (tuple(np.argsort(found.ranks)),)


def test_methods_that_are_equal_everywhere_are_not_separated() -> None:
    table = results(12, [1.0, 0.0, 0.5])
    table[:, 1] = table[:, 0]
    found = critical(table, 0.05)
    assert found.p[0, 1] == 1.0
    assert any({0, 1} <= set(group) for group in found.cliques)


def test_the_best_has_rank_one_and_equals_share() -> None:
    assert ranks(np.array([3.0, 9.0, 3.0, 1.0])).tolist() == [2.5, 1.0, 2.5, 4.0]


def test_ranks_of_replicates_are_averaged_over_tracks() -> None:
    rng = np.random.default_rng(1)
    curves = [rng.random((3, 4, 5)), rng.random((3, 4, 5))]
    found = replicate_ranks(curves)
    for replicate in range(4):
        for place in range(5):
            both = [stats.rankdata(-track[:, replicate, place]) for track in curves]
            assert found[:, replicate, place] == pytest.approx(np.mean(both, axis=0))
    assert found.sum(axis=0) == pytest.approx(np.full((4, 5), 6.0))
