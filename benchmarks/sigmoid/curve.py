"""Read and write the sigmoid-slope curves that come with the package, and say how they were trained."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.tabular.files import sha256_of
from harness.core.canonical import Json
from harness.core.errors import DataCorrupt, DataMissing, UsageError, nearest

Floats = NDArray[np.float64]

FOLDER = Path(__file__).parent / "data"
LOW, HIGH = 0.01, 2.01
PREFIX = "sigmoid-"  # of the names that `data` commands take


@dataclass(frozen=True)
class Definition:
    """Everything that fixes a curve.

    Attributes:
        dataset: 'mnist' or 'digits'.
        init: 'normal': weights N(0, 1), biases 0; 'default': both uniform as torch's linear layers have them.
        slopes: how many, evenly spaced from 0.01 to 2.01.
        repeats: initialisations and batch orders, each shared by all slopes.
        train: training images; `valid` validation and `test` test images.
        epochs: of training with Adam at learning rate `rate`, in batches of `batch`.
        width: units of both hidden layers.
    """

    dataset: Literal["mnist", "digits"]
    init: Literal["normal", "default"]
    slopes: int
    repeats: int
    train: int
    valid: int
    test: int
    inputs: int
    epochs: int = 20
    batch: int = 100
    rate: float = 0.01
    width: int = 100
    classes: int = 10

    @cached_property
    def grid(self) -> tuple[float, ...]:
        """The slopes, rising, to four decimals."""
        return tuple(round(float(slope), 4) for slope in np.linspace(LOW, HIGH, self.slopes))

    @property
    def multiply_adds(self) -> float:
        """The multiply-adds of training one network: three forward passes of every training image in each epoch."""
        layers = self.inputs * self.width + self.width * self.width + self.width * self.classes
        return float(3 * layers * self.train * self.epochs)

    def manifest(self) -> dict[str, Json]:
        """Return it as plain data."""
        return dict(asdict(self))


CURVES = {
    "mnist": Definition("mnist", "normal", 50, 10, 8_000, 10_000, 10_000, 784),
    "mnist-default-init": Definition("mnist", "default", 12, 3, 8_000, 10_000, 10_000, 784),
    "digits": Definition("digits", "normal", 50, 12, 800, 499, 498, 64),
}
"""The curves by name."""

SHA256: dict[str, str] = {
    "mnist": "4955ac7fdc4ecfe6b8438f34dd53b1469800e7750211c433a614fe6632cef02a",
    "mnist-default-init": "6a3dd1f0f077c6a8cf8a856d2ade980ed5ac2485cf3d85eaabd212f95262d109",
    "digits": "175648a6f86731d46a6c109ed2f5e7dc5d5555f05c9fead0a2439397b63019a1",
}
"""Of the curves that come with the package."""


@dataclass(frozen=True)
class Curve:
    """What was trained: accuracies in percent, (slopes, repeats) each.

    Attributes:
        sha256: of the file that it was read from.
    """

    name: str
    definition: Definition
    valid: Floats
    test: Floats
    file: str
    sha256: str

    @property
    def slopes(self) -> Floats:
        """The slopes, rising."""
        return np.array(self.definition.grid)


def definition_of(name: str) -> Definition:
    """Return how the curve of a name is trained.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in CURVES:
        raise UsageError(f"sigmoid-slope: no curve {name!r}{nearest(name, CURVES)}; known: {', '.join(CURVES)}")
    return CURVES[name]


def shipped(name: str) -> Path:
    """Return where the curve that comes with the package lies."""
    return FOLDER / f"{name}.csv"


def build_command(name: str) -> str:
    """Return the command that trains a curve again."""
    files = " --data-dir DIR" if CURVES[name].dataset == "mnist" else ""
    return f"python -m harness data build {PREFIX}{name}{files} --out FOLDER"


def load(name: str, file: Path | None = None) -> Curve:
    """Return a curve: the one that comes with the package, or a file that `write` made.

    Raises:
        UsageError: there is no curve of this name.
        DataMissing: the file is not there.
        DataCorrupt: the shipped file differs from its checksum, or a file is no curve of this definition.
    """
    definition, path = definition_of(name), file or shipped(name)
    if not path.is_file():
        raise DataMissing(f"sigmoid-slope: {path} is not there; reinstall the package, or {build_command(name)}")
    found = sha256_of(path)
    if file is None and found != SHA256[name]:
        raise DataCorrupt(
            f"{path}: SHA-256 {found}, not {SHA256[name]}; reinstall the package, or {build_command(name)}"
        )
    try:
        with path.open(encoding="ascii", newline="") as stream:
            header, *rows = csv.reader(stream)
        values = np.array(rows, dtype=np.float64)
    except ValueError as error:
        raise DataCorrupt(f"{path}: no curve of sigmoid slopes ({error}); {build_command(name)}") from error
    if header != _header(definition.repeats) or values.shape != (definition.slopes, len(header)):
        raise DataCorrupt(
            f"{path}: {values.shape} numbers, not {definition.slopes} slopes with {definition.repeats} repeats of "
            f"{name!r}; {build_command(name)}"
        )
    valid, test = np.split(values[:, 3:], 2, axis=1)
    return Curve(name, definition, valid, test, path.name, found)


def write(path: Path, definition: Definition, accuracies: Floats) -> None:
    """Write accuracies in percent, (2, slopes, repeats), as CSV: a row for each slope, means first."""
    rows = [",".join(_header(definition.repeats))]
    for slope, pair in zip(definition.grid, accuracies.transpose(1, 0, 2), strict=True):
        rows.append(",".join([f"{slope:.4f}", *(f"{value:.4f}" for value in (*pair.mean(axis=1), *pair.ravel()))]))
    path.write_text("\n".join(rows) + "\n", encoding="ascii")


def _header(repeats: int) -> list[str]:
    single = [f"{split}_{repeat}" for split in ("valid", "test") for repeat in range(repeats)]
    return ["slope", "valid_mean", "test_mean", *single]
