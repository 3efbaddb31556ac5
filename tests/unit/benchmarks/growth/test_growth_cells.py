from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks.spaces.growth import GrowthSpace
from benchmarks.spaces.growth_size import GrowthSkeleton
from benchmarks.spaces.growth_text import OPERATIONS, parse
from benchmarks.training.growth_cells import Added, build_grown
from harness.core.types import Arch

SMALL = GrowthSkeleton(channels=4, cells=1, image_size=8, image_channels=1)
WIDE = GrowthSkeleton(channels=3, cells=2, reductions=1, stem_rate=2, image_size=16)


def counted(network: nn.Module, skeleton: GrowthSkeleton) -> tuple[int, int]:
    """Return parameters, and the multiply-adds of convolutions and linear layers, as torch computes them."""
    seen: list[int] = []

    def convolution(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        seen.append(module.weight[0].numel() * output.shape[1] * output.shape[2] * output.shape[3])

    def linear(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, nn.Linear)
        seen.append((module.in_features + 1) * output.shape[1])

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(convolution)
        elif isinstance(module, nn.Linear):
            module.register_forward_hook(linear)
    network.eval()(torch.zeros(1, skeleton.image_channels, skeleton.image_size, skeleton.image_size))
    return sum(parameter.numel() for parameter in network.parameters()), sum(seen)


@pytest.mark.parametrize("form", ["cell", "macro"])
@pytest.mark.parametrize("skeleton", [SMALL, WIDE])
@pytest.mark.parametrize("merge", ["concat", "sum"])
def test_the_closed_form_counts_what_torch_counts(form: str, skeleton: GrowthSkeleton, merge: str) -> None:
    space = GrowthSpace(skeleton, form=form, merge=merge)
    rng = np.random.default_rng(0)
    for arch in (*space.seeds(), *(space.sample(rng) for _ in range(3))):
        assert counted(build_grown(arch, skeleton, 0), skeleton) == tuple(space.count(arch))


def test_every_operation_on_every_input_counts_and_keeps_the_shape() -> None:
    space = GrowthSpace(WIDE)
    (seed,) = space.seeds()
    for move in space.moves(seed):
        arch = space.grow(seed, [move])
        assert counted(build_grown(arch, WIDE, 0), WIDE) == tuple(space.count(arch)), move


def test_a_repeated_macro_network_counts_too() -> None:
    skeleton = GrowthSkeleton(channels=3, cells=2, reductions=1, image_size=8, repeat=2)
    arch = "macro 1[concat(c2.sep3x3)] 2[] 3[sum(c1.sep5x5+c1.identity)]"
    network = build_grown(arch, skeleton, 0)
    assert counted(network, skeleton) == tuple(skeleton.count(parse(arch)))
    assert [len(cell.added) for cell in network.cells] == [1, 1, 0, 1, 1]


def test_weights_follow_from_the_seed_and_nothing_else() -> None:
    arch = Arch("cell normal[concat(c2.max3x3+c1.sep3x3)] reduction[sum(c1.dil-sep5x5)]")
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = build_grown(arch, SMALL, 5).state_dict()
    torch.manual_seed(2)
    second, other = build_grown(arch, SMALL, 5).state_dict(), build_grown(arch, SMALL, 6).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["stem.0.weight"], other["stem.0.weight"])
    torch.manual_seed(1)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_further_layer_shifts_no_weight() -> None:
    space = GrowthSpace(SMALL)
    rng = np.random.default_rng(4)
    arch = space.sample(rng)
    small = build_grown(arch, SMALL, 9).state_dict()
    large = build_grown(space.grow(arch, space.moves(arch)[:2]), SMALL, 9).state_dict()
    assert len(large) > len(small)
    assert all(torch.equal(small[name], large[name]) for name in small)


def test_no_two_layers_draw_the_same_weights() -> None:
    arch = "cell normal[concat(c1.sep3x3) concat(c1.sep3x3)] reduction[]"
    weights = [
        value.flatten()[:4].tolist()
        for name, value in build_grown(arch, SMALL, 1).named_parameters()
        if value.dim() > 1
    ]
    assert len({tuple(each) for each in weights}) == len(weights)


def test_gates_are_open_from_scratch_and_shares_are_equal() -> None:
    network = build_grown("cell normal[sum(c2.max3x3+c1.identity)] reduction[concat(c1.identity)]", SMALL, 0)
    added = [module for module in network.modules() if isinstance(module, Added)]
    assert [layer.gate.item() for layer in added] == [1.0] * 5
    assert added[0].weights is not None
    assert added[0].weights.tolist() == [0.5, 0.5]
    assert added[1].weights is None


def test_the_seed_cell_is_a_separable_convolution_plus_its_input() -> None:
    network = build_grown("cell normal[] reduction[]", SMALL, 0).eval()
    cell, values = network.cells[0], torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(cell(torch.zeros_like(values), values), cell.seed["sep3x3"](values) + values)


def test_a_layer_reads_the_layers_before_it_ungated() -> None:
    network = build_grown("cell normal[concat(c1.sep3x3) concat(l1.identity)] reduction[]", SMALL, 0).eval()
    cell, values = network.cells[0], torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    open_ = cell.parts(values, values)[1]
    with torch.no_grad():
        cell.added[0].gate.zero_()
    total, closed = cell.parts(values, values)
    assert torch.equal(open_["l2"], closed["l2"])
    assert torch.equal(total, cell.seed["sep3x3"](values) + values + closed["l2"])


def test_every_weight_learns() -> None:
    space = GrowthSpace(SMALL)
    (seed,) = space.seeds()
    half = space.moves(seed)[::2]
    network = build_grown(space.grow(seed, half), SMALL, 0)
    network(torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))).square().sum().backward()
    idle = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert idle == []
    assert {str(move).partition(".")[2] for move in half} <= set(OPERATIONS)
