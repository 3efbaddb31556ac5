"""Start many, and train only the best on: successive halving.

Jamieson and Talwalkar (AISTATS 2016); as a search method it repeats the most aggressive bracket of Hyperband
(Li et al., JMLR 2018).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import ClassVar

import numpy as np

from harness.core.interfaces import Task
from harness.core.types import Capability
from methods.base import check_count
from methods.brackets import Racing


class SuccessiveHalving(Racing):
    """Race random architectures through rising fidelities, again and again (Jamieson and Talwalkar 2016)."""

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.EVALUATE, Capability.PARTIAL})

    @dataclass(frozen=True)
    class Config:
        """Options.

        Attributes:
            eta: one in `eta` goes on to the next rung, and rungs are at least a factor of `eta` apart.
            architectures: how many start in a race; None: eta ** (rungs - 1), so that one reaches the top.
        """

        eta: int = 3
        architectures: int | None = None

        def __post_init__(self) -> None:
            check_count("eta", self.eta, least=2)
            if self.architectures is not None:
                check_count("architectures", self.architectures, least=1)

    def __init__(self, task: Task, rng: np.random.Generator, config: Config) -> None:
        self._count = config.architectures
        super().__init__(task, rng, config.eta)

    def plan(self, rungs: Sequence[int]) -> Iterator[tuple[int, Sequence[int]]]:
        """Yield the same bracket for ever."""
        return repeat((self._count or self._eta ** (len(rungs) - 1), rungs))
