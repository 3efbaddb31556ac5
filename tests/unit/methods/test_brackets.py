from __future__ import annotations

from itertools import groupby, islice
from typing import Any

import numpy as np
import pytest

from harness.core.errors import UsageError
from harness.core.interfaces import Task
from harness.core.types import Evaluate
from harness.testing import Notebook, ToySpace, World, play
from methods.brackets import geometric_rungs
from methods.hyperband import Hyperband

HALVING = "methods.successive_halving:SuccessiveHalving"
HYPERBAND = "methods.hyperband:Hyperband"


def task(epochs: int, *fidelities: int) -> Task:
    return Task(ToySpace(), "toy/valid@9ep", "maximize", epochs, fidelities, frozenset(), "epochs", 9.0)


def rungs_of(book: Notebook) -> list[tuple[int, int, int]]:
    """Return (start, epochs, how many) of each stretch of equal trials."""
    works = [entry.trial.work for entry in book.told]
    stretches = groupby((work.start, work.epochs) for work in works if isinstance(work, Evaluate))
    return [(start, epochs, len(list(group))) for (start, epochs), group in stretches]


@pytest.mark.parametrize(
    ("epochs", "fidelities", "eta", "expected"),
    [
        (9, (1, 3, 9), 3, (1, 3, 9)),
        (12, tuple(range(1, 13)), 3, (1, 4, 12)),
        (12, tuple(range(1, 13)), 2, (1, 3, 6, 12)),
        (81, (1, 3, 9, 27, 81), 3, (1, 3, 9, 27, 81)),
        (12, (1, 4, 12, 200), 3, (1, 4, 12)),
        (12, (2, 12), 3, (2, 12)),
    ],
)
def test_rungs_are_factors_of_eta_apart(
    epochs: int, fidelities: tuple[int, ...], eta: int, expected: tuple[int, ...]
) -> None:
    assert geometric_rungs(task(epochs, *fidelities), eta) == expected


def test_fidelities_that_leave_one_rung_are_refused() -> None:
    with pytest.raises(UsageError, match="'eta': 3 given, but none of the fidelities 6, 12 is at most 12/3"):
        geometric_rungs(task(12, 6, 12), 3)


def test_a_race_halves_and_pays_for_the_rest_only() -> None:
    book = play(HALVING, World())
    race = [(0, 1, 9), (1, 3, 3), (3, 9, 1)]
    assert rungs_of(book)[:6] == race + race
    assert book.told[12].spent == 9 * 1 + 3 * 2 + 1 * 6


@pytest.mark.parametrize(("count", "race"), [(27, [27, 9, 3]), (10, [10, 3, 1]), (2, [2, 1, 1])])
def test_another_number_may_start(count: int, race: list[int]) -> None:
    book = play(HALVING, World(), options={"architectures": count})
    assert [many for _, _, many in rungs_of(book)[:3]] == race


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_best_of_a_rung_go_on(direction: str) -> None:
    metric = "toy/valid@9ep" if direction == "maximize" else "toy/valid-error@9ep"
    book = play(HALVING, World().changed(objective={"metric": metric, "direction": direction}))
    first, second = book.told[:9], book.told[9:12]
    ranked = sorted(first, key=lambda entry: entry.result.value, reverse=direction == "maximize")
    assert [entry.trial.work.arch for entry in second] == [entry.trial.work.arch for entry in ranked[:3]]


def test_failures_are_not_trained_on() -> None:
    book = play(HALVING, World().changed(failures=0.8), options={"architectures": 27})
    survivors = sum(entry in book.succeeded for entry in book.told[:27])
    assert 0 < survivors < 9  # fewer than there are places
    assert [entry.trial.work.start for entry in book.told[27 : 27 + survivors]] == [1] * survivors
    assert book.told[27 + survivors].trial.work.start != 1


def test_a_race_without_survivors_is_followed_by_the_next() -> None:
    book = play(HALVING, World().changed(failures=1.0))
    assert {entry.trial.work.epochs for entry in book.told} == {1}
    assert len(book.told) == 360


def test_hyperband_hedges_over_brackets() -> None:
    """n = ceil((s_max + 1) eta^s / (s + 1)) for s = 2, 1, 0; then floor(n / eta) go on."""
    book = play(HYPERBAND, World())
    once = [(0, 1, 9), (1, 3, 3), (3, 9, 1), (0, 3, 5), (3, 9, 1), (0, 9, 3)]
    assert rungs_of(book)[: 2 * len(once)] == once + once


def test_hyperband_has_the_brackets_of_algorithm_1() -> None:
    """R = 81, eta = 3: the sizes that Algorithm 1 of Li et al. (2018) gives, all at a similar cost."""
    method = Hyperband(task(81, 1, 3, 9, 27, 81), np.random.default_rng(0), Hyperband.Config())
    brackets = list(islice(method.plan((1, 3, 9, 27, 81)), 5))
    assert [(count, rungs[0]) for count, rungs in brackets] == [(81, 1), (34, 3), (15, 9), (8, 27), (5, 81)]


def test_workers_open_the_next_race_rather_than_wait() -> None:
    world = World().changed(workers=4, benchmark={"options": {"noise": 0.0}})
    book: Any = play(HALVING, world)
    by_id = sorted(book.trials, key=lambda entry: entry.trial.id)
    asked = [(entry.trial.work.start, entry.trial.work.epochs) for entry in by_id]
    assert asked[:9] == [(0, 1)] * 9
    assert (0, 1) in asked[9:13]  # while the last of the nine are running, the next race begins
    assert (1, 3) in asked[9:14]


def test_equal_draws_race_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every draw is the same architecture: four workers run equal work at a time, and each answer counts once."""
    monkeypatch.setattr(ToySpace, "sample", lambda self, rng: "abcda")
    book = play(HALVING, World().changed(workers=4))
    works = [entry.trial.work for entry in book.told if isinstance(entry.trial.work, Evaluate)]
    per_epochs = {epochs: sum(work.epochs == epochs for work in works) for epochs in (1, 3, 9)}
    assert per_epochs[9] >= 10
    assert per_epochs[1] >= 9 * per_epochs[9]
    assert per_epochs[3] >= 3 * per_epochs[9]
