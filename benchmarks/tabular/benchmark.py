"""Evaluate architectures by looking them up: what every benchmark over a table has in common."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from math import isnan
from statistics import fmean

from benchmarks.tabular import references
from benchmarks.tabular.lookup import Prices, Readings, recorded_cost
from benchmarks.tabular.query import Question
from benchmarks.tabular.store import Table
from harness.core.budget import Budget
from harness.core.canonical import Json
from harness.core.clock import Stopwatch
from harness.core.errors import Unsupported
from harness.core.interfaces import Encodable, Estimate, Finite, Growable, Query, SearchSpace
from harness.core.types import Arch, Capability, Cost, Evaluate, Failure, Measurement, MetricSchema, Outcome, Trial

_CALIBRATION = 200


class TableBenchmark:
    """A search space whose architectures have all been trained before.

    A trial costs what the table recorded: its epochs, their seconds, one validation pass, and the multiply-adds of
    the training (three times those of the forward pass of every training image). A trial that continues from `start`
    epochs is charged for the further epochs and for its own validation pass.

    An architecture of the space without a row, or with a gap where the objective should stand, gives a `Failure` that
    is charged like any other trial, with the mean cost where its own is not recorded: gaps are never free.
    """

    durable = False

    def __init__(self, name: str, table: Table, space: SearchSpace, query: Query, absent: Mapping[str, str]) -> None:
        self.name, self.table, self.space = name, table, space
        self._question = Question(table, query, absent)
        self.metrics: MetricSchema = self._question.schema()
        self.fidelities: tuple[int, ...] = self._question.fidelities
        self.offers: frozenset[Capability] = frozenset(self._capabilities())

    def _capabilities(self) -> Iterator[Capability]:
        yield Capability.EVALUATE
        if len(self.fidelities) > 1:
            yield Capability.PARTIAL
        if isinstance(self.space, Finite):
            yield Capability.FINITE
        if isinstance(self.space, Encodable):
            yield Capability.ENCODABLE
        if isinstance(self.space, Growable):
            yield Capability.GROWABLE
        if self._prices.work_known:
            yield Capability.THINK

    @cached_property
    def _readings(self) -> Readings:
        return Readings(self._question)

    @cached_property
    def _prices(self) -> Prices:
        return Prices(self.table, self._question.name)

    @property
    def units(self) -> frozenset[str]:
        """The budget units that the table accounts in."""
        seconds = {"train_seconds"} if self._prices.seconds_known else set()
        work = {"multiply_adds"} if self._prices.work_known else set()
        return frozenset({"epochs", "evaluations"} | seconds | work)

    def evaluate(self, trial: Trial) -> Outcome:
        """Look an architecture up.

        Raises:
            Unsupported: the work is no evaluation, or one of an unknown architecture or unrecorded epoch.
        """
        work = trial.work
        if not isinstance(work, Evaluate) or work.parent is not None:
            raise Unsupported(
                f"{self.name}: a table answers Evaluate without a parent, not {work}; see its capabilities"
            )
        row, seed, epochs = self.table.rows.get(work.arch), trial.seed, work.epochs
        if row is None or work.start or epochs != self.fidelities[-1]:
            self._check(work)
        cost = self._prices.of(row, epochs - work.start)
        if row is None:
            return Outcome(Failure(self._gap, cost))
        metrics = self._metrics(row, seed, epochs)
        sealed = {reading.name: value for reading in self._readings.sealed if not isnan(value := reading.at(row, seed))}
        objective = self._readings.objective
        name = objective.labels.get(epochs, objective.name)
        if name not in metrics:
            return Outcome(Failure(self._gap, cost), sealed)
        value = metrics[name]
        return Outcome(Measurement(value, metrics, cost, objective.curve(row, seed, work.start, epochs, value)), sealed)

    def _metrics(self, row: int, seed: int, epochs: int) -> dict[str, float]:
        """Return the open metrics of a cell by their names after so many epochs."""
        readings = self._readings.open
        if epochs == self.fidelities[-1]:
            return {reading.name: value for reading in readings if not isnan(value := reading.at(row, seed))}
        return {
            reading.labels.get(epochs, reading.name): value
            for reading in readings
            if not isnan(value := reading.within(row, seed, epochs) if reading.labels else reading.at(row, seed))
        }

    @property
    def _gap(self) -> str:
        return f"not recorded in the table {self.table.name!r}"

    def _check(self, work: Evaluate) -> None:
        """Refuse work that this table cannot answer."""
        if work.arch not in self.space:
            raise Unsupported(f"{self.name}: {work.arch!r} is no architecture of the space {self.space.name!r}")
        allowed = ", ".join(str(epochs) for epochs in self.fidelities)
        if work.epochs not in self.fidelities or (work.start and work.start not in self.fidelities):
            raise Unsupported(
                f"{self.name}: nothing was recorded at epoch {work.epochs} from {work.start}; ask for {allowed}"
            )
        if not 0 <= work.start < work.epochs:
            raise Unsupported(
                f"{self.name}: epochs {work.epochs} do not continue epochs {work.start}; ask for more epochs"
            )

    def final(self, arch: Arch, seed: int) -> Mapping[str, float]:
        """Look the sealed metrics of an architecture up; those that were not recorded are left out."""
        row = self.table.rows.get(arch)
        if row is None:
            return {}
        return {reading.name: value for reading in self._readings.sealed if not isnan(value := reading.at(row, seed))}

    def final_cost(self, arch: Arch) -> Cost:
        """Return what one training behind the primary sealed metric cost, as far as the table recorded it.

        The multiply-adds follow from the network and the training images; seconds are the epochs times the recorded
        seconds of one, and a validation pass where that is recorded. A gap stays unknown.
        """
        training = self._question.final_training
        epochs = training.epochs or self._question.query.final_epochs
        return recorded_cost(self.table, training, self.table.rows.get(arch), epochs)

    def manifest(self) -> dict[str, Json]:
        """Return what a record says of the table; its content hash is the benchmark's fingerprint."""
        stored = self.table.manifest
        return {
            "kind": "tabular",
            "benchmark": self.name,
            "table": self.table.name,
            "content": self.table.content,
            "data": dict(stored["sources"]),
            "importer": stored["importer"],
            "space": dict(stored["space"]),
            "cells": {"recorded": stored["archs"]["cells"], "in_space": stored["archs"]["total"]},
            "trials": dict(stored["trials"]),
            "notes": list(stored["notes"]),
            "determinism": "bitwise",
            "simulated": "seconds are recorded in the table; nothing is trained",
        }

    def think_cost(self, multiply_adds: float) -> Cost:
        """Return the multiply-adds at the pace of the table: epochs and recorded seconds of its mean cell.

        Raises:
            Unsupported: the table does not record the multiply-adds of its networks.
        """
        if Capability.THINK not in self.offers:
            raise Unsupported(
                f"{self.name}: the table {self.table.name!r} does not tell multiply-adds, so a method's own "
                "computation has no price; choose a method that does not need 'think'"
            )
        return self._prices.thought(multiply_adds)

    def references(self, budget: Budget) -> dict[str, Json]:
        """Return random sampling, optimum, expected random search and how values spread, computed from the table."""
        question, archs = self._question, self.table.archs
        columns = [question.objective, *question.sealed]
        facts: dict[str, Json] = {
            "random_sampling": references.sampling(columns),
            "optimum": references.optimum(columns, archs),
            "quantiles": references.quantiles(question.sealed),
            "ranges": references.ranges(question.secondary),
            "agreement": references.agreement(question.objective, question.sealed),
        }
        total = int(self.table.manifest["archs"]["total"])
        if question.sealed:
            facts["fronts"] = references.fronts(question.sealed[0], question.secondary)
            facts["best_of_draws"] = references.best_of_draws(question.objective, question.sealed[0], total)
        if question.sealed and budget.unit in {*self.units}:
            search = references.random_search(
                question.objective, question.sealed[0], self._prices, self.fidelities[-1], budget, total
            )
            facts |= {"random_search": search} if search else {}
        return facts

    def estimate(self) -> Estimate:
        """Time some look-ups on this machine."""
        archs = self.table.archs
        trials = [
            Trial(number, Evaluate(Arch(archs[number * len(archs) // _CALIBRATION]), self.fidelities[-1]), number)
            for number in range(_CALIBRATION)
        ]
        self.evaluate(trials[0])
        watch = Stopwatch()
        outcomes = [self.evaluate(trial) for trial in trials]
        seconds = watch.lap() / _CALIBRATION
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        basis = f"measured: {_CALIBRATION} look-ups, and this process at its peak; the cost is their mean"
        return Estimate(seconds, memory, basis, _mean_cost([outcome.result.cost for outcome in outcomes]), seconds)


def _mean_cost(costs: Sequence[Cost]) -> Cost:
    """Return the mean of costs; None where one of them is."""
    seconds = [cost.train_seconds for cost in costs if cost.train_seconds is not None]
    work = [cost.multiply_adds for cost in costs if cost.multiply_adds is not None]
    return Cost(
        fmean(cost.epochs for cost in costs),
        fmean(seconds) if len(seconds) == len(costs) else None,
        fmean(work) if len(work) == len(costs) else None,
    )
