"""The surrogate-driven search: the same cells on offer for every surrogate, its computation charged, its rules kept."""

from __future__ import annotations

import numpy as np
import pytest

from harness.core.errors import UsageError
from harness.core.types import Arch, Evaluate, Think
from harness.testing.toy import TEST
from harness.testing.world import Notebook, World, play
from methods.surrogate_search import SurrogateSearch

METHOD = "methods.surrogate_search:SurrogateSearch"
SHORT = {"initial": 8, "pool": 60, "top": 4}
ON_FEATURES = ("random", "ridge", "forest", "gaussian_process", "network")


def searched(name: str, seed: int = 0, world: World | None = None, **options: object) -> Notebook:
    return play(METHOD, world or World(), seed=seed, options={**SHORT, "surrogate": name, **options})


def evaluated(book: Notebook) -> list[Arch]:
    return [entry.trial.work.arch for entry in book.trials if isinstance(entry.trial.work, Evaluate)]


@pytest.mark.parametrize("name", ON_FEATURES)
def test_every_surrogate_on_features_searches_and_repeats(name: str) -> None:
    book = searched(name)
    assert len(evaluated(book)) == len(set(evaluated(book))) > 30
    assert book.lines == searched(name).lines


@pytest.mark.parametrize("name", ON_FEATURES[1:])
def test_all_surrogates_start_from_the_same_cells(name: str) -> None:
    assert evaluated(searched(name))[:8] == evaluated(searched("random"))[:8]


def test_all_surrogates_choose_from_the_same_pools() -> None:
    """With the whole pool evaluated each round, the surrogate can only change the order."""
    wide = {"pool": 6, "top": 6}
    chance, ridge = (evaluated(searched(name, **wide)) for name in ("random", "ridge"))
    assert chance != ridge
    assert set(chance[8:14]) == set(ridge[8:14])
    assert set(chance[14:20]) == set(ridge[14:20])


def test_what_a_surrogate_computes_is_charged_before_what_it_chose() -> None:
    book = searched("ridge")
    thoughts = [entry for entry in book.trials if isinstance(entry.trial.work, Think)]
    assert len({entry.trial.work.label for entry in thoughts}) == len(thoughts) > 5
    assert isinstance(book.trials[8].trial.work, Think)
    first, again = thoughts[0].trial.work, thoughts[1].trial.work
    assert first.multiply_adds == 3 * (8 * 20**2 + 20**3) + 20 * 60 - 20 * (60 - _predicted(first.label))
    assert again.multiply_adds > first.multiply_adds - 20 * 60


def _predicted(label: str) -> int:
    return int(label.rsplit(", ", maxsplit=1)[-1].split(maxsplit=1)[0])


def test_chance_has_nothing_to_charge() -> None:
    assert not [entry for entry in searched("random").trials if isinstance(entry.trial.work, Think)]


def test_the_budget_pays_for_thought() -> None:
    book = searched("network", world=World().changed(budget={"unit": "multiply_adds", "limit": 4e11}))
    thought = sum(entry.trial.work.multiply_adds for entry in book.told if isinstance(entry.trial.work, Think))
    trained = sum(entry.result.cost.multiply_adds for entry in book.told if isinstance(entry.trial.work, Evaluate))
    assert thought > 1e6
    assert book.told[-1].spent - trained == pytest.approx(thought, rel=1e-3)


def test_a_surrogate_that_learns_beats_chance() -> None:
    def reached(name: str) -> float:
        books = [searched(name, seed) for seed in range(12)]
        return float(np.mean([metrics[TEST] for book in books for metrics in book.finals.values()]))

    assert reached("ridge") > reached("random") + 0.5


def test_explore_draws_some_cells_at_random() -> None:
    greedy, mixed = evaluated(searched("ridge")), evaluated(searched("ridge", explore=1))
    assert mixed[8:11] == greedy[8:11]
    assert mixed[11] != greedy[11]


def test_a_small_space_is_exhausted() -> None:
    whole = World().changed(budget={"unit": "evaluations", "limit": 2000})
    book = searched("random", world=whole, initial=500, pool=4000, top=400)
    assert book.reason == "exhausted"
    assert len(evaluated(book)) == len(set(evaluated(book))) > 1000


def test_the_oracle_cannot_be_chosen() -> None:
    with pytest.raises(UsageError, match="never paid for"):
        SurrogateSearch.Config(surrogate="oracle")


def test_more_strays_than_places_are_refused() -> None:
    with pytest.raises(UsageError, match="explore"):
        SurrogateSearch.Config(top=2, explore=3)
