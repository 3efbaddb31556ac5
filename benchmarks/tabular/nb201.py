"""Offer the NAS-Bench-201 topology space with its recorded trainings as a benchmark.

Dong and Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", ICLR 2020; Dong et
al., "NATS-Bench", TPAMI 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from benchmarks.spaces.nb201_moves import GrowingNasBench201
from benchmarks.tabular.benchmark import TableBenchmark
from benchmarks.tabular.imports import open_known
from benchmarks.tabular.names import parse
from benchmarks.tabular.nb201_schema import official_names
from benchmarks.tabular.store import Table
from harness.core.errors import UsageError
from harness.core.interfaces import Place, Query


class NB201Table(TableBenchmark):
    """The topology space with the results of its 15,625 cells."""

    @dataclass(frozen=True, slots=True)
    class Config:
        """Which of the recorded trainings to search.

        Attributes:
            table: the release: 'nb201-v1.1' or 'nats-tss'; their means differ, so a study uses one.
            dataset: the data set of the objective.
            source: 'parquet' for the extract, 'official' for the released files, 'auto' for the first that is there.
        """

        table: Literal["nb201-v1.1", "nats-tss"] = "nb201-v1.1"
        dataset: Literal["cifar10", "cifar100", "imagenet16-120"] = "cifar10"
        source: Literal["auto", "parquet", "official"] = "auto"

    def __init__(self, config: Config, place: Place, query: Query) -> None:
        objective = parse(query.objective)
        if objective is not None and objective.dataset not in (None, config.dataset):
            raise UsageError(
                f"objective.metric: {query.objective!r} is not of the data set {config.dataset!r} that "
                "benchmark.options.dataset names; make the two agree"
            )
        table = open_known(config.table, None if config.source == "auto" else config.source, place)
        super().__init__(f"nb201/{config.table}/{config.dataset}", table, GrowingNasBench201(), query, _absent(table))


def _absent(table: Table) -> dict[str, str]:
    """Return the names that the official release answers and this table does not."""
    reason = (
        f"not in {', '.join(sorted(table.manifest['sources'])[:2])}; the complete official release has it "
        "(see `python -m harness data where`)"
    )
    return {name: reason for name in official_names() if name not in table.names}
