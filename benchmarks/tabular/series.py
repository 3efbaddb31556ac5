"""Hold what a table says of one quantity: its mean over trials, its single trials, its learning curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.tabular.names import MetricName, Policy
from harness.core.canonical import Json

Floats = NDArray[np.floating]

Better = Literal["higher", "lower"]

PARTS = ("mean", "trials", "curve", "curves")
"""The arrays that a series may have, in the order in which they are stored."""

SECONDS_PER_EPOCH = "epoch-seconds"
SECONDS_PER_VALIDATION = "validation-seconds"
MULTIPLY_ADDS = "multiply-adds"


@dataclass(frozen=True, slots=True)
class Series:
    """One quantity of every cell; NaN marks what was not recorded.

    Attributes:
        name: its qualified name without a policy.
        unit: the unit of the values, as text.
        sealed: whether it is a test metric, which no method may see.
        source: where it came from: column names, or how it was derived.
        better: whether higher or lower values are better; by default what the quantity's name says.
        mean: (cells,) the mean over all trials that its release counts.
        trials: (cells, trials) single trials; NaN where a trial is missing or not exact.
        labels: the training seed of each column of `trials` and `curves`.
        stops: the epochs at which the curves were recorded, in rising order.
        curve: (cells, stops) the mean over trials at each stop.
        curves: (cells, trials, stops) the same of single trials.
    """

    name: MetricName
    unit: str
    sealed: bool
    source: str
    better: Better | None = None
    mean: Floats | None = None
    trials: Floats | None = None
    labels: tuple[str, ...] = ()
    stops: tuple[int, ...] = ()
    curve: Floats | None = None
    curves: Floats | None = None

    @property
    def rises(self) -> bool:
        """Whether more is better: unless stated, of what a training achieves, but not of losses, errors and costs."""
        if self.better is not None:
            return self.better == "higher"
        return self.name.epochs is not None and not self.name.quantity.endswith(("-loss", "-error"))

    def arrays(self) -> dict[str, Floats]:
        """Return the arrays that this series has, by part."""
        return {part: array for part in PARTS if (array := getattr(self, part)) is not None}

    def names(self) -> Iterator[MetricName]:
        """Return the qualified names that this series answers at the end of its schedule."""
        if self.name.epochs is None:
            yield self.name
            return
        policies: dict[Policy, Floats | None] = {"mean-of-trials": self.mean, "trial": self.trials}
        for policy, values in policies.items():
            if values is not None:
                yield replace(self.name, policy=policy)

    def per_cell(self, policy: Policy | None) -> NDArray[np.float64]:
        """Return (cells,) the value of each cell; for single trials, the mean of those that are exact."""
        if policy == "trial":
            assert self.trials is not None
            return mean_of_recorded(self.trials)
        assert self.mean is not None
        return np.asarray(self.mean, dtype=np.float64)

    def mean_curve(self) -> NDArray[np.float64] | None:
        """Return (cells, stops) the mean learning curve, or None where there is none."""
        if self.curve is not None:
            return np.asarray(self.curve, dtype=np.float64)
        if self.curves is None:
            return None
        return mean_of_recorded(np.moveaxis(self.curves, 1, -1))


def mean_of_recorded(values: Floats) -> NDArray[np.float64]:
    """Return the mean over the last axis of the entries that are not NaN; NaN where there is none."""
    recorded = ~np.isnan(values)
    count = recorded.sum(axis=-1)
    total = np.where(recorded, values, 0.0).sum(axis=-1, dtype=np.float64)
    means = np.full(count.shape, np.nan)
    np.divide(total, count, out=means, where=count > 0)
    return means


@dataclass(frozen=True, slots=True)
class Content:
    """Everything that a table holds, on its way from an importer into the store.

    Attributes:
        table: the table's name.
        space: the declaration of its search space, `{"kind": ...}`.
        archs: the canonical text of each cell, in row order.
        total: the number of architectures of the space; larger than the number of cells in a partial table.
        series: its quantities.
        sources: SHA-256 of each file that was read, by file name.
        importer: which importer read them.
        notes: what a reader of a record should know, one sentence each.
        extra: further facts of the import, for instance counts of missing trials.
    """

    table: str
    space: Mapping[str, Json]
    archs: Sequence[str]
    total: int
    series: Sequence[Series]
    sources: Mapping[str, str]
    importer: str
    notes: Sequence[str] = ()
    extra: Mapping[str, Json] = field(default_factory=dict)

    def trial_counts(self) -> dict[str, Json]:
        """Return, for each series with single trials, how many cells have how many of them."""
        counts: dict[str, Json] = {}
        for series in self.series:
            if series.trials is not None:
                cells = np.bincount((~np.isnan(series.trials)).sum(axis=1))
                by_count = {str(count): int(n) for count, n in enumerate(cells) if n}
                by_label = {
                    label: int(np.isnan(column).sum())
                    for label, column in zip(series.labels, series.trials.T, strict=True)
                }
                counts[str(series.name)] = {"cells_by_trials": by_count, "missing_by_seed": by_label}
        return counts
