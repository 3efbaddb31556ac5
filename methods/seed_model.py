"""Ship the seed that growth begins with: the reference row that shows what growing adds."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.core.interfaces import Task
from harness.core.types import Capability, Evaluate, Work
from methods.base import BestSoFar, growable_space


class SeedModel(BestSoFar):
    """Train the seeds of the space once each and recommend the best: what a growing search must beat.

    Nothing is searched, so that the rest of the budget stays unspent. The protocol's final recipe trains the seed anew
    and for as long as what the others found; it draws nothing at random.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.EVALUATE, Capability.GROWABLE})

    @dataclass(frozen=True)
    class Config:
        """No options: there is nothing to choose."""

    def __init__(self, task: Task, rng: np.random.Generator, config: Config) -> None:  # noqa: ARG002 (the common form)
        super().__init__(task)
        self._seeds = deque(growable_space(task).seeds())

    def ask(self) -> Work | None:
        """Return the evaluation of the next seed, then None."""
        return Evaluate(self._seeds.popleft(), self.task.epochs) if self._seeds else None
