"""Define the growth space: networks that grow from a seed cell by one layer at a time, without an end of its own.

The space of Petridish (Hu, Langford, Caruana, Mukherjee, Horvitz, Dey: "Efficient Forward Architecture Search",
NeurIPS 2019): seven operations, normal and reduction cells, and as inputs of a new layer the outputs of the two cells
before and every layer that was added to the cell earlier. The canonical text is that of
`benchmarks.spaces.growth_text`; the order of growth is part of an architecture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import inf, log10

import numpy as np
from numpy.typing import NDArray

from benchmarks.spaces.growth_size import Count, GrowthSkeleton, pair_count
from benchmarks.spaces.growth_text import (
    CELL_INPUTS,
    CELL_SLOTS,
    FORMS,
    MERGES,
    OPERATIONS,
    Pair,
    Plan,
    compose,
    compose_move,
    layer,
    pairs_of,
    parse,
    parse_move,
    sources,
)
from harness.core.errors import UsageError, nearest
from harness.core.types import Arch, Move

_KINDS = (*CELL_INPUTS, "layer")


@dataclass(frozen=True, slots=True)
class Limits:
    """Where growth ends.

    Attributes:
        steps: the most layers that may be added to the seed, over all slots.
        multiply_adds: the most multiply-adds of one image, in millions.
        parameters: the most trainable parameters, in millions.

    Raises:
        UsageError: a limit is not positive.
    """

    steps: int = 8
    multiply_adds: float = inf
    parameters: float = inf

    def __post_init__(self) -> None:
        for key in ("steps", "multiply_adds", "parameters"):
            if not getattr(self, key) > 0:
                raise UsageError(f"growth: the limit {key} is {getattr(self, key)}; give a positive number")

    def allow(self, steps: int, count: Count) -> bool:
        """Tell whether a network of this size lies within the limits."""
        return (
            steps <= self.steps
            and count.multiply_adds <= self.multiply_adds * 1e6
            and count.parameters <= self.parameters * 1e6
        )


class GrowthSpace:
    """The space as methods and benchmarks see it: seeds, moves, growth within limits, and a declared distribution.

    A move names a slot, an input and an operation: `normal:c1.sep3x3`. The moves of one slot, made together, are one
    layer and one step of growth.
    """

    name = "growth"

    def __init__(
        self,
        skeleton: GrowthSkeleton,
        *,
        form: str = "cell",
        limits: Limits | None = None,
        merge: str = "concat",
        pairs: int = 3,
        founder: str | None = None,
    ) -> None:
        """Set the space up.

        Args:
            skeleton: the network around the cells, which limits and costs are counted on.
            form: 'cell' grows the two types of cells, 'macro' every cell of the network by itself.
            limits: where growth ends.
            merge: how the layers of sampled architectures join their pairs.
            pairs: how many pairs a layer of a sampled architecture joins (Petridish: 3).
            founder: what growth begins with in place of the seed cells.

        Raises:
            UsageError: a value is not allowed.
        """
        self._refuse("form", form, FORMS)
        self._refuse("merge", merge, MERGES)
        most = len(CELL_INPUTS) * len(OPERATIONS)
        if not 1 <= pairs <= most:
            raise UsageError(f"growth: pairs is {pairs}; a layer on a seed joins 1 to {most}")
        self.skeleton, self.form, self.limits = skeleton, form, limits or Limits()
        self._merge, self._pairs = merge, pairs
        count = len(CELL_SLOTS) if form == "cell" else skeleton.macro_slots
        self._seed = Plan(form, ((),) * count)
        if not self._fits(self._seed):
            raise UsageError(f"growth: the seed itself is beyond the limits {self.limits}; raise them")
        self._founder = compose(self.plan(founder)) if founder else compose(self._seed)

    def __contains__(self, arch: object) -> bool:
        try:
            plan = parse(arch) if isinstance(arch, str) else None
        except UsageError:
            return False
        return plan is not None and self._belongs(plan) and self._fits(plan)

    def plan(self, arch: str) -> Plan:
        """Return an architecture of this space as data.

        Raises:
            UsageError: the text is not canonical, of another form or number of slots, or beyond the limits.
        """
        plan = parse(arch)
        if not self._belongs(plan):
            wanted = f"{self.form} {' '.join(f'{slot}[...]' for slot in self._seed.slots)}"
            raise UsageError(f"growth: {arch!r} is not of this space, whose networks are written {wanted}")
        if not self._fits(plan):
            size = self.skeleton.count(plan)
            raise UsageError(
                f"growth: {arch!r} is beyond the limits: {plan.steps} layers, {size.multiply_adds / 1e6:.4g} M "
                f"multiply-adds and {size.parameters / 1e6:.4g} M parameters; allowed: {self.limits}"
            )
        return plan

    def count(self, arch: str) -> Count:
        """Return the parameters and multiply-adds of an architecture of this space."""
        return self.skeleton.count(self.plan(arch))

    def seeds(self) -> tuple[Arch, ...]:
        """Return what growth begins with: the seed cell in every slot, or the founder."""
        return (self._founder,)

    def moves(self, arch: Arch) -> Sequence[Move]:
        """Return every pair of an input and an operation that a next layer may hold, slot by slot.

        A pair that would by itself, as a layer, break a limit however it is merged is left out; none is left at the end
        of growth.
        """
        plan = self.plan(arch)
        return tuple(
            compose_move(slot, pair)
            for slot in plan.slots
            for pair in pairs_of(plan.of(slot))
            if any(self._fits(plan.added(slot, layer(merge, [pair]))) for merge in MERGES)
        )

    def group(self, move: Move) -> str:
        """Return the slot that a move adds to."""
        return parse_move(move)[0]

    def attached(self, arch: str, moves: Sequence[Move]) -> float:
        """Return the multiply-adds of one image through an architecture with these candidates attached."""
        plan = self.plan(arch)
        known = {slot: pairs_of(plan.of(slot)) for slot in plan.slots}
        chosen = [(self._place(move, known), parse_move(move)[1]) for move in moves]
        candidates = (
            pair_count(position, pair).multiply_adds
            for position in self.skeleton.positions(self.form)
            for slot, pair in chosen
            if slot == position.slot
        )
        return float(self.skeleton.count(plan).multiply_adds + sum(candidates))

    def grow(self, arch: Arch, moves: Sequence[Move], merge: str = "concat") -> Arch:
        """Return the architecture with one layer more in each slot that the moves name, joined by `merge`.

        It may lie beyond the limits, and then it is not `in` the space.

        Raises:
            UsageError: a move is none of this architecture, is made twice, or there is none; `merge` is unknown.
        """
        self._refuse("merge", merge, MERGES)
        plan = self.plan(arch)
        known = {slot: pairs_of(plan.of(slot)) for slot in plan.slots}
        chosen = sorted((self._place(move, known), pair) for move in set(moves) for pair in [parse_move(move)[1]])
        if not chosen or len(chosen) < len(moves):
            raise UsageError(f"growth: {list(moves)} is no step of growth; give different moves, at least one")
        for slot, group in groupby(chosen, key=lambda choice: choice[0]):
            plan = plan.added(plan.slots[slot], layer(merge, [pair for _, pair in group]))
        return compose(plan)

    def _place(self, move: Move, known: dict[str, tuple[Pair, ...]]) -> int:
        slot, pair = parse_move(move)
        if slot not in known:
            raise UsageError(f"growth: {move!r} names no slot{nearest(slot, known)}; slots: {', '.join(known)}")
        if pair not in known[slot]:
            inputs = ", ".join(dict.fromkeys(each.source for each in known[slot]))
            raise UsageError(f"growth: {move!r} has an input that slot {slot} lacks; inputs: {inputs}")
        return list(known).index(slot)

    def sample(self, rng: np.random.Generator) -> Arch:
        """Draw from the declared distribution of random search.

        The number of steps is uniform from 1 to the limit. Each step adds one layer to a slot drawn uniformly; its
        pairs are drawn uniformly without replacement from all pairs of that slot. Growth that would break a limit of
        size ends there, with the layers that it has.
        """
        plan = self._seed
        for _ in range(int(rng.integers(1, self.limits.steps + 1))):
            slot = plan.slots[int(rng.integers(len(plan.slots)))]
            pairs = pairs_of(plan.of(slot))
            drawn = rng.choice(len(pairs), size=self._pairs, replace=False)
            grown = plan.added(slot, layer(self._merge, [pairs[index] for index in drawn]))
            if not self._fits(grown):
                break
            plan = grown
        return compose(plan)

    def encode(self, arch: Arch) -> NDArray[np.float32]:
        """Return features: for each slot its layers and how often each kind of input meets each operation; the size.

        The kinds of input are `c2`, `c1` and an added layer. 22 numbers for each slot, then the logarithms (base 10)
        of multiply-adds and parameters.
        """
        plan = self.plan(arch)
        features = np.zeros((len(plan.layers), 1 + len(_KINDS) * len(OPERATIONS)), dtype=np.float32)
        for row, layers in zip(features, plan.layers, strict=True):
            row[0] = len(layers)
            for pair in (pair for each in layers for pair in each.pairs):
                kind = _KINDS.index(pair.source if pair.source in CELL_INPUTS else "layer")
                row[1 + kind * len(OPERATIONS) + OPERATIONS.index(pair.operation)] += 1
        sizes = [log10(number) for number in self.skeleton.count(plan)]
        return np.concatenate([features.ravel(), np.array(sizes[::-1], dtype=np.float32)])

    @staticmethod
    def _refuse(key: str, given: str, allowed: Sequence[str]) -> None:
        if given not in allowed:
            raise UsageError(f"growth: {key} is {given!r}{nearest(given, allowed)}; give {' or '.join(allowed)}")

    def _belongs(self, plan: Plan) -> bool:
        return plan.form == self.form and len(plan.layers) == len(self._seed.layers)

    def _fits(self, plan: Plan) -> bool:
        return self.limits.allow(plan.steps, self.skeleton.count(plan))


def drawing(arch: str) -> dict[str, dict[str, list[dict[str, str]]]]:
    """Return each slot of an architecture as plain data for a drawing.

    For each slot `nodes`, each with `id` and `kind` ('input', 'layer' with its `merge`, or 'output'), and `edges`, each
    with `from`, `to` and `operation`; an edge without operation is the gated sum into the output `x`.
    """
    plan = parse(arch)
    return {slot: _slot_drawing(plan, slot) for slot in plan.slots}


def _slot_drawing(plan: Plan, slot: str) -> dict[str, list[dict[str, str]]]:
    layers = plan.of(slot)
    nodes = [{"id": name, "kind": "input"} for name in CELL_INPUTS]
    edges = [{"from": "c1", "to": "x", "operation": operation} for operation in ("sep3x3", "identity")]
    for name, each in zip(sources(layers)[len(CELL_INPUTS) :], layers, strict=True):
        nodes.append({"id": name, "kind": "layer", "merge": each.merge})
        edges += [{"from": pair.source, "to": name, "operation": pair.operation} for pair in each.pairs]
        edges.append({"from": name, "to": "x", "operation": ""})
    return {"nodes": [*nodes, {"id": "x", "kind": "output"}], "edges": edges}
