"""Candidates: with both stops the network does not notice them; without, it does in exactly the way the arm says.

The numbers in the names are those of the published list of checks; each was seen to fail on the faults planted below.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.spaces.nb201 import parse
from benchmarks.spaces.nb201_moves import GrowingNasBench201
from benchmarks.training import attach, attach_table, phases
from benchmarks.training.attach import ARMS, Arm, Point, arm_of, diagnostics, join, shrink
from benchmarks.training.attach_table import ARCH, attached, logits, look, measure, parent, same, trajectory, walk
from benchmarks.training.determinism import bitwise
from benchmarks.training.nb201_growing import inherit
from harness.core.errors import UsageError
from harness.core.types import Move


@pytest.fixture(autouse=True)
def _bitwise():
    with bitwise(1):
        yield


def wild(*values: float) -> torch.Tensor:
    return torch.tensor(values, requires_grad=True)


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.detach().numpy().tobytes()


# 1: the primitive


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan, 1e38])
def test_stop_forward_keeps_every_bit_of_the_node_whatever_the_candidates_do(bad: float):
    node = wild(1.5, -0.0, 0.0, -3.0)
    assert bits(join(node, torch.full((4,), bad))) == bits(node)


def test_the_subtraction_form_would_not():
    node, candidates = torch.tensor([1.5, -0.0]), torch.tensor([math.inf, 1.0])
    subtracted = node + (candidates - candidates.detach())
    assert math.isnan(subtracted[0])
    assert torch.equal(subtracted[1], node[1])
    assert bits(subtracted[1]) != bits(node[1])  # the sign of a zero


@pytest.mark.parametrize("stop_forward", [True, False])
def test_both_sides_of_a_join_receive_the_gradient_the_candidates_a_share_of_it(stop_forward):
    node, candidates, gradient = wild(1.0, 2.0), wild(5.0, 7.0), torch.tensor([3.0, -4.0])
    join(node, candidates, 0.25, stop_forward=stop_forward).backward(gradient)
    assert torch.equal(node.grad, gradient)
    assert torch.equal(candidates.grad, 0.25 * gradient)


def test_plain_addition_is_what_is_left_of_a_join_without_the_stop():
    assert torch.equal(join(wild(1.0, 2.0), wild(5.0, 7.0), stop_forward=False), torch.tensor([6.0, 9.0]))


# 2, 3, 4, 8, 10: the table of the arms

EQUAL, OTHER, ALL, NONE = "=", "≠", "all ≠ 0", "all 0"
EXPECTED = {
    "sg+sf": (EQUAL, EQUAL, EQUAL, ALL, ALL, EQUAL, EQUAL, EQUAL),
    "sf": (EQUAL, EQUAL, OTHER, ALL, ALL, OTHER, OTHER, OTHER),
    "sg": (OTHER, OTHER, OTHER, ALL, ALL, OTHER, OTHER, OTHER),
    "joint": (OTHER, OTHER, OTHER, ALL, ALL, OTHER, OTHER, OTHER),
    "soft": (EQUAL, EQUAL, EQUAL, NONE, NONE, EQUAL, OTHER, OTHER),
    # Two gates at 0 in a row are a saddle: neither ever receives a gradient.
    "soft-gateback": (EQUAL, EQUAL, EQUAL, NONE, NONE, EQUAL, EQUAL, EQUAL),
}


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_does_to_the_parent_what_it_says(arm: str):
    assert tuple(measure(arm).values()) == EXPECTED[arm]


def test_the_page_shows_this_table():
    page = (Path(__file__).parents[4] / "docs" / "petridish.md").read_text(encoding="utf-8")
    _, _, shown = page.partition(attach_table.BEGIN)
    header, _, *rows = [line.strip("| ").split(" | ") for line in shown.split(attach_table.END)[0].strip().splitlines()]
    columns = {arm: tuple(row[1 + index] for row in rows) for index, arm in enumerate(header) if arm in EXPECTED}
    assert columns == EXPECTED


def test_each_node_and_gradient_of_the_parent_is_compared():
    seen, control = look(attached("sg+sf")), look(parent())
    for part in ("values", "parent"):
        names = getattr(control, part).keys() & getattr(seen, part).keys()
        assert sum(".edges." in name for name in names) >= 9  # three edges in three cells
    assert {"logits", "loss"} <= control.values.keys() & seen.values.keys()
    assert all(torch.isfinite(gradient).all() and gradient.any() for gradient in (*seen.operations, *seen.omega))


def test_only_the_gate_moves_a_soft_arm_off_its_start():
    network = attached("soft")
    look(network)
    assert network.gate.grad.abs() > 0
    gateback = attached("soft-gateback")
    look(gateback)
    assert gateback.gate.grad == 0
    assert all(not point.gates.grad.any() for point in gateback.points)


def test_scale_multiplies_the_gradients_of_the_candidates_and_nothing_else():
    whole, scaled = look(attached("sg+sf")), look(attached("sg+sf", scale=2**-10))
    assert same(whole.parent, scaled.parent)
    for one, other in zip((*whole.operations, *whole.omega), (*scaled.operations, *scaled.omega), strict=True):
        assert torch.equal(other, one * 2**-10)


# Faults: each check above fails on the fault that it is there for.


def leaky(arm: Arm) -> Arm:
    return Arm(stop_gradient=False, stop_forward=arm.stop_forward)


def audible(arm: Arm) -> Arm:
    return Arm(stop_gradient=arm.stop_gradient, stop_forward=False)


@pytest.mark.parametrize(
    ("fault", "broken"),
    [
        (leaky, ["gradients of the parent", "parent after 1 step: weights, momentum, buffers"]),
        (audible, ["activations, logits and loss at the first step", "the same in the mode of evaluation"]),
    ],
)
def test_a_stop_that_leaks_is_seen(fault, broken, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("benchmarks.training.nb201_growing.arm_of", lambda name: fault(arm_of(name)))
    found = measure("sg+sf", steps=1)
    assert all(found[quantity] == OTHER for quantity in broken)


def one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit the norm of all gradients together, as both public programs do."""
    monkeypatch.setattr(phases, "_parts", lambda network: iter([[{"params": list(network.parameters())}]]))


