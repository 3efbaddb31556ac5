"""The methods on the real NAS-Bench-201 table, under the published budget of 12,000 s.

Random search's own mean is checked against its exact expectation where the protocol is tested; here the question is
whether the methods that learn, learn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from harness.core.interfaces import Benchmark
from harness.core.types import Measurement
from harness.testing import Notebook, World, play, tiny_track

VALID = "cifar10/valid@12ep(25k) mean-of-trials"
TEST = "cifar10/test@200ep(50k) mean-of-trials"
RANDOM = "methods.random_search:RandomSearch"
EVOLUTION = "methods.regularized_evolution:RegularizedEvolution"
LOCAL = "methods.local_search:LocalSearch"


@pytest.fixture(scope="module")
def world(data_dir: Path, cache_dir: Path) -> World:
    track = tiny_track(
        benchmark={"name": "nb201", "options": {"table": "nb201-v1.1", "dataset": "cifar10"}},
        fidelity={"search": 12, "final": 200},
        objective={"metric": VALID},
        budget={"unit": "train_seconds", "limit": 12_000, "overrun": "discard"},
        final={"metrics": [TEST]},
    )
    return World("benchmarks.tabular.nb201:NB201Table", track, data=data_dir, cache=cache_dir)


@pytest.fixture(scope="module")
def table(world: World) -> Benchmark:
    return world.open()


def search(method: str, world: World, table: Benchmark, seeds: range, **options: Any) -> list[Notebook]:
    return [play(method, world, seed=seed, options=options, benchmark=table) for seed in seeds]


def late_signal(book: Notebook) -> float:
    """Return the mean objective over the last quarter of the trials."""
    values = [entry.result.value for entry in book.told if isinstance(entry.result, Measurement)]
    return float(np.mean(values[-len(values) // 4 :]))


@pytest.mark.parametrize(
    ("method", "options", "runs"),
    [
        (EVOLUTION, {}, 20),
        (EVOLUTION, {"kill": "worst"}, 20),
        (LOCAL, {}, 10),
        (LOCAL, {"move": "first"}, 10),
    ],
)
def test_what_is_asked_for_late_is_better_than_random(
    method: str, options: dict[str, Any], runs: int, world: World, table: Benchmark
) -> None:
    learnt = [late_signal(book) for book in search(method, world, table, range(runs), **options)]
    random = [late_signal(book) for book in search(RANDOM, world, table, range(1000, 1000 + runs))]
    assert mannwhitneyu(learnt, random, alternative="greater").pvalue < 0.01


def test_random_search_does_not_learn(world: World, table: Benchmark) -> None:
    """The measure above is fair: it finds no gain where there is none."""
    first = [late_signal(book) for book in search(RANDOM, world, table, range(20))]
    second = [late_signal(book) for book in search(RANDOM, world, table, range(1000, 1020))]
    assert mannwhitneyu(first, second, alternative="two-sided").pvalue > 0.01


def test_local_search_ends_with_better_networks(world: World, table: Benchmark) -> None:
    """On the sealed test accuracy, 30 runs each, alpha .05 (the power is close to 1 at this size)."""
    found, random = (
        [metrics[TEST] for book in search(method, world, table, seeds) for metrics in book.finals.values()]
        for method, seeds in ((LOCAL, range(30)), (RANDOM, range(1000, 1030)))
    )
    assert mannwhitneyu(found, random, alternative="greater").pvalue < 0.05


def test_runs_stop_before_the_budget_and_the_crossing_trial_does_not_count(world: World, table: Benchmark) -> None:
    for book in search(RANDOM, world, table, range(5)):
        *counted, crossing = book.trials
        assert all(entry.counted for entry in counted)
        assert not crossing.counted
        assert counted[-1].spent <= 12_000
        seconds = crossing.result.cost.train_seconds
        assert seconds is not None
        assert counted[-1].spent + seconds > 12_000


@pytest.mark.parametrize("method", [RANDOM, EVOLUTION, LOCAL])
def test_many_cheap_asks_stay_cheap(method: str, world: World, table: Benchmark) -> None:
    """Ten thousand trials in one run; every one is told, and none is lost."""
    long = world.changed(budget={"unit": "evaluations", "limit": 10_000})
    book = play(method, long, benchmark=table)
    assert len(book.told) == 10_000
