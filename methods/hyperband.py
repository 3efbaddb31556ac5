"""Hedge between many short trials and few long ones: Hyperband.

Li, Jamieson, DeSalvo, Rostamizadeh and Talwalkar, Hyperband: A Novel Bandit-Based Approach to Hyperparameter
Optimization (JMLR 2018), Algorithm 1, with the published eta = 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import ClassVar

import numpy as np

from harness.core.interfaces import Task
from harness.core.types import Capability
from methods.base import check_count
from methods.brackets import Racing


class Hyperband(Racing):
    """Run races that start at each rung in turn, from many short to few long (Li et al. 2018)."""

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.EVALUATE, Capability.PARTIAL})

    @dataclass(frozen=True)
    class Config:
        """Options.

        Attributes:
            eta: one in `eta` goes on to the next rung, and rungs are at least a factor of `eta` apart.
        """

        eta: int = 3

        def __post_init__(self) -> None:
            check_count("eta", self.eta, least=2)

    def __init__(self, task: Task, rng: np.random.Generator, config: Config) -> None:
        super().__init__(task, rng, config.eta)

    def plan(self, rungs: Sequence[int]) -> Iterator[tuple[int, Sequence[int]]]:
        """Yield the brackets s = s_max, ..., 0 over and over."""
        most = len(rungs) - 1  # s_max: the rungs stand for R eta^-s_max, ..., R
        sizes = {s: -(-(most + 1) * self._eta**s // (s + 1)) for s in range(most, -1, -1)}  # n, Algorithm 1, line 4
        return cycle([(count, rungs[most - s :]) for s, count in sizes.items()])
