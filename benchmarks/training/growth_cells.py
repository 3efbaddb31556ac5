"""Build the networks of the growth space as plain torch modules, with weights drawn from generators of their own.

Operations follow Petridish (Hu et al., NeurIPS 2019): ReLU, (separable) convolution, normalisation; pools and identity
without normalisation. Where an input has other channels or another resolution than its cell, a separable convolution
changes both itself; pools take a stride, the identity averages 2x2 pixels, and a 1x1 projection follows them.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from benchmarks.spaces.growth_size import SEED_PAIRS, GrowthSkeleton, Position
from benchmarks.spaces.growth_text import Layer, Pair, Plan, parse
from benchmarks.training.cells import ReLUConvBN, initialise
from benchmarks.training.drop_path import Path
from harness.core.seeds import SeedTree


class SeparableConv(nn.Sequential):
    """ReLU, a depthwise and a pointwise convolution without biases, batch normalisation."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        padding = dilation * (kernel // 2)
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(inputs, inputs, kernel, stride, padding, dilation, groups=inputs, bias=False),
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )


def build_pair(position: Position, pair: Pair) -> nn.Module:
    """Return the module of one operation on one input of the cell at a position."""
    source = position.source(pair.source)
    inputs, outputs, stride = source.channels, position.shape.channels, source.size // position.shape.size
    kernel = 5 if pair.operation.endswith("5x5") else 3
    if pair.operation.startswith("dil-sep"):
        return SeparableConv(inputs, outputs, kernel, stride, dilation=2)
    if pair.operation.startswith("sep"):
        return nn.Sequential(SeparableConv(inputs, outputs, kernel, stride), SeparableConv(outputs, outputs, kernel))
    reduced = _pool(pair.operation, stride)
    return reduced if inputs == outputs else nn.Sequential(reduced, ReLUConvBN(inputs, outputs, 1))


def _pool(operation: str, stride: int) -> nn.Module:
    if operation == "max3x3":
        return nn.MaxPool2d(3, stride, padding=1)
    if operation == "avg3x3":
        return nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
    return nn.Identity() if stride == 1 else nn.AvgPool2d(stride, stride)


class Added(nn.Module):
    """A layer that was added to a cell: its operations, what joins them, and the gate of its sum into the output.

    Attributes:
        gate: a learnable scalar; 1 in a network that is trained from scratch, 0 in one that was just grown.
        weights: of the operations in a weighted sum, (pairs,); they start at one over their number. None elsewhere.
    """

    def __init__(self, layer: Layer, operations: list[nn.Module], channels: int) -> None:
        super().__init__()
        self.sources = [pair.source for pair in layer.pairs]
        self.operations = nn.ModuleDict(
            {key_of(pair): operation for pair, operation in zip(layer.pairs, operations, strict=True)}
        )
        count = len(layer.pairs)
        self.weights = nn.Parameter(torch.empty(count)) if layer.merge == "sum" else None
        self.project = None if layer.merge == "sum" else ReLUConvBN(count * channels, channels, 1)
        self.gate = nn.Parameter(torch.empty(()))

    @torch.no_grad()
    def reset(self, gate: float = 1.0) -> None:
        """Set the gate, and the weights of a sum to equal shares."""
        self.gate.fill_(gate)
        if self.weights is not None:
            self.weights.fill_(1.0 / len(self.weights))

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return the layer before its gate; every tensor that it gives has the shape of the cell's output."""
        values = [
            operation(inputs[source]) for source, operation in zip(self.sources, self.operations.values(), strict=True)
        ]
        if self.weights is None:
            assert self.project is not None
            return cast("Tensor", self.project(torch.cat(values, 1)))
        terms: list[Tensor] = [weight * value for weight, value in zip(self.weights, values, strict=True)]
        return sum(terms[1:], start=terms[0])


def key_of(pair: Pair) -> str:
    """Return the name of an operation's module; torch allows no dot in it."""
    return f"{pair.source}-{pair.operation}"


