"""Children start as their parents, end as plain networks of their cells, and inherit what was trained."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from benchmarks.spaces.nb201 import Skeleton
from benchmarks.spaces.nb201_moves import GrowingNasBench201
from benchmarks.training import attach_table, nb201_growing
from benchmarks.training.attach_table import same
from benchmarks.training.cells import Network, build
from benchmarks.training.determinism import bitwise
from benchmarks.training.nb201_growing import OPEN_AT, GatedNetwork, NB201Family, inherit, kept
from harness.core.errors import UsageError
from harness.core.types import Arch, Attach, Evaluate, Grow, Move

SPACE = GrowingNasBench201()
SKELETON = Skeleton(4, 1, 10, 8, 1)
FAMILY = NB201Family(SKELETON)
DIRECT, OVER_1, _, CHAIN = SPACE.seeds()
STEPS = [
    (CHAIN, ("add 0-3 nor_conv_3x3",)),
    (CHAIN, ("add 0-2 avg_pool_3x3", "upgrade 1-2 nor_conv_1x1")),
    (OVER_1, ("path 0-2-3 nor_conv_1x1 nor_conv_3x3", "upgrade 0-1 avg_pool_3x3")),
    (DIRECT, ("upgrade 0-3 nor_conv_3x3",)),
]


@pytest.fixture(autouse=True)
def _bitwise():
    with bitwise(1):
        yield


def images(count: int = 16) -> torch.Tensor:
    return (attach_table.images().pixels[:count].float() - 5.0) / 4.0


def grow_of(arch: Arch, moves: tuple[str, ...]) -> Grow:
    chosen = tuple(map(Move, moves))
    after = Attach(Evaluate(arch, 1), tuple(SPACE.moves(arch)), "sg+sf", 1)
    return Grow(after, chosen, SPACE.grow(arch, chosen), 1)


def trained(work: Grow):
    """The network of the attachment that a growth comes after, with statistics and weights off their start."""
    network = FAMILY.attach(build(work.after.arch, SKELETON, 1), work.after, 2)
    network.train()
    for _ in range(2):
        network(images()).square().mean().backward()
        with torch.no_grad():
            for parameter in network.parameters():
                if parameter.grad is not None:
                    parameter.sub_(0.01 * parameter.grad)
            network.zero_grad()
    return network


def gate_open(monkeypatch: pytest.MonkeyPatch) -> None:
    init = GatedNetwork.__init__

    def begun(child, *given):
        init(child, *given)
        child.gate = 1.0

    monkeypatch.setattr(GatedNetwork, "__init__", begun)


def weights_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nb201_growing, "inherit", lambda parent, arch, chosen: build(arch, SKELETON, 99))


@pytest.mark.parametrize("sound", [None, gate_open, weights_fresh], indirect=True)
@pytest.mark.parametrize(("arch", "moves"), STEPS)
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_a_child_starts_as_its_parent_bit_for_bit(sound, arch, moves, training):
    work = grow_of(arch, moves)
    network = trained(work)
    parent = copy.deepcopy(network.parent).train(training)
    child = FAMILY.grow(network, work, 3).train(training)
    assert isinstance(child, GatedNetwork)
    assert torch.equal(child(images()), parent(images())) == sound


def gate_short_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(child: GatedNetwork, share: float) -> None:
        child.gate = min(1.0 - 2.0**-20, share / OPEN_AT)

    monkeypatch.setattr(GatedNetwork, "anneal", wrong)


def gate_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the network on as it was trained, gate and all."""
    monkeypatch.setattr(NB201Family, "settle", lambda _, network: network)


