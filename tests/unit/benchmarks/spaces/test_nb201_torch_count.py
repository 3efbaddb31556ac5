"""The closed-form sizes against what torch counts on networks that are really built."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks.spaces.nb201 import NasBench201, Skeleton, compose
from benchmarks.training.cells import build
from harness.core.types import Arch

SPACE = NasBench201()
EXTREMES = [compose((operation,) * 6) for operation in range(5)]
DRAWN = np.random.default_rng(0).choice(len(SPACE), size=45, replace=False).tolist()
SAMPLE = [*EXTREMES, *(SPACE.arch(index) for index in DRAWN)]


@contextmanager
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def counted(network: nn.Module, image: Tensor) -> int:
    """Run one image and add up what each convolution and linear layer multiplies and adds, as the official API does."""
    total = 0

    def convolution(layer: nn.Conv2d, _: object, output: Tensor) -> None:
        nonlocal total
        total += output[0].numel() * layer.weight[0].numel()

    def linear(layer: nn.Linear, _: object, output: Tensor) -> None:
        nonlocal total
        total += layer.weight.numel() + (0 if layer.bias is None else output[0].numel())

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            assert layer.bias is None
            assert layer.groups == 1
            layer.register_forward_hook(convolution)
        elif isinstance(layer, nn.Linear):
            layer.register_forward_hook(linear)
    with torch.no_grad(), one_thread():
        network.eval()(image)
    return total


def test_the_sample_has_fifty_different_cells() -> None:
    assert len(set(SAMPLE)) == 50


@pytest.mark.parametrize("arch", SAMPLE)
def test_the_cifar_network_has_the_size_of_the_formulas(arch: Arch) -> None:
    skeleton = Skeleton()
    network = build(arch, skeleton, seed=0)
    assert sum(weights.numel() for weights in network.parameters()) == skeleton.parameters(arch)
    assert counted(network, torch.zeros(1, 3, 32, 32)) == skeleton.multiply_adds(arch)


@pytest.mark.parametrize(
    "skeleton",
    [Skeleton(channels=4, cells=1, image_size=8, image_channels=1), Skeleton(channels=7, cells=2, classes=100)],
)
def test_other_skeletons_have_the_size_of_the_formulas(skeleton: Skeleton) -> None:
    for arch in SAMPLE[:12]:
        network = build(arch, skeleton, seed=1)
        image = torch.zeros(1, skeleton.image_channels, skeleton.image_size, skeleton.image_size)
        assert sum(weights.numel() for weights in network.parameters()) == skeleton.parameters(arch)
        assert counted(network, image) == skeleton.multiply_adds(arch)
