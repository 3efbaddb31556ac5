"""Read and write the packed table `digits-201`: one small file that is read whole or refused."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.spaces.nb201 import OPERATIONS, SIZE, Skeleton
from harness.core.canonical import Json, canonical_json
from harness.core.errors import DataCorrupt, DataMissing

NAME = "digits-201"
SCHEMA = 1

SHIPPED = Path(__file__).parent / "data" / "digits201.npz"
"""The table that comes with the package."""

BUILD = "python -m harness data build digits201"
NETWORK = "network"
"""The name of the constant in the cost model; the other prices carry the names of operations."""

FACTS = frozenset(
    {"recipe", "noise", "train_images", "images", "seeds", "machine", "seconds", "trained", "data", "plan"}
)
"""What a table says of its origin."""

_UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, slots=True)
class Packed:
    """The table as arrays.

    Attributes:
        facts: recipe, data, plan and machine that it was built with, and its cost model.
        cells: official index of the trained representative of each class, rising, (classes,).
        valid: right answers after each epoch, -1 where the network had diverged, (classes, seeds, epochs); also `test`.
        loss: mean training loss of each epoch, (classes, seeds, epochs).
    """

    facts: Mapping[str, Any]
    cells: NDArray[np.uint16]
    valid: NDArray[np.int16]
    test: NDArray[np.int16]
    loss: NDArray[np.float16]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the networks of each class."""
        return tuple(self.facts["seeds"])

    @property
    def epochs(self) -> int:
        """The length of the schedule."""
        return int(self.facts["recipe"]["epochs"])

    @property
    def train(self) -> int:
        """The number of training images."""
        return int(self.facts["train_images"])

    @property
    def skeleton(self) -> Skeleton:
        """The network around the cells: digits are 8x8 grey images of ten classes."""
        recipe = self.facts["recipe"]
        return Skeleton(recipe["channels"], recipe["cells"], classes=10, image_size=8, image_channels=1)

    def points(self, split: str) -> NDArray[np.float64]:
        """Return the accuracies on 'valid' or 'test' in percent, NaN where diverged, (classes, seeds, epochs)."""
        counts = self.valid if split == "valid" else self.test
        return np.where(counts < 0, np.nan, 100.0 * counts / self.facts["images"][split])


def load(path: Path) -> Packed:
    """Return a packed table.

    Raises:
        DataMissing: there is no such file.
        DataCorrupt: it is no table of this schema.
    """
    if not path.exists():
        raise DataMissing(
            f"{path}: no such table; build it (about two hours on two cores, it can be stopped and goes on): {BUILD}"
        )
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            facts = json.loads(file["facts"].tobytes())
            packed = Packed(facts, file["cells"], file["valid"], file["test"], file["loss"])
            wrong = _fault(packed)
    except _UNREADABLE as error:
        raise DataCorrupt(f"{path}: no {NAME} table ({error}); build it again or reinstall the package") from error
    if wrong:
        raise DataCorrupt(f"{path}: no {NAME} table ({wrong}); build it again or reinstall the package")
    return packed


def write(target: Path, facts: Mapping[str, Json], cells: Sequence[int], arrays: Mapping[str, NDArray[Any]]) -> Path:
    """Write a table, compressed, in one move; the same content gives the same bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez_compressed(
            file,
            facts=np.frombuffer(canonical_json(facts).encode(), dtype=np.uint8),
            cells=np.array(cells, dtype=np.uint16),
            valid=arrays["valid"].astype(np.int16),
            test=arrays["test"].astype(np.int16),
            loss=arrays["loss"].astype(np.float16),
        )
    return partial.replace(target)


def _fault(packed: Packed) -> str:
    """Return what contradicts the schema, or an empty string; unreadable facts raise instead."""
    facts, cells = packed.facts, packed.cells
    if facts["schema"] != SCHEMA:
        return f"schema {facts['schema']}, this version reads {SCHEMA}"
    if absent := sorted(FACTS - facts.keys()):
        return f"without {', '.join(absent)}"
    if not cells.size or cells.ndim != 1 or cells[-1] >= SIZE or np.any(np.diff(cells.astype(int)) < 1):
        return "its cells are not rising indices of the space"
    prices = [float(facts["seconds"][name]) for name in (NETWORK, *OPERATIONS[1:])]
    if not (prices[0] > 0 and min(prices) >= 0 and np.isfinite(prices).all() and packed.skeleton and packed.train > 0):
        return "prices below zero, or no training images"
    return _misshapen(packed)


def _misshapen(packed: Packed) -> str:
    shape = len(packed.cells), len(packed.seeds), packed.epochs
    for name, kind in (("valid", np.int16), ("test", np.int16), ("loss", np.float16)):
        array = getattr(packed, name)
        if array.shape != shape or array.dtype != kind:
            return f"{name} is {array.dtype} {array.shape} instead of {np.dtype(kind)} {shape}"
    for split in ("valid", "test"):
        images, counts = packed.facts["images"][split], getattr(packed, split)
        if not (images > 0 and counts.min() >= -1 and counts.max() <= images):
            return f"more right answers than {images} {split} images"
    return ""
