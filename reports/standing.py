"""Draw how methods rank: over the budget on all tracks, and over many benchmarks with what no test separates."""

from __future__ import annotations

import numpy as np
from scipy import stats

from harness.core.records import Figure, Series
from reports.across import Across
from reports.analysis import plan_of
from reports.curves import Floats, Step, common_start, on_grid
from reports.frame import Cell
from reports.ranks import FEWEST_BENCHMARKS, Critical, critical, replicate_ranks
from reports.series import series_of
from reports.stats import CONFIDENCE
from reports.trace import Trace
from reports.wording import number, p_equals, scale

FEWEST_REPLICATES = 5
_FEWEST_METHODS = 3
_PLACES = 80
_EARLIEST = 0.01


def rank_figure(found: Across) -> Figure | None:
    """Return mean rank over the share of the budget; None below five replicates that all methods completed."""
    chosen = [[_complete(cells[index]) for cells in map(found.cells, found.methods)] for index in range(_tracks(found))]
    common = [sorted(set.intersection(*(set(runs) for runs in track))) for track in chosen]
    size = min(len(replicates) for replicates in common)
    steps = [
        [[runs[replicate].step(0) for replicate in replicates[:size]] for runs in track]
        for track, replicates in zip(chosen, common, strict=True)
    ]
    start = max(
        common_start([step for runs in track for step in runs]) / found.tracks[index].limit
        for index, track in enumerate(steps)
    )
    if size < FEWEST_REPLICATES or start >= 1:
        return None
    shares = np.geomspace(max(start, _EARLIEST), 1.0, _PLACES)
    curves = [_oriented(found, index, track, shares) for index, track in enumerate(steps)]
    ranked = replicate_ranks(curves)
    return Figure(
        name="ranks",
        title=f"Rank over the budget across {_tracks(found)} tracks",
        x_label="share of the budget of each track",
        y_label="mean rank, 1 is best",
        series=tuple(_series(found, method, ranked[row], shares) for row, method in enumerate(found.methods)),
        note=(
            f"Among the {len(found.methods)} methods, the runs of one replicate are ranked by the primary metric of "
            f"their incumbents, equal ones share a rank; mean over the tracks and over {size} replicates, with "
            "pointwise 95 % Student's t intervals over the replicates. Curves begin where every run has an incumbent."
        ),
    )


def _tracks(found: Across) -> int:
    return len(found.tracks)


def _complete(cell: Cell) -> dict[int, Trace]:
    """Return the runs whose primary metric is known of every incumbent, by replicate."""
    return {trace.spec.replicate: trace for trace in cell.valued if np.isfinite(trace.final[:, 0]).all()}


def _oriented(found: Across, index: int, runs: list[list[Step]], shares: Floats) -> Floats:
    """Return the incumbents' metric, more is better, shape (methods, replicates, places)."""
    track = found.tracks[index]
    sign = 1.0 if scale(track, track.metrics[0]).higher else -1.0
    return np.stack([sign * on_grid(steps, shares * track.limit) for steps in runs])


def _series(found: Across, method: str, ranked: Floats, shares: Floats) -> Series:
    middle, size = ranked.mean(axis=0), len(ranked)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, size - 1)) * ranked.std(axis=0, ddof=1) / size**0.5
    columns = (shares, middle, np.maximum(middle - half, 1.0), np.minimum(middle + half, len(found.methods)))
    return series_of(found.tracks[0], found.cells(method)[0], size, columns, planned=size)


def without_diagram(found: Across) -> str:
    """Say why there is no critical-difference diagram; nothing where there is one."""
    if _tracks(found) >= FEWEST_BENCHMARKS and len(found.methods) >= _FEWEST_METHODS:
        return ""
    return (
        f"No critical-difference diagram is drawn: it needs at least {FEWEST_BENCHMARKS} benchmarks and "
        f"{_FEWEST_METHODS} methods, and here are {_tracks(found)} and {len(found.methods)}."
    )


def diagram(found: Across) -> Figure | None:
    """Return the critical-difference diagram; None where `without_diagram` says why."""
    if without_diagram(found):
        return None
    alpha = float(plan_of(found.frame)["alpha"])
    results = np.array([[float(np.median(runs)) for runs in found.scores(method)] for method in found.methods]).T
    result = critical(results, alpha)
    order = [int(index) for index in np.argsort(result.ranks, kind="stable")]
    rows = {found.methods[index]: float(row) for row, index in enumerate(order)}
    return Figure(
        name="critical-difference",
        title=f"Mean rank over {_tracks(found)} benchmarks",
        x_label="method",
        y_label="mean rank, 1 is best",
        series=(*(_method(found, result, index, rows) for index in order), *_groups(found, result, rows)),
        note=(
            f"Ranks of the median score on each benchmark. Friedman's test: {p_equals(result.friedman)}. A grey line "
            "joins methods of which no pair is separated by Wilcoxon's signed-rank test over the benchmarks (Pratt's "
            f"zeros, Holm over {len(found.methods) * (len(found.methods) - 1) // 2} pairs, alpha {number(alpha)})."
        ),
        x_log="linear",
        names=rows,
    )


def _method(found: Across, result: Critical, index: int, rows: dict[str, float]) -> Series:
    name, rank = found.methods[index], (float(result.ranks[index]),)
    return Series(name, (rows[name],), rank, rank, rank, style="points", place=index)


def _groups(found: Across, result: Critical, rows: dict[str, float]) -> list[Series]:
    """Return one line for each clique, beside the ranks, with a dot for every member."""
    series = []
    for line, clique in enumerate(result.cliques):
        places = tuple(sorted(rows[found.methods[member]] for member in clique))
        height = (float(result.ranks.max()) + 0.25 * (line + 1),) * len(places)
        series.append(Series("not separated", places, height, height, height, role="reference", style="line"))
    return series
