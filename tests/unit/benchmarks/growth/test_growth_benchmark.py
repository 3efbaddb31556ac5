from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.training.checkpoint import Shelf
from benchmarks.training.drop_path import DropPath
from benchmarks.training.growth_benchmark import GrowthTraining
from benchmarks.training.growth_settings import GrowthConfig
from harness.core.canonical import content_hash
from harness.core.errors import Unsupported, UsageError
from harness.core.types import (
    Advance,
    Arch,
    Attach,
    Capability,
    Evaluate,
    Failure,
    Grow,
    Measurement,
    Move,
    Outcome,
    Trial,
    Work,
)

OpenGrowth = Callable[..., GrowthTraining]

SEED = Arch("cell normal[] reduction[]")
FOUNDED = Evaluate(SEED, 2)
MOVES = tuple(Move(f"{slot}:c1.{operation}") for slot in ("normal", "reduction") for operation in ("sep3x3", "max3x3"))
ATTACHED = Attach(FOUNDED, MOVES, "sg+sf", 1)
CHILD = Arch("cell normal[concat(c1.sep3x3+c1.max3x3)] reduction[]")
GROWN = Grow(ATTACHED, MOVES[:2], CHILD, 1)
VALID = "digits/valid@2ep(64) trial"


def answer(benchmark: GrowthTraining, work: Work, seed: int = 7) -> Outcome:
    return benchmark.evaluate(Trial(0, work, seed))


def measured(benchmark: GrowthTraining, work: Work, seed: int = 7) -> Measurement:
    result = answer(benchmark, work, seed).result
    assert isinstance(result, Measurement), result
    return result


def test_it_offers_growth_and_names_its_metrics_as_the_other_training_does(open_growth: OpenGrowth) -> None:
    benchmark = open_growth()
    assert {Capability.ATTACH, Capability.GROW, Capability.ENCODABLE} < benchmark.offers
    assert {VALID, "digits/valid@grow(64) trial", "digits/multiply-adds"} < benchmark.metrics.open
    assert {"digits/test@1ep(114) trial", "digits/test@grow(64) trial"} < benchmark.metrics.sealed


def test_an_evaluation_answers_size_cost_and_curve(open_growth: OpenGrowth) -> None:
    benchmark = open_growth()
    result = measured(benchmark, FOUNDED)
    count = benchmark.space.count(SEED)
    assert result.value == result.metrics[VALID] == result.curve[-1]
    assert len(result.curve) == 2
    assert result.metrics["digits/parameters"] == count.parameters / 1e6
    assert result.cost.multiply_adds == 3 * count.multiply_adds * 64 * 2
    assert measured(benchmark, FOUNDED, 8).metrics != result.metrics


def test_a_lineage_is_a_function_of_its_work_and_seed_alone(open_growth: OpenGrowth, tmp_path: Path) -> None:
    straight = open_growth(cache=tmp_path / "one")
    stepwise = [measured(straight, work) for work in (FOUNDED, ATTACHED, GROWN)]
    assert measured(open_growth(cache=tmp_path / "two"), GROWN) == stepwise[-1], "nothing trained before"
    assert measured(open_growth(cache=tmp_path / "one"), GROWN) == stepwise[-1], "everything on the shelf"
    assert measured(straight, GROWN, 8) != stepwise[-1]
    assert stepwise[2].metrics["digits/valid-before@grow(64) trial"] == stepwise[1].value, "a closed gate"
    assert stepwise[1].metrics["digits/valid-before@attach(64) trial"] == stepwise[0].value


