"""Published checks of candidates, by their numbers, each beside the faults that it was seen to fail on.

The table of the arms in `test_attach.py` holds the others, 2 to 4.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from benchmarks.spaces.nb201 import parse
from benchmarks.spaces.nb201_moves import GrowingNasBench201
from benchmarks.training import attach, attach_table, phases
from benchmarks.training.attach import ARMS, Arm, Attached, Point, join, shrink
from benchmarks.training.attach_table import ARCH, attached, look, measure, same
from benchmarks.training.determinism import bitwise
from benchmarks.training.nb201_growing import inherit
from harness.core.types import Move


@pytest.fixture(autouse=True)
def _bitwise():
    with bitwise(1):
        yield


def backward(monkeypatch: pytest.MonkeyPatch, node: float, candidates: float) -> None:
    """Multiply what a join passes back to either side."""
    right = attach._Join.backward

    def wrong(ctx, gradient):
        first, second, *rest = right(ctx, gradient)
        return node * first, candidates * second, *rest

    monkeypatch.setattr(attach._Join, "backward", staticmethod(wrong))


def turned(monkeypatch: pytest.MonkeyPatch) -> None:
    backward(monkeypatch, 1.0, -1.0)


def halved(monkeypatch: pytest.MonkeyPatch) -> None:
    backward(monkeypatch, 1.0, 0.5)


def batch(count: int) -> torch.Tensor:
    return (attach_table.images().pixels[:count].double() - 5.0) / 4.0


# 1: the primitive


def subtracted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the stop as the published formula does: NaN comes of an overflow, and 0 of -0."""

    def forward(ctx, node, candidates, scale, stop_forward):
        ctx.scale = scale
        return node + (candidates - candidates) if stop_forward else node + candidates

    monkeypatch.setattr(attach._Join, "forward", staticmethod(forward))


@pytest.mark.parametrize("sound", [None, subtracted], indirect=True)
@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan, 1e38, 1.0])
def test_1_stop_forward_keeps_every_bit_of_the_node_whatever_the_candidates_do(sound, bad: float):
    node = torch.tensor([1.5, -0.0, 0.0, -3.0], requires_grad=True)
    joined = join(node, torch.full((4,), bad))
    assert (joined.detach().numpy().tobytes() == node.detach().numpy().tobytes()) == sound


# 1, 5, 6: the two off-variants, on one attachment point in float64


class OnePoint(nn.Module):
    """Two layers with one candidate over the second."""

    def __init__(self, arm: str) -> None:
        super().__init__()
        self.first, self.second, self.candidate, self.last = (nn.Linear(4, 4, dtype=torch.float64) for _ in range(4))
        for index, layer in enumerate((self.first, self.second, self.candidate, self.last)):
            generator = torch.Generator().manual_seed(index)
            for parameter in layer.parameters():
                parameter.data.uniform_(-1, 1, generator=generator)
        self.point = Point({Move("add"): self.candidate}, ARMS[arm], 1.0)
        self.weight = torch.tensor(0.5, dtype=torch.float64)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.read = self.first(inputs).tanh()
        self.node = self.second(self.read).tanh()
        joined = self.point(self.node, [self.read], {Move("add"): self.weight}, torch.zeros(()))
        return self.last(joined).square().sum()


INPUTS = torch.linspace(-1, 1, 12, dtype=torch.float64).view(3, 4)


def stop_forward_on_sg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARMS, "sg", ARMS["sg+sf"])


def stop_gradient_off_sg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARMS, "sg", ARMS["joint"])


