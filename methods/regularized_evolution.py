"""Evolve a population in which the oldest dies, not the worst.

Real, Aggarwal, Huang and Le, Regularized Evolution for Image Classifier Architecture Search (AAAI 2019), with the
settings of the NAS-Bench-201 script (Dong and Yang, ICLR 2020): population 10, sample 3, drawn with replacement.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from harness.core.interfaces import Task
from harness.core.types import Arch, Capability, Evaluate, Failure, Measurement, Trial, Work
from methods.base import BestSoFar, check_choice, check_count, finite_space

Kill = Literal["oldest", "worst"]


class RegularizedEvolution(BestSoFar):
    """Mutate the winner of a tournament; the oldest member dies (Real et al. 2019).

    A failed trial enters the population as its worst member, so that it ages out like any other. With several
    workers a tournament is held among those whose results are known.
    """

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.EVALUATE, Capability.FINITE})

    @dataclass(frozen=True)
    class Config:
        """Options.

        Attributes:
            population: how many live at a time; as many random architectures come first.
            sample: how many enter a tournament, drawn with replacement.
            kill: who dies when a child is added; 'worst' is the ablation without ageing.
        """

        population: int = 10
        sample: int = 3
        kill: Kill = "oldest"

        def __post_init__(self) -> None:
            check_count("population", self.population, least=1)
            check_count("sample", self.sample, least=1)
            check_choice("kill", self.kill, get_args(Kill))

    def __init__(self, task: Task, rng: np.random.Generator, config: Config) -> None:
        super().__init__(task)
        self._rng = rng
        self._config = config
        self._space = finite_space(task)
        self._founders = 0
        self._population: deque[tuple[Arch, float]] = deque()

    def ask(self) -> Work | None:
        """Return a random founder until there are enough, then a mutant of a tournament's winner."""
        if self._founders < self._config.population or not self._population:
            self._founders += 1
            return self._evaluate(self.task.space.sample(self._rng))
        neighbours = self._space.neighbours(self._winner())
        if not neighbours:  # an architecture without neighbours cannot be mutated
            return self._evaluate(self.task.space.sample(self._rng))
        return self._evaluate(neighbours[int(self._rng.integers(len(neighbours)))])

    def tell(self, trial: Trial, result: Measurement | Failure) -> None:
        """Add the trial to the population, and let one die if it is too large."""
        value = self.learn(trial, result)
        assert isinstance(trial.work, Evaluate)
        self._population.append((trial.work.arch, value))
        if len(self._population) > self._config.population:
            self._bury()

    def _evaluate(self, arch: Arch) -> Work:
        return Evaluate(arch, self.task.epochs)

    def _winner(self) -> Arch:
        picks = self._rng.integers(len(self._population), size=self._config.sample)
        return max((self._population[int(pick)] for pick in picks), key=lambda member: member[1])[0]

    def _bury(self) -> None:
        if self._config.kill == "oldest":
            self._population.popleft()
        else:  # the oldest among equals
            self._population.remove(min(self._population, key=lambda member: member[1]))
