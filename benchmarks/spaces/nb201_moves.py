"""Grow the cells of NAS-Bench-201 by moves that keep what a cell computes: no edge ever goes.

A node is the sum of its edges, so that setting an edge from `none` to an operation adds a term, as boosting does. Three
kinds of moves, on cells in which every edge lies on a path from the first node to the last:

    add 0-3 nor_conv_3x3                        an edge that is `none`, between nodes that both lie on such a path
    path 0-2-3 nor_conv_1x1 skip_connect        two edges, over a node that has no edge yet
    upgrade 0-3 nor_conv_3x3                    a `skip_connect` becomes another operation

From the four cells that are one path of `skip_connect` they reach every cell without a dead edge, 9,444 of the 15,625.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from benchmarks.spaces.nb201 import EDGES, NONE, OPERATIONS, SKIP, NasBench201, Operations, compose, parse
from harness.core.errors import UsageError, nearest
from harness.core.types import Arch, Move

Kind = Literal["add", "path", "upgrade"]
Edge = tuple[int, int]

_FIRST, _LAST = 0, 3
_LIVE = tuple(range(NONE + 1, len(OPERATIONS)))
_SEEDS = (((0, 3),), ((0, 1), (1, 3)), ((0, 2), (2, 3)), ((0, 1), (1, 2), (2, 3)))


@dataclass(frozen=True, slots=True)
class CellMove:
    """A move as what it does to the edges of a cell.

    Attributes:
        edges: the edges that it sets, in the order of the path.
        operations: what each of them becomes.
    """

    kind: Kind
    edges: tuple[Edge, ...]
    operations: tuple[int, ...]

    @property
    def text(self) -> Move:
        """The canonical text."""
        nodes = [self.edges[0][0], *(target for _, target in self.edges)]
        names = " ".join(OPERATIONS[operation] for operation in self.operations)
        return Move(f"{self.kind} {'-'.join(map(str, nodes))} {names}")

    @property
    def source(self) -> int:
        """The node that the candidate reads."""
        return self.edges[0][0]

    @property
    def target(self) -> int:
        """The node that the candidate is added to."""
        return self.edges[-1][1]

    @property
    def inner(self) -> frozenset[int]:
        """The nodes that come alive."""
        return frozenset(target for _, target in self.edges[:-1])


def live_nodes(cell: Operations) -> frozenset[int]:
    """Return the nodes that lie on a path from the first node to the last along edges that are not `none`."""
    edges = [edge for edge, operation in zip(EDGES, cell, strict=True) if operation != NONE]
    reached, reaching = {_FIRST}, {_LAST}
    for source, target in sorted(edges):
        if source in reached:
            reached.add(target)
    for source, target in sorted(edges, reverse=True):
        if target in reaching:
            reaching.add(source)
    return frozenset(reached & reaching)


def is_live(arch: str) -> bool:
    """Tell whether a cell has a path from the first node to the last and no edge beside such paths."""
    cell = parse(arch)
    live = live_nodes(cell)
    used = [edge for edge, operation in zip(EDGES, cell, strict=True) if operation != NONE]
    return {_FIRST, _LAST} <= live and all(set(edge) <= live for edge in used)


@cache
def cell_moves(arch: str) -> tuple[CellMove, ...]:
    """Return the legal moves of a cell: added edges, paths over dead nodes, upgrades; each by edge and operation.

    Raises:
        UsageError: `arch` is no cell, or one with a dead edge.
    """
    if not is_live(arch):
        raise UsageError(f"nb201: {arch!r} has an edge beside every path from input to output; start from a live cell")
    cell = dict(zip(EDGES, parse(arch), strict=True))
    live = live_nodes(parse(arch))
    return (*_adds(cell, live), *_paths(live), *_upgrades(cell))


def _adds(cell: dict[Edge, int], live: frozenset[int]) -> Iterator[CellMove]:
    for edge, operation in cell.items():
        if operation == NONE and set(edge) <= live:
            yield from (CellMove("add", (edge,), (choice,)) for choice in _LIVE)


def _paths(live: frozenset[int]) -> Iterator[CellMove]:
    for inner in sorted(set(range(_LAST)) - live):
        for source in sorted(node for node in live if node < inner):
            for target in sorted(node for node in live if node > inner):
                for first in _LIVE:
                    for second in _LIVE:
                        yield CellMove("path", ((source, inner), (inner, target)), (first, second))


def _upgrades(cell: dict[Edge, int]) -> Iterator[CellMove]:
    for edge, operation in cell.items():
        if operation == SKIP:
            yield from (CellMove("upgrade", (edge,), (choice,)) for choice in _LIVE if choice != SKIP)


def read_moves(arch: str, moves: Sequence[str]) -> tuple[CellMove, ...]:
    """Return moves of a cell by their texts, in the order given.

    Raises:
        UsageError: one is not legal, with the nearest that is.
    """
    legal = {move.text: move for move in cell_moves(arch)}
    unknown = next((move for move in moves if move not in legal), None)
    if unknown is not None:
        raise UsageError(
            f"nb201: {unknown!r} is no move of {arch}{nearest(unknown, legal)}; it has {len(legal)}, see `moves`"
        )
    return tuple(legal[Move(move)] for move in moves)


class GrowingNasBench201(NasBench201):
    """The space with its moves; every grown cell is one of the 9,444 without a dead edge."""

    def seeds(self) -> Sequence[Arch]:
        """Return the four cells that are one path of `skip_connect`, the shortest path first."""
        return [compose([SKIP if edge in path else NONE for edge in EDGES]) for path in _SEEDS]

    def moves(self, arch: Arch) -> Sequence[Move]:
        """Return the legal moves of a cell, up to 42; see `cell_moves`."""
        return [move.text for move in cell_moves(arch)]

    def group(self, move: Move) -> str:
        """Return 'cell': all cells of a network are the same, so all moves compete."""
        del move
        return "cell"

    def grow(self, arch: Arch, moves: Sequence[Move], merge: str = "concat") -> Arch:  # noqa: ARG002 - a node is a sum
        """Return the cell with all these moves made; there is nothing to join, whatever `merge` says.

        Raises:
            UsageError: a move is not legal, or two set the same edge or wake the same node.
        """
        chosen = read_moves(arch, moves)
        edges = [edge for move in chosen for edge in move.edges]
        inner = [node for move in chosen for node in move.inner]
        if len(set(edges)) < len(edges) or len(set(inner)) < len(inner):
            raise UsageError(f"nb201: {', '.join(moves)} meet on an edge or a node; make one of them after the other")
        made = {edge: operation for move in chosen for edge, operation in zip(move.edges, move.operations, strict=True)}
        before = dict(zip(EDGES, parse(arch), strict=True))
        return compose([made.get(edge, before[edge]) for edge in EDGES])
