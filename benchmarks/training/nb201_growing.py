"""Grow NAS-Bench-201 networks: candidates on the nodes of every cell, and children behind gates that open and fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from benchmarks.spaces.nb201 import EDGES, SKIP, Operations, Skeleton, parse
from benchmarks.spaces.nb201_moves import CellMove, Edge, GrowingNasBench201, read_moves
from benchmarks.training.attach import Attached, Point, arm_of
from benchmarks.training.cells import Cell, Network, build, build_operation, initialise
from benchmarks.training.growth_check import GROWN_EDGES, check_growth
from harness.core.types import Arch, Attach, Evaluate, Grow, Move

OPEN_AT = 0.5
"""The share of a child's phase after which its gates stand at exactly 1; until then they rise evenly from 0."""


class Upgrade(nn.Module):
    """What a node gains when a `skip_connect` into it becomes another operation."""

    def __init__(self, operation: nn.Module) -> None:
        super().__init__()
        self.operation = operation

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the operation minus its input; (n, c, h, w) in and out."""
        gained: Tensor = self.operation(inputs) - inputs
        return gained


def candidate(move: CellMove, channels: int) -> nn.Module:
    """Return the module of a move: its operations in a row, minus the `skip_connect` that an upgrade ends."""
    operations = [build_operation(operation, channels) for operation in move.operations]
    return Upgrade(operations[0]) if move.kind == "upgrade" else nn.Sequential(*operations)


def kept(move: CellMove, module: nn.Module) -> dict[Edge, nn.Module]:
    """Return the operation that the candidate of a move has for each of its edges."""
    operations = [module.operation] if isinstance(module, Upgrade) else list(cast("nn.Sequential", module))
    return dict(zip(move.edges, operations, strict=True))


class AttachedNetwork(Attached):
    """A NAS-Bench-201 network with candidates on the nodes of its cells."""

    def __init__(self, parent: Network, arch: Arch, work: Attach, seed: int) -> None:
        arm = arm_of(work.arm)
        moves = read_moves(arch, work.moves)
        by_target: dict[int, list[CellMove]] = {}
        for move in moves:
            by_target.setdefault(move.target, []).append(move)
        points = [
            Point({move.text: drawn[move.text] for move in group}, arm, work.scale)
            for drawn in _draw(moves, _widths(parent), seed)
            for group in by_target.values()
        ]
        super().__init__(parent, work.moves, arm, points)
        self.arch, self._by_target = arch, by_target

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits with the candidates attached; (n, c, h, w) to (n, classes)."""
        parent = cast("Network", self.parent)
        weights, points = self.weights(), iter(self.points)
        features = parent.stem(images)
        for stage in parent.stages:
            if isinstance(stage, Cell):
                chosen = {target: cast("Point", next(points)) for target in self._by_target}
                features = self._cell(stage, features, chosen, weights)
            else:
                features = stage(features)
        return parent.classify(features)

    def _cell(self, cell: Cell, inputs: Tensor, points: Mapping[int, Point], weights: Mapping[Move, Tensor]) -> Tensor:
        nodes = [inputs]
        for target in range(1, 4):
            node = cell.node(target, nodes)
            if target in points:
                read = [nodes[move.source] for move in self._by_target[target]]
                node = points[target](node, read, weights, self.gate)
            nodes.append(node)
        return nodes[-1]

    def chosen(self, moves: Sequence[Move]) -> list[dict[Edge, nn.Module]]:
        """Return, for each cell in order, the trained operation of each edge that these moves set."""
        legal = {move.text: move for moves in self._by_target.values() for move in moves}
        width = len(self._by_target)
        cells = [self.points[first : first + width] for first in range(0, len(self.points), width)]
        return [
            {
                edge: module
                for point in cast("list[Point]", cell)
                for move in moves
                if move in point.moves
                for edge, module in kept(legal[move], point.operations[point.moves.index(move)]).items()
            }
            for cell in cells
        ]


