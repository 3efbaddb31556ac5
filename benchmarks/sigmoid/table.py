"""Turn a curve of sigmoid slopes into the columns of a table: a slope is an architecture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.sigmoid.curve import Curve, Floats, build_command
from benchmarks.tabular.names import MetricName
from benchmarks.tabular.series import MULTIPLY_ADDS, Content, Series
from harness.core.errors import UsageError
from harness.core.types import Arch

NAME = "sigmoid-slope"
IMPORTER = "sigmoid-slope, version 1"


class Slopes:
    """The slopes of a grid, written with four decimals; a slope's neighbours are the next ones on both sides."""

    name = NAME

    def __init__(self, grid: Sequence[float]) -> None:
        self._grid = tuple(Arch(f"{slope:.4f}") for slope in grid)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {arch: place for place, arch in enumerate(self._grid)}

    def __contains__(self, arch: object) -> bool:
        return arch in self._places

    def __len__(self) -> int:
        return len(self._grid)

    def arch(self, index: int) -> Arch:
        """The slope with this index, from the flattest to the steepest."""
        return self._grid[index]

    def sample(self, rng: np.random.Generator) -> Arch:
        """Draw a slope uniformly."""
        return self._grid[int(rng.integers(len(self._grid)))]

    def neighbours(self, arch: Arch) -> Sequence[Arch]:
        """The next flatter and the next steeper slope."""
        place = self._place(arch)
        return [self._grid[near] for near in (place - 1, place + 1) if 0 <= near < len(self._grid)]

    def encode(self, arch: Arch) -> NDArray[np.float32]:
        """Return the slope itself."""
        self._place(arch)
        return np.array([float(arch)], dtype=np.float32)

    def _place(self, arch: Arch) -> int:
        if arch not in self._places:
            raise UsageError(
                f"{NAME}: {arch!r} is no slope of the grid {self._grid[0]}, {self._grid[1]} ... {self._grid[-1]}; "
                "write one of them, with four decimals"
            )
        return self._places[arch]


def content_of(curve: Curve) -> Content:
    """Return everything that a curve says of its slopes."""
    definition, space = curve.definition, Slopes(curve.definition.grid)
    forward = definition.multiply_adds / (3 * definition.train * definition.epochs * 1e6)
    work = Series(
        MetricName(definition.dataset, MULTIPLY_ADDS), "M", sealed=False, source="closed form",
        mean=np.full(definition.slopes, forward),
    )  # fmt: skip
    return Content(
        table=NAME,
        space={"kind": NAME},
        archs=[space.arch(place) for place in range(len(space))],
        total=definition.slopes,
        series=[_series(curve, "valid", curve.valid), _series(curve, "test", curve.test), work],
        sources={curve.file: curve.sha256},
        importer=IMPORTER,
        notes=[
            "perceptrons with two hidden layers of sigma(c z)",
            "all slopes of a repeat start from the same initial weights and see the same batches",
            f"trained for this project; again: {build_command(curve.name)}",
        ],
        extra={"facts": definition.manifest()},
    )


def _series(curve: Curve, quantity: str, values: Floats) -> Series:
    definition = curve.definition
    train = f"{definition.train // 1000}k" if definition.train % 1000 == 0 else str(definition.train)
    return Series(
        name=MetricName(definition.dataset, quantity, definition.epochs, train),
        unit="%",
        sealed=quantity == "test",
        source=f"trained for this table; {build_command(curve.name)}",
        mean=values.mean(axis=1),
        trials=values,
        labels=tuple(map(str, range(definition.repeats))),
    )
