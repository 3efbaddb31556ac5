"""Train, attach to and grow networks of the growth space for real: where Petridish and its baselines search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property, reduce
from operator import add
from typing import TYPE_CHECKING, ClassVar

from benchmarks.training.data import Facts, facts, open_dataset
from benchmarks.training.growth_check import GROWN_LAYERS
from benchmarks.training.growth_settings import GrowthConfig
from benchmarks.training.naming import Names, check_query, kind
from benchmarks.training.recipe import PASSES, describe_phases
from harness.core.budget import Budget
from harness.core.canonical import Json
from harness.core.errors import TrialFailed, Unsupported
from harness.core.interfaces import Estimate, Place, Query
from harness.core.lineage import founder_of
from harness.core.seeds import SeedTree
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

    from benchmarks.training.growth_model import Model
    from benchmarks.training.growth_workshop import GrowthWorkshop
    from benchmarks.training.lineage import Stage
    from benchmarks.training.nursery import Nursery

GROWTH_VERSION = 1
"""Raised on any change of the space or its networks that changes a number."""

_DRAWS = 64


class GrowthTraining:
    """Networks of the growth space, trained from scratch with the seed of their trial, or grown from another.

    A trial is charged its epochs and their training multiply-adds, three forward passes for each image and epoch;
    attachments are charged with every candidate (see `benchmarks.training.nursery.phase_cost`). Validation is not
    charged, nor is an auxiliary head; what drop-path drops is. The final recipe trains from scratch, whatever weights
    the search has inherited.
    """

    Config: ClassVar[type[GrowthConfig]] = GrowthConfig
    name = "growth-training"
    durable = True
    growths = GROWN_LAYERS
    units = frozenset({"epochs", "multiply_adds", "evaluations"})
    offers = frozenset(
        {
            Capability.EVALUATE,
            Capability.ENCODABLE,
            Capability.GROWABLE,
            Capability.ATTACH,
            Capability.GROW,
            Capability.THINK,
        }
    )

    def __init__(self, config: GrowthConfig, place: Place, query: Query) -> None:
        if place.device != "cpu":
            from benchmarks.training.workshop import check_device  # noqa: PLC0415 - torch knows the devices

            check_device(place.device)
        self._config, self._place, self._query = config, place, query
        self._founder = _founder(config, place)
        self.space = config.space(self._founder.arch if self._founder else None)
        self._data = open_dataset(config.dataset, place, config.train_images, config.valid_images, config.split)
        train, valid = len(self._data.train), len(self._data.valid)
        self._names = Names(config.dataset, query.search_epochs, query.final_epochs, train, train + valid)
        self.fidelities = (query.search_epochs,)
        trained, grown = self._names.schema(self.fidelities), self._names.grown()
        check_query(query, self._names, trained)
        self.metrics = MetricSchema(trained.open | grown.open, trained.sealed | grown.sealed)

    def manifest(self) -> dict[str, Json]:
        """Return what defines its numbers, and nothing of this machine."""
        config = self._config
        recipe = config.recipe(1).describe()
        for key in ("epochs", "channels", "cells"):  # the fidelities of the protocol, and the skeletons
            del recipe[key]
        return {
            "kind": "training",
            "trainer": GROWTH_VERSION,
            "space": self.space.name,
            "growth": {
                "form": config.form,
                "steps": config.max_steps,
                "multiply_adds": config.max_multiply_adds,
                "parameters": config.max_parameters,
                "pairs": config.pairs,
                "merge": config.merge,
            },
            "data": self._data.manifest(),
            "recipe": recipe,
            "phases": describe_phases(config.phase_recipe()),
            "skeleton": asdict(config.skeleton()),
            "final_skeleton": asdict(config.final_skeleton()),
            "founder": self._founder.sha256 if self._founder else None,
            "drift": config.drift,
            "initialisation": "uniform within 1 / sqrt(fan in) per layer, normalisation at 1 and 0, gates at 1",
            "final": "trained on train and valid together, from scratch",
            "determinism": "bitwise",
            **config.regularised(),
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
        founder = self._accept(founder_of(trial.work))
        if isinstance(trial.work, Attach | Grow):
            self.space.plan(trial.work.arch)
            return self._nursery.answer(trial)
        try:
            stage = self._workshop.train(founder, trial.seed)
        except TrialFailed as failed:
            return Outcome(Failure(failed.reason, self._cost(founder.arch, failed.spent_epochs)))
        sealed = self._tested(self._searched_test, stage) if self._tests_trials else {}
        return Outcome(self._measurement(founder, stage), sealed)

    def final(self, arch: Arch, seed: int) -> Mapping[str, float]:
        """Train from scratch on train and valid together for the final epochs and test; empty where that failed.

        Where the query names the test accuracy of the search recipe, a network is trained under that with this seed.
        """
        sealed: dict[str, float] = {}
        for name in self._query.sealed:
            try:
                searched = name == self._searched_test
                work = Evaluate(arch, self._query.search_epochs)
                stage = self._workshop.train(work, seed) if searched else self._workshop.finish(arch, seed)
            except TrialFailed:
                continue
            sealed |= self._tested(name, stage)
        return sealed

    def final_cost(self, arch: Arch) -> Cost:
        """Return the epochs and multiply-adds of the trainings that `final` does; one that fails costs as much."""
        return reduce(add, (self._final_cost(arch, name) for name in self._query.sealed), Cost(0.0, multiply_adds=0.0))

    def think_cost(self, multiply_adds: float) -> Cost:
        """Return the epochs of the landmark, an average network of the space, that so many multiply-adds train."""
        epoch = self._cost(self._landmark, 1).multiply_adds
        assert epoch is not None
        return Cost(multiply_adds / epoch, multiply_adds=multiply_adds)

    def references(self, budget: Budget) -> dict[str, Json]:  # noqa: ARG002 - the space has no end to list
        """Return nothing: no fact of an unlimited space is exact."""
        return {}

    def estimate(self) -> Estimate:
        """Return what an average network takes on this machine, from a few timed steps."""
        landmark, query = self._landmark, self._query
        pace = self._workshop.pace(landmark)
        train, valid = len(self._data.train), len(self._data.valid)
        larger = self._final_multiply_adds(landmark) / self.space.count(landmark).multiply_adds
        return Estimate(
            seconds=query.search_epochs * pace.epoch(train, valid),
            memory=pace.memory,
            basis=f"{pace.images} images of an average network trained from scratch on this machine; an attachment "
            "takes longer by its candidates",
            cost=self._cost(landmark, query.search_epochs),
            final_seconds=query.final_epochs * pace.epoch(train + valid, 0) * larger,
        )

    @property
    def facts(self) -> Facts:
        """What is known of the data set, for export."""
        return facts(self._config.dataset)

    def network(self, arch: Arch, seed: int) -> nn.Module:
        """Return the network that `final` tests, for export.

        Raises:
            TrialFailed: its training fails.
        """
        return self._workshop.finish(arch, seed).network

    def network_of(self, work: Evaluate | Grow, seed: int) -> nn.Module:
        """Return the network that a work of a search left behind, for export.

        Raises:
            TrialFailed: its training fails.
        """
        return self._workshop.left_by(work, seed)

    def _accept(self, work: Work) -> Evaluate:
        if not isinstance(work, Evaluate) or work.parent is not None:
            given = "an evaluation that inherits weights" if isinstance(work, Evaluate) else type(work).__name__
            raise Unsupported(f"{self.name}: it cannot do {given}; it offers {', '.join(sorted(self.offers))}")
        if work.start or work.epochs not in self.fidelities:
            raise Unsupported(
                f"{self.name}: it cannot train from epoch {work.start} to {work.epochs}; networks are trained for "
                f"{self._query.search_epochs} epochs from the start"
            )
        self.space.plan(work.arch)
        return work

    def _measurement(self, work: Evaluate, stage: Stage) -> Measurement:
        curves = {"valid": stage.report.valid[1:], "train-loss": stage.report.train_loss}
        metrics = {self._names.at(metric, work.epochs): curve[-1] for metric, curve in curves.items()}
        count = self.space.count(work.arch)
        metrics |= {
            self._names.multiply_adds: count.multiply_adds / 1e6,
            self._names.parameters: count.parameters / 1e6,
        }
        curve = curves.get(kind(self._query.objective), ())
        value = curve[-1] if curve else metrics[self._query.objective]
        return Measurement(value, metrics, self._cost(work.arch, work.epochs), curve)

    def _tested(self, name: str, stage: Stage) -> dict[str, float]:
        """Return the sealed test accuracy under its name; nothing where a logit is not finite."""
        percent = self._workshop.test(stage.network)
        return {name: percent} if math.isfinite(percent) else {}

    def _cost(self, arch: str, epochs: float) -> Cost:
        images = epochs * len(self._data.train)
        return Cost(epochs, multiply_adds=PASSES * self.space.count(arch).multiply_adds * images)

    def _final_cost(self, arch: Arch, name: str) -> Cost:
        if name == self._searched_test:
            return self._cost(arch, self._query.search_epochs)
        epochs = self._query.final_epochs
        images = epochs * (len(self._data.train) + len(self._data.valid))
        return Cost(epochs, multiply_adds=PASSES * self._final_multiply_adds(arch) * images)

    def _final_multiply_adds(self, arch: Arch) -> int:
        return self._config.final_skeleton().count(self.space.plan(arch)).multiply_adds

    @property
    def _searched_test(self) -> str:
        return self._names.at("test", self._query.search_epochs)

    @property
    def _tests_trials(self) -> bool:
        return self._searched_test in self._query.sealed

    @cached_property
    def _landmark(self) -> Arch:
        """The network of 64 fixed draws whose multiply-adds come nearest to their mean."""
        rng = SeedTree.root("growth landmark", 0).generator()
        drawn = [self.space.sample(rng) for _ in range(_DRAWS)]
        sizes = [self.space.count(arch).multiply_adds for arch in drawn]
        mean = sum(sizes) / _DRAWS
        return min(zip(drawn, sizes, strict=True), key=lambda each: abs(each[1] - mean))[0]

    @cached_property
    def _workshop(self) -> GrowthWorkshop:
        from benchmarks.training.growth_workshop import GrowthWorkshop  # noqa: PLC0415 - loads torch

        return GrowthWorkshop(
            self._config, self.space, self._place, self._query, self._data, self.manifest(), self._founder
        )

    @cached_property
    def _nursery(self) -> Nursery:
        return self._workshop.nursery(self._names, tested=self._tests_trials)


def _founder(config: GrowthConfig, place: Place) -> Model | None:
    if config.founder is None:
        return None
    from benchmarks.training.growth_model import find_model, read_model  # noqa: PLC0415 - loads torch

    return read_model(find_model(config.founder, place), config.space())
