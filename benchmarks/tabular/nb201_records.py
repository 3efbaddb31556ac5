"""Turn the official record objects of NAS-Bench-201 cells into columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tabular import nb201_schema as official
from benchmarks.tabular.names import MetricName
from benchmarks.tabular.series import (
    MULTIPLY_ADDS,
    SECONDS_PER_EPOCH,
    SECONDS_PER_VALIDATION,
    Series,
    mean_of_recorded,
)

SEEDS = {12: (111, 777), 200: (777, 888, 999)}
"""The training seeds of each schedule, in the order of the columns."""


@dataclass(slots=True)
class _Cells:
    """The trials and curves of one quantity while they are filled in."""

    trials: NDArray[np.float64]
    curves: NDArray[np.float32]


class Grid:
    """All quantities of all cells, filled in one official record at a time."""

    def __init__(self, cells: int) -> None:
        self.cells = cells
        self._results: dict[MetricName, _Cells] = {}
        self._costs: dict[MetricName, NDArray[np.float64]] = {}

    def add(self, row: int, epochs: int, results: Any) -> None:
        """Add an official `ArchResults`: the trials of one cell under one schedule."""
        for training in official.TRAININGS:
            for seed in results.dataset_seed.get(training.official, ()):
                self._add_trial(row, epochs, training, seed, results.query(training.official, seed))

    def _add_trial(self, row: int, epochs: int, training: official.Training, seed: int, trial: Any) -> None:
        column = SEEDS[epochs].index(seed)
        for quantity, values in _quantities(training, trial, epochs):
            name = training.metric(quantity, epochs)
            if name not in self._results:
                shape = (self.cells, len(SEEDS[epochs]))
                self._results[name] = _Cells(np.full(shape, np.nan), np.full((*shape, epochs), np.nan, np.float32))
            cells = self._results[name]
            cells.trials[row, column] = values.get(epochs - 1, np.nan)
            cells.curves[row, column] = [values.get(epoch, np.nan) for epoch in range(epochs)]
        for name, value in _costs(training, trial, epochs):
            self._cost(name)[row] = value

    def _cost(self, name: MetricName) -> NDArray[np.float64]:
        return self._costs.setdefault(name, np.full(self.cells, np.nan))

    def series(self) -> list[Series]:
        """Return everything that was added, in a fixed order."""
        results = [self._series(name, cells) for name, cells in self._results.items()]
        costs = [Series(name, _unit(name), sealed=False, source="official", mean=v) for name, v in self._costs.items()]
        return sorted([*results, *costs], key=lambda series: str(series.name))

    @staticmethod
    def _series(name: MetricName, cells: _Cells) -> Series:
        assert name.epochs is not None
        run = [number for number in range(len(SEEDS[name.epochs])) if np.isfinite(cells.trials[:, number]).any()]
        # The authors evaluated some splits at the last epoch only: that is no curve.
        has_curve = bool(np.isfinite(cells.curves[..., 0]).any())
        return Series(
            name=name,
            unit=_unit(name),
            sealed=official.sealed(name.quantity),
            source="official",
            mean=mean_of_recorded(cells.trials),
            trials=cells.trials[:, run],
            labels=tuple(str(SEEDS[name.epochs][number]) for number in run),
            stops=tuple(range(1, name.epochs + 1)) if has_curve else (),
            curves=cells.curves[:, run] if has_curve else None,
        )


def _unit(name: MetricName) -> str:
    if name.epochs is not None:
        return "cross-entropy" if name.quantity.endswith("-loss") else "%"
    return "M" if name.quantity in (MULTIPLY_ADDS, "parameters") else "s"


def _quantities(training: official.Training, trial: Any, epochs: int) -> Iterator[tuple[str, Mapping[int, float]]]:
    """Yield each recorded quantity of a trial with its value at each epoch, counted from 0."""
    yield "train", trial.train_acc1es
    yield "train-loss", trial.train_losses
    for split, own in training.splits.items():
        for suffix, recorded in (("", trial.eval_acc1es), ("-loss", trial.eval_losses)):
            keys = {epoch: f"{split}@{epoch}" for epoch in range(epochs)}
            yield f"{own}{suffix}", {epoch: recorded[key] for epoch, key in keys.items() if key in recorded}


def _costs(training: official.Training, trial: Any, epochs: int) -> Iterator[tuple[MetricName, float]]:
    """Yield what a trial costs, as the official API charges it, and the size of its network.

    The authors record one constant number of seconds per epoch and per evaluation of each cell.
    """
    if trial.train_times:
        yield training.metric(SECONDS_PER_EPOCH), float(np.mean(list(trial.train_times.values())))
    seconds = (trial.eval_times or {}).get(f"{training.timed}@{epochs - 1}")
    if seconds is not None:
        yield training.metric(SECONDS_PER_VALIDATION), float(seconds)
    yield MetricName(training.dataset, MULTIPLY_ADDS), float(trial.flop)
    yield MetricName(training.dataset, "parameters"), float(trial.params)
    latency = trial.get_latency()
    if latency > 0:
        yield MetricName(training.dataset, "gpu-latency"), float(latency)
