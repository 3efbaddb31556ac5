"""A lineage is a pure function of its work and its seed: cached, killed, resumed or trained again, the same bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.spaces.nb201_moves import GrowingNasBench201
from benchmarks.training import checkpoint, lineage
from benchmarks.training.attach import Attached
from benchmarks.training.attach_table import bare, same
from benchmarks.training.checkpoint import Shelf
from benchmarks.training.data import Dataset
from benchmarks.training.evaluate import to_device
from benchmarks.training.lineage import Ancestor, Lineage, Stage, depth, streams
from benchmarks.training.nb201_growing import NB201Family
from benchmarks.training.phases import Phase, Regime, distance
from benchmarks.training.recipe import Recipe
from harness.core.errors import TrialFailed, UsageError
from harness.core.types import Attach, Evaluate, Grow, Move

SPACE = GrowingNasBench201()
CHAIN = SPACE.seeds()[3]
MOVES = tuple(SPACE.moves(CHAIN))[::3]
SEED = 11
RECIPE = Recipe(epochs=1, channels=2, cells=1, batch_size=32, flip=True, crop_padding=1)

FOUNDER = Evaluate(CHAIN, 2)
ATTACHED = Attach(FOUNDER, MOVES, "sg+sf", 2)
CHOSEN = (Move("add 0-3 skip_connect"), Move("upgrade 1-2 nor_conv_1x1"))
GROWN = Grow(Attach(FOUNDER, CHOSEN, "sg+sf", 2), CHOSEN, SPACE.grow(CHAIN, CHOSEN), 2)
AGAIN = Attach(GROWN, tuple(SPACE.moves(GROWN.arch))[:3], "sg+sf", 1)
WORKS: dict[str, Ancestor] = {"founder": FOUNDER, "attached": ATTACHED, "grown": GROWN, "attached again": AGAIN}


@pytest.fixture
def open_(tmp_path: Path, digits: Dataset) -> Callable[..., Lineage]:
    def fresh(folder: str = "shelf", recipe: Recipe = RECIPE) -> Lineage:
        known = digits.facts
        train, valid = (to_device(images, known, "cpu") for images in (digits.train, digits.valid))
        regime = Regime(recipe, train, valid, 1, "test")
        return Lineage(NB201Family(known.skeleton(recipe.channels, recipe.cells)), regime, Shelf(tmp_path / folder))

    return fresh


def agree(first: Stage, second: Stage) -> bool:
    return first.report == second.report and same(first.network.state_dict(), second.network.state_dict())


@pytest.mark.parametrize("name", WORKS)
def test_memory_shelf_and_training_again_give_the_same_bits(open_, name: str):
    work, first = WORKS[name], open_()
    found = first.stage(work, SEED)
    assert first.stage(work, SEED) is found
    assert agree(open_().stage(work, SEED), found)  # another process: from the shelf
    assert agree(open_("empty").stage(work, SEED), found)  # trained again
    assert not agree(open_("other").stage(work, SEED + 1), found)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("lives", [1, 2])
def test_a_lineage_that_is_killed_again_and_again_comes_to_the_same_bits(open_, lives: int, monkeypatch):
    """Each life ends after so many epochs, in whichever phase that falls."""
    expected = open_("whole").stage(AGAIN, SEED)
    monkeypatch.setattr(checkpoint, "INTERVAL_SECONDS", 0.0)
    advance, trained, deaths = Phase.advance, [], 0

    def dying(phase: Phase) -> None:
        if len(trained) == lives:
            raise Killed
        trained.append(phase.epoch)
        advance(phase)

    monkeypatch.setattr(Phase, "advance", dying)
    while True:
        trained.clear()
        try:
            found = open_().stage(AGAIN, SEED)
            break
        except Killed:
            deaths += 1
    assert deaths == (7 - 1) // lives  # the lineage has seven epochs, and none is trained twice
    assert agree(found, expected)


def test_a_killed_phase_loses_no_epoch_that_was_kept(open_, monkeypatch):
    monkeypatch.setattr(checkpoint, "INTERVAL_SECONDS", 0.0)
    open_().stage(FOUNDER, SEED)
    advance, epochs = Phase.advance, []

    def counted(phase: Phase) -> None:
        epochs.append(phase.epoch)
        if epochs == [0, 1]:
            raise Killed
        advance(phase)

    monkeypatch.setattr(Phase, "advance", counted)
    with pytest.raises(Killed):
        open_().stage(ATTACHED, SEED)
    epochs.clear()
    epochs.append(-1)
    open_().stage(ATTACHED, SEED)
    assert epochs == [-1, 1]


def test_a_torn_checkpoint_is_trained_again(open_, tmp_path: Path):
    found = open_().stage(ATTACHED, SEED)
    for path in (tmp_path / "shelf").iterdir():
        path.write_bytes(path.read_bytes()[:-7])
    assert agree(open_().stage(ATTACHED, SEED), found)


def test_whoever_goes_on_from_a_network_leaves_it_as_it_was(open_):
    whole = open_()
    before = {name: value.clone() for name, value in whole.stage(FOUNDER, SEED).network.state_dict().items()}
    whole.stage(AGAIN, SEED)
    assert same(before, whole.stage(FOUNDER, SEED).network.state_dict())


def test_arms_share_parent_candidates_and_data_but_not_what_comes_of_them(open_, monkeypatch):
    """The draws of a phase know the founder's seed and the depth, and nothing of arm, penalty, scale or moves."""
    variants = [
        replace(ATTACHED, arm="joint"),
        replace(ATTACHED, penalty=0.5, scale=0.1),
        replace(ATTACHED, moves=MOVES[1:3]),
        replace(ATTACHED, arm="soft", epochs=1),
    ]
    starts, drawn = [], []
    init = Phase.__init__

    def seen(phase: Phase, network, regime, epochs, seeds, **rest) -> None:
        init(phase, network, regime, epochs, seeds, **rest)
        starts.append({name: value.clone() for name, value in network.state_dict().items()})
        drawn.append([generator.get_state().tolist() for generator in phase._generators.values()])

    whole = open_()
    whole.stage(FOUNDER, SEED)
    monkeypatch.setattr(Phase, "__init__", seen)
    ends = [bare(whole.stage(work, SEED).network).state_dict() for work in (ATTACHED, *variants)]
    assert all(other == drawn[0] for other in drawn)
    for start, work in zip(starts[1:], variants, strict=True):
        part = "" if work.moves == MOVES else "parent."  # another set of moves has its candidates under other names
        assert same({name: start[name] for name in start if name.startswith(part)}, starts[0])
    for end, work in zip(ends[1:], variants, strict=True):
        assert same(end, ends[0]) == (work.arm == "sg+sf")


