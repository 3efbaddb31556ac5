"""Ship one random architecture: the reference row that shows what the search space alone gives.

Lindauer and Hutter, Best Practices for Scientific Research on Neural Architecture Search (JMLR 2020), Definition 9:
random sampling, as opposed to random search, has no selection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.core.interfaces import Task
from harness.core.types import Capability, Evaluate, Work
from methods.base import BestSoFar


class RandomSampling(BestSoFar):
    """Draw one architecture, evaluate it once and recommend it (Lindauer and Hutter 2020, Definition 9)."""

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.EVALUATE})

    @dataclass(frozen=True)
    class Config:
        """No options: there is nothing to choose."""

    def __init__(self, task: Task, rng: np.random.Generator, config: Config) -> None:  # noqa: ARG002 (the common form)
        super().__init__(task)
        self._draw: Work | None = Evaluate(task.space.sample(rng), task.epochs)

    def ask(self) -> Work | None:
        """Return the evaluation of the one draw, then None."""
        work, self._draw = self._draw, None
        return work
