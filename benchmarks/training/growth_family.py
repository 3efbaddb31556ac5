"""Attach candidates to networks of the growth space, and grow them: the networks behind a Petridish search."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from benchmarks.spaces.growth import GrowthSpace
from benchmarks.spaces.growth_size import Position
from benchmarks.spaces.growth_text import Layer, Pair, Plan, parse_move
from benchmarks.training.attach import Arm, Attached, Point, arm_of
from benchmarks.training.auxiliary import Assisted
from benchmarks.training.drop_path import Path
from benchmarks.training.growth_cells import (
    Added,
    GrownCell,
    GrownNetwork,
    build_grown,
    build_pair,
    initialise_parts,
    key_of,
)
from benchmarks.training.growth_check import GROWN_LAYERS, check_growth
from benchmarks.training.lineage import Ancestor
from harness.core.types import Arch, Attach, Grow, Move

Found = Callable[[Arch, int], nn.Module]


class GrownAttached(Attached):
    """A network with candidates at the outputs of its cells.

    Attributes:
        places: the index of the cell that each point stands in, in order.
    """

    def __init__(self, parent: GrownNetwork, moves: Sequence[Move], arm: Arm, points: Mapping[int, Point]) -> None:
        super().__init__(parent, moves, arm, list(points.values()))
        self.places = tuple(points)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits; (n, c, h, w) to (n, classes)."""
        network = cast("GrownNetwork", self.parent)
        points = {place: cast("Point", point) for place, point in zip(self.places, self.points, strict=True)}
        weights = self.weights()
        before, last = (network.stem(images),) * 2
        for place, module in enumerate(network.cells):
            node, inputs = cast("GrownCell", module).parts(before, last)
            if place in points:
                point = points[place]
                read = [inputs[parse_move(move)[1].source] for move in point.moves]
                node = point(node, read, weights, self.gate)
            before, last = last, node
        return network.classify(last)

    def paths(self) -> list[Path]:
        """Return the candidates that can be dropped: all but identities, and nothing of the parent."""
        cells = len(cast("GrownNetwork", self.parent).cells)
        return [
            Path(operation, (place + 1) / cells)
            for place, point in zip(self.places, self._points(), strict=True)
            for move, operation in zip(point.moves, point.operations, strict=True)
            if parse_move(move)[1].operation != "identity"
        ]


class GrowthFamily:
    """The networks of one growth space; `found` builds founders where they are not built from scratch."""

    def __init__(self, space: GrowthSpace, found: Found | None = None) -> None:
        self.space = space
        self._found = found or (lambda arch, seed: build_grown(arch, space.skeleton, seed))

    def found(self, arch: Arch, seed: int) -> nn.Module:
        """Return a founder."""
        return self._found(arch, seed)

    def attach(self, parent: nn.Module, work: Attach, seed: int) -> Attached:
        """Return the parent with the candidates of a work at the outputs of its cells.

        Raises:
            UsageError: a move is not legal, or the arm is unknown.
        """
        network = cast("GrownNetwork", parent)
        arm = arm_of(work.arm)
        if work.moves:
            self.space.grow(work.arch, work.moves)  # refuses what is no set of moves
        points: dict[int, Point] = {}
        for place, position, slot in self._placed(network.plan):
            pairs = {move: pair for move in work.moves for name, pair in [parse_move(move)] if name == slot}
            if pairs:
                operations = {move: _candidate(position, place, pair, seed) for move, pair in pairs.items()}
                points[place] = Point(operations, arm, work.scale)
        return GrownAttached(network, work.moves, arm, points)

    def grow(self, attached: Attached, work: Grow, seed: int) -> nn.Module:
        """Return the child as it starts.

        Raises:
            UsageError: the child is not what the moves give, or `merge` or `inherit` is unknown.
        """
        check_growth(self.space, work, GROWN_LAYERS)
        if work.inherit == "nothing":
            return build_grown(work.arch, self.space.skeleton, seed)
        network = cast("GrownNetwork", attached.parent)
        plan = self.space.plan(work.arch)
        points = dict(zip(cast("GrownAttached", attached).places, attached.points, strict=True))
        for place, position, slot in self._placed(plan):
            if len(plan.of(slot)) == len(network.plan.of(slot)):
                continue
            layer, point = plan.of(slot)[-1], cast("Point", points[place])
            name = f"cells.{place}.added.{len(plan.of(slot)) - 1}"
            added = _merged(layer, slot, position, point, seed, name)
            if work.inherit == "weights":
                _take_over(added, [Move(f"{slot}:{pair}") for pair in layer.pairs], attached.weights())
            cast("GrownCell", network.cells[place]).added.append(added)
        network.plan = plan
        return network

    def settle(self, network: nn.Module) -> nn.Module:
        """Return the network itself: gates stay in it, an auxiliary head does not."""
        return network.network if isinstance(network, Assisted) else network

    def multiply_adds(self, work: Ancestor) -> float:
        """Return the multiply-adds of one image through the network that a work trains, candidates included."""
        return self.space.attached(work.arch, work.moves if isinstance(work, Attach) else ())

    def _placed(self, plan: Plan) -> Iterator[tuple[int, Position, str]]:
        """Yield the cells with their place in the network and the name of their slot."""
        for place, position in enumerate(self.space.skeleton.positions(plan.form)):
            yield place, position, plan.slots[position.slot]


def _candidate(position: Position, place: int, pair: Pair, seed: int) -> nn.Module:
    with torch.device("meta"):
        operation = build_pair(position, pair)
    operation = operation.to_empty(device="cpu")
    initialise_parts(operation, seed, f"candidates.{place}.{key_of(pair)}")
    return operation


def _merged(layer: Layer, slot: str, position: Position, point: Point, seed: int, name: str) -> Added:
    """Return the layer of chosen candidates: their operations, a fresh projection or equal shares, a gate at 1."""
    chosen = [point.operations[point.moves.index(Move(f"{slot}:{pair}"))] for pair in layer.pairs]
    with torch.device("meta"):
        added = Added(layer, [nn.Identity() for _ in chosen], position.shape.channels)
    added = added.to_empty(device="cpu")
    initialise_parts(added, seed, name)
    for key, operation in zip(list(added.operations), chosen, strict=True):
        added.operations[key] = operation
    return added


@torch.no_grad()
def _take_over(added: Added, moves: Sequence[Move], weights: Mapping[Move, Tensor]) -> None:
    """Close the gate, and give a weighted sum the weights that its candidates had."""
    added.gate.zero_()
    if added.weights is not None:
        added.weights.copy_(torch.stack([weights[move] for move in moves]))
