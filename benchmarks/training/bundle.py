"""Compute K networks with different cells as one: channels side by side, edges bucketed by source and operation.

Every network keeps its own channels from the stem to the logits: convolutions are grouped by network, normalisation
works on single channels, and the classifier is a batched product. So no number of one network depends on another, and
a network that diverges disturbs no other (the fused training of HFTA, Wang et al., MLSys 2021, for unlike networks).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.spaces.nb201 import CONV_1X1, CONV_3X3, EDGES, NONE, POOL, SKIP, Operations, Skeleton, parse
from benchmarks.training.cells import build

_KERNELS = {CONV_1X1: 1, CONV_3X3: 3}
_OUTPUT = 3
_ATEN = torch.ops.aten


@dataclass(frozen=True, slots=True)
class Piece:
    """The part of a wide tensor that belongs to one network.

    Attributes:
        wide: name of the tensor in the bundle.
        part: its rows in that tensor.
        network: the position of the network in the bundle.
        name: the name of the tensor in the network on its own.
    """

    wide: str
    part: slice
    network: int
    name: str


@dataclass(frozen=True, slots=True)
class Route:
    """All edges with one operation out of one node, in all networks.

    Attributes:
        edges: (network, edge index) of each.
        sources: the rows of the node table that they read, (n,); row node * K + network.
        targets: the rows that they add to, (n,).
    """

    operation: int
    edges: tuple[tuple[int, int], ...]
    sources: Tensor
    targets: Tensor


def plan_routes(cells: Sequence[Operations]) -> list[Route]:
    """Return the routes of a bundle in an order of computation; edges that never reach the output are left out."""
    useful = [_reaches_output(cell) for cell in cells]
    count = len(cells)
    routes = []
    for source in range(_OUTPUT):
        for operation in (SKIP, CONV_1X1, CONV_3X3, POOL):
            edges = tuple(
                (network, edge)
                for edge, (start, end) in enumerate(EDGES)
                for network, cell in enumerate(cells)
                if start == source and cell[edge] == operation and end in useful[network]
            )
            if edges:
                sources = torch.tensor([source * count + network for network, _ in edges])
                targets = torch.tensor([EDGES[edge][1] * count + network for network, edge in edges])
                routes.append(Route(operation, edges, sources, targets))
    return routes


def _reaches_output(cell: Operations) -> set[int]:
    """Return the nodes from which a path leads to the output."""
    useful = {_OUTPUT}
    for (source, target), operation in reversed(list(zip(EDGES, cell, strict=True))):
        if operation != NONE and target in useful:
            useful.add(source)
    return useful


def _add(nodes: Tensor, index: Tensor, rows: Tensor) -> None:
    """Add rows to the rows of a table at `index`, in place; channel by channel, which is the faster way to say it."""
    channels = rows.shape[2]
    columns = (index[:, None] * channels + torch.arange(channels)).flatten()
    nodes.flatten(1).index_add_(1, columns, rows.flatten(1))


def _rows(images: Tensor, channels: int) -> Tensor:
    """Return (n, k * c, h, w) as (n * h * w, k, c); a view where the images are channels_last."""
    count, wide, height, width = images.shape
    return images.permute(0, 2, 3, 1).reshape(count * height * width, wide // channels, channels)


def _images(rows: Tensor, size: tuple[int, int, int]) -> Tensor:
    """Return (n * h * w, k, c) as (n, k * c, h, w), channels_last."""
    return rows.reshape(*size, -1).permute(0, 3, 1, 2)


class WideConv(nn.Module):
    """ReLU aside, the ReLU-convolution-normalisation of several networks at once."""

    def __init__(self, networks: int, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        shape = networks * inputs, networks * outputs, kernel
        self.conv = nn.Conv2d(*shape, stride=stride, padding=kernel // 2, groups=networks, bias=False)
        self.norm = nn.BatchNorm2d(networks * outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Return the normalised convolution; (n, k * c, h, w) in and out."""
        result: Tensor = self.norm(self.conv(images))
        return result


