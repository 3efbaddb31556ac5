"""Methods that each break one rule, for the tests that check that the contract catches them."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from harness.core.interfaces import Task
from harness.core.types import Arch, Capability, Evaluate, Failure, Measurement, Trial, Work
from methods.base import BestSoFar


class Sound(BestSoFar):
    """Random search, from which every fault below differs in one thing."""

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.EVALUATE})

    @dataclass(frozen=True)
    class Config:
        pass

    def __init__(self, task: Task, rng: np.random.Generator, config: Any) -> None:
        super().__init__(task)
        self.rng = rng

    def ask(self) -> Work | None:
        return Evaluate(self.draw(), self.task.epochs)

    def draw(self) -> Arch:
        return self.task.space.sample(self.rng)


class DrawsFromRandom(Sound):
    """Draw from the global generator of random, put back to a fixed state."""

    def draw(self) -> Arch:
        random.seed(int(self.rng.integers(1 << 30)))
        return self.task.space.arch(random.randrange(1024))


class DrawsFromNumpy(Sound):
    """Draw from the global generator of numpy, put back to a fixed state."""

    def draw(self) -> Arch:
        np.random.seed(int(self.rng.integers(1 << 30)))  # noqa: NPY002 - planted
        return self.task.space.arch(int(np.random.randint(1024)))  # noqa: NPY002 - planted


class DrawsFromTorch(Sound):
    """Draw from the global generator of torch, put back to a fixed state."""

    def draw(self) -> Arch:
        import torch  # noqa: PLC0415 - loaded late, as a careless method might

        torch.manual_seed(int(self.rng.integers(1 << 30)))
        return self.task.space.arch(int(torch.randint(1024, ())))


class ReadsTheClock(Sound):
    """Let the clock choose."""

    def draw(self) -> Arch:
        return self.task.space.arch(time.perf_counter_ns() % 1024)


class WalksThroughASet(Sound):
    """Take the first of a set of texts, whose order depends on the hash seed."""

    def draw(self) -> Arch:
        return next(iter({self.task.space.sample(self.rng) for _ in range(8)}))


class IgnoresItsSeed(Sound):
    """Draw from a generator of its own."""

    def __init__(self, task: Task, rng: np.random.Generator, config: Any) -> None:
        super().__init__(task, np.random.default_rng(0), config)


class RemembersOtherRuns(Sound):
    """Keep state in the class."""

    drawn: ClassVar[list[Arch]] = []

    def draw(self) -> Arch:
        self.drawn.append(super().draw())
        return self.drawn[len(self.drawn) // 2]


class AsksOutsideTheSpace(Sound):
    """Ask for something that does not exist."""

    def draw(self) -> Arch:
        return Arch("zzzzz")


class AsksForOtherEpochs(Sound):
    """Ask for a fidelity that is not offered."""

    def ask(self) -> Work | None:
        return Evaluate(self.draw(), self.task.epochs - 1)


class StartsForFree(Sound):
    """Start from epochs that nobody paid for."""

    def ask(self) -> Work | None:
        return Evaluate(self.draw(), self.task.epochs, start=self.task.fidelities[0])


class ContinuesTheFailed(Sound):
    """Go on training a network that failed."""

    def __init__(self, task: Task, rng: np.random.Generator, config: Any) -> None:
        super().__init__(task, rng, config)
        self.next: Evaluate | None = None

    def ask(self) -> Work | None:
        low, high = self.task.fidelities[0], self.task.epochs
        work, self.next = self.next or Evaluate(self.draw(), low), None
        return work if work.epochs == low else replace(work, epochs=high)

    def tell(self, trial: Trial, result: Measurement | Failure) -> None:
        super().tell(trial, result)
        if isinstance(trial.work, Evaluate) and trial.work.epochs < self.task.epochs:
            self.next = Evaluate(trial.work.arch, self.task.epochs, start=trial.work.epochs)


class StumblesOverFailures(Sound):
    """Read the value of a failed trial."""

    def tell(self, trial: Trial, result: Any) -> None:
        assert result.value > 0


class RecommendsTheFailed(Sound):
    """Recommend the last trial, whatever came of it."""

    def tell(self, trial: Trial, result: Measurement | Failure) -> None:
        assert isinstance(trial.work, Evaluate)
        self._best = trial.work.arch


class RecommendsTooEarly(Sound):
    """Recommend something before anything is known."""

    def __init__(self, task: Task, rng: np.random.Generator, config: Any) -> None:
        super().__init__(task, rng, config)
        self._best = self.draw()


class WaitsForAnswers(Sound):
    """Ask for nothing more while a trial is running."""

    running = False

    def ask(self) -> Work | None:
        if self.running:
            return None
        self.running = True
        return super().ask()

    def tell(self, trial: Trial, result: Measurement | Failure) -> None:
        super().tell(trial, result)
        self.running = False


class RecommendsTheWorst(Sound):
    """Turn the objective round."""

    def __init__(self, task: Task, rng: np.random.Generator, config: Any) -> None:
        super().__init__(
            replace(task, direction="minimize" if task.direction == "maximize" else "maximize"), rng, config
        )


class AlwaysMaximises(Sound):
    """Overlook that an error is to be minimised."""

    def __init__(self, task: Task, rng: np.random.Generator, config: Any) -> None:
        super().__init__(replace(task, direction="maximize"), rng, config)


class TakesAnyOption(Sound):
    """Check no option."""

    @dataclass(frozen=True)
    class Config:
        population: int = 10


class HasAMutableConfig(Sound):
    """Let options change after they were given."""

    @dataclass
    class Config:
        pass


class WantsASupernet(Sound):
    """Require what the toy does not offer."""

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.SUPERNET})
