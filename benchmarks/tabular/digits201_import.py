"""Turn the packed table `digits-201` into columns: one row for each cell, isomorphic cells with shared results."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.spaces.nb201 import OPERATIONS, SIZE, NasBench201, parse, unique_string
from benchmarks.tabular.digits201_file import BUILD, NAME, NETWORK, Packed
from benchmarks.tabular.names import MetricName
from benchmarks.tabular.nb201_schema import SPACE
from benchmarks.tabular.series import MULTIPLY_ADDS, SECONDS_PER_EPOCH, Content, Series, mean_of_recorded

DATASET = "digits"
IMPORTER = "digits-201, version 1"

_Rows = NDArray[np.intp]


def content_of(packed: Packed, file: str, sha256: str) -> Content:
    """Return everything that a packed table says of the space; `file` and `sha256` name where it came from."""
    cells, rows = entries(packed)
    results = [_result("valid", "%", packed, rows), _result("test", "%", packed, rows), _loss(packed, rows)]
    return Content(
        table=NAME,
        space=SPACE,
        archs=[NasBench201().arch(cell) for cell in cells],
        total=SIZE,
        series=[*results, *_costs(packed, cells)],
        sources={file: sha256},
        importer=IMPORTER,
        notes=_notes(packed, len(cells)),
        extra={"facts": dict(packed.facts)},
    )


def entries(packed: Packed) -> tuple[list[int], _Rows]:
    """Return the cells that a table answers for, by rising official index, and the trained row behind each."""
    space = NasBench201()
    trained: dict[str, int] = {}
    for row, cell in enumerate(packed.cells):
        trained.setdefault(unique_string(space.arch(int(cell))), row)
    found = [(cell, trained.get(unique_string(space.arch(cell)))) for cell in range(SIZE)]
    pairs = [(cell, row) for cell, row in found if row is not None]
    return [cell for cell, _ in pairs], np.array([row for _, row in pairs], dtype=np.intp)


def _result(split: str, unit: str, packed: Packed, rows: _Rows) -> Series:
    counts = packed.valid if split == "valid" else packed.test
    images = packed.facts["images"][split]
    # From sums of whole numbers, so that equal results are equal in every bit and ties stay ties.
    there = counts >= 0
    number = there.sum(axis=1)
    total = np.where(there, counts, 0).sum(axis=1, dtype=np.int64)
    curve = np.where(number > 0, 100.0 * total / (images * np.maximum(number, 1)), np.nan)
    return _series(split, unit, packed, rows, curve, packed.points(split))


def _loss(packed: Packed, rows: _Rows) -> Series:
    losses = packed.loss.astype(np.float64)
    losses[packed.valid < 0] = np.nan
    return _series("train-loss", "cross-entropy", packed, rows, mean_of_recorded(np.moveaxis(losses, 1, -1)), losses)


def _series(
    quantity: str,
    unit: str,
    packed: Packed,
    rows: _Rows,
    curve: NDArray[np.float64],
    curves: NDArray[np.float64],
) -> Series:
    """Return the series of a quantity from those of the classes, (classes, epochs) and (classes, seeds, epochs)."""
    return Series(
        name=MetricName(DATASET, quantity, packed.epochs, str(packed.train)),
        unit=unit,
        sealed=quantity == "test",
        source=f"trained for this table; {BUILD}",
        mean=curve[rows, -1],
        trials=curves[rows, :, -1],
        labels=tuple(map(str, packed.seeds)),
        stops=tuple(range(1, packed.epochs + 1)),
        curve=curve[rows].astype(np.float32),
        curves=curves[rows].astype(np.float32),
    )


def _costs(packed: Packed, cells: Sequence[int]) -> list[Series]:
    """Return sizes and seconds, which are those of each cell and not of its class."""
    space, skeleton = NasBench201(), packed.skeleton
    archs = [space.arch(cell) for cell in cells]
    counts = np.array([np.bincount(parse(arch), minlength=len(OPERATIONS)) for arch in archs], dtype=np.float64)
    prices = np.array([0.0, *(packed.facts["seconds"][name] for name in OPERATIONS[1:])])
    seconds = (packed.facts["seconds"][NETWORK] + counts @ prices) / packed.epochs
    train = str(packed.train)
    return [
        _cost(MetricName(DATASET, SECONDS_PER_EPOCH, train=train), "s", "cost model of the table", seconds),
        _cost(MetricName(DATASET, MULTIPLY_ADDS), "M", "closed form", [skeleton.multiply_adds(a) / 1e6 for a in archs]),
        _cost(MetricName(DATASET, "parameters"), "M", "closed form", [skeleton.parameters(a) / 1e6 for a in archs]),
    ]


def _cost(name: MetricName, unit: str, source: str, values: Sequence[float] | NDArray[np.float64]) -> Series:
    return Series(name, unit, sealed=False, source=source, mean=np.asarray(values, dtype=np.float64))


def _notes(packed: Packed, cells: int) -> list[str]:
    machine = packed.facts["machine"]
    shared = (
        f"{len(packed.cells):,} classes of isomorphic cells were trained, {cells:,} cells stand in the table: those of "
        "one class share accuracies, losses and curves; multiply-adds, parameters and seconds are of each cell itself"
    )
    modelled = (
        "seconds are those of one network of a bundle on one thread of the machine named here, from a cost model (a "
        "constant and a price for each operation) fitted to all bundles; an epoch includes its evaluation"
    )
    notes = [shared, modelled, f"machine: {machine['processor']}, {machine['platform']}, torch {machine['torch']}"]
    diverged = int((packed.valid[..., -1] < 0).sum())
    return [*notes, f"{diverged} trainings diverged and are gaps"] if diverged else notes
