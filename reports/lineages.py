"""Reduce a run that grows networks to its pool: who grew from whom, by which moves, and what the candidates scored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Any

from harness.core.hull import error_of
from harness.core.records import RunRecord, StudyRecord
from harness.core.types import Attach, Direction, Evaluate, Grow, Measurement, RunSpec, Work


@dataclass(frozen=True, slots=True)
class Member:
    """A trained network of a pool.

    Attributes:
        parent: its index in the pool; -1 for a founder.
        moves: what its parent grew by.
        cost: multiply-adds of one image, in the unit of the metric; NaN where none was recorded.
        parameters: likewise.
        error: validation error: the objective where less is better, else 100 less the objective.
        spent: of the budget when it was known.
    """

    arch: str
    parent: int
    moves: tuple[str, ...]
    cost: float
    parameters: float
    error: float
    spent: float


@dataclass(frozen=True, slots=True)
class Attachment:
    """What the candidates of one attachment were seen to do.

    Attributes:
        arch: the parent.
        weights: of each candidate.
        chosen: the moves that were made real; empty where none was.
        changed: the parent's validation accuracy after the phase less that before it; NaN where not measured.
        drift: how far the candidates drove the parent; NaN where not measured.
        gain: the error of the parent less that of the child; NaN where there is no child.
        before: the parent's validation accuracy in % when candidates were attached; NaN where not measured.
        told: the parent's error as the search was told it.
        joined: validation accuracy after the phase with the candidates attached less that of the parent before it; NaN
            in the arms in which candidates change no value.
    """

    arch: str
    weights: Mapping[str, float]
    chosen: tuple[str, ...]
    changed: float
    drift: float
    gain: float
    before: float = nan
    told: float = nan
    joined: float = nan


@dataclass(frozen=True, slots=True)
class Lineages:
    """The pool of one run in the order of arrival, its attachments, and what was trained again.

    Attributes:
        tested: by architecture that was trained finally: the primary sealed metric under each final seed, those left
            out whose training failed.
    """

    spec: RunSpec
    members: tuple[Member, ...]
    attachments: tuple[Attachment, ...]
    tested: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def chain(self, index: int) -> list[Member]:
        """Return a member's line, its founder first."""
        line: list[Member] = []
        while index >= 0:
            line.append(self.members[index])
            index = self.members[index].parent
        return line[::-1]


@dataclass(slots=True)
class _Pool:
    direction: Direction
    members: list[Member] = field(default_factory=list)
    places: dict[Work, int] = field(default_factory=dict)
    attached: dict[Attach, Measurement] = field(default_factory=dict)
    grown: dict[Attach, Grow] = field(default_factory=dict)

    def take(self, work: Work, result: Measurement, spent: float) -> None:
        """Take a trial in."""
        if isinstance(work, Attach):
            self.attached.setdefault(work, result)
        elif isinstance(work, Evaluate | Grow) and work not in self.places:
            parent = self.places.get(work.after.after, -1) if isinstance(work, Grow) else -1
            moves = tuple(map(str, work.moves)) if isinstance(work, Grow) else ()
            error = error_of(result.value, self.direction)
            cost, parameters = (_size(result.metrics, axis) for axis in ("multiply-adds", "parameters"))
            self.places[work] = len(self.members)
            self.members.append(Member(str(work.arch), parent, moves, cost, parameters, error, spent))

    def attachments(self) -> Iterator[Attachment]:
        """Yield what is known of each attachment."""
        for work, result in self.attached.items():
            growth = self.grown.get(work)
            weights = {key: value for key, value in result.scores.items() if "|" not in key}
            names = ("valid-before", "valid", "valid-attached", "drift")
            before, after, joined, drift = (_phase(result.metrics, name) for name in names)
            chosen = tuple(map(str, growth.moves)) if growth else ()
            told = self.members[self.places[work.after]].error if work.after in self.places else nan
            gain = self._gain(growth)
            moved, with_candidates = after - before, joined - before
            yield Attachment(str(work.arch), weights, chosen, moved, drift, gain, before, told, with_candidates)

    def _gain(self, growth: Grow | None) -> float:
        if growth is None or growth not in self.places or growth.after.after not in self.places:
            return nan
        return self.members[self.places[growth.after.after]].error - self.members[self.places[growth]].error


def _size(metrics: Mapping[str, float], axis: str) -> float:
    return next((value for name, value in metrics.items() if name.rpartition("/")[2] == axis), nan)


def _phase(metrics: Mapping[str, float], name: str) -> float:
    return next((value for key, value in metrics.items() if f"/{name}@attach" in key), nan)


@dataclass(frozen=True, slots=True)
class Reading:
    """Reduce runs to their lineages, in whatever process; runs in which nothing grew are left out.

    Attributes:
        directions: by track, which way the objective is better.
        limits: by track, the budget.
        primary: by track, the sealed metric of the gallery.
    """

    directions: Mapping[str, Direction]
    limits: Mapping[str, float]
    primary: Mapping[str, str]

    def __call__(self, runs: Iterable[RunRecord]) -> list[Lineages]:
        """Return the lineages of each run that is complete."""
        found = (self._of(run) for run in runs if run.status == "done")
        return [lineages for lineages in found if lineages is not None]

    def _of(self, run: RunRecord) -> Lineages | None:
        pool = _Pool(self.directions[run.spec.track])
        for record in run.trials:
            if not record.counted or record.spent > self.limits[run.spec.track]:
                continue
            work = record.trial.work
            if isinstance(work, Grow):
                pool.grown.setdefault(work.after, work)
            if isinstance(record.result, Measurement):
                pool.take(work, record.result, record.spent)
        if not pool.attached:
            return None
        primary = self.primary[run.spec.track]
        tested = {
            arch: tuple(metrics[primary] for metrics in seeds if primary in metrics)
            for arch, seeds in run.retrained.items()
        }
        return Lineages(run.spec, tuple(pool.members), tuple(pool.attachments()), tested)


def read_lineages(study: StudyRecord, plans: Sequence[Mapping[str, Any]]) -> list[Lineages]:
    """Return the lineages of every complete run of a study in which something grew, in plan order."""
    reading = Reading(
        directions={plan["id"]: plan["objective"]["direction"] for plan in plans},
        limits={plan["id"]: float(plan["budget"]["limit"]) for plan in plans},
        primary={plan["id"]: plan["final"]["metrics"][0] for plan in plans},
    )
    return [lineages for block in study.blocks(reading) for lineages in block]
