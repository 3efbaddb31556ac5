"""The exact expectation of random search against enumeration, simulation and the real table."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.tabular.expectation import (
    expected_best,
    expected_curve,
    expected_random_search,
    random_sampling,
)
from harness.core.errors import UsageError
from harness.core.types import Overrun

Floats = NDArray[np.float64]


def enumerated(
    objective: list[int], cost: list[int], target: list[int], limit: int, overrun: Overrun
) -> tuple[Fraction | None, Fraction]:
    """Follow every sequence of draws with exact fractions; the mean target, and the chance of no counted draw."""
    chance = Fraction(1, len(objective))
    ended: dict[int | None, Fraction] = defaultdict(Fraction)
    running: dict[tuple[int, int | None], Fraction] = {(0, None): Fraction(1)}
    while running:
        following: dict[tuple[int, int | None], Fraction] = defaultdict(Fraction)
        for (spent, incumbent), weight in running.items():
            if spent >= limit:
                ended[incumbent] += weight
                continue
            for cell in range(len(objective)):
                if spent + cost[cell] > limit and overrun == "discard":
                    ended[incumbent] += weight * chance
                    continue
                better = incumbent is None or objective[cell] > objective[incumbent]
                following[spent + cost[cell], cell if better else incumbent] += weight * chance
        running = following
    empty = ended.pop(None, Fraction(0))
    if not ended:
        return None, empty
    return sum(weight * target[cell] for cell, weight in ended.items()) / (1 - empty), empty


def simulated(
    objective: Floats, cost: Floats, target: Floats, limit: float, overrun: Overrun, runs: int, seed: int
) -> Floats:
    """Run random search `runs` times at once; the target of each run's incumbent, NaN where there is none."""
    rng = np.random.default_rng(seed)
    spent, best, found = np.zeros(runs), np.full(runs, -np.inf), np.full(runs, np.nan)
    going = np.ones(runs, dtype=bool)
    while going.any():
        draws = rng.integers(objective.size, size=runs)
        fits = spent + cost[draws] <= limit
        counts = going & (fits if overrun == "discard" else spent < limit)
        better = counts & (objective[draws] > best)
        best[better], found[better] = objective[draws][better], target[draws][better]
        spent[counts] += cost[draws][counts]
        going = counts & (spent < limit)
    return found


TABLES = st.integers(1, 4).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(low, high), min_size=n, max_size=n) for low, high in LIMITS])
)
LIMITS = ((0, 3), (1, 4), (-5, 5))


@settings(max_examples=60, deadline=None)
@given(TABLES, st.integers(1, 14), st.sampled_from(["discard", "keep"]))
def test_equals_the_enumeration_of_small_tables(
    table: tuple[list[int], list[int], list[int]], limit: int, overrun: Overrun
) -> None:
    objective, cost, target = table
    exact, empty = enumerated(objective, cost, target, limit, overrun)
    if exact is None:
        with pytest.raises(UsageError, match="no draw ends within"):
            expected_random_search(objective, cost, target, limit, overrun=overrun)
        return
    answer = expected_random_search(objective, cost, target, limit, overrun=overrun)
    assert answer.value == pytest.approx(float(exact), abs=1e-8)
    assert answer.low == answer.value == answer.high
    assert answer.empty == pytest.approx(float(empty), abs=1e-15)


@pytest.mark.parametrize("scale", [1.0, 0.5, 3.0])
def test_equals_the_enumeration_with_ties_at_any_scale(scale: float) -> None:
    objective, cost, target = [2, 2, 1, 0, 2], [5, 1, 2, 1, 3], [10, -10, 4, 7, 0]
    for overrun, limit in product(("discard", "keep"), (6, 11)):
        exact, _ = enumerated(objective, cost, target, limit, overrun)
        answer = expected_random_search(objective, np.multiply(cost, scale), target, limit * scale, overrun=overrun)
        assert exact is not None
        assert answer.value == pytest.approx(float(exact), abs=1e-8)


