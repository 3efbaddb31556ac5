"""Train NAS-Bench-201 networks for real: the benchmark whose every answer is a training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property, reduce
from operator import add
from typing import TYPE_CHECKING, ClassVar

from benchmarks.spaces.nb201 import parse
from benchmarks.spaces.nb201_moves import GrowingNasBench201
from benchmarks.training.data import Facts, facts, open_dataset
from benchmarks.training.growth_check import GROWN_EDGES
from benchmarks.training.landmarks import AVERAGE, HEAVIEST, LIGHTEST
from benchmarks.training.naming import Names, check_query, kind
from benchmarks.training.recipe import PASSES, describe_phases
from benchmarks.training.settings import ENGINES, TrainingConfig, check_engine
from harness.core.budget import Budget
from harness.core.canonical import Json
from harness.core.errors import TrialFailed, Unsupported, UsageError
from harness.core.interfaces import Estimate, Place, Query
from harness.core.lineage import founder_of
from harness.core.types import (
    Arch,
    Attach,
    Capability,
    Cost,
    Evaluate,
    Failure,
    Grow,
    Measurement,
    MetricSchema,
    Outcome,
    Trial,
    Work,
)

if TYPE_CHECKING:
    from torch import nn

    from benchmarks.training.fit import Course, Fit
    from benchmarks.training.nursery import Nursery
    from benchmarks.training.workshop import Workshop

TRAINER_VERSION = 1
"""Raised on any change of this package that changes a number."""


class NB201Training:
    """Networks of the NAS-Bench-201 space, each trained from scratch with the seed of its trial, or grown from another.

    A trial is charged its epochs and their training multiply-adds: three forward passes for each image and epoch (one
    forward, two backward); validation is not charged. Partial trainings are the first epochs of the search schedule,
    and what is answered for them does not depend on whether a checkpoint was there to continue from. The networks of
    trials are tested only where the query names a test accuracy of the search schedule.

    Attachments and growths go on from the network that their lineage left behind. They are charged likewise, with the
    multiply-adds of every candidate counted, and in epochs as many of the bare network as those multiply-adds train
    (see `benchmarks.training.nursery.phase_cost`).
    """

    Config: ClassVar[type[TrainingConfig]] = TrainingConfig
    name = "nb201-training"
    durable = True
    growths = GROWN_EDGES
    units = frozenset({"epochs", "multiply_adds", "evaluations"})

    def __init__(self, config: TrainingConfig, place: Place, query: Query) -> None:
        if place.device != "cpu":
            from benchmarks.training.workshop import check_device  # noqa: PLC0415 - torch knows the devices

            check_device(place.device)
        check_engine(config.engine, place.device)
        self.space = GrowingNasBench201()
        self._config, self._place, self._query = config, place, query
        self._facts = facts(config.dataset)
        self._skeleton = self._facts.skeleton(config.channels, config.cells)
        self._data = open_dataset(config.dataset, place, config.train_images, config.valid_images)
        train, valid = len(self._data.train), len(self._data.valid)
        self._names = Names(config.dataset, query.search_epochs, query.final_epochs, train, train + valid)
        self.fidelities = _fidelities(config, query)
        trained, grown = self._names.schema(self.fidelities), self._names.grown()
        check_query(query, self._names, trained)
        self.metrics = MetricSchema(trained.open | grown.open, trained.sealed | grown.sealed)

    @property
    def offers(self) -> frozenset[Capability]:
        """What it can do; partial trainings where more than one fidelity may be asked for."""
        always = {Capability.EVALUATE, Capability.FINITE, Capability.ENCODABLE, Capability.THINK}
        grown = {Capability.GROWABLE, Capability.ATTACH, Capability.GROW}
        return frozenset(always | grown | ({Capability.PARTIAL} if len(self.fidelities) > 1 else set()))

    def manifest(self) -> dict[str, Json]:
        """Return what defines its numbers, and nothing of this machine."""
        recipe = self._config.recipe(1).describe()
        del recipe["epochs"]  # the fidelities of the protocol
        return {
            "kind": "training",
            "trainer": TRAINER_VERSION,
            "space": self.space.name,
            "data": self._data.manifest(),
            "recipe": recipe,
            "phases": describe_phases(self._config.phase_recipe()),
            "skeleton": asdict(self._skeleton),
            "initialisation": "uniform within 1 / sqrt(fan in) per layer, normalisation at 1 and 0",
            "final": "trained on train and valid together, from scratch",
            "engine": self._config.engine,
            "determinism": ENGINES[self._config.engine].determinism,
        }

    def environment(self) -> dict[str, Json]:
        """Return what can change the last bits and belongs to this machine: versions, device, threads, flags."""
        return self._workshop.environment()

    def evaluate(self, trial: Trial) -> Outcome:
        """Train what a trial asks for; failures are outcomes that cost what was trained.

        Raises:
            Unsupported: the work is of another kind, inherits weights, or asks for epochs that are not offered.
            UsageError: the architecture is not of this space, or its lineage does not lead to it.
        """
        if isinstance(trial.work, Attach | Grow):
            self._accept(founder_of(trial.work))
            return self._nursery.answer(trial)
        work = self._accept(trial.work)
        result = self._workshop.train(work.arch, trial.seed, work.epochs, self._workshop.search)
        if isinstance(result, TrialFailed):
            spent = max(1.0, result.spent_epochs - work.start)  # an epoch was begun in any case
            return Outcome(Failure(result.reason, self._cost(work.arch, spent, len(self._data.train))))
        self._nursery.lineage.remember(work, trial.seed, result.network)
        sealed = self._tested(self._names.at("test", work.epochs), result) if self._tests_trials else {}
        return Outcome(self._measurement(work, result), sealed)

    def final(self, arch: Arch, seed: int) -> Mapping[str, float]:
        """Train on train and valid together for the final epochs and test; empty where the network failed.

        Where the query names the test accuracy of the search recipe, a network is trained under that with this seed.
        """
        sealed: dict[str, float] = {}
        for name in self._query.sealed:
            searched = self._searched_tests.get(name)
            course = self._workshop.final if searched is None else self._workshop.search
            result = self._workshop.train(arch, seed, searched or self._query.final_epochs, course)
            if not isinstance(result, TrialFailed):
                sealed |= self._tested(name, result)
        return sealed

    def final_cost(self, arch: Arch) -> Cost:
        """Return the epochs and multiply-adds of the trainings that `final` does; one that fails costs as much."""
        train, valid = len(self._data.train), len(self._data.valid)
        costs = [Cost(0.0, multiply_adds=0.0)]
        for name in self._query.sealed:
            searched = self._searched_tests.get(name)
            images = train + valid if searched is None else train
            costs.append(self._cost(arch, searched or self._query.final_epochs, images))
        return reduce(add, costs)

    def think_cost(self, multiply_adds: float) -> Cost:
        """Return the epochs of the average cell that so many multiply-adds would train."""
        epoch = self._cost(AVERAGE, 1, len(self._data.train)).multiply_adds
        assert epoch is not None
        return Cost(multiply_adds / epoch, multiply_adds=multiply_adds)

    def references(self, budget: Budget) -> dict[str, Json]:  # noqa: ARG002 - nobody trained the whole space
        """Return what is known without training: the range of each secondary cost over the whole space.

        Both costs grow with the number of convolutions, so the cells of one operation are the ends.
        """
        costs = {
            self._names.multiply_adds: self._skeleton.multiply_adds,
            self._names.parameters: self._skeleton.parameters,
        }
        return {
            "ranges": {
                name: {"low": cost(LIGHTEST) / 1e6, "high": cost(HEAVIEST) / 1e6, "better": "lower"}
                for name, cost in costs.items()
                if name in self._query.secondary
            }
        }

    def estimate(self) -> Estimate:
        """Return what an average cell takes on this machine, from a few timed steps."""
        pace = self._workshop.pace()
        train, valid = len(self._data.train), len(self._data.valid)
        return Estimate(
            seconds=pace.start + self._query.search_epochs * pace.epoch(train, valid),
            memory=pace.memory,
            basis=f"{pace.images} images of an average cell trained by engine {self._config.engine!r} on this machine",
            cost=self._cost(AVERAGE, self._query.search_epochs, train),
            final_seconds=pace.start + self._query.final_epochs * pace.epoch(train + valid, 0),
        )

    @property
    def facts(self) -> Facts:
        """What is known of the data set, for export."""
        return self._facts

    def network(self, arch: Arch, seed: int) -> nn.Module:
        """Return the network that `final` tests under the final recipe, for export.

        Raises:
            TrialFailed: its training fails.
        """
        return self._trained(arch, seed, self._query.final_epochs, self._workshop.final)

    def network_of(self, work: Evaluate | Grow, seed: int) -> nn.Module:
        """Return the network that a work of a search left behind, for export.

        Raises:
            TrialFailed: its training fails.
        """
        if isinstance(work, Grow):
            return self._nursery.lineage.stage(work, seed).network
        return self._trained(work.arch, seed, work.epochs, self._workshop.search)

    def _trained(self, arch: Arch, seed: int, epochs: int, course: Course) -> nn.Module:
        fit = self._workshop.train(arch, seed, epochs, course)
        if isinstance(fit, TrialFailed):
            raise fit
        return fit.network

    def _accept(self, work: Work) -> Evaluate:
        if not isinstance(work, Evaluate) or work.parent is not None:
            given = "an evaluation that inherits weights" if isinstance(work, Evaluate) else type(work).__name__
            raise Unsupported(f"{self.name}: it cannot do {given}; it offers {', '.join(sorted(self.offers))}")
        if work.epochs not in self.fidelities or work.start not in {0, *self.fidelities} or work.start >= work.epochs:
            raise Unsupported(
                f"{self.name}: it cannot train from epoch {work.start} to {work.epochs}; "
                f"the fidelities are {', '.join(map(str, self.fidelities))}"
            )
        if work.arch not in self.space:
            parse(work.arch)  # says what is wrong with it
        return work

    def _measurement(self, work: Evaluate, fit: Fit) -> Measurement:
        curves = {"valid": fit.accuracy["valid"], "train-loss": fit.train_loss}
        metrics = {self._names.at(metric, work.epochs): curve[-1] for metric, curve in curves.items()}
        metrics |= {
            self._names.multiply_adds: self._skeleton.multiply_adds(work.arch) / 1e6,
            self._names.parameters: self._skeleton.parameters(work.arch) / 1e6,
        }
        objective = kind(self._query.objective)
        curve = curves.get(objective, ())
        return Measurement(
            value=curve[-1] if curve else metrics[self._query.objective],
            metrics=metrics,
            cost=self._cost(work.arch, work.epochs - work.start, len(self._data.train)),
            curve=curve,
        )

    def _cost(self, arch: str, epochs: float, trained: int) -> Cost:
        images = epochs * trained
        return Cost(epochs=epochs, multiply_adds=PASSES * self._skeleton.multiply_adds(arch) * images)

    def _tested(self, name: str, fit: Fit) -> dict[str, float]:
        """Return the sealed test accuracy under its name; nothing where a logit is not finite."""
        percent = self._workshop.test(fit)
        return {name: percent} if math.isfinite(percent) else {}

    @cached_property
    def _workshop(self) -> Workshop:
        # Torch takes seconds to load: only where networks are trained.
        from benchmarks.training.workshop import Workshop  # noqa: PLC0415

        return Workshop(self._config, self._place, self._query, self._data, self.manifest())

    @cached_property
    def _nursery(self) -> Nursery:
        from benchmarks.training.nb201_nursery import open_nursery  # noqa: PLC0415 - loads torch

        tested = self._workshop.tested if self._tests_trials else None
        return open_nursery(
            self._config, self._workshop, self._names, self._query.objective, self._place.cache, test=tested
        )

    @property
    def _tests_trials(self) -> bool:
        return not self._searched_tests.keys().isdisjoint(self._query.sealed)

    @property
    def _searched_tests(self) -> dict[str, int]:
        return {self._names.at("test", epochs): epochs for epochs in self.fidelities}


def _fidelities(config: TrainingConfig, query: Query) -> tuple[int, ...]:
    chosen = config.fidelities or tuple(range(1, query.search_epochs + 1))
    if chosen[-1] != query.search_epochs:
        raise UsageError(
            f"fidelities: they end at {chosen[-1]}, the search schedule at {query.search_epochs} epochs; "
            "make the last of them the search fidelity"
        )
    return chosen