class WideCell(nn.Module):
    """The cells at one place of K networks."""

    def __init__(self, routes: Sequence[Route], networks: int, channels: int) -> None:
        super().__init__()
        self.routes, self.networks, self.channels = routes, networks, channels
        self.wides = nn.ModuleList(
            WideConv(len(route.edges), channels, channels, _KERNELS[route.operation])
            for route in routes
            if route.operation in _KERNELS
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the last nodes; (n, k * c, h, w) in and out."""
        result: Tensor = _CellPass.apply(self, images, *self.wides.parameters())
        return result

    def walk(self) -> Iterator[tuple[Route, WideConv | None]]:
        """Yield each route with its convolutions, in the order of computation."""
        wides = iter(self.wides)
        for route in self.routes:
            wide = next(wides) if route.operation in _KERNELS else None
            assert wide is None or isinstance(wide, WideConv)
            yield route, wide


class _CellPass(torch.autograd.Function):
    """The pass through a cell on one table of nodes, and back on one table of gradients.

    Written out by hand because autograd would fill and add a whole node for each bucket that reads a part of it.
    """

    @staticmethod
    def forward(ctx: Any, cell: WideCell, images: Tensor, *_: Tensor) -> Tensor:
        count, _wide, height, width = images.shape
        ctx.cell, ctx.size, ctx.tape = cell, (count, height, width), []
        nodes = images.new_zeros(count * height * width, (_OUTPUT + 1) * cell.networks, cell.channels)
        nodes[:, : cell.networks] = _rows(images, cell.channels)
        keep = cell.training
        for route, wide in cell.walk():
            taken = nodes.index_select(1, route.sources)
            result, saved = _apply(route.operation, wide, taken, ctx.size)
            _add(nodes, route.targets, _rows(result, cell.channels))
            if keep:
                ctx.tape.append((route, wide, taken, saved))
        return _images(nodes[:, _OUTPUT * cell.networks :].contiguous(), ctx.size)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        cell = ctx.cell
        rows = _rows(gradient, cell.channels)
        nodes = rows.new_zeros(rows.shape[0], (_OUTPUT + 1) * cell.networks, cell.channels)
        nodes[:, _OUTPUT * cell.networks :] = rows
        parameters: list[Tensor] = []
        while ctx.tape:
            route, wide, taken, saved = ctx.tape.pop()
            arriving = _images(nodes.index_select(1, route.targets), ctx.size)
            leaving, of_parameters = _retrace(route.operation, wide, taken, saved, arriving)
            _add(nodes, route.sources, _rows(leaving, cell.channels))
            parameters = [*of_parameters, *parameters]
        return None, _images(nodes[:, : cell.networks].contiguous(), ctx.size), *parameters


def _apply(
    operation: int, wide: WideConv | None, taken: Tensor, size: tuple[int, int, int]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return what an operation makes of the rows it took (ReLU changes them in place), and what its way back needs."""
    images = _images(taken, size)
    if wide is None:
        return (images if operation == SKIP else functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False)), ()
    convolved = wide.conv(images.relu_())
    norm = wide.norm
    result, mean, inverse = _ATEN.native_batch_norm(
        convolved, norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.training, norm.momentum, norm.eps
    )
    return result, (convolved, mean, inverse)