def test_many_equal_objectives_take_the_other_way_of_adding_up() -> None:
    objective, cost, target = [1] * 12 + [2] * 11, [*range(1, 13), *range(3, 14)], [*range(23)]
    for overrun in ("discard", "keep"):
        exact, _ = enumerated(objective, cost, target, 20, overrun)
        answer = expected_random_search(objective, cost, target, 20, overrun=overrun)
        assert exact is not None
        assert answer.value == pytest.approx(float(exact), abs=1e-8)


@pytest.mark.parametrize("overrun", ["discard", "keep"])
def test_levels_that_matter_are_never_left_out(overrun: Overrun) -> None:
    objective, cost = [*range(200)], [1, 2] * 100
    target = [-1000] * 20 + [0] * 180
    exact, _ = enumerated(objective, cost, target, 5, overrun)
    assert exact is not None
    assert expected_random_search(objective, cost, target, 5, overrun=overrun).value == pytest.approx(
        float(exact), abs=1e-6
    )


def test_minimising_mirrors_maximising() -> None:
    objective, cost, target = np.array([3.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0]), np.array([5.0, 6.0, 9.0])
    up = expected_random_search(objective, cost, target, 9.0)
    down = expected_random_search(-objective, cost, target, 9.0, direction="minimize")
    assert up == down
    assert expected_best(objective, target, 3) == expected_best(-objective, target, 3, direction="minimize")
    assert up.value != expected_random_search(objective, cost, target, 9.0, direction="minimize").value


@pytest.fixture(scope="module")
def sixty() -> tuple[Floats, Floats, Floats]:
    """A table of 60 cells with costs between the grid's points, tied objectives and a noisy target."""
    rng = np.random.default_rng(5)
    quality = rng.normal(size=60)
    cost = rng.uniform(0.7, 9.3, size=60)
    return quality.round(1), cost, quality + 0.4 * rng.normal(size=60) + 0.1 * cost


@pytest.mark.parametrize("overrun", ["discard", "keep"])
@pytest.mark.parametrize("limit", [7.77, 63.2, 400.0])
def test_agrees_with_simulation_of_a_middling_table(
    sixty: tuple[Floats, Floats, Floats], overrun: Overrun, limit: float
) -> None:
    answer = expected_random_search(*sixty, limit, overrun=overrun)
    runs = simulated(*sixty, limit, overrun, runs=200_000, seed=17)
    found = runs[~np.isnan(runs)]
    assert abs(found.mean() - answer.value) < 4 * found.std() / np.sqrt(found.size) + (answer.high - answer.low)
    assert answer.high - answer.low < 0.01
    assert np.isnan(runs).mean() == pytest.approx(answer.empty, abs=0.005)


def test_a_finer_grid_gives_the_same_answer(
    sixty: tuple[Floats, Floats, Floats], monkeypatch: pytest.MonkeyPatch
) -> None:
    coarse = expected_random_search(*sixty, 400.0)
    monkeypatch.setattr("benchmarks.tabular.expectation._STEPS_PER_DRAW", 1600)
    fine = expected_random_search(*sixty, 400.0)
    assert fine.step < coarse.step / 15
    assert fine.value == pytest.approx(coarse.value, abs=1e-5)
    assert coarse.low < fine.low < fine.value < fine.high < coarse.high


def test_curve_equals_the_final_value_at_each_point(sixty: tuple[Floats, Floats, Floats]) -> None:
    points = [0.1, 3.0, 20.0, 150.0, 1_000.0]
    curve = expected_curve(*sixty, points)
    assert np.isnan(curve[0])
    for point, value in zip(points[1:], curve[1:], strict=True):
        answer = expected_random_search(*sixty, point)
        assert value == pytest.approx(answer.value, abs=max(1e-5, answer.high - answer.low))


def test_curve_of_whole_costs_is_exact_and_steps_to_the_right() -> None:
    objective, cost, target = [0, 1, 2], [2, 3, 4], [5, 1, 8]
    points = [1.9, 2.0, 2.9, 3.0, 6.0, 11.5]
    exact = [enumerated(objective, cost, target, int(point), "discard")[0] for point in points[1:]]
    curve = expected_curve(objective, cost, target, points)
    assert np.isnan(curve[0])
    np.testing.assert_allclose(curve[1:], [float(value) for value in exact if value is not None], atol=1e-8)


