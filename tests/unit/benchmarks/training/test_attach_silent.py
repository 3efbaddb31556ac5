"""What could couple a parent to its candidates without a sound: each is planted, and seen.

The gradients of the parent can be right, and its training not: by a limit on the norm that is shared, a stream of
random numbers, a scaler, normalisations in another mode, kernels that were searched for, or a second device.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.training import attach_table, lineage, nb201_growing, phases, workshop
from benchmarks.training.attach import Arm, Attached, Point, arm_of
from benchmarks.training.attach_table import attached, bare, images, measure, parent, regime, same, walk
from benchmarks.training.checkpoint import Shelf
from benchmarks.training.determinism import bitwise
from benchmarks.training.phases import Phase, scores_of
from harness.core.errors import UsageError
from harness.core.seeds import SeedTree
from harness.core.types import Attach, Evaluate, Move
from methods.selection import ranked


@pytest.fixture(autouse=True)
def _bitwise():
    with bitwise(1):
        yield


# Stops that leak, and normalisations in another mode: rows of the table of the arms


def with_arm(monkeypatch: pytest.MonkeyPatch, change: Callable[[Arm], Arm]) -> None:
    monkeypatch.setattr(nb201_growing, "arm_of", lambda name: change(arm_of(name)))


def leaky(monkeypatch: pytest.MonkeyPatch) -> None:
    with_arm(monkeypatch, lambda arm: Arm(stop_forward=arm.stop_forward))


def audible(monkeypatch: pytest.MonkeyPatch) -> None:
    with_arm(monkeypatch, lambda arm: Arm(stop_gradient=arm.stop_gradient))


def stops_in_training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = Point.forward

    def wrong(point, *given):
        whole = point._arm
        point._arm = Arm(stop_gradient=whole.stop_gradient, stop_forward=whole.stop_forward and point.training)
        try:
            return forward(point, *given)
        finally:
            point._arm = whole

    monkeypatch.setattr(Point, "forward", wrong)


def statistics_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the parent in the mode of evaluation while its candidates are trained."""

    def wrong(network, mode=True):  # noqa: FBT002 - as torch has it
        nn.Module.train(network, mode)
        network.parent.eval()
        return network

    monkeypatch.setattr(Attached, "train", wrong, raising=False)


VALUES, EVALUATED, GRADIENTS, WEIGHTS, LOGITS = (
    "activations, logits and loss at the first step",
    "the same in the mode of evaluation",
    "gradients of the parent",
    "parent after 1 step: weights, momentum, buffers",
    "logits of evaluation after 1 steps",
)


@pytest.mark.parametrize(
    ("sound", "broken"),
    [
        (None, set()),
        (leaky, {GRADIENTS, WEIGHTS, LOGITS}),
        (audible, {VALUES, EVALUATED, GRADIENTS, WEIGHTS, LOGITS}),
        (stops_in_training_alone, {EVALUATED, LOGITS}),
        (statistics_frozen, {VALUES, GRADIENTS, WEIGHTS, LOGITS}),
    ],
    indirect=["sound"],
)
def test_training_and_evaluation_of_the_parent_know_nothing_of_candidates(sound, broken):
    found = measure("sg+sf", steps=1)
    assert {row for row in (VALUES, EVALUATED, GRADIENTS, WEIGHTS, LOGITS) if found[row] == "≠"} == broken
    assert sound == (not broken)


def probed_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases, "copy", SimpleNamespace(deepcopy=lambda network: network))


@pytest.mark.parametrize("sound", [None, probed_in_place], indirect=True)
def test_scoring_moves_no_statistics_of_a_normalisation(sound):
    network = attached("sg+sf")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    scores_of(network, images(64))
    assert same(before, network.state_dict()) == sound


def test_a_candidate_that_overflowed_behind_the_stop_has_no_score_and_the_others_keep_theirs():
    network, split = attached("sg+sf"), images(64)
    whole = scores_of(network, split)
    point = network.points[0]
    lost = next(
        move for move, operation in zip(point.moves, point.operations, strict=True) if list(operation.parameters())
    )
    with torch.no_grad():
        next(point.operations[point.moves.index(lost)].parameters()).fill_(math.nan)
    found = scores_of(network, split)
    assert set(whole) - set(found) == {f"{lost}|-cos", f"{lost}|<g,c>"}
    assert all(map(math.isfinite, found.values()))
    others = [move for move in network.moves if move != lost]
    assert ranked(network.moves, found, "cosine", np.random.default_rng(0)) == sorted(
        others, key=lambda move: -found[f"{move}|-cos"]
    )


# One limit, one stream of random numbers, one scaler


def one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit the norm of all gradients together, as both public programs do."""
    monkeypatch.setattr(phases, "_parts", lambda network: iter([[{"params": list(network.parameters())}]]))


def drawn_from_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let candidates shift the parent's stream: images come in another order once they are attached."""
    before = Phase._batches

    def shifted(phase: Phase):
        if isinstance(phase.network, Attached):
            torch.rand(1, generator=phase._generators["order"])
        return before(phase)

    monkeypatch.setattr(Phase, "_batches", shifted)


