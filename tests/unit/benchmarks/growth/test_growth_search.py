"""Petridish and random search over the growth space, whole, on networks of a few channels."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.spaces.growth_text import parse
from harness.core.types import Attach, Failure, Grow, Measurement
from harness.testing import World, play, tiny_track

PETRIDISH = "methods.petridish:Petridish"
OPTIONS = {"channels": 2, "reductions": 1, "train_images": 64, "valid_images": 50, "batch_size": 32}


@pytest.fixture
def world(tmp_path: Path) -> World:
    track = tiny_track(
        benchmark={"name": "growth-training", "options": OPTIONS},
        fidelity={"search": 1, "final": 1},
        objective={"metric": "digits/valid@1ep(64) trial", "secondary": ["digits/multiply-adds"]},
        budget={"unit": "epochs", "limit": 50.0},
        final={"metrics": ["digits/test@1ep(114) trial"]},
    )
    return World("benchmarks.training.growth_benchmark:GrowthTraining", track, cache=tmp_path / "cache")


@pytest.mark.parametrize("merge", ["concat", "sum"])
def test_petridish_grows_networks_and_ships_one(world: World, merge: str) -> None:
    book = play(PETRIDISH, world, options={"merge": merge, "eps": 1.0})
    works = [entry.trial.work for entry in book.succeeded]
    grown = [work for work in works if isinstance(work, Grow)]
    assert len(grown) >= 2
    assert not any(isinstance(entry.result, Failure) for entry in book.told)
    for work in grown:
        steps = parse(work.arch).steps
        assert steps == parse(work.after.arch).steps + 1
        assert {layer.merge for layers in parse(work.arch).layers for layer in layers} == {merge}
    shares = [entry.spent for entry in book.told]
    assert shares == sorted(shares)
    attached = [entry.result for entry in book.succeeded if isinstance(entry.trial.work, Attach)]
    assert all(isinstance(result, Measurement) and result.scores for result in attached)
    ((arch, _),) = book.finals
    assert arch in world.open().space


def test_a_search_that_was_killed_goes_on_to_the_same_journal(world: World) -> None:
    whole = play(PETRIDISH, world)
    again = play(PETRIDISH, world.changed(), notebook=whole.torn(2))
    assert again.lines == whole.lines


def test_random_search_draws_from_the_declared_depth(world: World) -> None:
    book = play("methods.random_search:RandomSearch", world.changed(budget={"limit": 4.0}))
    depths = [parse(entry.trial.work.arch).steps for entry in book.told]
    assert len(depths) == 4
    assert all(1 <= depth <= 8 for depth in depths)
