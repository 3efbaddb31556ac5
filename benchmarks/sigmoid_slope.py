"""Offer the slopes of a sigmoid network as a search space of one dimension, with every answer known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.sigmoid.curve import load
from benchmarks.sigmoid.table import IMPORTER, NAME, Slopes, content_of
from benchmarks.tabular.benchmark import TableBenchmark
from benchmarks.tabular.imports import tables_folder
from benchmarks.tabular.store import Table, open_table, write_table
from harness.core.canonical import Json, content_hash
from harness.core.interfaces import Place, Query


class SigmoidSlope(TableBenchmark):
    """The problem of the Synthetic Petri Dish's first experiment (Rawal et al. 2020): which slope trains best.

    Perceptrons with two hidden layers of 100 units sigma(c z), trained by this project; needs no download.
    """

    @dataclass(frozen=True, slots=True)
    class Config:
        """Which curve.

        Attributes:
            curve: 'mnist', 'digits' or 'mnist-default-init'.
            file: a curve of your own with the same definition, absolute or below the data folder; empty for the one
                that is shipped.
        """

        curve: str = "mnist"
        file: str = ""

    def __init__(self, config: Config, place: Place, query: Query) -> None:
        table = opened(config.curve, config.file, place)
        super().__init__(NAME, table, Slopes([float(arch) for arch in table.archs]), query, {})

    def manifest(self) -> dict[str, Json]:
        """Return what a record says of the curve, with the recipe behind it."""
        return {**super().manifest(), "recipe": dict(self.table.manifest["facts"])}


def opened(name: str, file: str, place: Place) -> Table:
    """Open a curve as a table, writing it into the cache first where that was not done before.

    Raises:
        UsageError: there is no curve of this name.
        DataMissing: the file is not there.
        DataCorrupt: the file is no such curve, or what the cache holds of it was changed.
        OutputUnwritable: the cache cannot be written to.
    """
    below = Path(file) if place.data is None else place.data / file
    path = below if below.is_file() else Path(file)
    curve = load(name, path if file else None)
    folder = tables_folder(place) / f"{NAME}-{name}-{content_hash([IMPORTER, curve.sha256])[:16]}"
    if not folder.is_dir():
        write_table(content_of(curve), folder, replace=False)
    return open_table(folder, f"delete {folder}: it is made again from {curve.file}")
