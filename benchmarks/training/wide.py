"""Compute the cells, and the blocks between the stages, of several networks at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.spaces.nb201 import CONV_1X1, CONV_3X3, SKIP
from benchmarks.training.routes import OUTPUT, Route

_KERNELS = {CONV_1X1: 1, CONV_3X3: 3}
_ATEN = torch.ops.aten


def _add(nodes: Tensor, index: Tensor, rows: Tensor, stretches: Sequence[slice] = (slice(None),)) -> None:
    """Add rows to the rows of a table at `index`, in place; within a stretch of `index`, no row stands twice.

    On an accelerator an addition to one place from two threads has no fixed order, so there each stretch is an
    operation of its own, and the bits are the same on every call. On the CPU the order is that of `index` in any case,
    and channel by channel is the faster way to say it.
    """
    if nodes.device.type != "cpu":
        for part in stretches:
            nodes.index_add_(1, index[part], rows[:, part])
        return
    channels = rows.shape[2]
    columns = (index[:, None] * channels + torch.arange(channels)).flatten()
    nodes.flatten(1).index_add_(1, columns, rows.flatten(1))


def convolve(conv: nn.Conv2d, images: Tensor) -> Tensor:
    """Return the convolution of images in their own precision, whatever the precision of the weights."""
    weight = conv.weight.to(images.dtype)
    return functional.conv2d(images, weight, None, conv.stride, conv.padding, conv.dilation, conv.groups)


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
        result: Tensor = self.norm(convolve(self.conv, images))
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
        nodes = images.new_zeros(count * height * width, (OUTPUT + 1) * cell.networks, cell.channels)
        nodes[:, : cell.networks] = _rows(images, cell.channels)
        keep = cell.training
        for route, wide in cell.walk():
            taken = nodes.index_select(1, route.sources)
            result, saved = _apply(route.operation, wide, taken, ctx.size)
            _add(nodes, route.targets, _rows(result, cell.channels))
            if keep:
                ctx.tape.append((route, wide, taken, saved))
        return _images(nodes[:, OUTPUT * cell.networks :].contiguous(), ctx.size)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        cell = ctx.cell
        rows = _rows(gradient, cell.channels)
        nodes = rows.new_zeros(rows.shape[0], (OUTPUT + 1) * cell.networks, cell.channels)
        nodes[:, OUTPUT * cell.networks :] = rows
        parameters: list[Tensor] = []
        while ctx.tape:
            route, wide, taken, saved = ctx.tape.pop()
            arriving = _images(nodes.index_select(1, route.targets), ctx.size)
            leaving, of_parameters = _retrace(route.operation, wide, taken, saved, arriving)
            _add(nodes, route.sources, _rows(leaving, cell.channels), route.stretches)
            parameters = [*of_parameters, *parameters]
        return None, _images(nodes[:, : cell.networks].contiguous(), ctx.size), *parameters


def _apply(
    operation: int, wide: WideConv | None, taken: Tensor, size: tuple[int, int, int]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return what an operation makes of the rows it took (ReLU changes them in place), and what its way back needs."""
    images = _images(taken, size)
    if wide is None:
        return (images if operation == SKIP else functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False)), ()
    convolved = convolve(wide.conv, images.relu_())
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
        before, images, conv.weight.to(images.dtype), None,
        conv.stride, conv.padding, conv.dilation, False, [0, 0], conv.groups, [True, True, False],
    )  # fmt: skip
    return _ATEN.threshold_backward(leaving, images, 0), [weight.to(conv.weight.dtype), scale, shift]


class WideReduction(nn.Module):
    """The residual blocks between two stages of K networks."""

    def __init__(self, networks: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = WideConv(networks, inputs, outputs, 3, stride=2)
        self.second = WideConv(networks, outputs, outputs, 3)
        self.shortcut = nn.Conv2d(networks * inputs, networks * outputs, 1, groups=networks, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the shortcut plus the two convolutions; (n, k * c, h, w) to (n, 2 * k * c, h / 2, w / 2)."""
        shortcut: Tensor = convolve(self.shortcut, functional.avg_pool2d(images, 2, 2))
        convolved: Tensor = self.second(self.first(images.relu()).relu())
        return shortcut + convolved
