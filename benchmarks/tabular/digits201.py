"""Offer the NAS-Bench-201 topology space trained on noisy digits: a whole table that comes with the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.spaces.nb201_moves import GrowingNasBench201
from benchmarks.tabular.benchmark import TableBenchmark
from benchmarks.tabular.digits201_file import BUILD, NAME, SHIPPED, load
from benchmarks.tabular.digits201_import import IMPORTER, content_of
from benchmarks.tabular.files import sha256_of
from benchmarks.tabular.imports import tables_folder
from benchmarks.tabular.store import Table, open_table, write_table
from harness.core.canonical import Json, content_hash
from harness.core.errors import DataMissing
from harness.core.interfaces import Place, Query


class Digits201(TableBenchmark):
    """The topology space with all its cells trained on noisy digits, three times each; needs no download."""

    @dataclass(frozen=True, slots=True)
    class Config:
        """Which table of this kind.

        Attributes:
            file: a packed table of your own, absolute or below the data folder; empty for the one that is shipped.
        """

        file: str = ""

    def __init__(self, config: Config, place: Place, query: Query) -> None:
        super().__init__("digits201", open_packed(located(config.file, place), place), GrowingNasBench201(), query, {})

    def manifest(self) -> dict[str, Json]:
        """Return what a record says of the table, with the recipe, the images and the machine behind it."""
        facts = self.table.manifest["facts"]
        kept = ("recipe", "noise", "train_images", "images", "seeds", "machine", "seconds")
        return {**super().manifest(), **{key: facts[key] for key in kept}}


def located(file: str, place: Place) -> Path:
    """Return where a packed table lies: the shipped one, or a file below the data folder or as it is named."""
    if not file:
        return SHIPPED
    below = Path(file) if place.data is None else place.data / file
    return below if below.is_file() else Path(file)


def open_packed(path: Path, place: Place) -> Table:
    """Open a packed table, writing it into the cache first where that was not done before.

    Raises:
        DataMissing: there is no such file.
        DataCorrupt: the file is no such table, or what the cache holds of it was changed.
        OutputUnwritable: the cache cannot be written to.
    """
    if not path.is_file():
        what = "the table is not part of this installation" if path == SHIPPED else "no such table"
        raise DataMissing(
            f"{NAME}: {path}: {what}; reinstall the package, or build it (about two hours on two cores, it can be "
            f"stopped and goes on) and name the result in the option `file`: {BUILD}"
        )
    sha256 = sha256_of(path)
    folder = tables_folder(place) / f"{NAME}-{content_hash([IMPORTER, sha256])[:16]}"
    if not folder.is_dir():
        write_table(content_of(load(path), path.name, sha256), folder, replace=False)
    return open_table(folder, f"delete {folder}: it is made again from {path}")
