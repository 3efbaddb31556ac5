"""Show whether what the search sees agrees with what it is judged by, among the architectures that it chose."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from harness.core.records import Figure, Series
from reports.analysis import TrackAnalysis
from reports.curves import Floats
from reports.distribution import drawable
from reports.frame import Cell, TrackFrame
from reports.series import series_of
from reports.wording import scale

_NO_SEARCH = "random_sampling"  # what it reports was chosen by nothing
_FEWEST_ARCHITECTURES = 5  # below so many distinct ones a rank correlation says nothing


def agreement_figure(analysis: TrackAnalysis) -> Figure | None:
    """Return objective against sealed metric of what the searches report; None where no search has five runs."""
    track = analysis.track
    cells = [cell for cell in drawable(track) if len(_pairs(cell)) and cell.spec.implementation != _NO_SEARCH]
    if not cells:
        return None
    metric, objective = track.metrics[0], str(track.plan["objective"]["metric"])
    unit = scale(track, metric).unit
    return Figure(
        name=f"agreement-{track.id}",
        title=f"Seen by the search, and sealed, on {track.id}",
        x_label=f"{objective}{_in_unit(scale(track, objective).unit)}",
        y_label=f"{metric}{_in_unit(unit)}",
        series=tuple(_series(track, cell) for cell in cells),
        note=(
            "Each point is the architecture that one run reports at the full budget: what the search saw of it, and "
            f"its sealed metric. {_among(cells)}{_in_space(track)}"
        ),
        x_log="linear",
    )


def _in_unit(unit: str) -> str:
    return f", {unit}" if unit else ""


def _pairs(cell: Cell) -> Floats:
    """Return (objective, primary metric) of the reported architecture of each run that holds both, shape (runs, 2)."""
    found = [(float(trace.objective[-1]), float(trace.final[-1, 0])) for trace in cell.valued]
    return np.array([pair for pair in found if np.isfinite(pair).all()], dtype=np.float64).reshape(-1, 2)


def _series(track: TrackFrame, cell: Cell) -> Series:
    pairs = _pairs(cell)
    seen, sealed = pairs.T
    columns = (seen, sealed, sealed, sealed)
    return series_of(track, cell, len(pairs), columns, style="points")


def _among(cells: list[Cell]) -> str:
    """Return Kendall's tau over the distinct architectures, which one that many runs found must not dominate."""
    found = {
        trace.arch: (float(trace.objective[-1]), float(trace.final[-1, 0]))
        for cell in cells
        for trace in cell.valued
        if np.isfinite([trace.objective[-1], trace.final[-1, 0]]).all()
    }
    pairs = np.array(list(found.values()))
    if len(pairs) < _FEWEST_ARCHITECTURES or (np.ptp(pairs, axis=0) == 0).any():
        return f"They are {len(pairs)} distinct architectures, too few or too equal for a rank correlation."
    tau = float(stats.kendalltau(pairs[:, 0], pairs[:, 1]).statistic)
    return f"Kendall's tau-b over their {len(pairs)} distinct architectures: {tau:.2f}."


def _in_space(track: TrackFrame) -> str:
    known: Any = track.record.references.get("agreement")
    facts = known.get(track.metrics[0]) if isinstance(known, dict) else None
    if not isinstance(facts, dict):
        return ""
    return f" Over all {facts['n']:,} recorded architectures of the space it is {facts['kendall_tau']:.2f}."