def test_a_parent_with_both_stops_ends_where_it_would_have_without_candidates(open_):
    whole = open_()
    for arm, exact in (("sg+sf", True), ("sg", False)):
        work = replace(ATTACHED, arm=arm)
        ends = [whole.stage(work, SEED), whole.control(work, SEED)]
        parents = [stage.network.parent_parameters() for stage in ends]
        assert (distance(*parents) == 0.0) == exact
        assert (ends[0].report.valid == ends[1].report.valid) == exact
        assert bool(ends[0].report.attached) != exact


def test_a_report_tells_the_accuracy_before_and_after_every_epoch(open_):
    whole = open_()
    founder, attached, grown = (whole.stage(work, SEED).report for work in (FOUNDER, ATTACHED, GROWN))
    assert len(founder.valid) == 3
    assert attached.valid[0] == founder.valid[-1]  # the parent comes trained
    assert grown.valid[0] == whole.stage(GROWN.after, SEED).report.valid[-1]  # a gate at 0 is no change
    assert set(attached.scores) == {f"{move}{kind}" for move in MOVES for kind in ("", "|omega", "|-cos", "|<g,c>")}
    assert all(attached.scores[move] == abs(attached.scores[f"{move}|omega"]) for move in MOVES)


def test_candidates_that_were_never_trained_are_scored_too(open_):
    report = open_().stage(replace(ATTACHED, epochs=0), SEED).report
    assert {report.scores[move] for move in MOVES} == {torch.tensor(1 / len(MOVES)).item()}
    assert len({report.scores[f"{move}|-cos"] for move in MOVES}) > 1
    assert len(report.valid) == 1


def test_scoring_leaves_no_trace(open_):
    network = open_().stage(ATTACHED, SEED).network
    assert isinstance(network, Attached)
    assert network.traces() == []
    assert not any(point.record for point in network.points)
    assert all(parameter.grad is None or not parameter.requires_grad for parameter in [network.gate])


def test_depth_counts_what_came_before_and_names_the_streams():
    assert [depth(work) for work in WORKS.values()] == [0, 1, 2, 3]
    assert len({streams(work, SEED).seed() for work in WORKS.values()}) == 4


def test_a_divergence_fails_the_phase_and_all_that_goes_on_from_it(open_):
    whole = open_(recipe=replace(RECIPE, learning_rate=1e30))
    for work in (FOUNDER, ATTACHED, GROWN):
        with pytest.raises(TrialFailed, match="not finite") as failed:
            whole.stage(work, SEED)
        assert failed.value.spent_epochs == 1


def test_lack_of_memory_fails_the_phase(open_, monkeypatch):
    def out(phase: Phase) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Phase, "advance", out)
    with pytest.raises(TrialFailed, match="out of memory"):
        open_().stage(FOUNDER, SEED)


def test_a_fault_of_ours_is_no_failed_trial(open_, monkeypatch):
    def broken(phase: Phase) -> None:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(Phase, "advance", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        open_().stage(FOUNDER, SEED)


@pytest.mark.parametrize("precision", ["bf16", "tf32"])
def test_another_precision_is_refused(open_, precision):
    """A shared scaler of gradients would skip the parent's step when a candidate overflows."""
    with pytest.raises(UsageError, match="change `precision`"):
        open_(recipe=replace(RECIPE, precision=precision)).stage(FOUNDER, SEED)


def test_few_networks_stay_in_memory(open_, monkeypatch):
    monkeypatch.setattr(lineage, "_IN_MEMORY", 2)
    whole = open_()
    for work in WORKS.values():
        whole.stage(work, SEED)
    assert len(whole._memory) == 2
