"""Build NAS-Bench-201 networks as plain torch modules, with weights drawn from an own generator.

The skeleton and the operations are those of Dong and Yang, "NAS-Bench-201" (ICLR 2020), and its official code. The
one liberty is global pooling by a mean over the two image axes, which computes the same as adaptive pooling and has a
deterministic backward pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmarks.spaces.nb201 import CONV_1X1, CONV_3X3, EDGES, NONE, POOL, SKIP, Operations, Skeleton, parse
from harness.core.seeds import SeedTree


class ReLUConvBN(nn.Sequential):
    """ReLU, a convolution without bias, batch normalisation."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
        )


def build_operation(operation: int, channels: int) -> nn.Module:
    """Return the module of one edge; `NONE` has none and must not be asked for."""
    if operation == SKIP:
        return nn.Identity()
    if operation == POOL:
        return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    return ReLUConvBN(channels, channels, {CONV_1X1: 1, CONV_3X3: 3}[operation])


class Cell(nn.Module):
    """A cell of four nodes: each is the sum of its incoming edges, zero where there is none."""

    def __init__(self, operations: Operations, channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleDict(
            {
                f"{source}-{target}": build_operation(operation, channels)
                for (source, target), operation in zip(EDGES, operations, strict=True)
                if operation != NONE
            }
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the last node; (n, c, h, w) in and out."""
        nodes: list[Tensor] = [inputs]
        for target in range(1, 4):
            nodes.append(self.node(target, nodes))
        return nodes[-1]

    def node(self, target: int, nodes: Sequence[Tensor]) -> Tensor:
        """Return a node from all those before it."""
        terms = [
            self.edges[f"{source}-{target}"](nodes[source])
            for source in range(target)
            if f"{source}-{target}" in self.edges
        ]
        # A node that nothing reaches stays a tensor of zeros: a convolution after it still adds its shift.
        return sum(terms[1:], start=terms[0]) if terms else torch.zeros_like(nodes[0])


class Reduction(nn.Module):
    """The residual block between two stages: half the resolution, twice the channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = ReLUConvBN(inputs, outputs, 3, stride=2)
        self.second = ReLUConvBN(outputs, outputs, 3)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, stride=2), nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the shortcut plus the two convolutions; (n, c, h, w) to (n, 2c, h/2, w/2)."""
        shortcut: Tensor = self.shortcut(inputs)
        residual: Tensor = self.second(self.first(inputs))
        return shortcut + residual


class Network(nn.Module):
    """Stem, three stages of cells with residual blocks between them, head.

    Attributes:
        skeleton: the network around the cells.
    """

    def __init__(self, arch: str, skeleton: Skeleton) -> None:
        super().__init__()
        self.skeleton = skeleton
        operations, width = parse(arch), skeleton.channels
        self.stem = nn.Sequential(
            nn.Conv2d(skeleton.image_channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        )
        self.stages = nn.ModuleList()
        for stage in range(3):
            if stage:
                self.stages.append(Reduction(width, 2 * width))
                width *= 2
            self.stages.extend(Cell(operations, width) for _ in range(skeleton.cells))
        self.head = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU())
        self.classifier = nn.Linear(width, skeleton.classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits; (n, c, h, w) to (n, classes)."""
        features = self.stem(images)
        for stage in self.stages:
            features = stage(features)
        return self.classify(features)

    def classify(self, features: Tensor) -> Tensor:
        """Return the logits of what the last cell gives; (n, c, h, w) to (n, classes)."""
        logits: Tensor = self.classifier(self.head(features).mean((2, 3)))
        return logits


def build(arch: str, skeleton: Skeleton, seed: int) -> Network:
    """Return the network on the CPU with the weights that `seed` gives, without touching torch's global generator."""
    with torch.device("meta"):
        network = Network(arch, skeleton)
    network = network.to_empty(device="cpu")
    initialise(network, seed)
    return network


def initialise(network: nn.Module, seed: int) -> None:
    """Draw every weight in place, as torch does by default: uniform within 1 / sqrt(fan in), normalisation at 1 and 0.

    Each layer draws from a generator of its own, seeded by `seed` and the layer's name: networks of one seed share the
    weights of the layers that they have in common, and an added layer shifts no other.

    Raises:
        TypeError: a layer with weights is neither a convolution, nor linear, nor batch normalisation.
    """
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()  # constants; no generator is asked
        elif isinstance(module, nn.Conv2d | nn.Linear):
            _draw(module, SeedTree.root("weights", seed).child(name).seed())
        elif next(module.parameters(recurse=False), None) is not None:
            raise TypeError(f"{name}: no rule initialises a {type(module).__name__}")


def _draw(module: nn.Conv2d | nn.Linear, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    bound = 1 / math.sqrt(module.weight[0].numel())
    with torch.no_grad():
        module.weight.uniform_(-bound, bound, generator=generator)
        if module.bias is not None:
            module.bias.uniform_(-bound, bound, generator=generator)