def test_equal_costs_reduce_to_the_best_of_so_many_draws() -> None:
    rng = np.random.default_rng(2)
    objective, target, price = rng.integers(0, 9, 30), rng.normal(size=30), np.full(30, 12.0)
    for limit, draws in ((12.0, 1), (120.0, 10), (125.0, 10)):
        assert expected_random_search(objective, price, target, limit).value == expected_best(objective, target, draws)
    for limit, draws in ((5.0, 1), (120.0, 10), (125.0, 11)):
        kept = expected_random_search(objective, price, target, limit, overrun="keep")
        assert kept.value == expected_best(objective, target, draws)
    curve = expected_curve(objective, price, target, [11.0, 12.0, 40.0])
    np.testing.assert_array_equal(curve, [np.nan, *expected_best(objective, target, [1, 3])])


def test_equal_costs_agree_with_the_renewal_equation() -> None:
    rng = np.random.default_rng(3)
    objective, target = rng.integers(0, 9, 30), rng.normal(size=30)
    nearly = np.full(30, 12.0)
    nearly[np.argmin(objective)] += 2.0**-10
    answer = expected_random_search(objective, nearly, target, 125.0)
    assert answer.step > 0
    assert answer.value == pytest.approx(float(expected_best(objective, target, 10)), abs=1e-6)


def test_best_of_one_draw_is_random_sampling() -> None:
    rng = np.random.default_rng(1)
    objective, target = rng.integers(0, 5, 40), rng.normal(size=40)
    sampling = random_sampling(target)
    assert (sampling.mean, sampling.std, sampling.n) == (target.mean(), target.std(), 40)
    assert expected_best(objective, target, 1) == pytest.approx(sampling.mean, abs=1e-12)


def test_best_of_some_draws_equals_the_enumeration() -> None:
    objective, target = [0, 3, 1, 3], [4.0, -2.0, 9.0, 6.0]
    for draws in (1, 2, 5):
        winners = [
            target[max(picks, key=lambda cell: (objective[cell], -picks.index(cell)))]
            for picks in product(range(4), repeat=draws)
        ]
        assert expected_best(objective, target, draws) == pytest.approx(np.mean(winners), abs=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cost": [1.0, 0.0]}, "above 0"),
        ({"cost": [1.0]}, "cost 1"),
        ({"target": [1.0, float("nan")]}, "target must be"),
        ({"objective": []}, "objective must be"),
        ({"limit": 0.5}, "no draw ends within 0.5"),
        ({"limit": float("inf")}, "no draw ends within inf"),
        ({"limit": 1e9}, "more than the 100,000"),
    ],
)
def test_what_cannot_be_computed_is_refused(change: dict[str, object], message: str) -> None:
    given_: dict[str, object] = {"objective": [1.0, 2.0], "cost": [1.0, 2.0], "target": [3.0, 4.0], "limit": 5.0}
    with pytest.raises(UsageError, match=message):
        expected_random_search(**(given_ | change))  # type: ignore[arg-type]


def test_best_of_no_draw_is_refused() -> None:
    with pytest.raises(UsageError, match="fewer than 1"):
        expected_best([1.0], [1.0], 0)


@pytest.mark.parametrize("overrun", ["discard", "keep"])
@pytest.mark.parametrize(
    ("data", "target"),
    [("c10valid", "v11_test_c10full"), ("c10valid", "v11_valid_c10valid"), ("c100", "v11_test_c100")],
)
def test_agrees_with_simulation_of_the_real_table(data_dir: Path, overrun: Overrun, data: str, target: str) -> None:
    table = pd.read_parquet(data_dir / "nb201" / "arch.parquet")
    columns = tuple(table[name].to_numpy() for name in (f"e12_valid_{data}", f"e12_cost_s_{data}", target))
    answer = expected_random_search(*columns, 12_000.0, overrun=overrun)
    runs = simulated(*columns, 12_000.0, overrun, runs=20_000, seed=23)
    assert abs(runs.mean() - answer.value) < 4 * runs.std() / np.sqrt(runs.size)
    assert answer.high - answer.low < 0.02
