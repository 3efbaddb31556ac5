from __future__ import annotations

import numpy as np
import pytest

from harness.core.errors import UsageError
from harness.core.types import Evaluate
from harness.testing import World, play
from harness.testing.toy import TEST

SEARCH = "methods.random_search:RandomSearch"
SAMPLING = "methods.random_sampling:RandomSampling"


def asked(method: str, world: World, seed: int = 0, **options: object) -> list[str]:
    trials = play(method, world, seed=seed, options=options).trials
    return [entry.trial.work.arch for entry in trials if isinstance(entry.trial.work, Evaluate)]


def test_random_search_draws_with_replacement() -> None:
    world = World().changed(budget={"unit": "evaluations", "limit": 1024})
    distinct = [len(set(asked(SEARCH, world, seed))) for seed in range(5)]
    # 1,024 draws of 1,024: 1,024 (1 - 1/e) = 647.5 distinct on average, standard deviation 10.0 per run
    assert abs(np.mean(distinct) - 647.5) < 3 * 10.0 / np.sqrt(5)


def test_without_replacement_each_is_drawn_once_and_then_it_ends() -> None:
    world = World().changed(budget={"unit": "evaluations", "limit": 5000})
    book = play(SEARCH, world, options={"draws": "without-replacement"})
    assert book.reason == "exhausted"
    assert len(asked(SEARCH, world, draws="without-replacement")) == 1024
    assert len(set(asked(SEARCH, world, draws="without-replacement"))) == 1024


def test_random_search_finds_what_the_table_says_it_should() -> None:
    """Without noise, the expected best validation accuracy of 20 draws is exact: sum of order statistics."""
    world = World().changed(benchmark={"options": {"noise": 0.0}}, budget={"unit": "evaluations", "limit": 20})
    full = World().changed(benchmark={"options": {"noise": 0.0}}, budget={"unit": "evaluations", "limit": 5000})
    everything = play(SEARCH, full, options={"draws": "without-replacement"}).succeeded
    values = np.sort([entry.result.value for entry in everything])
    rank = np.arange(1, len(values) + 1) / len(values)
    expected = np.sum(values * (rank**20 - (rank - 1 / len(values)) ** 20))
    found = [max(entry.result.value for entry in play(SEARCH, world, seed=seed).succeeded) for seed in range(200)]
    assert abs(np.mean(found) - expected) < 4 * np.std(found) / np.sqrt(len(found))


def test_random_sampling_ships_its_one_draw() -> None:
    book = play(SAMPLING, World())
    (entry,) = book.trials
    assert book.reason == "exhausted"
    assert entry.recommended == entry.trial.work.arch


def test_random_sampling_reaches_the_mean_of_the_space() -> None:
    exact = World().open().references(None)["random_sampling"][TEST]
    runs = [play(SAMPLING, World(), seed=seed) for seed in range(400)]
    shipped = [metrics[TEST] for book in runs for metrics in book.finals.values()]
    assert abs(np.mean(shipped) - exact["mean"]) < 4 * exact["std"] / np.sqrt(400)


def test_a_failed_sample_leaves_nothing_to_ship() -> None:
    book = play(SAMPLING, World().changed(failures=1.0))
    assert not book.finals


def test_an_unknown_way_of_drawing_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'with-replacement'"):
        play(SEARCH, World(), options={"draws": "with_replacement"})
