"""Judge compromises: what a run would offer between quality and a cost, at every point of its budget.

A run's archive holds the architectures that no other one of the run beats in both the validated objective and the
cost (multiply-adds, parameters, latency). It is chosen on what the search may see, and judged on a sealed metric.
Hypervolume (Zitzler and Thiele, 1998), IGD+ (Ishibuchi et al., 2015), additive epsilon (Zitzler et al., 2003) and
attainment surfaces (Fonseca and Fleming, 1996) are those of the library moocore.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import moocore
import numpy as np
from numpy.typing import NDArray

from harness.core.lineage import trained_in_full
from harness.core.records import TrialRecord
from harness.core.types import Failure
from reports.curves import Step
from reports.grown import sealed_value

Floats = NDArray[np.float64]

_Evaluated = tuple[float, float, float, Mapping[str, float]]
"""Spent, objective (more is better), sealed metric, open metrics of one completed evaluation."""

REFERENCE = 1.0
"""The reference point in every normalised objective: nothing at or beyond it counts."""

_VOLUME = moocore.Hypervolume(ref=(REFERENCE, REFERENCE))


@dataclass(frozen=True, slots=True)
class Archive:
    """Every architecture that was ever in the archive of a run, for one cost.

    Attributes:
        secondary: the cost's qualified name.
        metric: the sealed metric that judges.
        entered: budget spent when it came in, non-decreasing, shape (k,).
        left: budget spent when a better one took its place; infinity where none did, shape (k,).
        value: its sealed metric, shape (k,).
        cost: its cost, shape (k,).
    """

    secondary: str
    metric: str
    entered: Floats
    left: Floats
    value: Floats
    cost: Floats


@dataclass(slots=True)
class _Front:
    """The archive while a run passes by: costs rise, and so do objectives (both signed: less cost, more objective)."""

    costs: list[float] = field(default_factory=list)
    objectives: list[float] = field(default_factory=list)
    members: list[int] = field(default_factory=list)
    entered: list[float] = field(default_factory=list)
    left: list[float] = field(default_factory=list)
    points: list[tuple[float, float]] = field(default_factory=list)

    def offer(self, trials: Iterable[_Evaluated], cost_of: str, sign: float) -> None:
        """Take architectures in unless one that is there is as good and as cheap; what they beat leaves."""
        costs, objectives = self.costs, self.objectives
        for spent, objective, sealed, metrics in trials:
            given = metrics.get(cost_of)
            if given is None:
                continue
            cost = sign * given
            place = bisect_right(costs, cost)
            if place and objectives[place - 1] >= objective:
                continue
            first, last = bisect_left(costs, cost), bisect_right(objectives, objective)
            for member in self.members[first:last]:
                self.left[member] = spent
            costs[first:last], objectives[first:last] = [cost], [objective]
            self.members[first:last] = [len(self.points)]
            self.entered.append(spent)
            self.left.append(np.inf)
            self.points.append((sealed, given))

    def archive(self, secondary: str, metric: str) -> Archive:
        """Return what was ever inside."""
        points = np.array(self.points, dtype=np.float64).reshape(-1, 2)
        return Archive(secondary, metric, np.array(self.entered), np.array(self.left), points[:, 0], points[:, 1])


def archives_of(
    trials: Iterable[TrialRecord], plan: Mapping[str, Any], ranges: Mapping[str, Any], metric: str
) -> tuple[Archive, ...]:
    """Return the archive of a run for each secondary metric of its track whose range over the space is known."""
    if not ranges:
        return ()
    rises = 1.0 if plan["objective"]["direction"] == "maximize" else -1.0
    evaluated = _evaluated(trials, plan["fidelity"]["search"], metric, rises)
    found = []
    for name in plan["objective"]["secondary"]:
        if name in ranges:
            front = _Front()
            front.offer(evaluated, name, -1.0 if ranges[name]["better"] == "higher" else 1.0)
            found.append(front.archive(name, metric))
    return tuple(found)


def _evaluated(trials: Iterable[TrialRecord], epochs: int, metric: str, rises: float) -> list[_Evaluated]:
    return [
        (record.spent, rises * record.result.value, sealed, record.result.metrics)
        for record in trials
        if not isinstance(record.result, Failure)
        and trained_in_full(record.trial.work, epochs) is not None
        and (sealed := sealed_value(record, metric)) is not None
    ]


@dataclass(frozen=True, slots=True)
class Normal:
    """How the two objectives are normalised: 0 is the ideal, 1 the reference point, less is better in both.

    Attributes:
        value: (what counts as 0, what counts as 1) of the sealed metric.
        cost: the same of the cost.
    """

    value: tuple[float, float]
    cost: tuple[float, float]

    def __call__(self, value: Floats, cost: Floats) -> Floats:
        """Return points, shape (k, 2)."""
        pairs = ((value, self.value), (cost, self.cost))
        return np.column_stack([(given - ideal) / (worst - ideal) for given, (ideal, worst) in pairs])


def held_at(archive: Archive, spent: float) -> NDArray[np.bool_]:
    """Tell which architectures were in the archive when so much was spent."""
    return (archive.entered <= spent) & (spent < archive.left)


def points_at(archive: Archive, spent: float, normal: Normal) -> Floats:
    """Return the archive at a point of the budget as normalised points, those that the sealed metric beats included."""
    held = held_at(archive, spent)
    return normal(archive.value[held], archive.cost[held])


def hypervolume(points: Floats) -> float:
    """Return the area that the points dominate within the unit square's reference point; less is better."""
    return float(_VOLUME(points)) if len(points) else 0.0


