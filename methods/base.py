"""Hold what methods share: the best result so far, a random order of a finite space, checks of options."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from harness.core.errors import UsageError, nearest
from harness.core.interfaces import Finite, Growable, Task
from harness.core.types import Arch, Evaluate, Failure, Grow, Measurement, Trial

WORST = float("-inf")
"""The signed objective of a failed trial: below every measured one."""


class BestSoFar:
    """Recommend the best objective among the trials at the highest fidelity told so far.

    A grown network stands with those at the search fidelity. Ties go to the one found first; failures are ignored.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self._best: Arch | None = None
        self._rank = (0, WORST)

    def learn(self, trial: Trial, result: Measurement | Failure) -> float:
        """Remember a result; return its objective, signed so that more is better (a failure: minus infinity)."""
        if isinstance(result, Failure):
            return WORST
        value = self.task.value(result)
        work = trial.work
        if not isinstance(work, Evaluate | Grow):
            return value
        epochs = work.epochs if isinstance(work, Evaluate) else self.task.epochs
        if (epochs, value) > self._rank:
            self._best, self._rank = work.arch, (epochs, value)
        return value

    def tell(self, trial: Trial, result: Measurement | Failure) -> None:
        """Learn the result of a trial."""
        self.learn(trial, result)

    def recommend(self) -> Arch | None:
        """Return the best architecture so far; None before the first success."""
        return self._best


def finite_space(task: Task) -> Finite:
    """Return the space of the task as one that can be listed.

    Raises:
        UsageError: it cannot be listed.
    """
    if not isinstance(task.space, Finite):
        raise UsageError(
            f"space {task.space.name!r} cannot be listed; choose a benchmark that offers 'finite' (see `harness list`)"
        )
    return task.space


def growable_space(task: Task) -> Growable:
    """Return the space of the task as one that grows.

    Raises:
        UsageError: nothing grows in it.
    """
    if not isinstance(task.space, Growable):
        raise UsageError(
            f"space {task.space.name!r} has no moves to grow by; choose a benchmark that offers 'grow', or a table "
            "over a space that grows (see `harness list`)"
        )
    return task.space


def random_order(space: Finite, rng: np.random.Generator) -> Iterator[Arch]:
    """Yield every architecture of the space once, in a uniformly random order.

    Fisher and Yates's shuffle, done as far as it is read: the memory grows with what was drawn, not with the space.
    """
    moved: dict[int, int] = {}
    for last in reversed(range(len(space))):
        pick = int(rng.integers(last + 1))
        drawn, moved[pick] = moved.get(pick, pick), moved.pop(last, last)
        yield space.arch(drawn)


def check_count(option: str, given: object, least: int) -> None:
    """Check that an option is a whole number of at least `least`.

    Raises:
        UsageError: it is not; the message names the option.
    """
    if not isinstance(given, int) or isinstance(given, bool) or given < least:
        raise UsageError(
            f"option {option!r}: {given!r} given; allowed: a whole number from {least} up; "
            "change it in the method's `options`"
        )


def check_choice(option: str, given: object, allowed: Sequence[str]) -> None:
    """Check that an option is one of the allowed words.

    Raises:
        UsageError: it is not; the message names the option, the nearest and all allowed words.
    """
    if given not in allowed:
        raise UsageError(
            f"option {option!r}: {given!r} given{nearest(str(given), allowed)}; allowed: {', '.join(allowed)}; "
            "change it in the method's `options`"
        )


def check_amount(option: str, given: object, least: float, *, excluded: bool = False) -> None:
    """Check that an option is a finite number of at least `least`, or above it where that is `excluded`.

    Raises:
        UsageError: it is not; the message names the option.
    """
    number = isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given)
    if not number or given < least or (excluded and given == least):  # type: ignore[operator] # `number` is first
        bound = f"above {least:g}" if excluded else f"from {least:g} up"
        raise UsageError(
            f"option {option!r}: {given!r} given; allowed: a number {bound}; change it in the method's `options`"
        )
