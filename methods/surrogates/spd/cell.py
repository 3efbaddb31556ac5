"""Take the cells of NAS-Bench-201 as motifs: a masked super-cell computes every operation on every edge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, relu

from methods.surrogates.cells201 import CONV_1X1, CONV_3X3, EDGES, POOL, SKIP, operations
from methods.surrogates.spd.motif import Params

EPSILON = 1e-3
TAPS = 9
LEAVING = tuple(tuple(edge for edge, (source, _) in enumerate(EDGES) if source == node) for node in range(3))
"""The edges that leave each node but the last, in the order of their targets."""


@dataclass(frozen=True)
class CellMotif:
    """A tiny network around one cell: convolution, normalisation, the cell, rectifier, mean over pixels, linear layer.

    Operations are those of NAS-Bench-201: zero, identity, rectifier - convolution - normalisation with kernels of 1x1
    and 3x3, and 3x3 averages that leave the border out of the count. Normalisation has the statistics of the batch at
    all times and no weights of its own. Every edge has a weight for each of its convolutions, whatever the cell holds
    there, so that all motifs share one graph and one initialisation; a mask picks the operation.

    Attributes:
        channels: of the cell.
        size: pixels along a side of the synthetic images, which have one channel.
        outputs: labels of an image.
    """

    name: ClassVar[str] = "nb201-cell"
    channels: int = 4
    size: int = 4
    outputs: int = 10

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one image."""
        return (self.size, self.size)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the logits of one image."""
        return (self.outputs,)

    def init(self, generator: torch.Generator) -> Params:
        """Draw weights from N(0, 2 / fan-in), the last layer from N(0, 1 / fan-in), and its biases as zeros."""
        width = self.channels
        params: Params = {"stem": self._draw(generator, width, TAPS)}
        for node, edges in enumerate(LEAVING):
            params[f"wide{node}"] = self._draw(generator, len(edges) * width, width * TAPS)
            params[f"point{node}"] = self._draw(generator, len(edges) * width, width)
        params["weight"] = self._draw(generator, width, self.outputs) * math.sqrt(self.outputs / width / 2)
        params["bias"] = torch.zeros(1, self.outputs, dtype=torch.float64)
        return params

    @staticmethod
    def _draw(generator: torch.Generator, rows: int, fan_in: int) -> Tensor:
        return torch.randn(rows, fan_in, generator=generator, dtype=torch.float64) * math.sqrt(2 / fan_in)

    def encode(self, descriptions: Sequence[Any]) -> Tensor:
        """Return the masks of cells in canonical text, (M, 40).

        Three matrices, one for each node that edges leave, (edges, 2 + 2 edges) each, row by row: what an edge takes
        of identity, average, and the 3x3 and the 1x1 convolutions of all edges that leave the node.

        Raises:
            UsageError: a text is no cell.
        """
        return torch.stack([_mask(operations(str(cell))) for cell in descriptions])

    def forward(self, params: Params, inputs: Tensor, motifs: Tensor) -> Tensor:
        """Return the logits, (B, images, outputs).

        Args:
            params: weights with a leading motif axis, (B, ...) each.
            inputs: images, (B, images, size, size).
            motifs: masks, (B, 40).
        """
        batch, images = inputs.shape[:2]
        state = _normalised(torch.bmm(params["stem"], self._patches(inputs.reshape(batch, 1, images, -1))))
        nodes = [state.view(batch, self.channels, images, -1)]
        flow: list[list[Tensor]] = [[], [], []]
        masks = torch.split(motifs, [len(edges) * (2 + 2 * len(edges)) for edges in LEAVING], dim=1)
        for node, edges in enumerate(LEAVING):
            leaving = self._leave(nodes[node], params[f"wide{node}"], params[f"point{node}"], masks[node], len(edges))
            for target, part in enumerate(leaving.unbind(1), start=node):
                flow[target].append(part)
            nodes.append(sum(flow[node][1:], start=flow[node][0]).view_as(nodes[0]))
        pooled = relu(nodes[-1]).mean(-1).transpose(1, 2)
        return torch.baddbmm(params["bias"], pooled, params["weight"])

    def _leave(self, state: Tensor, wide: Tensor, point: Tensor, mask: Tensor, edges: int) -> Tensor:
        """Return what each edge carries from a node, (B, edges, channels x images x pixels)."""
        batch = len(state)
        active = relu(state)
        convolved = torch.cat(
            [torch.bmm(wide, self._patches(active)), torch.bmm(point, active.flatten(2))],
            dim=1,
        )
        plain = torch.stack([state, state @ self._average.to(state)], dim=1).flatten(2)
        choices = torch.cat([plain, _normalised(convolved).view(batch, 2 * edges, -1)], dim=1)
        return torch.bmm(mask.view(batch, edges, -1), choices)

    def _patches(self, images: Tensor) -> Tensor:
        """Return the 3x3 neighbourhoods, zeros beyond the border: (B, channels, n, p) gives (B, 9 channels, n p).

        The nine shifts are one product with a constant matrix: it can be differentiated any number of times.
        """
        batch, channels, count, pixels = images.shape
        shifted = (images @ self._shifts.to(images)).view(batch, channels, count, TAPS, pixels)
        return shifted.transpose(2, 3).reshape(batch, channels * TAPS, count * pixels)

    @cached_property
    def _shifts(self) -> Tensor:
        """(pixels, 9 pixels): where each pixel stands after each shift."""
        grid = torch.arange(self.size)
        near = torch.stack([(grid[:, None] == grid[None, :] + step).double() for step in (-1, 0, 1)])
        return torch.einsum("ape,bqf->pqabef", near, near).reshape(self.size**2, -1)

    @cached_property
    def _average(self) -> Tensor:
        """(pixels, pixels): the mean over the neighbours that are there."""
        near = self._shifts.view(self.size**2, TAPS, -1).sum(1)
        return near / near.sum(0)

    def multiply_adds(self, samples: int) -> float:
        """Return the multiply-adds of the convolutions, the averages, the mask and the linear layer."""
        width, pixels, edges = self.channels, self.size**2, len(EDGES)
        convolutions = TAPS * width + edges * (TAPS + 1) * width**2
        averages = len(LEAVING) * TAPS * width
        masks = sum(len(leaving) * (2 + 2 * len(leaving)) for leaving in LEAVING) * width
        return float(samples * (pixels * (convolutions + averages + masks) + width * self.outputs))


def _normalised(rows: Tensor) -> Tensor:
    """Return every row with mean 0 and variance 1: a channel over all images and pixels of its motif."""
    return layer_norm(rows, rows.shape[-1:], eps=EPSILON)


def _mask(cell: Sequence[int]) -> Tensor:
    parts = []
    for edges in LEAVING:
        width = len(edges)
        part = torch.zeros(width, 2 + 2 * width, dtype=torch.float64)
        columns = {SKIP: 0, POOL: 1}
        for row, edge in enumerate(edges):
            columns |= {CONV_3X3: 2 + row, CONV_1X1: 2 + width + row}
            if cell[edge] in columns:
                part[row, columns[cell[edge]]] = 1.0
        parts.append(part.flatten())
    return torch.cat(parts)
