"""Import NAS-Bench-201 from two parquet files: `arch.parquet` (one row a cell) and `seed_final200.parquet` (trials).

Both releases of the means are in the same file; a table takes one of them. Only trials of quality `exact` are
imported as trials; those that are missing or were derived stay NaN, and are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from benchmarks.spaces.nb201 import NasBench201
from benchmarks.tabular import nb201_schema as official
from benchmarks.tabular.files import read_parquet, sha256_of
from benchmarks.tabular.names import MetricName
from benchmarks.tabular.nb201_schema import ARCH_FILE, TRIAL_FILE
from benchmarks.tabular.series import (
    MULTIPLY_ADDS,
    SECONDS_PER_EPOCH,
    SECONDS_PER_VALIDATION,
    Content,
    Series,
    mean_of_recorded,
)
from harness.core.canonical import Json
from harness.core.errors import DataCorrupt, nearest

SEEDS = (777, 888, 999)
_EXACT = "exact"

_SHORT = {"cifar10": "c10", "cifar100": "c100"}
_DEVICES = {
    "edgegpu": {"latency": "ms", "energy": "mJ"},
    "raspi4": {"latency": "ms"},
    "edgetpu": {"latency": "ms"},
    "pixel3": {"latency": "ms"},
    "eyeriss": {"latency": "ms", "energy": "mJ", "arithmetic_intensity": "as published"},
    "fpga": {"latency": "ms", "energy": "mJ"},
}

# Column of arch.parquet -> (data set, quantity, epochs, training images), by table.
_MEANS: dict[str, dict[str, tuple[str, str, int, str]]] = {
    "nb201-v1.1": {
        "v11_train_c10valid": ("cifar10", "train", 200, "25k"),
        "v11_valid_c10valid": ("cifar10", "valid", 200, "25k"),
        "v11_test_c10valid": ("cifar10", "test", 200, "25k"),
        "v11_testloss_c10valid": ("cifar10", "test-loss", 200, "25k"),
        "v11_test_c10full": ("cifar10", "test", 200, "50k"),
        "v11_train_c100": ("cifar100", "train", 200, "50k"),
        "v11_valid_c100": ("cifar100", "valid", 200, "50k"),
        "v11_test_c100": ("cifar100", "test", 200, "50k"),
    },
    "nats-tss": {
        "nats_test_c10full": ("cifar10", "test", 200, "50k"),
        "nats_test_c100": ("cifar100", "test", 200, "50k"),
    },
}
_SHORT_SCHEDULE = {
    "e12_valid_c10valid": ("cifar10", "valid", 12, "25k"),
    "e12_valid_c100": ("cifar100", "valid", 12, "50k"),
}
# The trainings whose seconds are recorded: (data set, training images, suffix of the columns).
_TIMED = (("cifar10", "25k", "c10valid"), ("cifar100", "50k", "c100"))


@dataclass(frozen=True, slots=True)
class _Source:
    """One parquet file, read whole, with what errors must name."""

    path: Path
    table: pa.Table

    def column(self, name: str) -> NDArray[np.float64]:
        """Return a numeric column; NaN where it is null."""
        values = self._typed(name, pa.types.is_floating, pa.types.is_integer, expected="numbers")
        return np.asarray(pc.cast(values, pa.float64()).to_numpy(zero_copy_only=False))

    def texts(self, name: str) -> list[str]:
        """Return a column of texts without nulls."""
        is_text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_dictionary)
        values = self._typed(name, *is_text, expected="texts")
        if values.null_count:
            raise DataCorrupt(
                f"{self.path}: column {name!r} has {values.null_count} empty entries; every row needs one"
            )
        return [str(value) for value in values.to_pylist()]

    def _typed(self, name: str, *accept: Callable[[pa.DataType], bool], expected: str) -> pa.ChunkedArray:
        if name not in self.table.column_names:
            hint = nearest(name, self.table.column_names)
            raise DataCorrupt(f"{self.path}: no column {name!r}{hint}; fetch the file again (see `data where`)")
        values = self.table.column(name)
        if not any(test(values.type) for test in accept):
            raise DataCorrupt(f"{self.path}: column {name!r} holds {values.type}, not {expected}; fetch the file again")
        return values


def import_parquet(table: str, folder: Path) -> Content:
    """Return the content of a table from the two files in `folder`.

    Args:
        table: 'nb201-v1.1' or 'nats-tss': which release the means are of.
        folder: holds `arch.parquet` and `seed_final200.parquet`.

    Raises:
        DataCorrupt: a file is damaged, lacks a column, has a column of the wrong type, or repeats a cell.
    """
    cells = _Source(folder / ARCH_FILE, read_parquet(folder / ARCH_FILE))
    trials = _Source(folder / TRIAL_FILE, read_parquet(folder / TRIAL_FILE))
    archs = cells.texts("arch_str")
    index = cells.column("arch_index").astype(np.int64)
    order = np.argsort(index, kind="stable")
    _check_cells(cells.path, archs, index)
    drawn = _trials(trials, index[order]) if table == "nats-tss" else []
    series = [*_means(table, cells, order), *drawn, *_costs(cells, order)]
    return Content(
        table=table,
        space=official.SPACE,
        archs=[archs[row] for row in order],
        total=official.CELLS,
        series=_merged(series),
        sources={name: sha256_of(folder / name) for name in (ARCH_FILE, TRIAL_FILE)},
        importer="parquet 1",
        notes=_NOTES,
        extra=_qualities(trials),
    )


_NOTES = (
    "12-epoch accuracies are means of trials (CIFAR-10: seeds 111 and 777; CIFAR-100: seed 111), not single trials",
    "seconds of the 200-epoch schedule are derived: its epochs times the recorded seconds per epoch, plus one pass",
)


def _check_cells(path: Path, archs: list[str], index: NDArray[np.int64]) -> None:
    numbers, counts = np.unique(index, return_counts=True)
    repeated = [f"arch_index {numbers[counts > 1][0]}"] if (counts > 1).any() else _repeated(archs)
    if repeated:
        raise DataCorrupt(f"{path}: {repeated[0]} stands in more than one row; every cell needs exactly one")
    space = NasBench201()
    for arch, number in zip(archs, index.tolist(), strict=True):
        if arch not in space or space.index(arch) != number:
            raise DataCorrupt(f"{path}: arch_index {number} is not {arch} in the official order; fetch the file again")


def _repeated(archs: list[str]) -> list[str]:
    return [arch for arch, count in Counter(archs).items() if count > 1]


def _means(table: str, cells: _Source, order: NDArray[np.intp]) -> Iterator[Series]:
    for column, (dataset, quantity, epochs, train) in {**_MEANS[table], **_SHORT_SCHEDULE}.items():
        name = MetricName(dataset, quantity, epochs, train)
        unit = "nats" if quantity.endswith("-loss") else "%"
        yield Series(name, unit, official.sealed(quantity), column, mean=cells.column(column)[order])


def _costs(cells: _Source, order: NDArray[np.intp]) -> Iterator[Series]:
    for dataset, train, suffix in _TIMED:
        epoch = cells.column(f"train_s_per_epoch_{suffix}")[order]
        short = cells.column(f"e12_cost_s_{suffix}")[order]
        timed = partial(MetricName, dataset, train=train)
        yield Series(timed(SECONDS_PER_EPOCH), "s", sealed=False, source=f"train_s_per_epoch_{suffix}", mean=epoch)
        source = f"e12_cost_s_{suffix} - 12 * train_s_per_epoch_{suffix}"
        yield Series(timed(SECONDS_PER_VALIDATION), "s", sealed=False, source=source, mean=short - 12 * epoch)
    for dataset, short_name in _SHORT.items():
        for quantity, unit, column in _network_costs(short_name):
            values = cells.column(column)[order]
            if column.startswith("hw_"):
                values = np.where(values == -1, np.nan, values)  # -1: the device does not support the cell
            yield Series(MetricName(dataset, quantity), unit, sealed=False, source=column, mean=values)


def _network_costs(short: str) -> Iterator[tuple[str, str, str]]:
    """Yield (quantity, unit, column) of every cost of the network itself."""
    yield MULTIPLY_ADDS, "M", f"flops_m_{short}"
    yield "parameters", "M", f"params_m_{short}"
    yield "gpu-latency", "s", f"gpu_latency_s_{short}"
    for device, quantities in _DEVICES.items():
        for quantity, unit in quantities.items():
            yield f"{device}-{quantity.replace('_', '-')}", unit, f"hw_{short}_{device}_{quantity}"


def _trials(source: _Source, index: NDArray[np.int64]) -> Iterator[Series]:
    """Yield the single trials of the 200-epoch schedule, with their mean where the release takes it over them."""
    arch, seed = source.column("arch_index").astype(np.int64), source.column("seed").astype(np.int64)
    accuracy = source.column("accuracy")
    exact = np.array(source.texts("quality")) == _EXACT
    dataset, split = np.array(source.texts("dataset")), np.array(source.texts("split"))
    position = np.searchsorted(index, arch).clip(max=len(index) - 1)
    known = index[position] == arch
    for training in official.TRAININGS:
        for official_split, own in training.splits.items():
            rows = known & (dataset == training.official) & (split == official_split)
            if not rows.any():
                continue
            grid = np.full((len(index), len(SEEDS)), np.nan)
            for number, label in enumerate(SEEDS):
                chosen = rows & (seed == label) & exact
                grid[position[chosen], number] = accuracy[chosen]
            where = f"{TRIAL_FILE} {training.official} {official_split}, quality {_EXACT}"
            # A mean over the trials is the release's own mean only where every trial that was run is exact.
            whole = bool(exact[rows].all())
            yield Series(
                name=training.metric(own, 200),
                unit="%",
                sealed=official.sealed(own),
                source=where,
                mean=mean_of_recorded(grid) if whole else None,
                trials=grid,
                labels=tuple(str(label) for label in SEEDS),
            )


def _merged(series: list[Series]) -> list[Series]:
    """Join the mean of a quantity and its trials, which come from different files, into one series."""
    merged: dict[MetricName, Series] = {}
    for entry in series:
        known = merged.get(entry.name)
        merged[entry.name] = entry if known is None else _join(known, entry)
    return list(merged.values())


def _join(mean: Series, trials: Series) -> Series:
    return Series(
        name=mean.name,
        unit=mean.unit,
        sealed=mean.sealed,
        source=f"{mean.source}; trials: {trials.source}",
        mean=mean.mean,
        trials=trials.trials,
        labels=trials.labels,
    )


def _qualities(source: _Source) -> dict[str, Json]:
    """Return how many trials of each quality there are, by data set and split."""
    counts: dict[str, int] = {}
    columns = [source.texts(name) for name in ("dataset", "split", "quality")]
    keys, numbers = np.unique(np.array([" ".join(row) for row in zip(*columns, strict=True)]), return_counts=True)
    counts = {str(key): int(number) for key, number in zip(keys, numbers, strict=True)}
    return {"trial_qualities": dict(counts)}