def drawn_from_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let candidates shift the parent's stream: images come in another order once they are attached."""
    before = phases.Phase._batches

    def shifted(phase: phases.Phase):
        if isinstance(phase.network, attach.Attached):
            torch.rand(1, generator=phase._generators["order"])
        return before(phase)

    monkeypatch.setattr(phases.Phase, "_batches", shifted)


@pytest.mark.parametrize("fault", [None, one_limit, drawn_from_the_order])
def test_the_limit_on_the_gradient_and_the_order_of_images_know_nothing_of_candidates(fault, monkeypatch):
    monkeypatch.setattr(phases, "GRADIENT_LIMIT", 0.05)  # so small that it always bites
    if fault:
        fault(monkeypatch)
    ends = []
    for network in (parent(), attached("sg+sf")):
        phase = phases.Phase(network, attach_table.regime(), 1, attach_table.SeedTree.root("one", 1))
        phase.advance()
        ends.append(attach_table.bare(phase.network).state_dict())
    assert same(*ends) == (fault is None)


def test_attaching_asks_no_generator_of_torch():
    before = torch.random.get_rng_state()
    attached("sg+sf")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_candidate_that_overflows_leaves_the_parent_as_it_is():
    network = attached("sg+sf")
    with torch.no_grad():
        network.omega[0] = math.inf
    ends = [trajectory(walk(found, 2)) for found in (parent(), network)]
    assert not network.omega.isfinite().all()
    assert same(*ends)


