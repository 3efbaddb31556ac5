"""Check what a study asks of a table, and sort the table's names into open, sealed and not available.

A metric is open to a method only if a trial has paid for it: it must not be a test metric, and it must belong to the
training of the objective (or be a cost, which needs no training). Everything else is sealed for that study.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from benchmarks.tabular.names import MetricName, Policy, parse, resolve
from benchmarks.tabular.series import Series
from benchmarks.tabular.store import Table
from harness.core.errors import DataMissing, UsageError
from harness.core.interfaces import Query
from harness.core.types import MetricSchema

Column = tuple[str, Series, Policy | None]
"""A qualified name with the series and the policy that answer it."""


@dataclass(frozen=True)
class Question:
    """A query that fits a table.

    Attributes:
        table: the table.
        query: what the protocol asks.
        absent: names that the table's origin has and this table lacks, with the reason.
    """

    table: Table
    query: Query
    absent: Mapping[str, str]

    def __post_init__(self) -> None:
        series = self.objective[1]
        if series.sealed:
            raise UsageError(
                f"objective.metric: {self.query.objective!r} is a sealed test metric and cannot be searched for; "
                f"open: {'; '.join(sorted(self._open_ends))}"
            )
        if series.name.epochs != self.query.search_epochs:
            raise UsageError(
                f"objective.metric: {self.query.objective!r} does not come from a training of "
                f"{self.query.search_epochs} epochs (fidelity.search); make the two agree"
            )
        for key, names, allowed, other in (
            ("objective.secondary", self.query.secondary, self._open_ends, "not paid for by a trial: final.metrics"),
            ("final.metrics", self.query.sealed, self._sealed_ends, "open to methods: objective.secondary"),
        ):
            for name in names:
                if name not in self.absent and resolve(name, self.table.names, key) not in allowed:
                    raise UsageError(f"{key}: {name!r} is {other} is its place")

    @cached_property
    def objective(self) -> Column:
        """The column that is searched for."""
        name = self.query.objective
        if name in self.absent and name not in self.table.names:
            raise DataMissing(
                f"objective.metric: {name!r} is not in the table {self.table.name!r}: {self.absent[name]}"
            )
        known = resolve(name, self.table.names, "objective.metric")
        return (known, *self.table.names[known])

    @property
    def name(self) -> MetricName:
        """The parsed name of the objective."""
        parsed = parse(self.query.objective)
        assert parsed is not None
        return parsed

    @property
    def final_training(self) -> MetricName:
        """The parsed name of the primary sealed metric, which says which training is behind it.

        Raises:
            UsageError: the query asks for no sealed metric.
        """
        primary = parse(self.query.sealed[0]) if self.query.sealed else None
        if primary is None:
            raise UsageError("final.metrics: no sealed metric is asked for, so nothing is trained at the end; name one")
        return primary

    @property
    def secondary(self) -> list[Column]:
        """The further open columns to record; those the table lacks are left out."""
        return self._columns(self.query.secondary)

    @property
    def sealed(self) -> list[Column]:
        """The sealed columns to record; those the table lacks are left out."""
        return self._columns(self.query.sealed)

    def _columns(self, names: tuple[str, ...]) -> list[Column]:
        return [(name, *self.table.names[name]) for name in names if name in self.table.names]

    @cached_property
    def fidelities(self) -> tuple[int, ...]:
        """The epochs at which the objective was recorded, the end of its schedule last."""
        _, series, policy = self.objective
        assert series.name.epochs is not None
        has_curve = series.curves is not None or (policy == "mean-of-trials" and series.curve is not None)
        stops = series.stops if has_curve else ()
        return (*(stop for stop in stops if stop < series.name.epochs), series.name.epochs)

    @cached_property
    def _open_ends(self) -> frozenset[str]:
        """The open names at the end of the objective's schedule."""
        training = self.objective[1].name.training
        return frozenset(
            name
            for name, (series, _) in self.table.names.items()
            if not series.sealed and (series.name.epochs is None or series.name.training == training)
        )

    @cached_property
    def _sealed_ends(self) -> frozenset[str]:
        return frozenset(self.table.names) - self._open_ends

    def schema(self) -> MetricSchema:
        """Return the names by what this study may do with them."""
        asked = (*self.query.secondary, *self.query.sealed)
        within = {
            str(whole.after(stop))
            for name in self._open_ends
            if (whole := parse(name)) is not None and whole.epochs is not None
            for stop in self.fidelities
        }
        unavailable = {name: self.absent[name] for name in asked if name not in self.table.names}
        return MetricSchema(self._open_ends | within, self._sealed_ends, unavailable)
