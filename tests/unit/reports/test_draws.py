"""The expected best of n draws, against all subsets and against the biased plug-in that it replaces."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.draws import expected_best

pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=8)


@given(pairs, st.integers(1, 8))
def test_it_is_the_mean_over_all_subsets(drawn: list[tuple[int, int]], size: int) -> None:
    size = min(size, len(drawn))
    objective, sealed = np.array(drawn, dtype=float).T
    naive = []
    for chosen in combinations(range(len(drawn)), size):
        best = objective[list(chosen)].max()
        naive.append(sealed[objective == best].mean())  # equals stand for one another
    assert expected_best(objective, sealed, [size]) == pytest.approx([np.mean(naive)])


def test_it_is_unbiased_where_the_plug_in_is_not() -> None:
    """Dodge et al. (2019) with n = N = 20 draws of U(0, 1): their estimate is 0.927, the truth 20/21 = 0.952."""
    rng = np.random.default_rng(0)
    samples = rng.random((4000, 20))
    found = np.array([expected_best(sample, sample, [20])[0] for sample in samples])
    ranks = np.arange(1, 21)
    plug_in = np.sort(samples, axis=1) @ ((ranks / 20) ** 20 - ((ranks - 1) / 20) ** 20)
    error = found.std() / np.sqrt(len(found))
    assert abs(found.mean() - 20 / 21) < 4 * error
    assert plug_in.mean() == pytest.approx(0.927, abs=0.002)


def test_one_draw_is_the_mean_and_all_draws_are_the_best() -> None:
    objective, sealed = np.array([1.0, 3.0, 2.0]), np.array([10.0, 20.0, 60.0])
    assert expected_best(objective, sealed, [1, 3]) == pytest.approx([30.0, 20.0])


def test_many_draws_do_not_overflow() -> None:
    sample = np.random.default_rng(1).random(5000)
    found = expected_best(sample, sample, [1, 100, 5000])
    assert found == pytest.approx([sample.mean(), 100 / 101, sample.max()], abs=0.02)