def test_a_phase_that_was_killed_goes_on_to_the_same_bytes(
    open_growth: OpenGrowth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = replace(GROWN, epochs=3)
    expected = measured(open_growth(cache=tmp_path / "whole"), long)
    saved: list[int] = []

    class Killed(BaseException):
        pass

    def offer(shelf: Shelf, key: str, state: Callable[[], dict]) -> None:
        shelf.save(key, state())
        saved.append(1)
        raise Killed

    monkeypatch.setattr(Shelf, "offer", offer)
    for _ in range(10):
        try:
            resumed = measured(open_growth(cache=tmp_path / "cut"), long)
            break
        except Killed:
            continue
    assert len(saved) == 1 + 2  # after one of the founder's two epochs, and two of the growth's three
    assert resumed == expected


def test_attachments_cost_their_candidates_and_score_every_move(open_growth: OpenGrowth) -> None:
    benchmark = open_growth()
    result = measured(benchmark, ATTACHED)
    bare = benchmark.space.count(SEED).multiply_adds
    attached = benchmark.space.attached(SEED, MOVES)
    assert attached > bare
    assert set(MOVES) < set(result.scores)
    assert result.cost.multiply_adds == 3 * attached * (64 + 50), "and the pass that scores"
    assert result.cost.epochs == pytest.approx(attached * (64 + 50) / (bare * 64))
    grown = measured(benchmark, GROWN)
    assert grown.cost.multiply_adds == 3 * benchmark.space.count(CHILD).multiply_adds * 64


def test_works_of_other_kinds_and_lengths_are_unsupported(open_growth: OpenGrowth) -> None:
    benchmark = open_growth()
    for work in (Advance(1), Evaluate(SEED, 1), Evaluate(SEED, 2, start=1), Evaluate(SEED, 2, parent=SEED)):
        with pytest.raises(Unsupported):
            answer(benchmark, work)
    with pytest.raises(Unsupported, match="trained for 2 epochs"):
        answer(benchmark, replace(ATTACHED, after=Evaluate(SEED, 3)))


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (Evaluate(Arch("cell normal[]"), 2), "is no architecture"),
        (Evaluate(Arch("macro 1[]"), 2), "is not of this space"),
        (Evaluate(Arch("cell normal[concat(c1.identity)] reduction[concat(c1.identity)]"), 2), "beyond the limits"),
        (replace(ATTACHED, arm="sgsf"), "did you mean"),
        (replace(ATTACHED, moves=(Move("normal:l1.sep3x3"),)), "inputs: c2, c1"),
        (replace(GROWN, arch=SEED), "ask the space to grow"),
        (replace(GROWN, merge="sum"), "merged by 'sum'"),
        (replace(GROWN, inherit="weight"), "did you mean 'weights'"),
    ],
)
def test_wrong_works_are_refused_with_the_next_step(open_growth: OpenGrowth, work: Work, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        answer(open_growth(max_steps=1), work)
    assert message in str(caught.value)


def test_divergence_is_an_outcome_that_costs(open_growth: OpenGrowth) -> None:
    wild = open_growth(learning_rate=1e30)
    for work in (FOUNDED, ATTACHED, GROWN):
        result = answer(wild, work).result
        assert isinstance(result, Failure)
        assert result.cost.epochs > 0
        assert result.cost.multiply_adds
    assert "not finite" in answer(wild, FOUNDED).result.reason
    assert "goes on from failed" in answer(wild, GROWN).result.reason
    assert wild.final(SEED, 1) == {}


def test_lack_of_memory_is_an_outcome(open_growth: OpenGrowth, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("benchmarks.training.growth_cells.GrownNetwork.forward", full)
    result = answer(open_growth(), FOUNDED).result
    assert isinstance(result, Failure)
    assert result.reason == "out of memory"


def test_test_images_are_opened_by_sealed_evaluations_only(
    open_growth: OpenGrowth, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object) -> None:
        raise AssertionError("the test images were opened")

    monkeypatch.setattr("benchmarks.training.growth_workshop.test_images", closed)
    plain = open_growth()
    assert answer(plain, GROWN).sealed == {}
    assert answer(plain, FOUNDED).sealed == {}
    searched = ("digits/test@2ep(64) trial",)
    for work in (FOUNDED, GROWN):
        with pytest.raises(AssertionError, match="were opened"):
            answer(open_growth(sealed=searched), work)


def test_trials_are_tested_where_the_query_says_so(open_growth: OpenGrowth) -> None:
    benchmark = open_growth(sealed=("digits/test@1ep(114) trial", "digits/test@2ep(64) trial"))
    sealed = answer(benchmark, FOUNDED).sealed
    assert list(sealed) == ["digits/test@2ep(64) trial"]
    assert list(answer(benchmark, GROWN).sealed) == ["digits/test@grow(64) trial"]
    final = benchmark.final(SEED, 7)
    assert final["digits/test@2ep(64) trial"] == sealed["digits/test@2ep(64) trial"], "the same seed, the same network"
    assert benchmark.final_cost(SEED).epochs == 1 + 2


def test_the_final_recipe_is_from_scratch_and_may_be_larger(open_growth: OpenGrowth) -> None:
    small, large = open_growth(), open_growth(final_channels=4, final_cells=2)
    first = small.final(CHILD, 3)
    assert small.final(CHILD, 3) == first
    assert set(first) == {"digits/test@1ep(114) trial"}
    network = large.network(CHILD, 3)
    skeleton = large._config.final_skeleton()
    assert sum(value.numel() for value in network.parameters()) == skeleton.count(large.space.plan(CHILD)).parameters
    ratio = skeleton.count(large.space.plan(CHILD)).multiply_adds / large.space.count(CHILD).multiply_adds
    costs = [benchmark.final_cost(CHILD).multiply_adds or 0.0 for benchmark in (small, large)]
    assert costs[1] == pytest.approx(ratio * costs[0])
    assert costs[0] == 3 * small.space.count(CHILD).multiply_adds * 114
    assert content_hash(large.manifest()) != content_hash(small.manifest())


def test_macro_networks_grow_too(open_growth: OpenGrowth) -> None:
    benchmark = open_growth(form="macro", final_cells=2)
    (seed,) = benchmark.space.seeds()
    attach = Attach(Evaluate(seed, 2), tuple(benchmark.space.moves(seed)[:3]), "sg+sf", 1)
    child = benchmark.space.grow(seed, attach.moves[:2])
    assert child.startswith("macro 1[concat(")
    result = measured(benchmark, Grow(attach, attach.moves[:2], child, 1))
    assert result.metrics["digits/valid-before@grow(64) trial"] == measured(benchmark, attach).value
    assert len(benchmark.network(child, 1).cells) == 5


def test_phases_may_have_a_learning_rate_of_their_own(open_growth: OpenGrowth, tmp_path: Path) -> None:
    plain, slow = open_growth(), open_growth(cache=tmp_path / "slow", phase_learning_rate=0.001)
    assert measured(plain, FOUNDED) == measured(slow, FOUNDED)
    assert measured(plain, ATTACHED).scores != measured(slow, ATTACHED).scores


def from_one_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let candidates draw what is dropped of them from the stream of the parent."""
    init = DropPath.__init__

    def wrong(paths: DropPath, networks: Any, generators: Any, keep: float) -> None:
        init(paths, networks, list(generators[:1]) * len(networks), keep)

    monkeypatch.setattr(DropPath, "__init__", wrong)


REGULARISED = {"drop_path_keep": 0.4, "cutout": 3, "weight_decay_steps": 3}


@pytest.mark.parametrize(
    ("options", "sound"), [({}, None), (REGULARISED, None), (REGULARISED, from_one_stream)], indirect=["sound"]
)
def test_drift_is_zero_behind_both_stops_and_not_without(
    open_growth: OpenGrowth, options: dict[str, Any], sound
) -> None:
    benchmark = open_growth(drift=True, **options)
    drift, work = "digits/drift@attach(64) trial", replace(ATTACHED, epochs=2)
    assert (measured(benchmark, work).metrics[drift] == 0.0) == sound
    assert measured(benchmark, replace(work, arm="joint")).metrics[drift] > 0.0
    lineage = benchmark._nursery.lineage
    parents = [lineage.stage(work, 7).network.parent, lineage.control(work, 7).network.parent]
    pairs = zip(*(parent.state_dict().values() for parent in parents), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs) == sound


def test_the_objective_may_be_the_loss_or_a_size(open_growth: OpenGrowth, tmp_path: Path) -> None:
    loss = measured(open_growth(objective="digits/train-loss@2ep(64) trial"), FOUNDED)
    assert loss.value == loss.metrics["digits/train-loss@2ep(64) trial"] == loss.curve[-1]
    size = measured(open_growth(cache=tmp_path, objective="digits/parameters"), FOUNDED)
    assert size.value == size.metrics["digits/parameters"]
    assert size.curve == ()


def test_the_manifest_holds_every_option_that_changes_a_number(open_growth: OpenGrowth, tmp_path: Path) -> None:
    base = content_hash(open_growth().manifest())
    assert content_hash(open_growth(cache=tmp_path / "elsewhere").manifest()) == base
    changes = [{"max_steps": 3}, {"pairs": 2}, {"merge": "sum"}, {"form": "macro"}, {"phase_learning_rate": 0.01}]
    changes += [
        {"max_parameters": 1.0},
        {"stem_rate": 2},
        {"drift": True},
        {"weight_decay": 0.0},
        {"final_channels": 3},
        {"cutout": 2},
        {"drop_path_keep": 0.9},
        {"final_drop_path_keep": 0.9},
        {"final_auxiliary": 0.4},
        {"weight_decay_steps": 10},
    ]
    assert len({base, *(content_hash(open_growth(**change).manifest()) for change in changes)}) == 1 + len(changes)


def test_estimate_and_thought_are_priced_by_an_average_network(open_growth: OpenGrowth) -> None:
    benchmark = open_growth()
    estimate = benchmark.estimate()
    assert 0 < estimate.seconds < 120
    assert 0 < estimate.final_seconds < 120
    assert estimate.cost is not None
    assert estimate.cost.multiply_adds is not None
    assert "average network" in estimate.basis
    assert benchmark.think_cost(estimate.cost.multiply_adds).epochs == pytest.approx(2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_images": 0}, "train_images is 0"),
        ({"form": "macro", "cells": 2, "final_cells": 3}, "give a multiple of 2"),
        ({"reductions": 4}, "cannot be halved so often"),
        ({"max_parameters": 1e-6}, "the seed itself is beyond"),
        ({"phase_learning_rate": -1.0}, "learning_rate is -1"),
        ({"final_channels": -3}, "channels is -3"),
        ({"split": "45k-5k"}, "digits has no '45k-5k'; give halves"),
        ({"dataset": "cifar10", "valid_images": 6000, "split": "45k-5k"}, "the split has 5000 images"),
        ({"cutout": 9}, "the images of digits have 8 pixels a side: give 1 to 8"),
        ({"drop_path_keep": 1e-9}, "drop_path_keep is 1e-09; give a probability from 0.01"),
        ({"final_drop_path_keep": 1.5}, "final_drop_path_keep is 1.5"),
        ({"final_auxiliary": -0.4}, "final_auxiliary is -0.4"),
        ({"weight_decay_steps": 0}, "weight_decay_steps is 0"),
        ({"final_auxiliary": 0.4, "train_images": 654}, "it leaves one for the last step"),
        ({"final_auxiliary": 0.4, "batch_size": 1}, "it leaves one for the last step"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        GrowthConfig(**options)
    assert message in str(caught.value)