def value_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add a share of the candidates alone."""

    def wrong(node, candidates, scale, *, stop_forward):
        return join(node, 0.5 * candidates, scale, stop_forward=stop_forward)

    monkeypatch.setattr(attach, "join", wrong)


@pytest.mark.parametrize("sound", [None, stop_forward_on_sg, stop_gradient_off_sg, value_scaled], indirect=True)
def test_1_stop_gradient_alone_adds_the_candidates_and_sends_nothing_back_through_them(sound):
    joined, back = {}, {}
    for arm in ("sg", "joint"):
        network = OnePoint(arm)
        network.point.register_forward_hook(lambda _, __, output, arm=arm: joined.__setitem__(arm, output))
        network(INPUTS)
        back[arm] = torch.autograd.grad(joined[arm].sum(), network.read, retain_graph=True)[0]
        added = network.node + network.weight * network.candidate(network.read)
    (alone,) = torch.autograd.grad(network.node.sum(), network.read)
    assert not torch.equal(back["joint"], alone)
    values = torch.equal(joined["sg"], added) and torch.equal(joined["joint"], added)
    assert (values and torch.equal(back["sg"], alone)) == sound


@pytest.mark.parametrize("sound", [None, stop_forward_on_sg, stop_gradient_off_sg], indirect=True)
def test_1_in_a_whole_network_stop_gradient_alone_has_each_value_of_joint_and_another_gradient(sound):
    values, gradients = [], []
    for training in (True, False):
        cut, whole = (look(attached(arm), training=training) for arm in ("sg", "joint"))
        values.append(cut.values.keys() == whole.values.keys() and same(cut.values, whole.values))
        gradients.append(same(cut.parent, whole.parent))
    assert (values == [True, True] and gradients == [False, False]) == sound


def stops_swapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the inputs where they should be whole, and the other way round."""
    for name, arm in list(ARMS.items()):
        monkeypatch.setitem(ARMS, name, replace(arm, stop_gradient=not arm.stop_gradient))


@pytest.mark.parametrize("sound", [None, stops_swapped, halved], indirect=True)
def test_5_without_stop_gradient_the_parent_gets_what_the_candidate_passes_back(sound):
    gradients = {}
    for arm in ("sg+sf", "sf"):
        network = OnePoint(arm)
        network(INPUTS).backward()
        gradients[arm] = network.first.weight.grad
    network = OnePoint("sg+sf")
    (at_node,) = torch.autograd.grad(network(INPUTS), network.node)
    passed = network.weight * network.candidate(network.first(INPUTS).tanh())
    (extra,) = torch.autograd.grad(passed, network.first.weight, at_node)
    assert extra.abs().max() > 0.01
    assert torch.allclose(gradients["sf"] - gradients["sg+sf"], extra, rtol=0, atol=1e-13) == sound


@pytest.mark.parametrize("sound", [None, stops_swapped], indirect=True)
@pytest.mark.parametrize(("arm", "path"), [("sg+sf", False), ("sg", False), ("sf", True), ("joint", True)])
def test_6_a_stop_gradient_cuts_every_path_from_a_candidate_back(sound, arm, path):
    network = OnePoint(arm)
    network.point.record = True
    network(INPUTS)
    found = torch.autograd.grad(network.point.trace.total.sum(), network.read, allow_unused=True)[0]
    assert ((found is not None) == path) == sound


# 7, 8: what joint and soft are


def stop_forward_left_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARMS, "joint", Arm(stop_forward=True))


def stop_gradient_left_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARMS, "joint", Arm(stop_gradient=True))


def weights_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = Attached.weights
    monkeypatch.setattr(
        Attached, "weights", lambda network: {move: 2 * weight for move, weight in weights(network).items()}
    )


@pytest.mark.parametrize("sound", [None, stop_forward_left_on, stop_gradient_left_on, weights_doubled], indirect=True)
def test_7_joint_with_one_move_is_the_network_that_has_the_edge(sound):
    move = Move("add 1-3 nor_conv_3x3")
    network = attached("joint", moves=[move]).double()
    assert network.omega.item() == 1.0
    whole = GrowingNasBench201().grow(ARCH, [move])
    assert sum(a != b for a, b in zip(parse(ARCH), parse(whole), strict=True)) == 1
    fresh = attached("joint", moves=[move])
    plain = inherit(fresh.parent, whole, fresh.chosen([move])).double()
    one, other = network(batch(16)), plain(batch(16))
    one.sum().backward()
    other.sum().backward()
    stems = [found.stem[0].weight.grad for found in (network.parent, plain)]
    equal = torch.allclose(one, other, rtol=1e-12, atol=1e-12) and torch.allclose(*stems, rtol=1e-9, atol=1e-9)
    assert equal == sound