def test_a_candidate_draws_the_same_whatever_else_is_attached_and_in_every_arm():
    moves = GrowingNasBench201().moves(ARCH)
    whole, part = attached("sg+sf"), attached("joint", moves=moves[3:5])
    for move in moves[3:5]:
        for one, other in zip(operations(whole, move), operations(part, move), strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def operations(network: attach.Attached, move: Move) -> list[nn.Module]:
    return [point.operations[point.moves.index(move)] for point in network.points if move in point.moves]


def test_candidates_of_different_cells_and_moves_draw_differently():
    network = attached("sg+sf")
    drawn = [
        tuple(parameter.flatten()[:4].tolist()) for parameter in network.operation_parameters() if parameter.dim() > 1
    ]
    assert len(set(drawn)) == len(drawn) > 3


# 5, 6: the two off-variants, on one attachment point in float64


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


def test_5_without_stop_gradient_the_parent_gets_what_the_candidate_passes_back():
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
    torch.testing.assert_close(gradients["sf"] - gradients["sg+sf"], extra, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("arm", "path"), [("sg+sf", False), ("sg", False), ("sf", True), ("joint", True)])
def test_6_a_stop_gradient_cuts_every_path_from_a_candidate_back(arm, path):
    network = OnePoint(arm)
    network.point.record = True
    network(INPUTS)
    found = torch.autograd.grad(network.point.trace.total.sum(), network.read, allow_unused=True)[0]
    assert (found is not None) == path


# 7, 9: what the sums are


def test_7_joint_with_one_move_is_the_network_that_has_the_edge():
    move = Move("add 1-3 nor_conv_3x3")
    network = attached("joint", moves=[move]).double()
    assert network.omega.item() == 1.0
    whole = GrowingNasBench201().grow(ARCH, [move])
    assert sum(a != b for a, b in zip(parse(ARCH), parse(whole), strict=True)) == 1
    fresh = attached("joint", moves=[move])
    plain = inherit(fresh.parent, whole, fresh.chosen([move])).double()
    images = (attach_table.images().pixels[:16].double() - 5.0) / 4.0
    one, other = network(images), plain(images)
    torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    one.sum().backward()
    other.sum().backward()
    torch.testing.assert_close(network.parent.stem[0].weight.grad, plain.stem[0].weight.grad, rtol=1e-9, atol=1e-9)


def test_9_candidates_are_fitted_to_the_slope_of_the_loss():
    """The central difference of L(x + t c) at t = 0 is the sum of each weight times its gradient."""
    hard, soft = attached("sg+sf").double(), attached("soft").double()
    split = attach_table.images()
    images, labels = (split.pixels[:32].double() - 5.0) / 4.0, split.labels[:32]
    nn.functional.cross_entropy(hard(images), labels).backward()
    predicted = float((hard.omega.detach() * hard.omega.grad).sum())
    losses = []
    for t in (1e-5, -1e-5):
        with torch.no_grad():
            soft.gate.fill_(t)
            losses.append(nn.functional.cross_entropy(soft(images), labels).item())
    assert abs(predicted) > 1e-4
    assert (losses[0] - losses[1]) / 2e-5 == pytest.approx(predicted, rel=1e-5)


def test_the_diagnostics_are_the_gradient_of_the_weights_and_a_cosine():
    network = attached("sg+sf", scale=0.5)
    network.record(on=True)
    look(network)
    found = diagnostics(network)
    for move, gradient in zip(network.moves, network.omega.grad.tolist(), strict=True):
        assert found[f"{move}|<g,c>"] == pytest.approx(gradient / 0.5, rel=1e-4, abs=1e-8)
        assert -1 <= found[f"{move}|-cos"] <= 1
        assert found[f"{move}|-cos"] * found[f"{move}|<g,c>"] <= 0


# 11: the penalty


@pytest.mark.parametrize("penalty", [0.001, 0.01])
def test_11_without_a_signal_every_weight_is_exactly_zero_after_the_predicted_steps(penalty: float):
    network, rate = attached("sg+sf"), 0.05
    phase = phases.Phase(network, attach_table.regime(), 1, attach_table.SeedTree.root("l1", 1), penalty=penalty)
    steps = math.ceil(1 / len(network.moves) / (rate * penalty))
    shrinking = torch.nn.Parameter(network.omega.detach().clone())
    for step in range(steps + 2):
        assert bool((shrinking == 0).all()) == (step >= steps), step
        shrink(shrinking, rate * penalty)
    phase.step(0.0 * look_loss(network), rate)
    assert torch.allclose(network.omega, torch.full_like(network.omega, 1 / 15 - rate * penalty))


def look_loss(network: attach.Attached) -> torch.Tensor:
    return network((attach_table.images().pixels[:8].float() - 5.0) / 4.0).sum()


def test_the_penalty_keeps_signs_and_never_crosses_zero():
    omega = torch.tensor([0.5, -0.5, 0.01, -0.01, 0.0])
    shrink(omega, 0.1)
    assert omega.tolist() == pytest.approx([0.4, -0.4, 0.0, 0.0, 0.0])


def test_logits_of_a_parent_called_by_itself_ignore_what_is_attached():
    assert same(logits(attached("joint").parent), logits(parent()))


@pytest.mark.parametrize(("scale", "arm"), [(0.0, "sg+sf"), (-1.0, "sf"), (math.nan, "sg")])
def test_a_scale_that_is_not_positive_is_refused(scale: float, arm: str):
    with pytest.raises(UsageError, match="positive share"):
        attached(arm, scale=scale)


def test_an_unknown_arm_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match=r"did you mean 'sg\+sf'"):
        arm_of("sg-sf")
