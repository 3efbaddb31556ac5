"""Summarise every cell of a track and compare its methods, as the protocol's analysis plan says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import nan
from typing import Any

import numpy as np

from harness.core.seeds import SeedTree
from reports.frame import Cell, Frame, Key, TrackFrame
from reports.shares import Share, probability_of_improvement
from reports.stats import (
    Comparison,
    Summary,
    compare,
    compare_paired,
    holm,
    summarise,
)
from reports.trace import RANDOM_SEARCH
from reports.wording import scale

SEPARATED = "separated"
NOT_SEPARATED = "not separated"
TOO_FEW = "too few runs to test"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two methods of a track compared on the primary metric.

    Attributes:
        first: the first method's cell.
        second: the second method's cell.
        sizes: how many runs of each entered.
        outcome: differences are first minus second, in the unit of the metric.
        better: the probability that a run of the first is better than one of the second.
        adjusted: p-value after the plan's correction; NaN where nothing was tested.
        verdict: 'separated', 'not separated' or 'too few runs to test'.
    """

    first: Cell
    second: Cell
    sizes: tuple[int, int]
    outcome: Comparison
    better: Share
    adjusted: float
    verdict: str


@dataclass(frozen=True, slots=True)
class TrackAnalysis:
    """Everything computed for one track.

    Attributes:
        track: the track.
        summaries: by cell and index of the final metric.
        pairs: all pairs of base methods; empty on descriptive tracks and where the plan names no test.
        leaders: the methods that no test separates from the best mean; empty where that is all of them, or
            where nothing was tested.
    """

    track: TrackFrame
    summaries: Mapping[tuple[Key, int], Summary]
    pairs: tuple[Pair, ...]
    leaders: frozenset[Key]

    def primary(self, cell: Cell) -> Summary:
        """Return the summary of a cell's primary metric."""
        return self.summaries[cell.key, 0]

    def pair(self, first: Cell, second: Cell) -> Pair | None:
        """Return the comparison of two methods, in the order of the plan, or None where they were not compared."""
        wanted = {first.key, second.key}
        return next((pair for pair in self.pairs if {pair.first.key, pair.second.key} == wanted), None)


def node_of(frame: Frame, *names: str | int) -> SeedTree:
    """Return the seed-tree node of a cell of a report.

    It is fixed by the names of the protocol and the cell alone, so that adding a row moves no other interval.
    """
    return SeedTree.root("report", 0).child(str(frame.study.protocol["protocol"]), *names)


def plan_of(frame: Frame) -> Mapping[str, Any]:
    """Return the analysis plan."""
    plan: Any = frame.study.protocol["analysis"]
    return dict(plan)


def analyse(frame: Frame, track: TrackFrame) -> TrackAnalysis:
    """Summarise and compare one track."""
    summaries = {
        (cell.key, index): summarise(cell.finals(index), node_of(frame, *cell.key, metric))
        for cell in track.cells
        for index, metric in enumerate(track.metrics)
    }
    pairs = _pairs(frame, track)
    found = TrackAnalysis(track, summaries, pairs, frozenset())
    return replace(found, leaders=_leaders(found))


def _pairs(frame: Frame, track: TrackFrame) -> tuple[Pair, ...]:
    plan = plan_of(frame)
    if track.descriptive or plan["tests"] == "none":
        return ()
    cells = [cell for cell in track.base if len(cell.finals(0))]
    test, higher = str(plan["tests"]), scale(track, track.metrics[0]).higher
    pairs = [_compared(frame, first, second, test, higher=higher) for first, second in combinations(cells, 2)]
    pairs = [pair for pair in pairs if min(pair.sizes)]
    family = len(pairs) if plan["correction"] == "holm" else 1
    tested = [pair for pair in pairs if pair.outcome.attainable * family <= plan["alpha"]]
    p_values = [pair.outcome.p for pair in tested]
    adjusted = holm(p_values) if plan["correction"] == "holm" else p_values
    decided = {id(pair): p for pair, p in zip(tested, adjusted, strict=True)}
    return tuple(_decided(pair, decided.get(id(pair)), plan["alpha"]) for pair in pairs)


def _compared(frame: Frame, first: Cell, second: Cell, test: str, *, higher: bool) -> Pair:
    independent = test == "mann-whitney"
    left, right = (first.finals(0), second.finals(0)) if independent else paired(first, second, 0)
    sizes = len(left), len(right)
    if not min(sizes):
        return Pair(first, second, sizes, Comparison(nan, nan, nan, nan, nan, 1.0), Share(nan, nan, nan), nan, TOO_FEW)
    node = node_of(frame, *first.key, *second.key, "pair")
    outcome = compare(left, right) if independent else compare_paired(left, right, node)
    better = probability_of_improvement(left, right) if higher else probability_of_improvement(-left, -right)
    return Pair(first, second, sizes, outcome, better, nan, TOO_FEW)


def _decided(pair: Pair, adjusted: float | None, alpha: float) -> Pair:
    if adjusted is None:
        return replace(pair, outcome=replace(pair.outcome, p=nan))
    return replace(pair, adjusted=adjusted, verdict=SEPARATED if adjusted < alpha else NOT_SEPARATED)


def paired(first: Cell, second: Cell, metric: int) -> tuple[Any, Any]:
    """Return a metric of two cells over their common replicates, in replicate order."""
    left, right = first.by_replicate(metric), second.by_replicate(metric)
    common = sorted(left.keys() & right.keys())
    return np.array([left[key] for key in common]), np.array([right[key] for key in common])


def best_cell(analysis: TrackAnalysis) -> Cell | None:
    """Return the base method with the best mean of the primary metric."""
    cells = [cell for cell in analysis.track.base if analysis.primary(cell).n]
    sign = 1 if scale(analysis.track, analysis.track.metrics[0]).higher else -1
    return max(cells, key=lambda cell: sign * analysis.primary(cell).mean, default=None)


def _leaders(analysis: TrackAnalysis) -> frozenset[Key]:
    best = best_cell(analysis)
    if best is None or not analysis.pairs:
        return frozenset()
    cells = [cell for cell in analysis.track.base if analysis.primary(cell).n]
    apart = {cell.key for cell in cells if (pair := analysis.pair(best, cell)) and pair.verdict == SEPARATED}
    return frozenset(cell.key for cell in cells if cell.key not in apart) if apart else frozenset()


def random_search_cell(cells: Sequence[Cell]) -> Cell | None:
    """Return the random-search row, or None where the study has none."""
    return next((cell for cell in cells if cell.spec.implementation == RANDOM_SEARCH), None)
