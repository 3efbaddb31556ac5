"""How the values of a whole table spread: quantiles, ranges, fronts, agreement, the best of so many draws."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from benchmarks.tabular import references
from benchmarks.tabular.names import MetricName
from benchmarks.tabular.nb201 import NB201Table
from benchmarks.tabular.query import Column
from benchmarks.tabular.series import Series
from harness.core.budget import Budget
from harness.core.interfaces import Place, Query

VALID = np.array([5.0, 1.0, 4.0, 2.0, 3.0, 3.0])
TEST = np.array([50.0, 10.0, 45.0, 20.0, 35.0, 30.0])
COST = np.array([9.0, 1.0, 3.0, 3.0, 2.0, 4.0])


def column(quantity: str, values: np.ndarray, epochs: int | None = None) -> Column:
    series = Series(MetricName("toys", quantity, epochs), "", quantity == "test", "made up", mean=values)
    return quantity, series, "mean-of-trials"


def test_quantiles_have_both_ends_and_skip_gaps() -> None:
    facts = references.quantiles([column("test", np.append(TEST, np.nan), 9)])["test"]
    assert isinstance(facts, list)
    assert len(facts) == references.QUANTILES
    assert (facts[0], facts[500], facts[-1]) == (10.0, 32.5, 50.0)


def test_a_range_says_which_end_is_better() -> None:
    facts = references.ranges([column("multiply-adds", COST), column("test", TEST, 9)])
    assert facts["multiply-adds"] == {"low": 1.0, "high": 9.0, "better": "lower"}
    assert facts["test"] == {"low": 10.0, "high": 50.0, "better": "higher"}


def test_a_front_holds_exactly_the_cells_that_none_dominates() -> None:
    (front,) = references.fronts(column("test", TEST, 9), [column("multiply-adds", COST)]).values()
    points = list(zip(COST, TEST, strict=True))
    free = [
        (cost, test)
        for cost, test in points
        if not any(c <= cost and t >= test and (c, t) != (cost, test) for c, t in points)
    ]
    assert isinstance(front, dict)
    assert list(zip(front["cost"], front["value"], strict=True)) == sorted(free)
    assert front["metric"] == "test"


def test_a_front_of_a_loss_and_a_gain_turns_both() -> None:
    (front,) = references.fronts(column("test-loss", -TEST, 9), [column("speed-score", -COST, 9)]).values()
    (plain,) = references.fronts(column("test", TEST, 9), [column("multiply-adds", COST)]).values()
    assert isinstance(front, dict)
    assert isinstance(plain, dict)
    assert front["value"] == [-value for value in plain["value"]]
    assert front["cost"] == [-cost for cost in plain["cost"]]


def test_agreement_counts_concordant_pairs() -> None:
    facts = references.agreement(column("valid", VALID, 9), [column("test", TEST, 9)])["test"]
    signs = [
        (np.sign(VALID[i] - VALID[j]), np.sign(TEST[i] - TEST[j])) for i, j in product(range(6), repeat=2) if i < j
    ]
    agree = sum(a * b for a, b in signs)
    untied = [sum(1 for pair in signs if pair[side]) for side in (0, 1)]
    assert isinstance(facts, dict)
    assert facts["kendall_tau"] == pytest.approx(agree / np.sqrt(untied[0] * untied[1]))
    assert facts["n"] == 6


def test_the_best_of_so_many_draws_is_what_all_draws_give() -> None:
    facts = references.best_of_draws(column("valid", VALID, 9), column("test", TEST, 9), total=6)
    three = []
    for draw in product(range(6), repeat=3):
        best = max(VALID[list(draw)])
        three.append(np.mean([TEST[cell] for cell in draw if VALID[cell] == best]))
    assert facts["draws"][2] == 3
    # Both cells of equal validation are drawn equally often, so their mean stands for either.
    assert facts["expected"][2] == pytest.approx(np.mean(three))
    assert references.best_of_draws(column("valid", VALID, 9), column("test", TEST, 9), total=7) == {}


def test_the_facts_of_the_real_table_agree_with_one_another(real_place: Place) -> None:
    test, valid = "cifar10/test@200ep(50k) mean-of-trials", "cifar10/valid@12ep(25k) mean-of-trials"
    query = Query(valid, ("cifar10/multiply-adds",), (test,), 12, 200)
    facts = NB201Table(NB201Table.Config(), real_place, query).references(Budget("evaluations", 0.5, "discard"))
    quantiles, front = facts["quantiles"][test], facts["fronts"]["cifar10/multiply-adds"]
    assert quantiles[-1] == front["value"][-1] == facts["optimum"][test]["value"]
    assert np.mean(quantiles) == pytest.approx(facts["random_sampling"][test]["mean"], abs=0.1)
    assert facts["best_of_draws"]["expected"][0] == pytest.approx(facts["random_sampling"][test]["mean"])
    ranges = facts["ranges"]["cifar10/multiply-adds"]
    assert ranges["low"] == front["cost"][0]
    assert ranges["high"] >= front["cost"][-1]
    assert 0.5 < facts["agreement"][test]["kendall_tau"] < 0.7