class GatedNetwork(nn.Module):
    """A child whose new edges stand behind one gate: at 0 it is its parent, at 1 the network of its cell.

    An added edge counts `gate` times; an upgraded one `gate` times beside the `skip_connect` that counts the rest. A
    path is gated at its end. The gate follows a schedule: left to learn, it would end where no cell of the space is.
    """

    def __init__(self, child: Network, before: Operations, moves: Sequence[CellMove]) -> None:
        super().__init__()
        self.child, self.gate = child, 0.0
        skips = {edge for edge, operation in zip(EDGES, before, strict=True) if operation == SKIP}
        self._gated = {move.edges[-1]: move.edges[-1] in skips for move in moves}

    def anneal(self, share: float) -> None:
        """Set the gate to where it stands after a share of the phase, from 0 to 1."""
        self.gate = min(1.0, share / OPEN_AT)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits; (n, c, h, w) to (n, classes)."""
        if self.gate == 1.0:
            logits: Tensor = self.child(images)
            return logits
        features = self.child.stem(images)
        for stage in self.child.stages:
            features = self.cell(stage, features) if isinstance(stage, Cell) else stage(features)
        return self.child.classify(features)

    def cell(self, cell: Cell, inputs: Tensor) -> Tensor:
        """Return the last node of a cell with its gated edges; (n, c, h, w) in and out."""
        nodes = [inputs]
        for target in range(1, 4):
            terms = [
                self._term(cell.edges[f"{source}-{target}"], nodes[source], (source, target))
                for source in range(target)
                if f"{source}-{target}" in cell.edges
            ]
            nodes.append(sum(terms[1:], start=terms[0]) if terms else torch.zeros_like(inputs))
        return nodes[-1]

    def _term(self, operation: nn.Module, node: Tensor, edge: Edge) -> Tensor:
        term: Tensor = operation(node)
        if edge not in self._gated:
            return term
        gated = self.gate * term
        return (1.0 - self.gate) * node + gated if self._gated[edge] else gated


class NB201Family:
    """The networks of NAS-Bench-201 as a `lineage.Family`."""

    def __init__(self, skeleton: Skeleton) -> None:
        self._skeleton, self._space = skeleton, GrowingNasBench201()

    def found(self, arch: Arch, seed: int) -> Network:
        """Return a network of this architecture with fresh weights."""
        return build(arch, self._skeleton, seed)

    def attach(self, parent: nn.Module, work: Attach, seed: int) -> AttachedNetwork:
        """Return the parent with the candidates of this work.

        Raises:
            UsageError: a move is not legal, or the arm is unknown.
        """
        assert isinstance(parent, Network)
        return AttachedNetwork(parent, work.arch, work, seed)

    def grow(self, attached: Attached, work: Grow, seed: int) -> nn.Module:
        """Return the child behind its gate, or from scratch as it will be.

        Raises:
            UsageError: the child is not what the moves give, or cannot start or be merged in this way.
        """
        check_growth(self._space, work, GROWN_EDGES)
        if work.inherit == "nothing":
            return self.found(work.arch, seed)
        assert isinstance(attached, AttachedNetwork)
        moves = read_moves(attached.arch, work.moves)
        child = inherit(cast("Network", attached.parent), work.arch, attached.chosen(work.moves))
        return GatedNetwork(child, parse(attached.arch), moves)

    def settle(self, network: nn.Module) -> nn.Module:
        """Return the network itself, or the child behind a gate that has opened."""
        return network.child if isinstance(network, GatedNetwork) else network

    def multiply_adds(self, work: Evaluate | Attach | Grow) -> float:
        """Return the multiply-adds of one image, in closed form: those of the cell and of each operation attached."""
        total = self._skeleton.multiply_adds(work.arch)
        if isinstance(work, Attach):
            operations = [operation for move in read_moves(work.arch, work.moves) for operation in move.operations]
            total += self._skeleton.operation_multiply_adds(operations)
        return total


def inherit(parent: Network, arch: Arch, chosen: Sequence[Mapping[Edge, nn.Module]]) -> Network:
    """Return the network of a cell whose edges are the parent's modules, and the chosen ones where they are given."""
    cells = iter(chosen)
    operations = parse(arch)
    for index, stage in enumerate(parent.stages):
        if isinstance(stage, Cell):
            new = next(cells)
            modules = {f"{source}-{target}": module for (source, target), module in new.items()}
            before = dict(stage.edges.items())
            with torch.device("meta"):  # only the structure: every module with weights is replaced
                cell = Cell(operations, 1)
            for name in list(cell.edges):
                cell.edges[name] = modules.get(name, before[name] if name in before else cell.edges[name])
            parent.stages[index] = cell
    return parent


def _draw(moves: Sequence[CellMove], widths: Sequence[int], seed: int) -> list[nn.ModuleDict]:
    """Return the candidates of each cell by their moves; what one draws does not depend on which others there are."""
    with torch.device("meta"):  # weights come from `initialise`, and none from torch's own generator
        cells = [nn.ModuleDict({move.text: candidate(move, width) for move in moves}) for width in widths]
    whole = nn.ModuleList(cells).to_empty(device="cpu")
    initialise(whole, seed)
    return cells


def _widths(parent: Network) -> list[int]:
    """Return the channels of each cell, in order."""
    stem = cast("nn.Conv2d", parent.stem[0])
    widths, width = [], stem.out_channels
    for stage in parent.stages:
        if isinstance(stage, Cell):
            widths.append(width)
        else:
            width *= 2
    return widths
