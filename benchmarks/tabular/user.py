"""Offer any user's table as a benchmark, described by a manifest and without a line of code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.spaces.declared import space_from
from benchmarks.tabular.benchmark import TableBenchmark
from benchmarks.tabular.user_cache import open_user
from harness.core.interfaces import Place, Query


class UserTable(TableBenchmark):
    """The declared space with the results of its architectures."""

    @dataclass(frozen=True, slots=True)
    class Config:
        """Which table.

        Attributes:
            manifest: the path of its manifest: absolute, or relative to the data folder.
        """

        manifest: str

    def __init__(self, config: Config, place: Place, query: Query) -> None:
        table = open_user(Path(config.manifest), place)
        space = space_from(table.manifest["space"], table.archs)
        super().__init__(f"table/{table.name}", table, space, query, {})