def gate_at(monkeypatch: pytest.MonkeyPatch, value: float, *, learns: bool) -> None:
    init = Attached.__init__

    def begun(network, *given, **named):
        init(network, *given, **named)
        network.gate = nn.Parameter(torch.full((), value), requires_grad=learns)

    monkeypatch.setattr(Attached, "__init__", begun)


def gate_ajar(monkeypatch: pytest.MonkeyPatch) -> None:
    gate_at(monkeypatch, 0.1, learns=True)


def gate_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    gate_at(monkeypatch, 0.0, learns=False)


@pytest.mark.parametrize("sound", [None, gate_ajar, gate_stuck], indirect=True)
def test_8_soft_starts_as_the_parent_and_leaves_it_after_a_step(sound):
    found = list(measure("soft", steps=2).values())
    assert (found == ["=", "=", "=", "all 0", "all 0", "=", "≠", "≠"]) == sound


# 9, 10: what candidates learn from


@pytest.mark.parametrize("sound", [None, turned, halved], indirect=True)
def test_9_candidates_are_fitted_to_the_slope_of_the_loss(sound):
    """The central difference of L(x + t c) at t = 0 is the sum of each weight times its gradient."""
    hard, soft = attached("sg+sf").double(), attached("soft").double()
    labels = attach_table.images().labels[:32]
    nn.functional.cross_entropy(hard(batch(32)), labels).backward()
    predicted = float((hard.omega.detach() * hard.omega.grad).sum())
    losses = []
    for t in (1e-5, -1e-5):
        with torch.no_grad():
            soft.gate.fill_(t)
            losses.append(nn.functional.cross_entropy(soft(batch(32)), labels).item())
    assert abs(predicted) > 1e-4
    assert ((losses[0] - losses[1]) / 2e-5 == pytest.approx(predicted, rel=1e-5)) == sound


def scale_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    def whole(node, candidates, scale, *, stop_forward):
        return join(node, candidates, 1.0, stop_forward=stop_forward)

    monkeypatch.setattr(attach, "join", whole)


def scale_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    right = attach._Join.backward

    def wrong(ctx, gradient):
        return right(ctx, ctx.scale * gradient)

    monkeypatch.setattr(attach._Join, "backward", staticmethod(wrong))


@pytest.mark.parametrize("sound", [None, scale_ignored, scale_on_both_sides], indirect=True)
def test_10_scale_multiplies_the_gradients_of_the_candidates_and_nothing_else(sound):
    whole, scaled = look(attached("sg+sf")), look(attached("sg+sf", scale=2**-10))
    candidates = zip((*whole.operations, *whole.omega), (*scaled.operations, *scaled.omega), strict=True)
    shares = all(torch.equal(other, one * 2**-10) for one, other in candidates)
    assert (shares and same(whole.parent, scaled.parent)) == sound


# 11: the penalty


def subgradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Step by the sign of a weight, as a penalty in the loss does: it oscillates around 0."""
    monkeypatch.setattr(phases, "shrink", lambda omega, by: omega.data.sub_(by * omega.detach().sign()))


def once_in_each_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases, "shrink", lambda omega, by: shrink(omega, 3 * by))


@pytest.mark.parametrize("sound", [None, subgradient, once_in_each_cell], indirect=True)
@pytest.mark.parametrize("penalty", [0.01, 0.1])
def test_11_without_a_signal_every_weight_is_exactly_zero_after_the_predicted_steps(sound, penalty: float):
    network, rate = attached("sg+sf"), 0.05
    phase = phases.Phase(network, attach_table.regime(), 1, attach_table.SeedTree.root("l1", 1), penalty=penalty)
    predicted = math.ceil(1 / len(network.moves) / (rate * penalty))
    zero = []
    for _ in range(predicted + 2):
        zero.append(not network.omega.any())
        phase.step(0.0 * network.omega.sum(), rate)
    assert (zero == [False] * predicted + [True] * 2) == sound
