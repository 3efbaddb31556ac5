"""Search by fitting a surrogate to what was evaluated and evaluating what it ranks first.

The loop that Rawal, Lehman, Such, Clune and Stanley, Synthetic Petri Dish (arXiv 2005.13092, 2020) put around their
surrogate, with the surrogate as an option, so that surrogates are compared and not loops.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.core.errors import UsageError
from harness.core.interfaces import Task
from harness.core.seeds import SeedTree
from harness.core.types import Arch, Capability, Evaluate, Failure, Measurement, Think, Trial, Work
from methods.base import BestSoFar, check_count
from methods.surrogates.surrogate import Floats, Surrogate, check_name, surrogate

_DRAWS = 20
"""How many pools are drawn before the space counts as exhausted."""


class SurrogateSearch(BestSoFar):
    """Refit a surrogate every round, and evaluate the best that it sees in a random pool (Rawal et al. 2020).

    The first cells and the pools of a replicate are the same for every surrogate. What the surrogate computes is
    charged before the evaluations that it led to.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.EVALUATE, Capability.ENCODABLE, Capability.THINK})

    @dataclass(frozen=True)
    class Config:
        """Options.

        Attributes:
            surrogate: who predicts: a name of `methods.surrogates.SURROGATES`.
            initial: how many random cells are evaluated first.
            pool: how many random cells the surrogate sees each round.
            top: how many cells are evaluated each round.
            explore: how many of them are drawn at random from the pool instead of being ranked first.
        """

        surrogate: str = "ridge"
        initial: int = 20
        pool: int = 500
        top: int = 5
        explore: int = 0

        def __post_init__(self) -> None:
            check_name(self.surrogate)
            check_count("initial", self.initial, least=2)
            check_count("pool", self.pool, least=1)
            check_count("top", self.top, least=1)
            check_count("explore", self.explore, least=0)
            if self.explore > self.top:
                raise UsageError(
                    f"option 'explore': {self.explore} random cells do not fit into 'top', the {self.top} of a round; "
                    "change it in the method's `options`"
                )

    def __init__(self, task: Task, rng: np.random.Generator, config: Config) -> None:
        super().__init__(task)
        self._config = config
        self._seeds = SeedTree(("surrogate_search", str(rng.integers(2**63))))
        self._surrogate: Surrogate = surrogate(config.surrogate, task.space)
        self._values: dict[Arch, float] = {}
        self._asked: set[Arch] = set()
        self._queue: deque[Work] = deque()
        self._round = 0

    def ask(self) -> Work | None:
        """Return what is left of this round; at its end the surrogate is fitted again."""
        if not self._queue:
            self._queue.extend(self._next_round())
            self._round += 1
        return self._queue.popleft() if self._queue else None

    def tell(self, trial: Trial, result: Measurement | Failure) -> None:
        """Remember the value of a cell; a failure is worse than all others."""
        value = self.learn(trial, result)
        if isinstance(trial.work, Evaluate):
            self._values[trial.work.arch] = value

    def _next_round(self) -> list[Work]:
        pool = self._pool()
        if self._round == 0 or len(set(self._values.values())) < 2:  # noqa: PLR2004 - one value orders nothing
            size = self._config.top if self._round else self._config.initial
            return self._evaluations(pool[:size])
        scores = self._scores(pool)
        effort = self._surrogate.cost()
        work = effort.fit + effort.prediction * len(pool)
        told = f"{self._config.surrogate}, round {self._round}: {len(self._values)} fitted, {len(pool)} predicted"
        return [*([Think(told, work)] if work else []), *self._evaluations(self._chosen(pool, scores))]

    def _pool(self) -> list[Arch]:
        """Return the new cells among random ones, in the order of the draws, each once; empty where none is left."""
        size = self._config.pool if self._round else max(self._config.pool, self._config.initial)
        for draw in range(_DRAWS):
            rng = self._seeds.child("pool", self._round, draw).generator()
            drawn = dict.fromkeys(self.task.space.sample(rng) for _ in range(size))
            new = [cell for cell in drawn if cell not in self._asked]
            if new:
                return new
        return []

    def _scores(self, pool: Sequence[Arch]) -> Floats:
        known = list(self._values)
        values = np.array([self._values[cell] for cell in known])
        self._surrogate.fit(known, values, self._seeds.child("fit", self._round).generator())
        return self._surrogate.predict(pool)

    def _chosen(self, pool: Sequence[Arch], scores: Floats) -> list[Arch]:
        """Return the cells ranked first, equal ones in random order, and those to explore."""
        lots = self._seeds.child("lots", self._round).generator().random(len(pool))
        ranking = np.lexsort((lots, -scores)).tolist()
        best, rest = (
            ranking[: self._config.top - self._config.explore],
            ranking[self._config.top - self._config.explore :],
        )
        strays = sorted(rest, key=lots.__getitem__)[: self._config.explore]
        return [pool[place] for place in [*best, *strays]]

    def _evaluations(self, cells: Sequence[Arch]) -> list[Work]:
        self._asked.update(cells)
        return [Evaluate(cell, self.task.epochs) for cell in cells]
