"""Whole searches over the growth space, on networks of a few channels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.spaces.growth_text import parse
from benchmarks.training.growth_cells import build_grown
from benchmarks.training.growth_model import write_model
from benchmarks.training.growth_settings import GrowthConfig
from harness.core.types import Arch, Attach, Evaluate, Failure, Grow, Measurement, Think, Work
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


OWN = Arch("cell normal[concat(c1.sep3x3)] reduction[]")
GROWN = [Evaluate, Attach, Grow]
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], list[type[Work]]]] = {
    "macro": (PETRIDISH, {"form": "macro"}, {}, GROWN),
    "founder": (PETRIDISH, {"founder": "own.pt"}, {}, GROWN),
    "surrogate": (
        "methods.surrogate_search:SurrogateSearch",
        {"max_steps": 2},
        {"initial": 2, "pool": 8, "top": 1},
        [Evaluate, Evaluate, Think, Evaluate],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_whole_search_of_another_kind_goes_on_to_the_same_journal(case: str, world: World, tmp_path: Path) -> None:
    method, options, method_options, kinds = CASES[case]
    write_model(tmp_path / "own.pt", build_grown(OWN, GrowthConfig(channels=2, reductions=1).skeleton(), 11), OWN)
    budget = {"unit": "evaluations", "limit": 3.0}
    world = replace(world.changed(benchmark={"options": options}, budget=budget), data=tmp_path)
    whole = play(method, world, options=method_options)
    assert [type(entry.trial.work) for entry in whole.trials] == kinds
    assert all(isinstance(entry.result, Measurement) for entry in whole.trials)
    space = world.open().space
    trained = [work for work in (entry.trial.work for entry in whole.trials) if not isinstance(work, Think)]
    assert all(work.arch in space for work in trained)
    if method == PETRIDISH:
        (seed,) = space.seeds()
        assert trained[0].arch == trained[1].arch == seed
        assert parse(trained[2].arch).steps == parse(seed).steps + 1
    lost = replace(world, cache=tmp_path / "lost")
    again = play(method, lost, options=method_options, notebook=whole.torn(2))
    assert again.lines == whole.lines


def test_random_search_draws_from_the_declared_depth(world: World) -> None:
    book = play("methods.random_search:RandomSearch", world.changed(budget={"limit": 4.0}))
    depths = [parse(entry.trial.work.arch).steps for entry in book.told]
    assert len(depths) == 4
    assert all(1 <= depth <= 8 for depth in depths)
