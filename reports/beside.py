"""Compare the runs of two studies cell by cell: paired where they share their seeds, as two samples where not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, nan
from typing import Any

import numpy as np

from reports.analysis import node_of, plan_of
from reports.frame import Cell, Frame, Key, TrackFrame
from reports.reproduction import SMALLEST_SAMPLE
from reports.stats import (
    Moments,
    Summary,
    cliffs_delta,
    equivalence,
    holm,
    mean_interval,
    summarise,
    welch_interval,
)
from reports.trace import Floats
from reports.wording import is_percent

PAIRED, INDEPENDENT, MIXED = "paired by seed", "independent", "some seeds in common"
IDENTICAL = "identical"


@dataclass(frozen=True, slots=True)
class Beside:
    """One method of two studies on one metric.

    Attributes:
        key: track, method, variant.
        planned: planned runs of each study; 0 where it has no such row.
        samples: the runs of each study in one number each.
        design: 'paired by seed', 'independent', or 'some seeds in common', which nothing tests.
        difference: second minus first, over the pairs where paired; NaN where a side has no run.
        low: lower end of its 95 % interval; NaN where there is none.
        high: upper end of it.
        delta: Cliff's delta, positive where the second tends to be larger.
        p_equivalence: p-value of the two one-sided tests against the margin of the plan.
        p_difference: two-sided p-value of Welch's or the paired t test, adjusted over all tested rows.
        verdict: 'identical', 'equivalent', 'different', 'inconclusive', or 'not tested' with the reason.
    """

    track: TrackFrame
    key: Key
    label: str
    metric: str
    planned: tuple[int, int]
    samples: tuple[Summary, Summary]
    design: str
    difference: float
    low: float
    high: float
    delta: float
    p_equivalence: float
    p_difference: float
    verdict: str


def beside(first: Frame, second: Frame, tracks: Sequence[tuple[TrackFrame, TrackFrame]]) -> list[Beside]:
    """Return every row of both studies on every metric of their common tracks, with adjusted tests."""
    rows = [
        _row((first, second), pair, key, index)
        for pair in tracks
        for key in _keys(pair)
        for index in range(len(pair[0].metrics))
    ]
    return _judged(rows, plan_of(first))


def _keys(pair: tuple[TrackFrame, TrackFrame]) -> list[Key]:
    return list(dict.fromkeys(cell.key for track in pair for cell in track.cells))


def _row(frames: tuple[Frame, Frame], tracks: tuple[TrackFrame, TrackFrame], key: Key, index: int) -> Beside:
    metric = tracks[0].metrics[index]
    cells = [next((cell for cell in track.cells if cell.key == key), None) for track in tracks]
    values = [_by_seed(cell, index) for cell in cells]
    samples = [
        summarise(np.array(list(found.values())), node_of(frame, *key, metric))
        for frame, found in zip(frames, values, strict=True)
    ]
    design = _design(frames, tracks)
    blank = Beside(
        track=tracks[0],
        key=key,
        label=next(cell.label for cell in cells if cell),
        metric=metric,
        planned=(_planned(cells[0]), _planned(cells[1])),
        samples=(samples[0], samples[1]),
        design=design,
        difference=samples[1].mean - samples[0].mean,
        low=nan,
        high=nan,
        delta=nan,
        p_equivalence=nan,
        p_difference=nan,
        verdict="",
    )
    if not (values[0] and values[1]):
        return replace(blank, verdict=f"not tested: {_lacking(cells)}")
    obstacle = _obstacle(frames[0], tracks, blank, index)
    made = _paired(blank, values, frames[0]) if design == PAIRED else _independent(blank, values, frames[0])
    if made.verdict == IDENTICAL or not obstacle:
        return made
    return replace(made, p_equivalence=nan, p_difference=nan, verdict=obstacle)


def _by_seed(cell: Cell | None, index: int) -> dict[int, float]:
    traces = cell.valued if cell else []
    found = {trace.spec.seed: float(trace.final[-1, index]) for trace in traces}
    return {seed: value for seed, value in found.items() if isfinite(value)}


def _planned(cell: Cell | None) -> int:
    return len(cell.traces) if cell else 0


def _lacking(cells: Sequence[Cell | None]) -> str:
    if None in cells:
        return f"only in the {'second' if cells[0] is None else 'first'} study"
    return "a study has no complete run with this metric"


def _design(frames: tuple[Frame, Frame], tracks: tuple[TrackFrame, TrackFrame]) -> str:
    """Return how the runs of two studies relate; equal seeds mean equal noise where protocol and root are the same."""
    roots = {
        (str(frame.study.protocol["protocol"]), track.plan["seeds"]["root"]) for frame, track in _zip(frames, tracks)
    }
    seeds = [{trace.spec.seed for cell in track.cells for trace in cell.traces} for track in tracks]
    if len(roots) > 1 or not seeds[0] & seeds[1]:
        return INDEPENDENT
    return PAIRED if seeds[0] == seeds[1] else MIXED


def _zip(frames: tuple[Frame, Frame], tracks: tuple[TrackFrame, TrackFrame]) -> list[tuple[Frame, TrackFrame]]:
    return list(zip(frames, tracks, strict=True))


def _obstacle(frame: Frame, tracks: tuple[TrackFrame, TrackFrame], row: Beside, index: int) -> str:
    """Return why a row is not tested, or an empty string."""
    if plan_of(frame)["tests"] == "none":
        return "not tested: the plan names no test"
    if any(track.descriptive for track in tracks):
        return "not tested: descriptive track"
    if row.design == MIXED:
        return "not tested: the studies share some seeds, so that their runs are neither pairs nor independent"
    if index > 0 and not is_percent(row.metric):
        return "not tested: the margin is in the unit of the first metric"
    if min(sample.n for sample in row.samples) < SMALLEST_SAMPLE:
        return f"not tested: fewer than {SMALLEST_SAMPLE} runs"
    return ""


def _independent(row: Beside, values: Sequence[Mapping[int, float]], frame: Frame) -> Beside:
    old, new = (np.array(list(found.values())) for found in values)
    difference, low, high = welch_interval(new, old)
    made = replace(row, difference=difference, low=low, high=high, delta=cliffs_delta(new, old))
    if min(len(old), len(new)) < SMALLEST_SAMPLE:
        return made
    return _tested(made, _moments(new), _moments(old), frame)


def _paired(row: Beside, values: Sequence[Mapping[int, float]], frame: Frame) -> Beside:
    common = sorted(values[0].keys() & values[1].keys())
    if not common:
        return replace(row, difference=nan, verdict="not tested: no seed is complete in both studies")
    old, new = (np.array([found[seed] for seed in common]) for found in values)
    gap = new - old
    low, high, _ = mean_interval(gap, node_of(frame, *row.key, row.metric, "beside"))
    made = replace(row, difference=float(np.mean(gap)), low=low, high=high, delta=cliffs_delta(new, old))
    if not gap.any():  # a fact about these runs, which needs no test
        return replace(made, verdict=IDENTICAL)
    if len(common) < SMALLEST_SAMPLE:
        return replace(made, verdict=f"not tested: fewer than {SMALLEST_SAMPLE} pairs")
    # A second sample without spread makes Welch's tests the paired ones, with one degree of freedom less than pairs.
    return _tested(made, _moments(gap), Moments(0.0, 0.0, 2), frame)


def _moments(sample: Floats) -> Moments:
    return Moments(float(np.mean(sample)), float(np.std(sample, ddof=1)), len(sample))


def _tested(row: Beside, new: Moments, old: Moments, frame: Frame) -> Beside:
    plan = plan_of(frame)
    outcome = equivalence(new, old, plan["equivalence_margin"], plan["alpha"])
    return replace(row, p_equivalence=outcome.p, p_difference=outcome.p_difference)


def _judged(rows: Sequence[Beside], plan: Mapping[str, Any]) -> list[Beside]:
    """Adjust the tests of no difference over the tested rows, and give the verdicts.

    Equivalence needs no such correction: to call all rows equivalent, each one must pass (Berger, 1982).
    """
    tested = [row for row in rows if isfinite(row.p_difference)]
    found = [row.p_difference for row in tested]
    adjusted = iter(holm(found) if plan["correction"] == "holm" else found)
    return [_decided(row, next(adjusted), plan["alpha"]) if isfinite(row.p_difference) else row for row in rows]


def _decided(row: Beside, adjusted: float, alpha: float) -> Beside:
    otherwise = "different" if adjusted < alpha else "inconclusive"
    return replace(row, p_difference=adjusted, verdict="equivalent" if row.p_equivalence < alpha else otherwise)
