"""Set the methods side by side over all tracks whose space is known: scores, ranks, probability of improvement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import isfinite

import numpy as np

from harness.core.canonical import Json
from harness.core.records import Figure, Series, Table
from reports.aggregate import (
    Statistic,
    improvement,
    improvement_value,
    interquartile_mean,
    median_score,
    optimality_gap,
    profile,
    score,
    with_interval,
)
from reports.analysis import TrackAnalysis, node_of
from reports.curves import Floats
from reports.frame import BASE, Cell, Frame, TrackFrame
from reports.series import series_of
from reports.shares import FEWEST, RESAMPLES, Share
from reports.wording import interval, listed, number, reference

FEWEST_TRACKS = 2
_LEVELS = 121
_DIGITS = 3
_TAIL, _SPAN = 0.02, 0.05  # a profile begins below all but 2 % of the runs of each, and spans at least 0.05
_STATISTICS: Mapping[str, Statistic] = {
    "interquartile mean": interquartile_mean,
    "median": median_score,
    "optimality gap": optimality_gap,
}
_SCORE = (
    "Score of a run: 1 - regret / (regret of random sampling) on the primary metric of its track; 0 is an average "
    "architecture, 1 the best of the space. It rests on the exact references alone, never on the other methods."
)
_BOOTSTRAP = (
    f"95 % percentile intervals of {RESAMPLES:,} bootstrap resamples of the runs within each track (Agarwal et al., "
    f"2021); none where a track has fewer than {FEWEST} runs of a method."
)


@dataclass(frozen=True, slots=True)
class Across:
    """What is compared over several tracks.

    Attributes:
        frame: the study.
        tracks: the tracks whose optimum and random sampling are known, with a result of every method below.
        methods: the base methods that have a result on each of these tracks, in plan order.
    """

    frame: Frame
    tracks: tuple[TrackFrame, ...]
    methods: tuple[str, ...]

    def cells(self, method: str) -> list[Cell]:
        """Return the cells of a method, one for each track."""
        return [cell for track in self.tracks for cell in track.base if cell.key[1:] == (method, BASE)]

    def scores(self, method: str) -> list[Floats]:
        """Return the scores of a method's runs, one array for each track."""
        pairs = zip(self.tracks, self.cells(method), strict=True)
        return [score(cell.finals(0), *_ends(track)) for track, cell in pairs]


def _ends(track: TrackFrame) -> tuple[float, float]:
    metric = track.metrics[0]
    best, sampling = reference(track, "optimum", metric, "value"), reference(track, "random_sampling", metric, "mean")
    assert best is not None
    assert sampling is not None
    return best, sampling


def across(frame: Frame, analyses: Mapping[str, TrackAnalysis]) -> Across | None:
    """Return what can be compared over tracks; None with fewer than two such tracks or two such methods."""
    tracks = [analysis.track for analysis in analyses.values() if _usable(analysis)]
    present = [{cell.key[1] for cell in track.base if len(cell.finals(0))} for track in tracks]
    names = dict.fromkeys(cell.key[1] for track in tracks for cell in track.base)
    methods = tuple(name for name in names if all(name in known for known in present))
    if len(tracks) < FEWEST_TRACKS or len(methods) < 2:  # noqa: PLR2004 - one method is compared with nothing
        return None
    return Across(frame, tuple(tracks), methods)


def _usable(analysis: TrackAnalysis) -> bool:
    track, metric = analysis.track, analysis.track.metrics[0]
    best, sampling = reference(track, "optimum", metric, "value"), reference(track, "random_sampling", metric, "mean")
    known = best is not None and sampling is not None and best != sampling
    return known and any(analysis.primary(cell).n for cell in track.base)