def volume_curve(archive: Archive, normal: Normal, places: Sequence[float]) -> Step:
    """Return the hypervolume over the budget, exact at each of the `places` and constant between them."""
    changes = np.unique(archive.entered)
    index = np.searchsorted(changes, places, side="right") - 1
    at = changes[np.unique(index[index >= 0])]
    return Step(at, np.array([hypervolume(points_at(archive, float(place), normal)) for place in at]))


def distances(points: Floats, front: Floats) -> tuple[float, float]:
    """Return IGD+ and additive epsilon of points against a reference front; zero is the best of both."""
    return float(moocore.igd_plus(points, ref=front)), float(moocore.epsilon_additive(points, ref=front))


def attainment(sets: Sequence[Floats], percentiles: Sequence[float]) -> list[Floats]:
    """Return, for each percentile of the runs, the front of what that share of the runs attains, sorted by cost.

    Args:
        sets: the points of each run, shape (k, 2): quality, then cost; less is better.
        percentiles: of the runs, in %: 50 is what half of the runs attain.
    """
    stacked = _stacked(sets)
    found = moocore.eaf(stacked[:, :2], sets=stacked[:, 2], percentiles=list(percentiles))
    surfaces = [found[found[:, -1] == percentile][:, :2] for percentile in percentiles]
    return [surface[np.argsort(surface[:, 1], kind="stable")] for surface in surfaces]


def _stacked(sets: Sequence[Floats]) -> Floats:
    """Return the points of all runs with the number of their run in the last column, from 1 on."""
    run = np.repeat(np.arange(1.0, len(sets) + 1), [len(points) for points in sets])
    return np.column_stack([np.concatenate(sets), run])


def attainment_difference(first: Sequence[Floats], second: Sequence[Floats]) -> Floats:
    """Return where more runs of one method attain than of the other (Lopez-Ibanez, Paquete and Stuetzle, 2010).

    Args:
        first: the points of each run of a method, shape (k, 2): quality, then cost; less is better.
        second: those of another, with as many runs.

    Returns:
        Rectangles, shape (r, 5): quality from and to, cost from and to (both may be infinite), and the share of the
        runs of the first that attain there less that of the second, from -1 to 1, never 0.
    """
    found = moocore.eafdiff(_stacked(first), _stacked(second), rectangles=True)
    found = found[found[:, 4] != 0]
    return np.column_stack([found[:, [0, 2, 1, 3]], found[:, 4] / len(first)])
