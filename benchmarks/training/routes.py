"""Plan how a bundle of cells is computed: edges bucketed by source and operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

import torch
from torch import Tensor

from benchmarks.spaces.nb201 import CONV_1X1, CONV_3X3, EDGES, NONE, POOL, SKIP, Operations

OUTPUT = 3
"""The node that a cell hands on."""


@dataclass(frozen=True, slots=True)
class Route:
    """All edges with one operation out of one node, in all networks.

    Attributes:
        edges: (network, edge index) of each.
        sources: the rows of the node table that they read, (n,); row node * K + network.
        targets: the rows that they add to, (n,); no row twice.
        stretches: parts of the route with one target node each; within one, no source stands twice.
    """

    operation: int
    edges: tuple[tuple[int, int], ...]
    sources: Tensor
    targets: Tensor
    stretches: tuple[slice, ...]


def plan_routes(cells: Sequence[Operations], device: str = "cpu") -> list[Route]:
    """Return the routes of a bundle in an order of computation, with their rows on a device.

    Edges that never reach the output are left out.
    """
    useful = [_reaches_output(cell) for cell in cells]
    count = len(cells)
    routes = []
    for source in range(OUTPUT):
        for operation in (SKIP, CONV_1X1, CONV_3X3, POOL):
            edges = tuple(
                (network, edge)
                for edge, (start, end) in enumerate(EDGES)
                for network, cell in enumerate(cells)
                if start == source and cell[edge] == operation and end in useful[network]
            )
            if edges:
                sources = torch.tensor([source * count + network for network, _ in edges], device=device)
                targets = torch.tensor([EDGES[edge][1] * count + network for network, edge in edges], device=device)
                routes.append(Route(operation, edges, sources, targets, _stretches(edges)))
    return routes


def _stretches(edges: tuple[tuple[int, int], ...]) -> tuple[slice, ...]:
    lengths = [len(list(same)) for _, same in groupby(edge for _, edge in edges)]
    ends = list(accumulate(lengths))
    return tuple(slice(end - length, end) for end, length in zip(ends, lengths, strict=True))


def _reaches_output(cell: Operations) -> set[int]:
    """Return the nodes from which a path leads to the output."""
    useful = {OUTPUT}
    for (source, target), operation in reversed(list(zip(EDGES, cell, strict=True))):
        if operation != NONE and target in useful:
            useful.add(source)
    return useful
