"""Keep the networks that a growing search has trained, and draw the parent of its next child among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from harness.core.types import Arch, Evaluate, Grow, Move
from methods.hull import Point, band, pick, shares, walk_probabilities

ParentRule = Literal["hull", "archai", "uniform-band", "uniform-pool", "greedy"]


@dataclass(eq=False, slots=True)
class Member:
    """A trained network of the pool.

    Attributes:
        work: the training that it comes from, its lineage included.
        cost: its complexity, on the horizontal axis of the hull.
        error: its validation error in the unit of the objective.
        moves: by what it may grow, in the order of the space.
        depth: how many growths lie between it and its founder.
        uses: how often it was a parent.
        grown: moves that were made into a child of it, or are being made.
        busy: whether an attachment to it is running.
        barren: whether an attachment to it failed; the same one would fail again.
    """

    work: Evaluate | Grow
    cost: float
    error: float
    moves: tuple[Move, ...]
    depth: int = 0
    uses: int = 0
    grown: set[Move] = field(default_factory=set)
    busy: bool = False
    barren: bool = False

    @property
    def arch(self) -> Arch:
        """Its architecture."""
        return self.work.arch

    @property
    def candidates(self) -> tuple[Move, ...]:
        """The moves that no child of it has made."""
        return tuple(move for move in self.moves if move not in self.grown)

    @property
    def free(self) -> bool:
        """Tell whether it may be a parent now."""
        return not self.busy and not self.barren and len(self.grown) < len(self.moves)

    @property
    def point(self) -> Point:
        """Its place in the plane of the hull."""
        return Point(self.cost, self.error, self.arch)


class Pool:
    """All trained networks of a search, and the rule by which parents are drawn.

    The hull and its band are those of the whole pool, drawn anew each time; no member is ever discarded. Members that
    may not be parents now are passed over; where nobody else is in the band, it is that of the other members alone.
    """

    def __init__(self, rule: ParentRule, eps: float) -> None:
        self.rule: ParentRule = rule
        self.eps = eps
        self.members: list[Member] = []

    def add(self, member: Member) -> None:
        """Take a network in."""
        self.members.append(member)

    def draw(self, rng: np.random.Generator) -> Member | None:
        """Return a parent by a single random number, or None where nobody may be one."""
        open_to = self._eligible()
        if not open_to:
            return None
        ordered = sorted(open_to, key=lambda member: (-member.cost, member.error, member.arch))
        return ordered[pick(_PROBABILITIES[self.rule](ordered), float(rng.random()))]

    def _eligible(self) -> list[Member]:
        free = [member for member in self.members if member.free]
        if self.rule in ("uniform-pool", "greedy"):
            return free
        return [member for member in self._within(self.members) if member.free] or self._within(free)

    def _within(self, members: Sequence[Member]) -> list[Member]:
        return [members[index] for index in band([member.point for member in members], self.eps)]


def _published_walk(members: Sequence[Member]) -> list[float]:
    return walk_probabilities([member.uses for member in members])


def _archai(members: Sequence[Member]) -> list[float]:
    """Weigh as the re-implementation in archai does: by use and by cost, both scaled to [0, 1] over the band."""
    uses = _scaled([member.uses for member in members])
    costs = _scaled([member.cost for member in members])
    return shares([1 / (1 + use) + 1 / (1 + cost) for use, cost in zip(uses, costs, strict=True)])


def _scaled(values: Sequence[float]) -> list[float]:
    least, span = min(values), max(values) - min(values)
    return [(value - least) / span if span else 0.0 for value in values]


def _equal(members: Sequence[Member]) -> list[float]:
    return [1 / len(members)] * len(members)


def _lowest_error(members: Sequence[Member]) -> list[float]:
    best = min(members, key=lambda member: (member.error, member.cost, member.arch))
    return [float(member is best) for member in members]


_PROBABILITIES: Mapping[ParentRule, Callable[[Sequence[Member]], list[float]]] = {
    "hull": _published_walk,
    "archai": _archai,
    "uniform-band": _equal,
    "uniform-pool": _equal,
    "greedy": _lowest_error,
}
