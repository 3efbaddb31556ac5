"""Hold the trials of one run that are being evaluated side by side, and say which of them lands next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from harness.core.types import Outcome, Trial


class Crew(Protocol):
    """Whoever evaluates several trials of a run at the same time."""

    def give(self, trial: Trial) -> None:
        """Begin to evaluate a trial."""
        ...

    def hear(self) -> tuple[int, Outcome, float]:
        """Wait for a trial to end; return its id, its outcome and the seconds that it took."""
        ...

    def dismiss(self) -> None:
        """Let everybody go, with what they hold in memory; no trial is left."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A trial that a method has asked for.

    Attributes:
        key: its work as canonical JSON.
        seconds: what the method took to ask.
    """

    trial: Trial
    key: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Landing:
    """A trial that has ended.

    Attributes:
        seconds: what the evaluation took; 0 where there was none.
    """

    asked: Asked
    outcome: Outcome
    seconds: float


class Overlap:
    """The trials that have been asked for and have not landed yet.

    They land in the order that a record holds, as far as there is one, and beyond it as they really end.

    Args:
        crew: evaluates the trials whose outcomes are not known.
        order: ids of trials in the order in which they are to land.
    """

    def __init__(self, crew: Crew, order: Iterable[int] = ()) -> None:
        self._crew = crew
        self._order = deque(order)
        self._flying: dict[int, Asked] = {}
        self._ended: dict[int, tuple[Outcome, float]] = {}

    def __len__(self) -> int:
        return len(self._flying)

    def launch(self, asked: Asked, known: Outcome | None) -> None:
        """Have a trial evaluated, unless its outcome is known: then it has ended already."""
        self._flying[asked.trial.id] = asked
        if known is None:
            self._crew.give(asked.trial)
        else:
            self._ended[asked.trial.id] = (known, 0.0)

    def next(self) -> Landing:
        """Wait for the trial that lands next, of which there must be one."""
        due = self._due()
        while not self._ended if due is None else due not in self._ended:
            ended, outcome, seconds = self._crew.hear()
            self._ended[ended] = (outcome, seconds)
        landed = next(iter(self._ended)) if due is None else due
        return Landing(self._flying.pop(landed), *self._ended.pop(landed))

    def _due(self) -> int | None:
        """Return the id that is recorded as the next; None where nothing is recorded any more."""
        due = self._order.popleft() if self._order else None
        if due is None or due in self._flying:
            return due
        # The run takes another course than the record. Whoever compares the lines says where.
        self._order.clear()
        return None
