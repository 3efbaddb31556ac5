"""Search forward by attaching candidates to trained networks, keeping the best, and growing on.

Hu, Langford, Caruana, Mukherjee, Horvitz and Dey, Efficient Forward Architecture Search (NeurIPS 2019), "Petridish".
A parent is drawn from a band around the lower convex hull of validation error over multiply-adds; candidates are
attached to it behind a stop-gradient and a stop-forward and trained along; those with the largest weights are made real
behind a gate that starts at 0, and the child joins the pool. The defaults are our reference settings: they differ from
the published program in the scale of the candidates' gradient (1, not 1 / N), in the L1 penalty (a proximal step,
counted once for each shared weight), in clipping parent and candidates apart, and in the weights with which candidates
start (one over all of them, not over those of one cell type).
"""

from __future__ import annotations

from collections import deque
from typing import ClassVar

import numpy as np

from harness.core.errors import UsageError
from harness.core.interfaces import Task
from harness.core.types import Arch, Attach, Capability, Evaluate, Failure, Grow, Measurement, Move, Trial, Work
from methods.base import BestSoFar, growable_space
from methods.growth import cost_of, error_of, founder, growth_allowed, moves_of
from methods.petridish_options import Options
from methods.pool import Member, Pool
from methods.selection import ranked


class Petridish(BestSoFar):
    """Grow networks from the convex hull by candidates that were trained along (Hu et al. 2019).

    What is chosen is grown before anything else is begun (depth first); then the seeds are trained; then a parent is
    drawn. A parent is not given the same growth twice, and not attached to twice at a time; where nobody may be a
    parent (several workers at the start, failed seeds, lines that are fully grown), a further founder is drawn from the
    space's own distribution. A trial that fails ends its line, never the search.

    Parents, groups, random selections and further founders are drawn from generators of their own, so that an option
    shifts none but its own draws.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.EVALUATE, Capability.GROWABLE, Capability.ATTACH, Capability.GROW}
    )
    Config: ClassVar[type[Options]] = Options

    def __init__(self, task: Task, rng: np.random.Generator, config: Options) -> None:
        super().__init__(task)
        growth_allowed(task, config.inherit, config.merge, config.grow_epochs)
        self._config = config
        self._space = growable_space(task)
        self._parents, self._groups, self._choices, self._founders = rng.spawn(4)
        self._seeds = deque(self._space.seeds())
        self._pool = Pool(config.parents, config.eps)
        self._members: dict[Work, Member] = {}
        self._chosen: list[Grow] = []

    def ask(self) -> Work | None:
        """Return a growth that was chosen, else a seed, else an attachment to a parent, else a further founder."""
        if self._chosen:
            return self._chosen.pop()
        if self._seeds:
            return Evaluate(self._seeds.popleft(), self.task.epochs)
        parent = self._pool.draw(self._parents)
        if parent is None:
            return Evaluate(founder(self.task, self._founders), self.task.epochs)
        return self._attach(parent)

    def tell(self, trial: Trial, result: Measurement | Failure) -> None:
        """Add a trained network to the pool, or choose among the candidates of an attachment."""
        self.learn(trial, result)
        work = trial.work
        if isinstance(work, Attach):
            self._choose(work, result)
        elif isinstance(work, Evaluate | Grow) and isinstance(result, Measurement):
            self._admit(work, result)

    def _attach(self, parent: Member) -> Attach:
        parent.uses += 1
        parent.busy = True
        config = self._config
        epochs = self.task.epochs if config.attach_epochs is None else config.attach_epochs
        return Attach(parent.work, parent.candidates, config.arm, epochs, float(config.penalty), float(config.scale))

    def _choose(self, work: Attach, result: Measurement | Failure) -> None:
        parent = self._members[work.after]
        parent.busy = False
        moves = [] if isinstance(result, Failure) else self._select(work, result)
        if not moves:
            parent.barren = True
            return
        parent.grown.update(moves)
        config = self._config
        child = self._space.grow(work.arch, moves, config.merge)
        epochs = config.grow_epochs or self.task.epochs
        self._chosen.append(Grow(work, tuple(moves), child, epochs, config.merge, config.inherit))

    def _select(self, work: Attach, result: Measurement) -> list[Move]:
        """Return the moves to make, in the order of the space."""
        groups = list(dict.fromkeys(self._space.group(move) for move in work.moves))
        if self._config.grow == "one":
            groups = [groups[int(self._groups.random() * len(groups))]]
        moves: list[Move] = []
        for group in groups:
            rivals = [move for move in work.moves if self._space.group(move) == group]
            self._keep(work, ranked(rivals, result.scores, self._config.selection, self._choices), moves)
        return sorted(moves, key=work.moves.index)

    def _keep(self, work: Attach, rivals: list[Move], moves: list[Move]) -> None:
        """Add the first rivals that can be made together with the moves already there."""
        most = len(moves) + self._config.keep
        for move in rivals:
            if len(moves) == most:
                return
            if self._possible(work.arch, [*moves, move]):
                moves.append(move)

    def _growable(self, arch: Arch) -> tuple[Move, ...]:
        """Return the moves that can be made by themselves as this search merges them."""
        return tuple(move for move in moves_of(self._space, arch) if self._possible(arch, [move]))

    def _possible(self, arch: Arch, moves: list[Move]) -> bool:
        try:
            return self._space.grow(arch, moves, self._config.merge) in self.task.space
        except UsageError:  # two moves on one edge, for instance
            return False

    def _admit(self, work: Evaluate | Grow, result: Measurement) -> None:
        if work in self._members:  # a founder that was drawn twice
            return
        above = self._members[work.after.after] if isinstance(work, Grow) else None
        cost = cost_of(result, self._config.cost)
        depth = above.depth + 1 if above else 0
        inherited = above.uses if above and self._config.parents == "archai" else 0
        ended = depth == self._config.max_growths or cost > (self._config.max_cost or float("inf"))
        moves = () if ended else self._growable(work.arch)
        member = Member(work, cost, error_of(self.task, result), moves, depth, inherited)
        self._members[work] = member
        self._pool.add(member)
