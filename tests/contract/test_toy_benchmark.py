"""The toy benchmark keeps the benchmark contract, and the contract catches benchmarks that do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import HarnessError
from harness.core.interfaces import Place, Query
from harness.core.types import Evaluate, Measurement, Outcome, Trial
from harness.testing import BenchmarkContract, Failing, Opening, Toy, World, Wrapped
from harness.testing.toy import ERROR, FULL, TEST, VALID

OPENING = Opening("harness.testing.toy:Toy", Toy.Config(), Place(None, Path()), Query(VALID, (), (TEST,), FULL, FULL))


class TestToy(BenchmarkContract):
    @pytest.fixture(scope="class")
    @classmethod
    def opening(cls) -> Opening:
        return OPENING


class TestToyWithErrors(BenchmarkContract):
    @pytest.fixture(scope="class")
    @classmethod
    def opening(cls) -> Opening:
        return replace(OPENING, query=replace(OPENING.query, objective=ERROR))


class Altered(Wrapped):
    """The toy, with its outcomes altered."""

    def __init__(self, alter: Callable[[Trial, Measurement], Measurement]) -> None:
        super().__init__(OPENING.open())
        self.alter = alter

    def evaluate(self, trial: Trial) -> Outcome:
        outcome = super().evaluate(trial)
        assert isinstance(outcome.result, Measurement)
        return replace(outcome, result=self.alter(trial, outcome.result))


def leak(trial: Trial, result: Measurement) -> Measurement:
    return replace(result, metrics={**result.metrics, TEST: 1.0})


def count_trials(trial: Trial, result: Measurement) -> Measurement:
    return replace(result, value=result.value + trial.id)


def work_for_free(trial: Trial, result: Measurement) -> Measurement:
    return replace(result, cost=replace(result.cost, train_seconds=None))


def charge_all(trial: Trial, result: Measurement) -> Measurement:
    assert isinstance(trial.work, Evaluate)
    return replace(result, cost=replace(result.cost, epochs=trial.work.epochs))


@pytest.mark.parametrize(
    ("alter", "test"),
    [
        (leak, "test_seals_what_is_sealed"),
        (count_trials, "test_objective_is_the_value"),
        (work_for_free, "test_costs_in_its_units"),
        (charge_all, "test_charges_the_rest_only"),
    ],
)
def test_the_contract_catches(alter: Any, test: str) -> None:
    benchmark = Altered(alter)
    trials = [Trial(i + 1, Evaluate(benchmark.space.arch(i), FULL), i) for i in range(4)]
    given = {
        "opening": OPENING,
        "benchmark_": benchmark,
        "trials": trials,
        "outcomes": [benchmark.evaluate(trial) for trial in trials],
    }
    contract = getattr(BenchmarkContract(), test)
    names = contract.__code__.co_varnames[1 : contract.__code__.co_argcount]
    with pytest.raises((AssertionError, HarnessError)):
        contract(**{name: given[name] for name in names})


def test_outcome_that_depends_on_the_id_is_caught() -> None:
    benchmark = Altered(count_trials)
    trials = [Trial(i + 1, Evaluate(benchmark.space.arch(i), FULL), i) for i in range(4)]
    outcomes = [benchmark.evaluate(trial) for trial in trials]
    with pytest.raises(AssertionError):
        BenchmarkContract().test_same_trial_same_outcome(OPENING, benchmark, trials, outcomes)


def test_failing_fails_its_share_and_always_the_same() -> None:
    toy = OPENING.open()
    trials = [Trial(i, Evaluate(toy.space.arch(i), FULL), i) for i in range(1000)]
    failing = Failing(toy, 0.3)
    failed = [trial.id for trial in trials if not isinstance(failing.evaluate(trial).result, Measurement)]
    assert 250 < len(failed) < 350  # 300 +- 14.5
    again = [trial.id for trial in trials if not isinstance(Failing(toy, 0.3).evaluate(trial).result, Measurement)]
    assert again == failed
    assert failing.evaluate(trials[failed[0]]).result.cost == toy.evaluate(trials[failed[0]]).result.cost


def test_low_fidelities_predict_the_full_one_but_not_quite() -> None:
    toy = World().open()
    values = {
        epochs: [toy.evaluate(Trial(0, Evaluate(toy.space.arch(i), epochs), 7)).result.value for i in range(1024)]
        for epochs in toy.fidelities
    }
    ranks = {epochs: sorted(range(1024), key=values[epochs].__getitem__)[-100:] for epochs in values}
    shared = [len(set(ranks[epochs]) & set(ranks[FULL])) for epochs in toy.fidelities]
    assert shared[0] < shared[1] < 100
    assert shared[0] > 10  # a hundred of 1,024 at random share 9.8