@pytest.mark.parametrize("sound", [None, one_limit, drawn_from_the_order], indirect=True)
def test_the_limit_on_the_gradient_and_the_order_of_images_know_nothing_of_candidates(sound, monkeypatch):
    monkeypatch.setattr(phases, "GRADIENT_LIMIT", 0.05)  # so small that it always bites
    ends = []
    for network in (parent(), attached("sg+sf")):
        phase = Phase(network, regime(), 1, SeedTree.root("one", 1))
        phase.advance()
        ends.append(bare(phase.network).state_dict())
    assert same(*ends) == sound


def drawn_from_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the weights of candidates as torch does by default, from the generator that everybody shares."""

    def default(network: nn.Module, seed: int) -> None:
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.BatchNorm2d):
                layer.reset_parameters()

    monkeypatch.setattr(nb201_growing, "initialise", default)


@pytest.mark.parametrize("sound", [None, drawn_from_the_process], indirect=True)
def test_attaching_asks_no_generator_of_torch(sound):
    before = torch.random.get_rng_state()
    attached("sg+sf")
    assert torch.equal(torch.random.get_rng_state(), before) == sound


def one_scaler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the whole step where any gradient is not finite, as a scaler for mixed precision does."""
    step = Phase.step

    def scaled(phase: Phase, loss: torch.Tensor, rate: float) -> None:
        parameters = [parameter for parameter in phase.network.parameters() if parameter.requires_grad]
        gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        if all(gradient.isfinite().all() for gradient in gradients if gradient is not None):
            step(phase, loss, rate)

    monkeypatch.setattr(Phase, "step", scaled)


@pytest.mark.parametrize("sound", [None, one_scaler], indirect=True)
def test_a_candidate_that_overflows_leaves_the_parent_as_it_is(sound):
    network = attached("sg+sf")
    with torch.no_grad():
        network.omega.fill_(math.inf)
    ends = [bare(walk(found, 2).network).state_dict() for found in (parent(), network)]
    assert not network.omega.isfinite().all()
    assert same(*ends) == sound


# Kernels that were searched for


def searching(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = torch.backends.cudnn.flags
    monkeypatch.setattr(torch.backends.cudnn, "flags", lambda **given: flags(**{**given, "benchmark": True}))


def unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "flags", lambda **given: nullcontext())


def left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the flags, and restore nothing."""

    def wrong(**given):
        torch.backends.cudnn.set_flags(
            given["enabled"], _benchmark=given["benchmark"], _deterministic=given["deterministic"]
        )
        return nullcontext()

    monkeypatch.setattr(torch.backends.cudnn, "flags", wrong)


@pytest.mark.parametrize("sound", [None, searching, unguarded, left_behind], indirect=True)
def test_no_kernel_is_searched_for_and_the_flags_come_back(sound, monkeypatch):
    cudnn = torch.backends.cudnn
    monkeypatch.setattr(cudnn, "benchmark", True)  # the setting of one of the public programs
    monkeypatch.setattr(cudnn, "deterministic", False)
    with bitwise(1):
        inside = cudnn.benchmark, cudnn.deterministic
    assert ((inside, (cudnn.benchmark, cudnn.deterministic)) == ((False, True), (True, False))) == sound


def context_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage, "bitwise", lambda threads: nullcontext())


ATTACHED = Attach(Evaluate(attach_table.ARCH, 1), (Move("add 1-3 nor_conv_3x3"),), "sg+sf", 1)


def opened(folder: Path) -> lineage.Lineage:
    return lineage.Lineage(nb201_growing.NB201Family(attach_table._SKELETON), regime(), Shelf(folder))


@pytest.mark.parametrize("sound", [None, context_forgotten], indirect=True)
def test_every_phase_is_trained_under_these_flags(sound, monkeypatch, tmp_path: Path):
    seen, advance, cudnn = set(), Phase.advance, torch.backends.cudnn

    def watched(phase: Phase) -> None:
        seen.add((torch.are_deterministic_algorithms_enabled(), cudnn.benchmark, cudnn.deterministic))
        advance(phase)

    monkeypatch.setattr(Phase, "advance", watched)
    torch.use_deterministic_algorithms(False)
    monkeypatch.setattr(cudnn, "benchmark", True)
    monkeypatch.setattr(cudnn, "deterministic", False)
    opened(tmp_path).stage(ATTACHED, 1)
    assert (seen == {(True, False, True)}) == sound


# A second device


@pytest.mark.parametrize("device", ["cuda:0,1", "cuda:0,cuda:1", "cuda:", "cuda:all", "cpu,cuda"])
def test_several_devices_are_refused(device: str, monkeypatch):
    """The order of a reduction over several devices changes with the set of parameters."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(UsageError, match="is not on this machine"):
        workshop.check_device(device)


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:3"])
def test_one_device_is_taken(device: str, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    workshop.check_device(device)


def on_several(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train candidates on a device of their own."""
    attach_candidates = nb201_growing.NB201Family.attach

    def split(family, *given):
        network = attach_candidates(family, *given)
        network.points.to("meta")
        return network

    monkeypatch.setattr(nb201_growing.NB201Family, "attach", split)


@pytest.mark.parametrize("sound", [None, on_several], indirect=True)
def test_parent_and_candidates_are_on_one_device(sound):
    network = attached("sg+sf")
    tensors = [*network.parameters(), *network.buffers()]
    assert (len({tensor.device for tensor in tensors}) == 1) == sound
    assert not any(isinstance(module, nn.DataParallel) for module in network.modules())
