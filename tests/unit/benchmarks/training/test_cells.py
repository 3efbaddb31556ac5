from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.spaces.nb201 import CONV_1X1, CONV_3X3, NONE, POOL, SKIP, NasBench201, Skeleton, compose
from benchmarks.training.cells import Cell, Network, Reduction, build, build_operation, initialise

DIGITS = Skeleton(channels=4, cells=2, image_size=8, image_channels=1)


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("cell", [(0,) * 6, (2,) * 6, (3,) * 6, (3, 1, 2, 4, 0, 3), (4, 2, 3, 3, 1, 0)])
def test_parameters_are_those_published_for_cifar10(cell: tuple[int, ...]) -> None:
    millions = 0.073306 + 0.028 * cell.count(CONV_1X1) + 0.24304 * cell.count(CONV_3X3)
    assert _parameters(build(compose(cell), Skeleton(), 0)) == round(millions * 1e6)


def test_sizes_are_the_closed_forms_and_what_torch_counts() -> None:
    rng = np.random.default_rng(0)
    skeleton = Skeleton(channels=4, cells=1, image_size=8, image_channels=1)
    for arch in [NasBench201().sample(rng) for _ in range(6)]:
        network = build(arch, skeleton, 0).eval()
        assert _parameters(network) == skeleton.parameters(arch)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(torch.zeros(1, 1, 8, 8))
        # torch counts two operations for each multiply-add and leaves the ten shifts of the linear layer out.
        assert counter.get_total_flops() / 2 + skeleton.classes == skeleton.multiply_adds(arch)


def test_stages_halve_the_resolution_and_double_the_channels() -> None:
    network = build(compose((3,) * 6), DIGITS, 0)
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    features, shapes = network.stem(torch.zeros(2, 1, 8, 8)), []
    for stage in network.stages:
        features = stage(features)
        shapes.append((type(stage), tuple(features.shape[1:])))
    assert shapes == [
        *[(Cell, (4, 8, 8))] * 2, (Reduction, (8, 4, 4)), *[(Cell, (8, 4, 4))] * 2,
        (Reduction, (16, 2, 2)), *[(Cell, (16, 2, 2))] * 2,
    ]  # fmt: skip


def test_operations_compute_what_their_names_say() -> None:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(5, 3, 4, 4, generator=generator)
    assert torch.equal(build_operation(SKIP, 3)(images), images)
    pooled = build_operation(POOL, 3)(images)
    assert torch.allclose(pooled[:, :, 1, 2], images[:, :, 0:3, 1:4].mean((2, 3)))
    assert torch.allclose(pooled[:, :, 0, 0], images[:, :, :2, :2].mean((2, 3)))  # the border counts what is there
    for operation, kernel in ((CONV_1X1, 1), (CONV_3X3, 3)):
        module = build_operation(operation, 3)
        initialise(module, 7)
        weight = next(module.parameters())
        assert weight.shape == (3, 3, kernel, kernel)
        reach = kernel // 2
        padded = nn.functional.pad(images.clamp(min=0), (reach,) * 4)
        windows = padded.unfold(2, kernel, 1).unfold(3, kernel, 1)
        convolved = torch.einsum("nchwij,ocij->nohw", windows, weight)
        mean, var = convolved.mean((0, 2, 3), keepdim=True), convolved.var((0, 2, 3), correction=0, keepdim=True)
        assert torch.allclose(module(images), (convolved - mean) / (var + 1e-5).sqrt(), atol=1e-5)


def test_a_cell_adds_its_edges() -> None:
    images = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    assert torch.equal(Cell((SKIP,) * 6, 3)(images), 4 * images)  # paths 0-3, 0-1-3, 0-2-3 and 0-1-2-3
    assert torch.equal(Cell((NONE, SKIP, NONE, NONE, NONE, SKIP), 3)(images), images)
    assert torch.equal(Cell((NONE, NONE, SKIP, NONE, NONE, SKIP), 3)(images), torch.zeros_like(images))


def test_a_convolution_after_nothing_still_adds_its_shift() -> None:
    cell = Cell((NONE, NONE, NONE, NONE, NONE, CONV_1X1), 3)
    norm = next(module for module in cell.modules() if isinstance(module, nn.BatchNorm2d))
    with torch.no_grad():
        norm.bias.fill_(0.5)
    assert torch.equal(cell(torch.randn(2, 3, 4, 4, generator=torch.Generator())), torch.full((2, 3, 4, 4), 0.5))


def test_the_residual_block_adds_a_pooled_shortcut() -> None:
    block = Reduction(2, 4)
    initialise(block, 3)
    images = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(2))
    pooled = images.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    shortcut = torch.einsum("nchw,oc->nohw", pooled, block.shortcut[1].weight[:, :, 0, 0])
    assert torch.allclose(block(images) - block.second(block.first(images)), shortcut, atol=1e-5)


def test_weights_are_torchs_defaults_from_an_own_generator(mixed: str) -> None:
    before = torch.get_rng_state()
    network = build(mixed, Skeleton(cells=1), 5)
    assert torch.equal(before, torch.get_rng_state())
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = 1 / math.sqrt(module.weight[0].numel())
            assert module.weight.abs().max() <= bound
            assert module.weight.abs().max() > 0.9 * bound
            # a uniform distribution has the deviation bound / sqrt(3)
            assert module.weight.std().item() * math.sqrt(3) == pytest.approx(bound, rel=0.15)
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert (module.bias == 0).all()
            assert (module.running_mean == 0).all()
            assert (module.running_var == 1).all()
            assert module.eps == 1e-5
            assert module.num_batches_tracked == 0


def test_a_seed_gives_the_weights_and_shared_layers_share_them(mixed: str) -> None:
    first, again, other = (build(mixed, DIGITS, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["stem.0.weight"], other["stem.0.weight"])
    lighter = build(compose((3, 1, 2, 4, 0, 1)), DIGITS, 1).state_dict()
    assert set(lighter) < set(first)
    assert all(torch.equal(first[name], lighter[name]) for name in lighter)


def test_layers_draw_different_weights() -> None:
    weights = [w for name, w in build(compose((3,) * 6), DIGITS, 1).named_parameters() if "stages.0.edges" in name]
    convolutions = [weight.flatten() for weight in weights if weight.dim() == 4]
    assert len({tuple(weight.tolist()) for weight in convolutions}) == 6


def test_a_layer_without_a_rule_is_refused() -> None:
    with pytest.raises(TypeError, match="no rule initialises a GroupNorm"):
        initialise(nn.Sequential(nn.GroupNorm(1, 2)), 0)


def test_the_head_averages_over_the_image(mixed: str) -> None:
    network = build(mixed, DIGITS, 1).eval()
    images = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    features = network.stem(images)
    for stage in network.stages:
        features = stage(features)
    adaptive = nn.functional.adaptive_avg_pool2d(network.head(features), 1).flatten(1)
    assert torch.allclose(network(images), network.classifier(adaptive), atol=1e-6)
    assert isinstance(network, Network)