def _retrace(
    operation: int, wide: WideConv | None, taken: Tensor, saved: tuple[Tensor, ...], arriving: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Return the gradient of what was taken, and those of the weights."""
    if wide is None and operation == SKIP:
        return arriving, []
    images = _images(taken, (arriving.shape[0], arriving.shape[2], arriving.shape[3]))
    if wide is None:
        pooled = _ATEN.avg_pool2d_backward(arriving, images, [3, 3], [1, 1], [1, 1], False, False, None)
        return pooled, []
    (convolved, mean, inverse), conv, norm = saved, wide.conv, wide.norm
    before, scale, shift = _ATEN.native_batch_norm_backward(
        arriving,
        convolved,
        norm.weight,
        norm.running_mean,
        norm.running_var,
        mean,
        inverse,
        True,
        norm.eps,
        [True] * 3,
    )
    leaving, weight, _ = _ATEN.convolution_backward(
        before, images, conv.weight, None, conv.stride, conv.padding, conv.dilation, False, [0, 0], conv.groups,
        [True, True, False],
    )  # fmt: skip
    return _ATEN.threshold_backward(leaving, images, 0), [weight, scale, shift]


class WideReduction(nn.Module):
    """The residual blocks between two stages of K networks."""

    def __init__(self, networks: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = WideConv(networks, inputs, outputs, 3, stride=2)
        self.second = WideConv(networks, outputs, outputs, 3)
        self.shortcut = nn.Conv2d(networks * inputs, networks * outputs, 1, groups=networks, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the shortcut plus the two convolutions; (n, k * c, h, w) to (n, 2 * k * c, h / 2, w / 2)."""
        shortcut: Tensor = self.shortcut(functional.avg_pool2d(images, 2, 2))
        convolved: Tensor = self.second(self.first(images.relu()).relu())
        return shortcut + convolved


class Bundle(nn.Module):
    """K networks as one."""

    def __init__(self, routes: Sequence[Route], networks: int, skeleton: Skeleton) -> None:
        super().__init__()
        self.count, self.width = networks, skeleton.channels * 4
        width = skeleton.channels
        self.stem = WideConv(self.count, skeleton.image_channels, width, 3)
        self.stages = nn.ModuleList()
        for stage in range(3):
            if stage:
                self.stages.append(WideReduction(self.count, width, 2 * width))
                width *= 2
            self.stages.extend(WideCell(routes, self.count, width) for _ in range(skeleton.cells))
        self.norm = nn.BatchNorm2d(self.count * width)
        self.weight = nn.Parameter(torch.empty(self.count, skeleton.classes, width))
        self.bias = nn.Parameter(torch.empty(self.count, 1, skeleton.classes))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits; (n, k * c, h, w) to (k, n, classes)."""
        features = self.stem(images)
        for stage in self.stages:
            features = stage(features)
        pooled = self.norm(features).relu().mean((2, 3)).view(len(images), self.count, self.width)
        return torch.baddbmm(self.bias, pooled.transpose(0, 1), self.weight.transpose(1, 2))


def assemble(archs: Sequence[str], skeleton: Skeleton, seeds: Sequence[int]) -> Bundle:
    """Return the networks that `seeds` give on their own, as one, on the CPU."""
    routes = plan_routes([parse(arch) for arch in archs])
    with torch.device("meta"):
        bundle = Bundle(routes, len(archs), skeleton)
    bundle = bundle.to_empty(device="cpu")
    wide = bundle.state_dict()
    for name, tensor in wide.items():
        if name.endswith("num_batches_tracked"):
            tensor.zero_()
    alone = [build(arch, skeleton, seed).state_dict() for arch, seed in zip(archs, seeds, strict=True)]
    for piece in pieces(bundle):
        part = wide[piece.wide][piece.part]
        part.copy_(alone[piece.network][piece.name].view(part.shape))
    return bundle


@torch.no_grad()
def extract(bundle: Bundle, network: nn.Module, position: int) -> None:
    """Copy the weights of one network of a bundle into a module of its own.

    Edges that never reach the output of their cell are not part of a bundle and keep what they hold.
    """
    alone, wide = network.state_dict(), bundle.state_dict()
    for piece in pieces(bundle):
        if piece.network == position:
            tensor = alone[piece.name]
            tensor.copy_(wide[piece.wide][piece.part].view(tensor.shape))
    for name, tensor in alone.items():
        if name.endswith("num_batches_tracked"):
            tensor.copy_(wide["norm.num_batches_tracked"])


def pieces(bundle: Bundle) -> Iterator[Piece]:
    """Yield which rows of which tensor belong to which network."""
    everyone = range(bundle.count)
    yield from _pieces_of(bundle.stem, "stem", [(network, "stem.0", "stem.1") for network in everyone])
    for index, stage in enumerate(bundle.stages):
        prefix = f"stages.{index}"
        yield from (
            _cell_pieces(stage, prefix) if isinstance(stage, WideCell) else _block_pieces(stage, prefix, everyone)
        )
    yield from _split(bundle.norm, "norm", [(network, "head.0") for network in everyone])
    for network in everyone:
        yield Piece("weight", slice(network, network + 1), network, "classifier.weight")
        yield Piece("bias", slice(network, network + 1), network, "classifier.bias")


def _cell_pieces(cell: WideCell, prefix: str) -> Iterator[Piece]:
    index = 0
    for route, wide in cell.walk():
        if wide is not None:
            names = [(network, f"{prefix}.edges.{EDGES[edge][0]}-{EDGES[edge][1]}") for network, edge in route.edges]
            owners = [(network, f"{name}.1", f"{name}.2") for network, name in names]
            yield from _pieces_of(wide, f"{prefix}.wides.{index}", owners)
            index += 1


def _block_pieces(block: nn.Module, prefix: str, everyone: Sequence[int]) -> Iterator[Piece]:
    for name in ("first", "second"):
        owners = [(network, f"{prefix}.{name}.1", f"{prefix}.{name}.2") for network in everyone]
        yield from _pieces_of(block.get_submodule(name), f"{prefix}.{name}", owners)
    yield from _split(
        block.get_submodule("shortcut"),
        f"{prefix}.shortcut",
        [(network, f"{prefix}.shortcut.1") for network in everyone],
    )


def _pieces_of(wide: nn.Module, prefix: str, owners: Sequence[tuple[int, str, str]]) -> Iterator[Piece]:
    yield from _split(wide.get_submodule("conv"), f"{prefix}.conv", [(network, conv) for network, conv, _ in owners])
    yield from _split(wide.get_submodule("norm"), f"{prefix}.norm", [(network, norm) for network, _, norm in owners])


def _split(module: nn.Module, prefix: str, owners: Sequence[tuple[int, str]]) -> Iterator[Piece]:
    """Yield equal parts of every tensor of a module, one for each owner in turn."""
    for name, tensor in module.state_dict().items():
        if tensor.ndim:
            rows = len(tensor) // len(owners)
            for position, (network, owner) in enumerate(owners):
                yield Piece(
                    f"{prefix}.{name}", slice(position * rows, (position + 1) * rows), network, f"{owner}.{name}"
                )