def across_table(found: Across) -> Table:
    """Return interquartile mean, median, optimality gap and mean rank of the normalised scores."""
    lines = [_line(found, method) for method in found.methods]
    return Table(
        name="across",
        title=f"Across {len(found.tracks)} tracks: normalised scores at the full budget",
        columns=("method", "runs by track", *(f"{name} [95 % interval]" for name in _STATISTICS), "mean rank"),
        rows=tuple(text for text, _ in lines),
        note=(
            f"{_SCORE} Tracks: {listed(track.id for track in found.tracks)}. Interquartile mean: of the middle half of "
            "all runs; median: over the tracks, of the mean in each; optimality gap: by how much the runs fall short "
            f"of 1. {_BOOTSTRAP} Mean rank: expected rank among these methods of one run of each, mean over the "
            "tracks, 1 is best. Nothing is tested here."
        ),
        data=tuple(data for _, data in lines),
    )


def _line(found: Across, method: str) -> tuple[tuple[str, ...], Mapping[str, Json]]:
    scores = found.scores(method)
    shares = {
        name: with_interval(statistic, scores, node_of(found.frame, "across", method, name))
        for name, statistic in _STATISTICS.items()
    }
    rank = 1 + sum(improvement_value(found.scores(other), scores) for other in found.methods if other != method)
    sizes = ", ".join(str(len(runs)) for runs in scores)
    text = (method, sizes, *(_with_ends(share) for share in shares.values()), number(rank))
    data: dict[str, Json] = {"row": method, "tracks": len(scores), "runs": sizes}
    for name, share in shares.items():
        key = name.replace(" ", "_")
        data |= {key: share.value, f"{key}_low": share.low, f"{key}_high": share.high}
    return text, data | {"mean_rank": rank}


def _with_ends(share: Share) -> str:
    ends = f" {interval(share.low, share.high, _DIGITS)}" if isfinite(share.low) else ""
    return f"{number(share.value, _DIGITS)}{ends}"


def _better(found: Across, first: str, second: str) -> Share:
    node = node_of(found.frame, "across", first, second)
    return improvement(found.scores(first), found.scores(second), node)


def improvement_figure(found: Across) -> Figure:
    """Return the probability that a run of one method is better than one of another, over all tracks."""
    shares = {f"{a} over {b}": _better(found, a, b) for a, b in combinations(found.methods, 2)}
    rows = {name: float(row) for row, name in enumerate(shares)}
    return Figure(
        name="improvement",
        title=f"Probability of improvement across {len(found.tracks)} tracks",
        x_label="pair",
        y_label="P(the first is better)",
        series=tuple(_pair(name, rows[name], share) for name, share in shares.items()),
        note=f"One run of each, equal ones count as half; mean over the tracks. {_BOOTSTRAP} Nothing is tested here.",
        x_log="linear",
        lines={"neither tends to be better": 0.5},
        names=rows,
    )


def _pair(name: str, row: float, share: Share) -> Series:
    known = isfinite(share.low)
    low, high = (share.low, share.high) if known else (share.value, share.value)
    return Series(name, (row,), (share.value,), (low,), (high,), style="points", place=0)


def score_profile_figure(found: Across) -> Figure:
    """Return the share of runs above every score, mean over the tracks."""
    lowest = min(float(np.quantile(runs, _TAIL)) for method in found.methods for runs in found.scores(method))
    levels = np.linspace(min(lowest, 1 - _SPAN), 1.0, _LEVELS)
    return Figure(
        name="score-profile",
        title=f"Performance profile across {len(found.tracks)} tracks",
        x_label="normalised score",
        y_label="share of runs above the score",
        series=tuple(_profile(found, method, levels) for method in found.methods),
        note=f"Further to the upper right is better; mean over the tracks. {_SCORE} Pointwise {_BOOTSTRAP}",
        x_log="linear",
    )


def _profile(found: Across, method: str, levels: Floats) -> Series:
    scores = found.scores(method)
    columns = (levels, *profile(scores, levels, node_of(found.frame, "across", method, "profile")))
    cell = found.cells(method)[0]
    return series_of(found.tracks[0], cell, sum(len(runs) for runs in scores), columns, planned=_planned(found, method))


def _planned(found: Across, method: str) -> int:
    return sum(len(cell.traces) for cell in found.cells(method))
