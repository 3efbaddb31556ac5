"""Follow the loop of a run again from its costs alone: who lands when, what is spent, why it ends."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.core.budget import Budget, Ledger
from harness.core.records import TrialRecord
from harness.core.schema import Track
from harness.core.types import Evaluate, Failure, Grow

Keyed = tuple[TrialRecord, str]


@dataclass(frozen=True, slots=True)
class Step:
    """What a line of the journal must say."""

    id: int
    counted: bool
    spent: float


@dataclass(slots=True)
class Course:
    """The course that follows from the costs of the trials.

    Attributes:
        steps: in the order of the journal.
        reason: why it ends; empty where the journal does not hold enough of it.
        spent: charged in all.
    """

    steps: list[Step] = field(default_factory=list)
    reason: str = ""
    spent: float = 0.0


def follow(trials: Sequence[Keyed], track: Track, *, ended: bool) -> Course:
    """Return the course of a run with these trials; `ended` tells that no trial is missing at the end.

    Raises:
        RulesBroken: a trial has no cost in the unit of the budget.
    """
    if track.schedule == "recorded":
        return _Recorded(trials, track, ended=ended).course()
    return _Walk({record.trial.id: (record, key) for record, key in trials}, track, ended=ended).course()


class _Walk:
    def __init__(self, trials: Mapping[int, Keyed], track: Track, *, ended: bool) -> None:
        self.trials, self.track, self.ended = trials, track, ended
        self.ledger = Ledger(Budget(track.budget.unit, track.budget.limit, track.budget.overrun))
        self.paid: set[str] = set()
        self.launched = 0
        self.landed = 0.0
        self.steps: list[Step] = []

    def course(self) -> Course:
        pending: list[tuple[float, int, float]] = []
        clocks = [0.0] * self.track.workers
        reason = ""
        while True:
            while not reason and len(pending) < self.track.workers:
                reason, price = self._launch()
                if not reason:
                    end = heapq.heappop(clocks) + price
                    heapq.heappush(clocks, end)
                    heapq.heappush(pending, (end, self.launched - 1, self.ledger.spent))
            if not pending or reason == "torn":
                return Course(self.steps, "" if reason == "torn" else reason, self.ledger.spent)
            _, identity, spent = heapq.heappop(pending)
            self.landed = max(self.landed, spent)
            self.steps.append(Step(identity, counted=True, spent=self.landed))

    def _launch(self) -> tuple[str, float]:
        """Start the next trial; return why none is started, and its price."""
        if not self.ledger.open:
            return "budget", 0.0
        if self.launched >= self.track.budget.max_trials:
            return "max_trials", 0.0
        if self.launched not in self.trials:
            return "exhausted" if self.ended else "torn", 0.0
        record, key = self.trials[self.launched]
        price = self._price(record, key)
        self.launched += 1
        if self.track.budget.overrun == "discard" and not self.ledger.fits(price):
            self.steps.append(Step(record.trial.id, counted=False, spent=self.landed))
            return "budget", 0.0
        self.ledger.charge(price)
        return "", price

    def _price(self, record: TrialRecord, key: str) -> float:
        repeated = key in self.paid
        self.paid.add(key)
        if repeated and self.track.budget.repeats == "free":
            return 0.0
        return self.ledger.budget.price_of(record.trial.work, record.result.cost)


class _Recorded:
    """The course of workers that are no simulation: any trial that is in the air may land next."""

    def __init__(self, trials: Sequence[Keyed], track: Track, *, ended: bool) -> None:
        self.trials, self.track, self.ended = trials, track, ended
        self.known = {record.trial.id for record, _ in trials}
        self.ledger = Ledger(Budget(track.budget.unit, track.budget.limit, track.budget.overrun))
        self.paid: set[str] = set()
        self.launched = 0
        self.flying: list[int] = []

    def course(self) -> Course:
        steps: list[Step] = []
        reason = self._launch()
        for record, key in self.trials:
            if not self.flying:
                break
            identity = record.trial.id if record.trial.id in self.flying else self.flying[0]
            self.flying.remove(identity)
            counted = self._charge(record, key)
            steps.append(Step(identity, counted=counted, spent=self.ledger.spent))
            reason = reason or ("" if counted else "budget") or self._launch()
        return Course(steps, reason, self.ledger.spent)

    def _launch(self) -> str:
        """Start all trials that are started now; return why none is started any more."""
        while len(self.flying) < self.track.workers and self.ledger.room(len(self.flying)):
            if not self.ledger.open:
                return "budget"
            if self.launched >= self.track.budget.max_trials:
                return "max_trials"
            if self.ended and self.launched not in self.known:
                return "exhausted"
            # Where the run was cut short, a trial that the journal does not hold may have been in the air.
            self.flying.append(self.launched)
            self.launched += 1
        return ""

    def _charge(self, record: TrialRecord, key: str) -> bool:
        """Charge a trial; return whether it counts."""
        free = key in self.paid and self.track.budget.repeats == "free"
        price = 0.0 if free else self.ledger.budget.price_of(record.trial.work, record.result.cost)
        counts = self.track.budget.overrun == "keep" or self.ledger.fits(price)
        if counts:
            self.ledger.charge(price)
            self.paid.add(key)
        return counts


def chosen(trials: Sequence[Keyed], track: Track) -> str | None:
    """Return the architecture that the selection rule reports, as of the last trial within the limit."""
    within = [record for record, _ in trials if record.counted and record.spent <= track.budget.limit]
    if track.selection.rule == "recommended":
        return within[-1].recommended if within else None
    sign = 1.0 if track.objective.direction == "maximize" else -1.0
    best: tuple[float, str] | None = None
    for record in within:
        work, result = record.trial.work, record.result
        if not isinstance(work, Evaluate | Grow) or isinstance(result, Failure):
            continue
        if isinstance(work, Evaluate) and work.epochs < track.fidelity.search:
            continue
        if best is None or sign * result.value > best[0]:
            best = (sign * result.value, work.arch)
    return None if best is None else best[1]
