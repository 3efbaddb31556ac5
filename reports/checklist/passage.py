"""Reduce the trials of a run to what the checklist asks of them, and note where runs of a track meet."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise
from typing import Any

from harness.core.budget import Budget
from harness.core.errors import RulesBroken
from harness.core.lineage import trained
from harness.core.records import RunRecord, TrialRecord
from harness.core.types import Failure, Work

RANDOM_SEARCH = "random_search"
_CLOSE = 1e-9  # the sum of some hundred floats in another order


@dataclass(frozen=True, slots=True)
class Passage:
    """What the trials of one run tell.

    Attributes:
        trials: told to the method.
        spent: charged at the end.
        orderly: whether what was spent never fell.
        filled: whether a trial was turned away for lack of budget, or the limit was reached.
        named: whether an architecture was recommended within the budget.
        leaked: sealed metrics among what the method was told.
        failures: failed trials.
        free_failures: failed trials that cost nothing.
        adds_up: whether the prices of the trials add up to what was spent.
        course: equal for two runs that did the same work with the same results.
    """

    trials: int = 0
    spent: float = 0.0
    orderly: bool = True
    filled: bool = False
    named: bool = False
    leaked: frozenset[str] = frozenset()
    failures: int = 0
    free_failures: int = 0
    adds_up: bool = True
    course: str = ""


@dataclass(slots=True)
class Meeting:
    """What the runs of one track have in common.

    Attributes:
        draws: how often random search drew each architecture, trials past the budget included.
        archs: how often any method evaluated or grew each.
        shared: trials whose work another run of the same replicate had done before.
        contradictions: trials that were answered otherwise than the same work in another run of the replicate.
    """

    draws: Counter[str] = field(default_factory=Counter)
    archs: Counter[str] = field(default_factory=Counter)
    shared: int = 0
    contradictions: list[str] = field(default_factory=list)
    _replicate: int = -1
    _answers: dict[Hashable, Hashable] = field(default_factory=dict)

    def __getstate__(self) -> tuple[Any, ...]:
        """Leave behind what only the runs of one replicate need."""
        return self.draws, self.archs, self.shared, self.contradictions

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Go on without a replicate."""
        self.draws, self.archs, self.shared, self.contradictions = state
        self._replicate, self._answers = -1, {}

    def note(self, run: RunRecord) -> None:
        """Compare a run's answers with those that other runs of its replicate were given."""
        if run.spec.replicate != self._replicate:
            # Runs come replicate by replicate; seeds, and with them answers, are common within one.
            self._replicate, self._answers = run.spec.replicate, {}
        drawn = run.spec.implementation == RANDOM_SEARCH and run.spec.variant == "base"
        mine: dict[Hashable, Hashable] = {}
        for record in run.trials:
            self._compare(run, record, mine)
            arch = trained(record.trial.work)
            if arch is not None:
                self.archs[arch] += 1
                self.draws[arch] += drawn
        self._answers |= mine

    def add(self, later: Meeting) -> None:
        """Take in what later runs have in common, none of them of a replicate that was seen before."""
        self.draws.update(later.draws)
        self.archs.update(later.archs)
        self.shared += later.shared
        self.contradictions += later.contradictions

    def _compare(self, run: RunRecord, record: TrialRecord, mine: dict[Hashable, Hashable]) -> None:
        key = record.trial.seed, record.trial.work
        mine[key] = answer = _answer(record)
        known = self._answers.get(key)
        self.shared += known is not None
        if known is not None and known != answer:
            self.contradictions.append(f"{run.spec.id}, trial {record.trial.id}")


def _answer(record: TrialRecord) -> Hashable:
    result = record.result
    said: Hashable = result.reason if isinstance(result, Failure) else result.value
    return said, result.cost, tuple(sorted(record.sealed.items()))


def passage_of(run: RunRecord, plan: Mapping[str, Any], meeting: Meeting) -> Passage:
    """Return the passage of a run on a track, and note in `meeting` where it meets other runs."""
    meeting.note(run)
    told = [record for record in run.trials if record.counted]
    limit = plan["budget"]["limit"]
    spent = [record.spent for record in told]
    failed = [record.result.cost for record in told if isinstance(record.result, Failure)]
    budget = Budget(plan["budget"]["unit"], limit, plan["budget"]["overrun"])
    return Passage(
        trials=len(told),
        spent=spent[-1] if spent else 0.0,
        orderly=all(first <= second for first, second in pairwise(spent)),
        filled=len(told) < len(run.trials) or bool(spent and spent[-1] >= limit),
        named=any(record.recommended is not None and record.spent <= limit for record in told),
        leaked=_leaked(run, frozenset(plan["final"]["metrics"])),
        failures=len(failed),
        free_failures=sum(1 for cost in failed if cost.epochs <= 0 and plan["budget"]["unit"] != "evaluations"),
        adds_up=_adds_up(told, budget, free=plan["budget"]["repeats"] == "free"),
        course=sha256("".join(_step(record) for record in told).encode()).hexdigest(),
    )


def _leaked(run: RunRecord, final: frozenset[str]) -> frozenset[str]:
    found: set[str] = set()
    for record in run.trials:
        if not isinstance(record.result, Failure):
            opened = record.result.metrics.keys()
            found |= (opened & final) | (opened & record.sealed.keys())
    return frozenset(found)


def _adds_up(told: list[TrialRecord], budget: Budget, *, free: bool) -> bool:
    paid: set[Work] = set()
    total = 0.0
    try:
        for record in sorted(told, key=lambda record: record.trial.id):
            if not (free and record.trial.work in paid):
                total += budget.price_of(record.trial.work, record.result.cost)
            paid.add(record.trial.work)
    except RulesBroken:  # a trial without a cost in the budget's unit
        return False
    return not told or math.isclose(total, told[-1].spent, rel_tol=_CLOSE)


def _step(record: TrialRecord) -> str:
    result = record.result
    return f"{_text(record.trial.work)} {result.reason if isinstance(result, Failure) else result.value!r}\n"


@lru_cache(maxsize=1 << 16)
def _text(work: Work) -> str:
    """Return a text that tells works apart; runs of a table come back to the same works again and again."""
    return repr(work)
