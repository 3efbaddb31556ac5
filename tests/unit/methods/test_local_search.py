from __future__ import annotations

import pytest

from harness.core.types import Arch, Evaluate
from harness.testing import Notebook, ToySpace, World, play

METHOD = "methods.local_search:LocalSearch"
SPACE = ToySpace()
QUIET = World().changed(benchmark={"options": {"noise": 0.0}}, budget={"unit": "evaluations", "limit": 200})


def path(book: Notebook) -> list[tuple[Arch, float]]:
    return [
        (entry.trial.work.arch, entry.result.value)
        for entry in book.succeeded
        if isinstance(entry.trial.work, Evaluate)
    ]


@pytest.mark.parametrize("seed", range(10))
def test_the_best_neighbour_becomes_the_next_centre_until_none_is_better(seed: int) -> None:
    """Walk along the journal as White et al. describe it, with every neighbour evaluated before each move."""
    trials = path(play(METHOD, QUIET, seed=seed))
    value = dict(trials)
    centre, used = trials[0][0], 1
    while True:
        fresh = [arch for arch in SPACE.neighbours(centre) if arch not in dict(trials[:used])]
        asked = [arch for arch, _ in trials[used : used + len(fresh)]]
        assert set(asked) == set(fresh)
        used += len(fresh)
        best = max(SPACE.neighbours(centre), key=value.__getitem__)
        if value[best] <= value[centre]:
            break
        centre = best
    assert trials[used][0] not in SPACE.neighbours(centre)  # the restart is somewhere else
    assert used < len(trials)


@pytest.mark.parametrize("seed", range(10))
def test_the_first_better_neighbour_becomes_the_next_centre(seed: int) -> None:
    trials = path(play(METHOD, QUIET, seed=seed, options={"move": "first"}))
    centre, height = trials[0]
    for arch, value in trials[1:]:
        if arch not in SPACE.neighbours(centre):
            break  # a restart, or a move to a neighbour that was known already
        if value > height:
            centre, height = arch, value
    else:
        pytest.fail("no restart in 200 evaluations")
    assert height > trials[0][1]


@pytest.mark.parametrize("move", ["best", "first"])
@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("failures", [0.0, 0.5])
def test_each_is_evaluated_once_and_then_it_ends(move: str, workers: int, failures: float) -> None:
    world = World().changed(failures, budget={"unit": "evaluations", "limit": 5000}, workers=workers)
    book = play(METHOD, world, options={"move": move})
    asked = [entry.trial.work.arch for entry in book.trials]
    assert book.reason == "exhausted"
    assert len(asked) == len(set(asked)) == 1024


def test_neighbours_are_visited_in_random_order() -> None:
    orders = set()
    for seed in range(10):
        trials = path(play(METHOD, QUIET, seed=seed))
        around = list(SPACE.neighbours(trials[0][0]))
        orders.add(tuple(around.index(arch) for arch, _ in trials[1:16]))
    assert len(orders) == 10


def test_it_climbs_to_local_optima() -> None:
    book = play(METHOD, QUIET, seed=1)
    value = dict(path(book))
    recommended = book.trials[-1].recommended
    assert all(value[arch] <= value[recommended] for arch in SPACE.neighbours(recommended) if arch in value)


def test_where_nothing_has_neighbours_it_restarts_until_all_are_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ToySpace, "neighbours", lambda self, arch: [])
    book = play(METHOD, QUIET.changed(budget={"limit": 5000}))
    assert book.reason == "exhausted"
    assert len(book.told) == 1024
