"""Tell how much of the spread between runs is the search and how much the training of the networks it found.

Li and Talwalkar (2019), "Random Search and Reproducibility for Neural Architecture Search", and Yang et al. (2020) show
that a second training of one architecture moves a result as much as many differences between methods. Where a
protocol trains the final architecture of every run under several seeds, the two are told apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from statistics import mode

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.core.canonical import Json
from harness.core.records import Table
from reports.frame import Cell, Frame, TrackFrame
from reports.stats import CONFIDENCE
from reports.wording import interval, number, runs_of, scale

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Components:
    """The variance of one training of the architecture of one run, in two parts.

    Attributes:
        runs: how many search runs entered.
        trainings: how many final trainings each of them has.
        search: variance between the searches; an estimate below zero is set to zero.
        training: variance between trainings of one architecture.
        share: the searches' part of both, in [0, 1].
        low: lower end of the 95 % interval of the share.
        high: upper end of it.
    """

    runs: int
    trainings: int
    search: float
    training: float
    share: float
    low: float
    high: float


def components(values: Floats) -> Components:
    """Split the variance of a balanced table by one-way analysis with random effects.

    The interval of the share is the exact one of the F distribution (Searle, Casella and McCulloch, 1992, section
    3.6), for normally distributed effects; NaN where nothing varies.

    Args:
        values: one row for each search run, one column for each final training; at least two of both.
    """
    runs, trainings = values.shape
    between = trainings * float(np.var(values.mean(axis=1), ddof=1))
    within = float(np.mean(np.var(values, axis=1, ddof=1)))
    search = max((between - within) / trainings, 0.0)
    if within == 0.0:
        share = nan if between == 0.0 else 1.0
        return Components(runs, trainings, search, within, share, nan, nan)
    ratio = between / within
    tail = (1 - CONFIDENCE) / 2
    freedom = (runs - 1, runs * (trainings - 1))
    low, high = (ratio / float(stats.f.ppf(level, *freedom)) for level in (1 - tail, tail))
    ends = (max((end - 1) / (end + trainings - 1), 0.0) for end in (low, high))
    return Components(runs, trainings, search, within, search / (search + within), *ends)


def variance_table(frame: Frame) -> Table | None:
    """Return both components for each method whose final architectures were trained under several seeds, or None."""
    pairs = [(track, cell) for track in frame.tracks for cell in track.base]
    lines = [_line(track, cell, values) for track, cell in pairs for values in _balanced(cell)]
    if not lines:
        return None
    return Table(
        name="variance",
        title="Variance between searches, and between trainings of what they found",
        columns=(
            "track",
            "method",
            "runs",
            "trainings of each",
            "variance of searches",
            "variance of trainings",
            "searches' share, % [95 % interval]",
        ),
        rows=tuple(text for text, _ in lines),
        note=(
            "Variances in squared units of the primary metric, by one-way analysis with random effects: between the "
            "searches, and between final trainings of one architecture under other seeds. Interval of the share: exact "
            "for normally distributed effects (F distribution). A small share says that more search seeds alone would "
            "not make the result more certain."
        ),
        data=tuple(data for _, data in lines),
    )


def _balanced(cell: Cell) -> list[Floats]:
    """Return (runs, trainings) of the runs with the most common number of trainings; empty where nothing varies."""
    found = [trace.finals for trace in cell.valued if len(trace.finals) > 1]
    usual = mode(len(values) for values in found) if found else 0
    chosen = [values for values in found if len(values) == usual]
    table = np.array(chosen, dtype=np.float64)
    varies = len(chosen) > 1 and bool(np.any(np.ptp(table, axis=1) > 0))
    return [table] if varies else []


def _line(track: TrackFrame, cell: Cell, values: Floats) -> tuple[tuple[str, ...], Mapping[str, Json]]:
    found, digits = components(values), scale(track, track.metrics[0]).digits + 1
    share = f"{number(100 * found.share, 0)} {interval(100 * found.low, 100 * found.high, 0)}"
    sizes = (runs_of(found.runs, len(cell.traces)), str(found.trainings))
    text = (track.id, cell.label, *sizes, number(found.search, digits), number(found.training, digits), share)
    data: dict[str, Json] = {"track": track.id, "row": cell.label, "runs": found.runs, "trainings": found.trainings}
    data |= {"search": found.search, "training": found.training}
    return text, data | {"share": found.share, "share_low": found.low, "share_high": found.high}
