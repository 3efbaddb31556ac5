"""Search by independent random draws.

The baseline that every method has to beat: Li and Talwalkar, Random Search and Reproducibility for Neural
Architecture Search (UAI 2019). The multi-trial tables of NAS-Bench-201 (Dong and Yang, ICLR 2020) draw with
replacement.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from harness.core.interfaces import Task
from harness.core.types import Arch, Capability, Evaluate, Work
from methods.base import BestSoFar, check_choice, finite_space, random_order

Draws = Literal["with-replacement", "without-replacement"]


class RandomSearch(BestSoFar):
    """Evaluate random architectures and keep the best (Li and Talwalkar 2019)."""

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.EVALUATE})

    @dataclass(frozen=True)
    class Config:
        """Options.

        Attributes:
            draws: 'with-replacement' draws from the space's own distribution each time; 'without-replacement'
                walks through a finite space in a random order and stops at its end.
        """

        draws: Draws = "with-replacement"

        def __post_init__(self) -> None:
            check_choice("draws", self.draws, get_args(Draws))

    def __init__(self, task: Task, rng: np.random.Generator, config: Config) -> None:
        super().__init__(task)
        self._archs = _independent(task, rng) if config.draws == "with-replacement" else _distinct(task, rng)

    def ask(self) -> Work | None:
        """Return the evaluation of the next draw; None when all of the space was drawn without replacement."""
        arch = next(self._archs, None)
        return None if arch is None else Evaluate(arch, self.task.epochs)


def _independent(task: Task, rng: np.random.Generator) -> Iterator[Arch]:
    while True:
        yield task.space.sample(rng)


def _distinct(task: Task, rng: np.random.Generator) -> Iterator[Arch]:
    return random_order(finite_space(task), rng)
