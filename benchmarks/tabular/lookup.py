"""Answer trials from a table: plain lists in memory, built on the first question, a few microseconds each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isnan

import numpy as np

from benchmarks.tabular.names import MetricName, parse
from benchmarks.tabular.query import Column, Question
from benchmarks.tabular.series import (
    MULTIPLY_ADDS,
    SECONDS_PER_EPOCH,
    SECONDS_PER_VALIDATION,
    Floats,
    Series,
    mean_of_recorded,
)
from benchmarks.tabular.store import Table
from harness.core.types import Cost

_NAN = float("nan")

BACKWARD_AND_FORWARD = 3.0
"""Training multiply-adds of an image over those of its forward pass: a backward pass counts as two."""

Picks = list[tuple[int, ...]]
"""For each cell the trials, by column, of which one may be drawn."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One qualified name in memory.

    Attributes:
        name: the qualified name at the end of the schedule.
        means: the value of each cell; empty where single trials are drawn.
        trials: the values of each trial of each cell; empty where means are read.
        picks: which of them may be drawn.
        stops: the position of each epoch in `curves`.
        curves: (cells, stops) or (cells, trials, stops); None where there is no curve.
        labels: the name after each of those epochs.
    """

    name: str
    means: list[float]
    trials: list[list[float]]
    picks: Picks
    stops: dict[int, int] = field(default_factory=dict)
    curves: Floats | None = None
    labels: dict[int, str] = field(default_factory=dict)

    def at(self, row: int, seed: int) -> float:
        """Return the value of a cell at the end of the schedule; NaN where it was not recorded."""
        if self.means:
            return self.means[row]
        picks = self.picks[row]
        return self.trials[row][picks[seed % len(picks)]] if picks else _NAN

    def within(self, row: int, seed: int, epochs: int) -> float:
        """Return the value of a cell `epochs` into the schedule; NaN where it was not recorded."""
        stop = self.stops.get(epochs)
        trace = self._trace(row, seed)
        return _NAN if stop is None or trace is None else float(trace[stop])

    def curve(self, row: int, seed: int, start: int, epochs: int, end: float) -> tuple[float, ...]:
        """Return the values after each epoch from `start` (not included) to `epochs`, where every one was recorded.

        The last is `end`, the value itself: curves may be stored with fewer digits.
        """
        trace = self._trace(row, seed)
        if trace is None or self.stops.get(epochs) != epochs - 1:
            return ()
        values = trace[start : epochs - 1].tolist()
        return () if any(map(isnan, values)) else (*values, end)

    def _trace(self, row: int, seed: int) -> Floats | None:
        if self.curves is None or self.means:
            return None if self.curves is None else self.curves[row]
        picks = self.picks[row]
        trace: Floats | None = self.curves[row, picks[seed % len(picks)]] if picks else None
        return trace


class Readings:
    """The columns that a study reads, in memory.

    Single trials of one training are drawn together: the first column of a training in the query decides which of
    its trials are exact, and the others answer with the same trial or not at all. The objective stands first, so
    what else is asked for never changes what a method sees.
    """

    def __init__(self, question: Question) -> None:
        self._drawn: dict[tuple[str | None, int | None, str | None], Picks] = {}
        self.open = self._read([question.objective, *question.secondary], question.fidelities)
        self.objective = self.open[0]
        self.sealed = self._read(question.sealed, ())

    def _read(self, columns: Iterable[Column], fidelities: tuple[int, ...]) -> list[Reading]:
        return [
            self._reading(name, series, drawn=policy == "trial", fidelities=fidelities)
            for name, series, policy in columns
        ]

    def _reading(self, name: str, series: Series, *, drawn: bool, fidelities: tuple[int, ...]) -> Reading:
        whole = parse(name)
        assert whole is not None
        wanted = len(fidelities) > 1 and whole.epochs is not None
        curves = (series.curves if drawn else series.mean_curve()) if wanted else None
        return Reading(
            name=name,
            means=[] if drawn else series.per_cell(whole.policy).tolist(),
            trials=series.trials.tolist() if drawn and series.trials is not None else [],
            picks=self._picks(series) if drawn else [],
            stops={} if curves is None else {stop: position for position, stop in enumerate(series.stops)},
            curves=curves,
            labels={stop: str(whole.after(stop)) for stop in fidelities} if wanted else {},
        )

    def _picks(self, series: Series) -> Picks:
        training = series.name.training
        if training not in self._drawn:
            assert series.trials is not None
            self._drawn[training] = [tuple(np.flatnonzero(row).tolist()) for row in ~np.isnan(series.trials)]
        return self._drawn[training]


class Prices:
    """What a trial of each cell costs: recorded seconds, and multiply-adds from the network's size.

    A cell without recorded seconds is charged the mean of the others, so that a gap in a table is never free.
    """

    def __init__(self, table: Table, training: MetricName) -> None:
        per_epoch = self._recorded(table, MetricName(training.dataset, SECONDS_PER_EPOCH, train=training.train))
        per_pass = self._recorded(table, MetricName(training.dataset, SECONDS_PER_VALIDATION, train=training.train))
        network = self._recorded(table, MetricName(training.dataset, MULTIPLY_ADDS))
        images = images_of(training.train)
        self.seconds_known = per_epoch is not None or per_pass is not None
        self.work_known = network is not None and images is not None
        self.cells = len(table.archs)
        self.per_epoch, self.mean_per_epoch = _filled(per_epoch, self.cells)
        self.per_pass, self.mean_per_pass = _filled(per_pass, self.cells)
        scale = BACKWARD_AND_FORWARD * 1e6 * (images or 0.0)
        self.work, self.mean_work = _filled(None if network is None else scale * network, self.cells)

    @staticmethod
    def _recorded(table: Table, name: MetricName) -> Floats | None:
        series = table.series.get(str(name))
        return None if series is None else series.mean

    def of(self, row: int | None, epochs: int) -> Cost:
        """Return the cost of training a cell for `epochs` epochs and validating it once; None: a cell with no row."""
        if row is None:
            seconds, work = epochs * self.mean_per_epoch + self.mean_per_pass, epochs * self.mean_work
        else:
            seconds, work = epochs * self.per_epoch[row] + self.per_pass[row], epochs * self.work[row]
        return Cost(float(epochs), seconds if self.seconds_known else None, work if self.work_known else None)

    def thought(self, multiply_adds: float) -> Cost:
        """Return the epochs, and their seconds, of the mean cell that so many multiply-adds would train."""
        epochs = multiply_adds / float(self.mean_work)
        return Cost(epochs, epochs * float(self.mean_per_epoch) if self.seconds_known else None, multiply_adds)


def recorded_cost(table: Table, training: MetricName, row: int | None, epochs: int) -> Cost:
    """Return the cost of one training of a cell where the table has it: a gap is unknown here, not a mean."""

    def value(quantity: str, train: str | None) -> float | None:
        series = table.series.get(str(MetricName(training.dataset, quantity, train=train)))
        if series is None or series.mean is None:
            return None
        return _NAN if row is None else float(series.mean[row])

    per_epoch, images = value(SECONDS_PER_EPOCH, training.train), images_of(training.train)
    per_pass, network = value(SECONDS_PER_VALIDATION, training.train) or 0.0, value(MULTIPLY_ADDS, None)
    seconds = None if per_epoch is None else epochs * per_epoch + per_pass
    work = None if network is None or images is None else BACKWARD_AND_FORWARD * 1e6 * images * network * epochs
    return Cost(float(epochs), _unless_gap(seconds), _unless_gap(work))


def _unless_gap(value: float | None) -> float | None:
    return None if value is None or isnan(value) else value


def images_of(train: str | None) -> float | None:
    """Return the number of training images that a name states (`25k`), or None."""
    if train is None:
        return None
    factor = {"k": 1e3, "M": 1e6}.get(train[-1], 1.0)
    return float(train.rstrip("kM")) * factor


def _filled(values: Floats | None, cells: int) -> tuple[list[float], float]:
    """Return the values with gaps filled by the mean of the recorded ones, and that mean."""
    if values is None:
        return [0.0] * cells, 0.0
    mean = float(mean_of_recorded(np.asarray(values)))
    mean = 0.0 if np.isnan(mean) else mean
    return np.where(np.isnan(values), mean, values).tolist(), mean
