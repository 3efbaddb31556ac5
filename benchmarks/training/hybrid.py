"""Train candidates for real, and look up in a table what comes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal

from benchmarks.spaces.nb201_moves import GrowingNasBench201
from benchmarks.tabular.nb201 import NB201Table
from benchmarks.training.data import facts, open_dataset
from benchmarks.training.growth_check import check_growth
from benchmarks.training.naming import Names
from benchmarks.training.recipe import describe_phases
from benchmarks.training.settings import ENGINES, TrainingConfig, check_engine
from harness.core.budget import Budget
from harness.core.canonical import Json
from harness.core.errors import UsageError
from harness.core.interfaces import Estimate, Growths, Place, Query
from harness.core.types import (
    Arch,
    Attach,
    Capability,
    Cost,
    Evaluate,
    Grow,
    MetricSchema,
    Outcome,
    Trial,
)

if TYPE_CHECKING:
    from benchmarks.training.nursery import Nursery
    from benchmarks.training.workshop import Workshop

HYBRID_VERSION = 1
"""Raised on any change of this file that changes a number."""


@dataclass(frozen=True, slots=True)
class HybridConfig(TrainingConfig):
    """The options of the hybrid benchmark: the table, and how parents and candidates are trained on this machine.

    The options of the local training are those of `TrainingConfig`; its data set need not be the table's.

    Attributes:
        table: the release: 'nb201-v1.1' or 'nats-tss'.
        table_dataset: the data set of the objective.
        source: where the table is read from, as in the table's own options.
        parent_epochs: epochs for which a parent is trained before candidates are attached.

    Raises:
        UsageError: a value is outside its range.
    """

    table: Literal["nb201-v1.1", "nats-tss"] = "nb201-v1.1"
    table_dataset: Literal["cifar10", "cifar100", "imagenet16-120"] = "cifar10"
    source: Literal["auto", "parquet", "official"] = "auto"
    parent_epochs: int = 12

    def __post_init__(self) -> None:
        TrainingConfig.__post_init__(self)
        if self.parent_epochs < 1:
            raise UsageError(f"parent_epochs is {self.parent_epochs}; give 1 or more")
        if self.fidelities:
            raise UsageError("fidelities: those of the table are fixed; leave the option out")


class NB201Hybrid:
    """NAS-Bench-201 with the accuracy of its table, and candidates that are trained here.

    Evaluations and growths are answered and charged by the table: a child is the cell that it has grown into, trained
    from scratch as the table had it trained, so a growth must say `inherit: nothing` and the table's epochs. For an
    attachment the parent is trained on this machine from scratch, for `parent_epochs` under the local recipe, and the
    candidates are attached to that.

    An attachment is charged at the pace of the table: the multiply-adds of the local training of the parent and of the
    phase, every candidate and the scoring pass counted, are charged as the epochs and recorded seconds of the table's
    mean cell that they would train (the rule that prices a method's own computation). The parent is charged with every
    attachment to it, for all its epochs even where it diverges. Its accuracy before candidates are attached stands in
    the metrics as `valid-before@attach`.
    """

    Config: ClassVar[type[HybridConfig]] = HybridConfig
    name = "nb201-hybrid"
    durable = True

    def __init__(self, config: HybridConfig, place: Place, query: Query) -> None:
        if place.device != "cpu":
            from benchmarks.training.workshop import check_device  # noqa: PLC0415 - torch knows the devices

            check_device(place.device)
        check_engine(config.engine, place.device)
        self._config, self._place, self._query = config, place, query
        options = NB201Table.Config(config.table, config.table_dataset, config.source)
        self._table = NB201Table(options, place, query)
        self._data = open_dataset(config.dataset, place, config.train_images, config.valid_images)
        train, valid, epochs = len(self._data.train), len(self._data.valid), config.parent_epochs
        self._names = Names(config.dataset, epochs, epochs, train, train + valid)
        self._skeleton = facts(config.dataset).skeleton(config.channels, config.cells)
        self.space = GrowingNasBench201()
        self.fidelities: tuple[int, ...] = self._table.fidelities
        self.units: frozenset[str] = self._table.units
        # The table holds networks that were trained from scratch, to the end.
        self.growths = Growths(("nothing",), epochs=self.fidelities[-1:])
        known = self._table.metrics
        # What the child is tested as is the table's to say: a local network is never tested.
        self.metrics = MetricSchema(known.open | self._names.grown().open, known.sealed, known.unavailable)

    @property
    def offers(self) -> frozenset[Capability]:
        """What it can do: what the table can, and candidates where the table tells the price of work."""
        offered = self._table.offers
        return offered | {Capability.ATTACH, Capability.GROW} if Capability.THINK in offered else offered

    def manifest(self) -> dict[str, Json]:
        """Return what defines its numbers: the table, and the local training."""
        recipe = self._config.recipe(self._config.parent_epochs).describe()
        local: dict[str, Json] = {
            "version": HYBRID_VERSION,
            "data": self._data.manifest(),
            "recipe": recipe,
            "phases": describe_phases(self._config.phase_recipe()),
            "skeleton": asdict(self._skeleton),
            "engine": self._config.engine,
        }
        return {
            **self._table.manifest(),
            "benchmark": self.name,
            "local": local,
            "determinism": ENGINES[self._config.engine].determinism,
            "simulated": "seconds are those of the table, those of attachments its pace; candidates are trained here",
        }

    def environment(self) -> dict[str, Json]:
        """Return what can change the last bits of the local training and belongs to this machine."""
        return self._workshop.environment()

    def evaluate(self, trial: Trial) -> Outcome:
        """Look a cell up, or train candidates on its network.

        Raises:
            Unsupported: the work is of another kind.
            UsageError: a move is not legal, the arm is unknown, or a growth is not what the table holds.
        """
        work = trial.work
        if isinstance(work, Attach) and Capability.ATTACH in self.offers:
            return self._attach(work, trial)
        if isinstance(work, Grow) and Capability.GROW in self.offers:
            return self._table.evaluate(replace(trial, work=self._looked_up(work)))
        return self._table.evaluate(trial)

    def _looked_up(self, work: Grow) -> Evaluate:
        self.growths.check("epochs", work.epochs)
        check_growth(self.space, work, self.growths)
        return Evaluate(work.arch, work.epochs)

    def _attach(self, work: Attach, trial: Trial) -> Outcome:
        founder = Evaluate(work.arch, self._config.parent_epochs)
        local = Trial(trial.id, replace(work, after=founder), trial.seed)
        outcome = self._nursery.answer(local)
        spent = self._nursery.cost(founder).multiply_adds, outcome.result.cost.multiply_adds
        cost = self._table.think_cost(sum(part for part in spent if part is not None))
        return Outcome(replace(outcome.result, cost=cost))

    def final(self, arch: Arch, seed: int) -> Mapping[str, float]:
        """Look the sealed metrics of an architecture up."""
        return self._table.final(arch, seed)

    def final_cost(self, arch: Arch) -> Cost:
        """Return what one training behind the primary sealed metric cost, as far as the table recorded it."""
        return self._table.final_cost(arch)

    def think_cost(self, multiply_adds: float) -> Cost:
        """Return the multiply-adds at the pace of the table."""
        return self._table.think_cost(multiply_adds)

    def references(self, budget: Budget) -> dict[str, Json]:
        """Return what the table knows of the whole space."""
        return self._table.references(budget)

    def estimate(self) -> Estimate:
        """Return what it takes to train an average parent here, which is the least that an attachment takes."""
        pace = self._workshop.pace()
        seconds = self._config.parent_epochs * pace.epoch(len(self._data.train), len(self._data.valid))
        basis = (
            f"{pace.images} images of an average cell trained by engine {self._config.engine!r} on this machine, for "
            "the epochs of a parent; candidates come on top, evaluations and growths are looked up"
        )
        table = self._table.estimate()
        return replace(table, seconds=seconds, memory=max(table.memory, pace.memory), basis=basis)

    @cached_property
    def _local(self) -> Query:
        objective = self._names.at("valid", self._config.parent_epochs)
        return Query(objective, (), (), self._config.parent_epochs, self._config.parent_epochs)

    @cached_property
    def _workshop(self) -> Workshop:
        from benchmarks.training.workshop import Workshop  # noqa: PLC0415 - loads torch

        return Workshop(self._config, self._place, self._local, self._data, self.manifest())

    @cached_property
    def _nursery(self) -> Nursery:
        from benchmarks.training.nb201_nursery import open_nursery  # noqa: PLC0415 - loads torch

        # The sizes of the local network stay out of the metrics: under these names the table gives those of its own.
        opened = open_nursery(self._config, self._workshop, self._names, self._local.objective, self._place.cache)
        return replace(opened, sizes=lambda _: {})