class GrownCell(nn.Module):
    """A cell: the seed's operations on `c1` and the gated layers that were added, all summed into its output."""

    def __init__(self, position: Position, layers: tuple[Layer, ...]) -> None:
        super().__init__()
        self.seed = nn.ModuleDict({pair.operation: build_pair(position, pair) for pair in SEED_PAIRS})
        self.added = nn.ModuleList(
            Added(layer, [build_pair(position, pair) for pair in layer.pairs], position.shape.channels)
            for layer in layers
        )

    def forward(self, c2: Tensor, c1: Tensor) -> Tensor:
        """Return the output of the cell from those of the two before."""
        return self.parts(c2, c1)[0]

    def parts(self, c2: Tensor, c1: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the output, and by name everything that a further layer of this cell may read."""
        first, *others = (operation(c1) for operation in self.seed.values())
        total: Tensor = sum(others, start=first)
        inputs = {"c2": c2, "c1": c1}
        for number, module in enumerate(self.added, start=1):
            layer = cast("Added", module)
            value = layer(inputs)
            inputs[f"l{number}"] = value
            total = total + layer.gate * value
        return total, inputs

    def droppable(self) -> list[nn.Module]:
        """Return every operation but identities, those of the seed first."""
        operations = list(self.seed.items())
        for module in self.added:
            operations += cast("Added", module).operations.items()
        return [operation for name, operation in operations if not name.endswith("identity")]


class GrownNetwork(nn.Module):
    """Stem, cells, head; each cell reads the outputs of the two before it, the first two those of the stem.

    Attributes:
        plan: the architecture as data.
        skeleton: the network around the cells.
    """

    def __init__(self, plan: Plan, skeleton: GrowthSkeleton) -> None:
        super().__init__()
        self.plan, self.skeleton = plan, skeleton
        self.stem = nn.Sequential(
            nn.Conv2d(skeleton.image_channels, skeleton.stem.channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(skeleton.stem.channels),
        )
        positions = skeleton.positions(plan.form)
        self.cells = nn.ModuleList(GrownCell(position, plan.layers[position.slot]) for position in positions)
        width = positions[-1].shape.channels
        self.head = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU())
        self.classifier = nn.Linear(width, skeleton.classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits; (n, c, h, w) to (n, classes)."""
        before, last = (self.stem(images),) * 2
        for cell in self.cells:
            before, last = last, cell(before, last)
        return self.classify(last)

    def classify(self, features: Tensor) -> Tensor:
        """Return the logits from the output of the last cell."""
        # A mean over both axes: the same as adaptive pooling, with a deterministic backward pass.
        return cast("Tensor", self.classifier(self.head(features).mean((2, 3))))

    def paths(self) -> list[Path]:
        """Return the operations that can be dropped, in the order of the cells."""
        cells = len(self.cells)
        return [
            Path(operation, number / cells)
            for number, cell in enumerate(self.cells, start=1)
            for operation in cast("GrownCell", cell).droppable()
        ]


def build_grown(arch: str, skeleton: GrowthSkeleton, seed: int) -> GrownNetwork:
    """Return a network on the CPU as it is trained from scratch, with the weights that `seed` gives.

    Raises:
        UsageError: the text is no architecture.
    """
    network = empty_network(parse(arch), skeleton)
    initialise_parts(network, seed)
    return network


def empty_network(plan: Plan, skeleton: GrowthSkeleton) -> GrownNetwork:
    """Return a network on the CPU whose weights are whatever stood in memory."""
    with torch.device("meta"):
        network = GrownNetwork(plan, skeleton)
    return network.to_empty(device="cpu")


def initialise_parts(module: nn.Module, seed: int, prefix: str = "") -> None:
    """Draw every weight in place, each layer from a generator seeded by `seed` and the layer's name.

    A layer that is added shifts no other. Gates of added layers are 1.

    Args:
        module: a network, or a part of one.
        seed: of all names.
        prefix: the name of that part in its network.
    """
    for name, part in module.named_modules(prefix=prefix):
        if isinstance(part, Added):
            part.reset()
        elif next(part.parameters(recurse=False), None) is not None:
            initialise(part, SeedTree.root("weights", seed).child(name).seed())
