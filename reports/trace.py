"""Reduce a run to what the reports need of it: its incumbents, its archives, its account.

The reported architecture after a trial is what the method recommended, or the best objective it had been told
(the protocol's `selection.rule`). Trials past the budget, discarded or kept, are never reported: the incumbent is
the last one at or before the limit. The sealed value of an architecture is its final evaluation where the record
holds one, else the sealed metrics of the trial that evaluated it at the search fidelity, else of any trial of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.core.lineage import trained, trained_in_full
from harness.core.records import RunRecord, Status, TrialRecord
from harness.core.types import Cost, Evaluate, Failure, RunSpec
from reports.curves import Step
from reports.draws import Draws, draws_of
from reports.grown import of_same_quantity
from reports.pareto import Archive, archives_of

Floats = NDArray[np.float64]

RANDOM_SEARCH = "random_search"
"""The registered name of the method that every other one is measured against."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What is kept of one run.

    Attributes:
        spec: the run.
        status: as recorded; `excluded` says whether the analysis plan leaves it out.
        reason: why it was skipped, or why it ended.
        excluded: the declared reason for leaving it out, or an empty string.
        at: budget spent at each change of the reported architecture, shape (k,).
        final: its sealed metrics, in the order of the track's final metrics, shape (k, metrics); NaN: not recorded.
        objective: its measured objective, shape (k,).
        interim: the sealed metric `interim_metric` of its search trial, shape (k,); NaN: not recorded. Real training
            knows the final metrics of the last architecture alone, and this of every one.
        interim_metric: the sealed metric of search trials, an accuracy rather than a loss; empty: none recorded.
        finals: the primary metric of that architecture under each final seed, where there are several, shape (s,).
        archives: what the run would offer as compromises, one for each secondary metric whose range is known.
        draws: the independent draws of a run of random search, in order; None for every other method.
        arch: the architecture reported at the end, or None.
        spent: budget spent at the end of the run.
        charged: what the charged trials cost in every unit; None in it is unknown.
        final_cost: what the final trainings are charged together; None where no record says.
        final_trainings: how many they are.
        trials: trials told to the method.
        told: how many trials the method had been told at each change of the reported architecture, shape (k,).
        discarded: trials that crossed the budget and were discarded.
        failures: reason -> failed trials.
        seconds: real seconds by phase.
    """

    spec: RunSpec
    status: Status
    reason: str
    excluded: str
    at: Floats
    final: Floats
    objective: Floats
    interim: Floats
    interim_metric: str
    finals: Floats
    archives: tuple[Archive, ...]
    draws: Draws | None
    arch: str | None
    spent: float
    charged: Cost
    final_cost: Cost | None
    final_trainings: int
    trials: int
    told: Floats
    discarded: int
    failures: Mapping[str, int]
    seconds: Mapping[str, float]

    @property
    def valued(self) -> bool:
        """Tell whether the run counts in tables and curves: complete, not excluded, and with an incumbent."""
        return self.status == "done" and not self.excluded and len(self.at) > 0

    def step(self, metric: int) -> Step:
        """Return the sealed metric with this index as a step function of the budget."""
        return Step(self.at, self.final[:, metric])


def trace_of(run: RunRecord, plan: Mapping[str, Any], excluded: str, ranges: Mapping[str, Any] | None = None) -> Trace:
    """Reduce a run to its trace.

    Args:
        run: the run as recorded.
        plan: its track in the resolved protocol.
        excluded: the declared reason for leaving it out, or an empty string.
        ranges: what is known of the secondary metrics of the whole space; an archive is kept for each of them.
    """
    at, archs = incumbents(run.trials, plan)
    final, objective, interim, interim_metric = _values(run, archs, plan)
    told = [record for record in run.trials if record.counted]
    primary = plan["final"]["metrics"][0]
    shown = _sealed_of_trials(told, primary, interim_metric)
    within = [record for record in told if record.spent <= plan["budget"]["limit"]]
    reasons = Counter(record.result.reason for record in told if isinstance(record.result, Failure))
    return Trace(
        spec=run.spec,
        status=run.status,
        reason=run.reason,
        excluded=excluded,
        at=at,
        final=final,
        objective=objective,
        interim=interim,
        interim_metric=interim_metric,
        finals=_by_seed(run, archs, primary),
        archives=archives_of(within, plan, ranges or {}, shown) if shown else (),
        draws=draws_of(within, plan, shown) if shown and run.spec.implementation == RANDOM_SEARCH else None,
        arch=archs[-1] if archs else None,
        spent=told[-1].spent if told else 0.0,
        charged=_charged(told, free=plan["budget"].get("repeats") == "free"),
        final_cost=run.final_cost,
        final_trainings=len(plan["final"].get("seeds", ())) * max(1, len(run.retrained)),
        trials=len(told),
        told=np.searchsorted([record.spent for record in told], at, side="right").astype(np.float64),
        discarded=len(run.trials) - len(told),
        failures=dict(sorted(reasons.items())),
        seconds=run.seconds,
    )


def _charged(told: Sequence[TrialRecord], *, free: bool) -> Cost:
    """Return the sum of what the trials cost; repeated work costs nothing where the budget says so."""
    if free:
        told = list({record.trial.work: record for record in reversed(told)}.values())
    costs = [record.result.cost for record in told]
    seconds, work = [cost.train_seconds for cost in costs], [cost.multiply_adds for cost in costs]
    return Cost(sum(cost.epochs for cost in costs), _sum(seconds), _sum(work))


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _sealed_of_trials(told: Sequence[TrialRecord], primary: str, interim: str) -> str:
    """Return the sealed metric that is known of every trial: the primary one, else the interim one, else nothing."""
    return primary if any(primary in record.sealed for record in told) else interim


def _by_seed(run: RunRecord, archs: Sequence[str], primary: str) -> Floats:
    each = run.finals.get(archs[-1], ()) if archs else ()
    return np.array([metrics[primary] for metrics in each if primary in metrics], dtype=np.float64)


def incumbents(trials: Iterable[TrialRecord], plan: Mapping[str, Any]) -> tuple[Floats, list[str]]:
    """Return where the reported architecture changes, and to what, within the budget."""
    limit = plan["budget"]["limit"]
    named = _best_validated(trials, plan) if plan["selection"]["rule"] == "best-validated" else _recommended(trials)
    at: list[float] = []
    archs: list[str] = []
    for spent, arch in named:
        if spent > limit:
            break
        if arch is not None and (not archs or arch != archs[-1]):
            at.append(spent)
            archs.append(arch)
    return np.array(at, dtype=np.float64), archs


def _recommended(trials: Iterable[TrialRecord]) -> Iterable[tuple[float, str | None]]:
    return ((record.spent, record.recommended) for record in trials if record.counted)


def _best_validated(trials: Iterable[TrialRecord], plan: Mapping[str, Any]) -> Iterable[tuple[float, str | None]]:
    sign = 1.0 if plan["objective"]["direction"] == "maximize" else -1.0
    best, best_value = None, -np.inf
    for record in trials:
        if not record.counted:
            continue
        arch = trained_in_full(record.trial.work, plan["fidelity"]["search"])
        if arch is not None and not isinstance(record.result, Failure):
            value = sign * record.result.value
            if value > best_value:
                best, best_value = str(arch), value
        yield record.spent, best


def _values(run: RunRecord, archs: Sequence[str], plan: Mapping[str, Any]) -> tuple[Floats, Floats, Floats, str]:
    metrics, epochs = plan["final"]["metrics"], plan["fidelity"]["search"]
    sealed, measured = _known(run.trials, set(archs), epochs)
    final = np.full((len(archs), len(metrics)), np.nan)
    for row, arch in enumerate(archs):
        after, during = run.final.get(arch, {}), sealed.get(arch, {})
        for column, metric in enumerate(metrics):
            final[row, column] = after.get(metric, during.get(metric, np.nan))
    objective = np.array([measured.get(arch, np.nan) for arch in archs], dtype=np.float64)
    name = _interim_metric(run.trials, epochs)
    interim = np.array([of_same_quantity(sealed.get(arch, {}), name) for arch in archs], dtype=np.float64)
    return final, objective, interim, name


def _interim_metric(trials: Iterable[TrialRecord], epochs: int) -> str:
    full = (
        record.sealed
        for record in trials
        if record.sealed and isinstance(record.trial.work, Evaluate) and record.trial.work.epochs == epochs
    )
    return min(next(full, ()), key=lambda name: ("loss" in name, name), default="")


def _known(
    trials: Iterable[TrialRecord], wanted: set[str], epochs: int
) -> tuple[dict[str, Mapping[str, float]], dict[str, float]]:
    """Return the sealed metrics and the objective of the wanted architectures; the search fidelity takes precedence."""
    sealed: dict[str, Mapping[str, float]] = {}
    measured: dict[str, float] = {}
    full: set[str] = set()
    for record in trials:
        arch = trained(record.trial.work)
        if arch not in wanted or arch in full or arch is None or isinstance(record.result, Failure):
            continue
        sealed[arch], measured[arch] = record.sealed, record.result.value
        if trained_in_full(record.trial.work, epochs) is not None:
            full.add(arch)
    return sealed, measured
