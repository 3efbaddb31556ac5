"""Climb from the convex hull by the moves of Petridish, on a table: no candidate is attached and nothing is inherited.

An analogue for tables, and not Petridish (Hu et al., NeurIPS 2019): where no network is trained there are no gradients,
hence no stop-gradient, no stop-forward, no warm start. A parent is drawn as Petridish draws it; each of its children is
evaluated, at the lowest fidelity where the table has several and in full where it has one, and paid for; the one with
the greatest gain is then looked up in full and joins the pool.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import ClassVar, get_args

import numpy as np

from harness.core.errors import UsageError
from harness.core.interfaces import Task
from harness.core.types import Arch, Capability, Evaluate, Failure, Measurement, Move, Trial, Work
from methods.base import WORST, BestSoFar, check_amount, check_choice, growable_space
from methods.growth import cost_of, error_of, founder, moves_of
from methods.petridish_options import CostAxis
from methods.pool import Member, ParentRule, Pool


@dataclass(eq=False, slots=True)
class _Step:
    """The scoring of the children of one parent, each under the move that makes it."""

    parent: Member
    children: dict[Arch, Move]


class PetridishHullTabular(BestSoFar):
    """Look up all children of a parent from the convex hull, and keep the best: the analogue of Petridish on tables.

    Seeds come first. A child that the pool holds already is not scored again. Where nobody may be a parent, a further
    founder is drawn from the space's own distribution. With several workers the children of one parent are scored side
    by side.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.EVALUATE, Capability.GROWABLE})

    @dataclass(frozen=True)
    class Config:
        """Options.

        Attributes:
            parents: 'hull' walks the band above the lower hull as the published program does; the others as in
                `petridish`.
            eps: width of the band, as a share of the error of the hull.
            cost: the complexity axis of the hull, as in `petridish`.
            arm: refused: stop-gradient and stop-forward have no meaning on a table.
        """

        parents: ParentRule = "hull"
        eps: float = 0.025
        cost: CostAxis = "multiply-adds"
        arm: str | None = None

        def __post_init__(self) -> None:
            if self.arm is not None:
                raise UsageError(
                    f"option 'arm': {self.arm!r} given; a table holds no gradients, so that all arms would be one and "
                    "the same search; leave it out, or run `petridish` on a benchmark that offers 'attach'"
                )
            check_choice("parents", self.parents, get_args(ParentRule))
            check_choice("cost", self.cost, get_args(CostAxis))
            check_amount("eps", self.eps, least=0)

    def __init__(self, task: Task, rng: np.random.Generator, config: Config) -> None:
        super().__init__(task)
        self._config = config
        self._space = growable_space(task)
        self._parents, self._founders = rng.spawn(2)
        self._seeds = deque(self._space.seeds())
        self._pool = Pool(config.parents, config.eps)
        self._members: dict[Arch, Member] = {}
        partial = Capability.PARTIAL in task.offers
        self._low = task.fidelities[0] if partial else task.epochs
        self._asked: set[Arch] = set()
        self._scores: dict[Arch, float] = {}
        self._full: dict[Arch, Measurement] = {}
        self._steps: list[_Step] = []
        self._winners: deque[Arch] = deque()
        self._entrants: set[Arch] = set()

    def ask(self) -> Work | None:
        """Return the look-up of a winner in full, else of a child to score, else of a seed, else of a founder."""
        while True:
            work = self._ready()
            if work is not None:
                return work
            parent = self._pool.draw(self._parents)
            if parent is None:
                return self._enter(founder(self.task, self._founders))
            self._begin(parent)

    def tell(self, trial: Trial, result: Measurement | Failure) -> None:
        """Remember a score, or take a network into the pool."""
        value = self.learn(trial, result)
        work = trial.work
        assert isinstance(work, Evaluate)
        if work.epochs == self.task.epochs and isinstance(result, Measurement):
            self._full[work.arch] = result
        if work.arch in self._entrants and work.epochs == self.task.epochs:
            self._entrants.discard(work.arch)
            self._admit(work.arch)
        if work.epochs == self._low:
            self._scores[work.arch] = value
        for step in tuple(self._steps):
            self._conclude(step)

    def _ready(self) -> Evaluate | None:
        if self._winners:
            return self._enter(self._winners.popleft(), start=self._low)
        for step in self._steps:
            for arch in step.children:
                if arch not in self._asked:
                    self._asked.add(arch)
                    return Evaluate(arch, self._low)
        return self._enter(self._seeds.popleft()) if self._seeds else None

    def _enter(self, arch: Arch, start: int = 0) -> Evaluate:
        self._entrants.add(arch)
        return Evaluate(arch, self.task.epochs, start)

    def _begin(self, parent: Member) -> None:
        """Begin to score the children that the pool does not hold yet."""
        parent.uses += 1
        grown = {self._space.grow(parent.arch, [move]): move for move in parent.candidates}
        step = _Step(parent, {arch: move for arch, move in grown.items() if arch not in self._members})
        parent.busy = True
        self._steps.append(step)
        self._conclude(step)

    def _conclude(self, step: _Step) -> None:
        """Choose the best child once all are scored; a parent without any has no more children."""
        if not step.children.keys() <= self._scores.keys():
            return
        self._steps.remove(step)
        parent = step.parent
        parent.busy = False
        best = max(step.children, key=self._scores.__getitem__, default=None)
        if best is None or self._scores[best] == WORST:
            parent.barren = True
            return
        parent.grown.add(step.children[best])
        if best in self._full:
            self._admit(best)
        elif best not in self._winners and best not in self._entrants:
            self._winners.append(best)

    def _admit(self, arch: Arch) -> None:
        result = self._full.get(arch)
        if result is None or arch in self._members:
            return
        moves = moves_of(self._space, arch)
        member = Member(
            Evaluate(arch, self.task.epochs), cost_of(result, self._config.cost), error_of(self.task, result), moves
        )
        self._members[arch] = member
        self._pool.add(member)
