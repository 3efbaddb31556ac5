"""The analogue on tables: every child is scored and paid for, the best one joins the pool, arms are refused."""

from __future__ import annotations

import pytest

from harness.core.errors import UsageError
from harness.core.registry import load
from harness.core.types import Evaluate
from harness.plan import CATALOGUE
from harness.protocol import build
from harness.testing import GrowingSpace, Notebook, World, play, world_for
from harness.testing.toy import FULL

METHOD = "methods.petridish_hull_tabular:PetridishHullTabular"
WORLD = world_for(METHOD)
SPACE = GrowingSpace()


def works(book: Notebook) -> list[Evaluate]:
    ordered = sorted(book.trials, key=lambda entry: entry.trial.id)
    found = [entry.trial.work for entry in ordered]
    assert all(isinstance(work, Evaluate) for work in found)
    return [work for work in found if isinstance(work, Evaluate)]


def values(book: Notebook) -> dict[Evaluate, float]:
    return {entry.trial.work: entry.result.value for entry in book.succeeded}  # type: ignore[misc, union-attr]


def test_all_children_are_scored_low_and_the_best_is_looked_up_in_full() -> None:
    book = play(METHOD, WORLD)
    asked = works(book)
    seeds = list(SPACE.seeds())
    assert [work.arch for work in asked[:2]] == seeds
    parents = {seed: {SPACE.grow(seed, [move]) for move in SPACE.moves(seed)} - set(seeds) for seed in seeds}
    winner = next(work for work in asked if work.start)
    scored = asked[2 : asked.index(winner)]
    assert {work.epochs for work in scored} == {1}
    assert {work.arch for work in scored} in list(parents.values())
    assert winner == Evaluate(max(scored, key=values(book).__getitem__).arch, FULL, start=1)


def test_with_one_fidelity_children_are_scored_in_full_and_once() -> None:
    book = play(METHOD, WORLD.changed(fidelity={"rungs": [FULL]}))
    asked = works(book)
    assert {(work.epochs, work.start) for work in asked} == {(FULL, 0)}
    archs = [work.arch for work in asked]
    assert len(set(archs)) == len(archs)


def test_what_was_scored_is_not_paid_for_again() -> None:
    for workers in (1, 3):
        asked = works(play(METHOD, WORLD.changed(workers=workers), seed=3))
        low = [work.arch for work in asked if work.epochs == 1]
        assert len(set(low)) == len(low)


def test_an_arm_is_refused_with_the_reason() -> None:
    with pytest.raises(UsageError, match=r"'arm'.*no gradients.*`petridish`"):
        build(CATALOGUE.config("methods", "petridish_hull_tabular"), {"arm": "sg+sf"})
    assert load("methods", "petridish_hull_tabular").Config().arm is None


def test_a_space_without_moves_is_refused() -> None:
    with pytest.raises(UsageError, match="no moves to grow by"):
        play(METHOD, World())
