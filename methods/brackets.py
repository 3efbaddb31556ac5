"""Race architectures through rising fidelities: the bracket that successive halving and Hyperband share.

Jamieson and Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization (AISTATS 2016);
Li, Jamieson, DeSalvo, Rostamizadeh and Talwalkar, Hyperband (JMLR 2018), Algorithm 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from harness.core.errors import UsageError
from harness.core.interfaces import Task
from harness.core.types import Arch, Evaluate, Failure, Measurement, Trial, Work
from methods.base import WORST, BestSoFar


def geometric_rungs(task: Task, eta: int) -> tuple[int, ...]:
    """Return the fidelities to race over, rising to the search fidelity by factors of `eta` or a little more.

    Raises:
        UsageError: the fidelities leave a single rung, so that there is nothing to race over.
    """
    rungs = [task.epochs]
    while below := [epochs for epochs in task.fidelities if epochs * eta <= rungs[-1]]:
        rungs.append(max(below))
    if len(rungs) == 1:
        raise UsageError(
            f"option 'eta': {eta} given, but none of the fidelities {', '.join(map(str, task.fidelities))} is at most "
            f"{task.epochs}/{eta} epochs; choose a smaller eta, or add rungs to the track's `fidelity`"
        )
    return tuple(reversed(rungs))


class Bracket:
    """One race: on each rung the best `1/eta` go on to the next, trained from where they stopped."""

    def __init__(self, rungs: Sequence[int], eta: int, archs: Sequence[Arch]) -> None:
        self._rungs = rungs
        self._eta = eta
        self._started = len(archs)
        self._level = 0
        self._queue = deque(archs)
        self._running = 0
        self._finished: list[tuple[float, Arch]] = []

    @property
    def done(self) -> bool:
        """Tell whether the race is over."""
        return not self._queue and not self._running

    def next(self) -> Evaluate | None:
        """Return the next evaluation of this rung; None while all of them are running."""
        if not self._queue:
            return None
        self._running += 1
        start = self._rungs[self._level - 1] if self._level else 0
        return Evaluate(self._queue.popleft(), self._rungs[self._level], start=start)

    def hear(self, arch: Arch, value: float) -> None:
        """Learn a result; with the last one of a rung, promote."""
        self._running -= 1
        self._finished.append((value, arch))
        if self.done and self._level + 1 < len(self._rungs):
            self._promote()

    def _promote(self) -> None:
        self._level += 1
        # n_i = floor(n eta^-i), Algorithm 1; at least one reaches the top, and a failed network cannot go on
        places = max(1, self._started // self._eta**self._level)
        ranked = sorted(self._finished, key=lambda pair: -pair[0])
        self._queue.extend(arch for value, arch in ranked[:places] if value > WORST)
        self._finished = []


class Racing(BestSoFar, ABC):
    """Run one bracket after another.

    With several workers, while the last evaluations of a rung are running, the next bracket begins.
    """

    def __init__(self, task: Task, rng: np.random.Generator, eta: int) -> None:
        super().__init__(task)
        self._rng = rng
        self._eta = eta
        self._plan: Iterator[tuple[int, Sequence[int]]] = self.plan(geometric_rungs(task, eta))
        self._open: list[Bracket] = []
        self._waiting: dict[Work, list[Bracket]] = {}

    @abstractmethod
    def plan(self, rungs: Sequence[int]) -> Iterator[tuple[int, Sequence[int]]]:
        """Yield the brackets for ever: how many architectures start, and the rungs that they race over."""

    def ask(self) -> Work | None:
        """Return the next evaluation of the earliest bracket that has one."""
        work, bracket = next(self._ready())
        self._waiting.setdefault(work, []).append(bracket)
        return work

    def tell(self, trial: Trial, result: Measurement | Failure) -> None:
        """Hand the result to the bracket that asked first for this work."""
        assert isinstance(trial.work, Evaluate)
        waiting = self._waiting[trial.work]
        bracket = waiting.pop(0)
        if not waiting:
            del self._waiting[trial.work]
        bracket.hear(trial.work.arch, self.learn(trial, result))
        if bracket.done:
            self._open.remove(bracket)

    def _ready(self) -> Iterator[tuple[Evaluate, Bracket]]:
        for bracket in self._open:
            if (work := bracket.next()) is not None:
                yield work, bracket
        count, rungs = next(self._plan)
        bracket = Bracket(rungs, self._eta, [self.task.space.sample(self._rng) for _ in range(count)])
        self._open.append(bracket)
        work = bracket.next()
        assert work is not None
        yield work, bracket
