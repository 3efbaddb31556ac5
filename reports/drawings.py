"""Lay the graphs of architectures out as curves: nodes in a row, operations as arcs between them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

_EDGE = re.compile(r"([\w-]+)~(\d)")
_SLOT = re.compile(r"(\S+)\[([^\]]*)\]")
_LAYER = re.compile(r"\w+\(([^)]*)\)")
_BEND = 12  # pieces of an arc
_STEEP = 0.34  # height of an arc between neighbours
_NEXT = 0.2  # further height of each parallel arc
_NB201 = ("in", "1", "2", "out")


@dataclass(frozen=True, slots=True)
class Graph:
    """A cell as a graph.

    Attributes:
        name: of the cell, where an architecture has several.
        nodes: names, from left to right.
        edges: (source, target, operation) with the positions of nodes.
    """

    name: str
    nodes: tuple[str, ...]
    edges: tuple[tuple[int, int, str], ...]


def graphs(arch: str) -> tuple[Graph, ...]:
    """Return the cells of an architecture of NAS-Bench-201 or of the growth space; none for any other text."""
    if arch.startswith("|"):
        return (_nb201(arch),)
    if arch.partition(" ")[0] in ("cell", "macro"):
        return tuple(_slot(name, inside) for name, inside in _SLOT.findall(arch))
    return ()


def _nb201(arch: str) -> Graph:
    edges = tuple(
        (int(source), target, operation)
        for target, node in enumerate(arch.split("+"), start=1)
        for operation, source in _EDGE.findall(node)
        if operation != "none"
    )
    return Graph("", _NB201, edges)


def _slot(name: str, inside: str) -> Graph:
    """Return a slot: the seed cell, and each layer with its pairs; every layer is added to the output."""
    layers = [body.split("+") for body in _LAYER.findall(inside)]
    nodes = ("c2", "c1", *(f"l{number}" for number in range(1, len(layers) + 1)), "x")
    output = len(nodes) - 1
    edges = [(1, output, "sep3x3"), (1, output, "identity")]
    for number, pairs in enumerate(layers, start=2):
        for pair in pairs:
            source, _, operation = pair.partition(".")
            edges.append((nodes.index(source), number, operation))
        edges.append((number, output, "added"))
    return Graph(name, nodes, tuple(edges))


def arcs(graph: Graph) -> Iterator[tuple[str, tuple[float, ...], tuple[float, ...]]]:
    """Yield operation, x and y of the arc of each edge; node i stands at (i, 0), parallel arcs lie over one another."""
    met: Counter[tuple[int, int]] = Counter()
    for source, target, operation in graph.edges:
        lift = _STEEP * (target - source) ** 0.7 + _NEXT * met[source, target]
        met[source, target] += 1
        shares = [step / _BEND for step in range(_BEND + 1)]
        yield (
            operation,
            tuple(source + share * (target - source) for share in shares),
            tuple(4 * lift * share * (1 - share) for share in shares),
        )