def terms_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a gated edge count by itself too, which a plain cell does not know."""
    term = GatedNetwork._term
    monkeypatch.setattr(GatedNetwork, "_term", lambda child, *given: term(child, *given) + child.gate * given[1])


def folds(child: GatedNetwork, arch: Arch) -> bool:
    """Tell whether a child with its gate open is the plain network of its cell, before it is folded and after."""
    folded = FAMILY.settle(child)
    plain = build(arch, SKELETON, 99).eval()
    if child.gate != 1.0 or type(folded) is not Network:
        return False
    assert not torch.equal(plain(images()), folded(images()))
    plain.load_state_dict(folded.state_dict())
    whole = torch.equal(plain(images()), folded(images()))
    features = child.child.stem(images())
    for stage in child.child.stages:  # with its gate at 1 the gated sum is that of the plain cell
        gated = child.cell(stage, features) if hasattr(stage, "edges") else stage(features)
        features = stage(features)
        whole = whole and torch.equal(gated, features)
    return whole


@pytest.mark.parametrize("sound", [None, gate_short_of_one, gate_left, terms_doubled], indirect=True)
@pytest.mark.parametrize(("arch", "moves"), STEPS)
def test_a_folded_child_is_the_plain_network_of_its_cell(sound, arch, moves):
    work = grow_of(arch, moves)
    child = FAMILY.grow(trained(work), work, 3).eval()
    child.anneal(OPEN_AT)
    assert folds(child, work.arch) == sound


def chosen_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nb201_growing, "kept", lambda move, module: kept(move, copy.deepcopy(module)))


def grown_with(monkeypatch: pytest.MonkeyPatch, change: Callable[[Network], None]) -> None:
    def wrong(*given):
        child = inherit(*given)
        change(child)
        return child

    monkeypatch.setattr(nb201_growing, "inherit", wrong)


def one_weight_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    grown_with(monkeypatch, lambda child: child.stem[0].reset_parameters())


def candidates_left(monkeypatch: pytest.MonkeyPatch) -> None:
    grown_with(monkeypatch, lambda child: child.stages[0].add_module("left", torch.nn.Conv2d(4, 4, 3)))


@pytest.mark.parametrize("sound", [None, chosen_copied, one_weight_fresh, candidates_left], indirect=True)
@pytest.mark.parametrize(("arch", "moves"), STEPS)
def test_a_child_holds_what_was_trained_and_nothing_else(sound, arch, moves):
    work = grow_of(arch, moves)
    network = trained(work)
    before = {name: value.clone() for name, value in network.parent.state_dict().items()}
    chosen = [
        {edge: module for move in found for edge, module in found[move].items()}
        for found in by_cell(network, work.moves)
    ]
    child = FAMILY.settle(FAMILY.grow(network, work, 3))
    whole = sum(parameter.numel() for parameter in child.parameters()) == SKELETON.parameters(work.arch)
    assert (whole and holds(child, before, chosen)) == sound


def holds(child: Network, before: dict[str, torch.Tensor], chosen: list[dict]) -> bool:
    """Tell whether the weights of a child are those that its parent had, those that were chosen, and no others."""
    after = child.state_dict()
    cells = [stage for stage in child.stages if hasattr(stage, "edges")]
    new = 0
    for cell, modules in zip(cells, chosen, strict=True):
        for (source, target), module in modules.items():
            if cell.edges[f"{source}-{target}"] is not module:
                return False
            new += len(module.state_dict())
    # A skip that was upgraded had no weights to lose.
    return before.keys() <= after.keys() and same(before, after) and len(after) == len(before) + new


def by_cell(network, moves):
    legal = {move.text: move for group in network._by_target.values() for move in group}
    width = len(network._by_target)
    for first in range(0, len(network.points), width):
        points = network.points[first : first + width]
        yield {
            move: kept(legal[move], point.operations[point.moves.index(move)])
            for point in points
            for move in moves
            if move in point.moves
        }


def test_halfway_open_the_gate_mixes_old_and_new():
    work = grow_of(DIRECT, ("upgrade 0-3 avg_pool_3x3",))
    child = FAMILY.grow(trained(work), work, 3).eval()
    cell = child.child.stages[0]
    features = child.child.stem(images())
    child.anneal(OPEN_AT / 4)
    assert child.gate == 0.25
    expected = 0.75 * features + 0.25 * cell.edges["0-3"](features)
    torch.testing.assert_close(child.cell(cell, features), expected)


def test_the_gate_rises_from_zero_to_exactly_one_and_stays():
    child = GatedNetwork(build(DIRECT, SKELETON, 1), (0,) * 6, ())
    gates = []
    for step in range(11):
        child.anneal(step / 10)
        gates.append(child.gate)
    assert gates[0] == 0.0
    assert gates == sorted(gates)
    assert gates[5:] == [1.0] * 6


def test_from_nothing_a_child_is_a_fresh_network_without_a_gate():
    work = replace(grow_of(CHAIN, ("add 0-3 nor_conv_3x3",)), inherit="nothing")
    child = FAMILY.grow(trained(work), work, 3)
    assert same(child.state_dict(), build(work.arch, SKELETON, 3).state_dict())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arch": CHAIN}, "make .*, not"),
        ({"moves": ()}, "at least one"),
        ({"moves": ("add 0-3 conv",)}, "was not attached"),
        ({"inherit": "weight"}, "did you mean 'weights'"),
        ({"merge": "add"}, "merge: 'add'"),
    ],
)
def test_a_growth_that_makes_no_sense_is_refused(changes, message):
    work = replace(grow_of(CHAIN, ("add 0-3 nor_conv_3x3",)), **changes)
    with pytest.raises(UsageError, match=message):
        FAMILY.grow(trained(work), work, 3)


def test_multiply_adds_count_every_operation_of_every_candidate():
    """Against a network that really holds them: hooks on each convolution that is called."""
    work = grow_of(OVER_1, ("add 0-3 nor_conv_3x3",)).after
    network = FAMILY.attach(build(OVER_1, SKELETON, 1), work, 2).eval()
    counted = 0

    def count(module: torch.nn.Module, _: object, out: torch.Tensor) -> None:
        nonlocal counted
        counted += module.weight[0].numel() * out[0].numel() + (0 if module.bias is None else module.bias.numel())

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(count)
    network(images(1))
    assert FAMILY.multiply_adds(work) == counted
    assert FAMILY.multiply_adds(work) > 5 * FAMILY.multiply_adds(Evaluate(OVER_1, 1)) > 0
