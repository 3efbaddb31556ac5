"""Climb to a local optimum, and start again somewhere else.

White, Nolen and Savani, Local Search is State of the Art for Neural Architecture Search Benchmarks (2020), move to
the best neighbour; Den Ottelander, Dushatskiy, Virgolin and Bosman, Local Search is a Remarkably Strong Baseline for
Neural Architecture Search (2020), visit neighbours in random order and take the first that is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from harness.core.interfaces import Task
from harness.core.types import Arch, Capability, Evaluate, Failure, Measurement, Trial, Work
from methods.base import BestSoFar, check_choice, finite_space, random_order

Ascent = Literal["best", "first"]


@dataclass
class Climb:
    """Where a climb stands, and the order in which it looks around."""

    centre: Arch
    around: Sequence[Arch]


class LocalSearch(BestSoFar):
    """Evaluate all neighbours, move to a better one, restart at a local optimum (White et al. 2020).

    No architecture is evaluated twice; a restart draws uniformly among those not evaluated yet, and the search ends
    when there are none. With several workers that find nothing to do in a neighbourhood still being evaluated,
    another climb begins.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.EVALUATE, Capability.FINITE})

    @dataclass(frozen=True)
    class Config:
        """Options.

        Attributes:
            move: 'best' goes to the best of all neighbours (White et al.), 'first' to the first that is better
                (Den Ottelander et al.).
        """

        move: Ascent = "best"

        def __post_init__(self) -> None:
            check_choice("move", self.move, get_args(Ascent))

    def __init__(self, task: Task, rng: np.random.Generator, config: Config) -> None:
        super().__init__(task)
        self._rng = rng
        self._eager = config.move == "first"
        self._space = finite_space(task)
        self._starts = random_order(self._space, rng)
        self._asked: set[Arch] = set()
        self._known: dict[Arch, float] = {}
        self._climbs: list[Climb] = []

    def ask(self) -> Work | None:
        """Return the next neighbour of a climb, or the start of another; None when all were evaluated."""
        arch = self._next_neighbour() or self._next_start()
        if arch is None:
            return None
        self._asked.add(arch)
        return Evaluate(arch, self.task.epochs)

    def tell(self, trial: Trial, result: Measurement | Failure) -> None:
        """Remember the objective of an architecture."""
        assert isinstance(trial.work, Evaluate)
        self._known[trial.work.arch] = self.learn(trial, result)

    def _next_neighbour(self) -> Arch | None:
        for climb in tuple(self._climbs):
            arch = self._follow(climb)
            if arch is not None:
                return arch
        return None

    def _next_start(self) -> Arch | None:
        start = next((arch for arch in self._starts if arch not in self._asked), None)
        if start is not None:
            self._climbs.append(Climb(start, self._look_around(start)))
        return start

    def _follow(self, climb: Climb) -> Arch | None:
        """Move a climb as far as what is known leads; return what it needs next, None where it waits or has ended."""
        while climb.centre in self._known:
            fresh, better = self._survey(climb)
            if better is not None:
                climb.centre, climb.around = better, self._look_around(better)
                continue
            if fresh is None and all(arch in self._known for arch in climb.around):
                self._climbs.remove(climb)
            return fresh
        return None

    def _survey(self, climb: Climb) -> tuple[Arch | None, Arch | None]:
        """Return the first neighbour that nobody asked for, if it comes first, or else the one to move to."""
        height = self._known[climb.centre]
        for arch in climb.around:
            if arch not in self._asked:
                return arch, None
            if self._eager and self._known.get(arch, height) > height:
                return None, arch
        if not climb.around or any(arch not in self._known for arch in climb.around):
            return None, None
        best = max(climb.around, key=self._known.__getitem__)
        return None, best if self._known[best] > height else None

    def _look_around(self, centre: Arch) -> Sequence[Arch]:
        neighbours = self._space.neighbours(centre)
        return [neighbours[index] for index in self._rng.permutation(len(neighbours)).tolist()]
