"""Set one-factor variants against the row that they vary, replicate by replicate."""

from __future__ import annotations

from collections.abc import Mapping

from harness.core.canonical import Json
from harness.core.records import Table
from reports.analysis import TrackAnalysis, node_of, paired
from reports.final import facts
from reports.frame import BASE, Cell, Frame
from reports.stats import mean_interval
from reports.wording import ABSENT, INTERVALS, beyond_bounds, interval, interval_name, runs_of, scale, signed, spread

_NOTE = (
    "Every variant changes one option of its base row. Difference: variant minus base, paired over the replicates that "
    f"both completed (equal work has equal outcomes in a replicate). {INTERVALS} Intervals are not adjusted for the "
    "number of variants."
)


def ablation_table(frame: Frame, analysis: TrackAnalysis) -> Table | None:
    """Return each variant beside its base row with the paired difference; None where the track has no variant."""
    track = analysis.track
    varied = list(dict.fromkeys(cell.key[1] for cell in track.cells if cell.key[2] != BASE))
    if not varied:
        return None
    bases = {cell.key[1]: cell for cell in track.base}
    cells = [cell for method in varied for cell in track.cells if cell.key[1] == method]
    lines = [_line(frame, analysis, cell, bases.get(cell.key[1])) for cell in cells]
    reading = scale(track, track.metrics[0])
    return Table(
        name=f"ablation-{track.id}",
        title=f"Ablations on {track.id}, {track.metrics[0]}",
        columns=(
            "method",
            "n",
            "mean ± sd [interval]",
            "pairs",
            f"difference to base, {reading.points}",
            "95 % interval",
        ),
        rows=tuple(text for text, _ in lines),
        note=" ".join([_NOTE, *beyond_bounds((analysis.primary(cell), reading) for cell in cells)]),
        data=tuple(data for _, data in lines),
    )


def _line(
    frame: Frame, analysis: TrackAnalysis, cell: Cell, base: Cell | None
) -> tuple[tuple[str, ...], Mapping[str, Json]]:
    digits = scale(analysis.track, analysis.track.metrics[0]).digits
    summary = analysis.primary(cell)
    planned = len(cell.traces)
    text = (cell.label, runs_of(summary.n, planned), spread(summary, digits))
    data: dict[str, Json] = {"row": cell.label, "n": summary.n, "planned": planned, **facts(summary)}
    if base is None or cell is base:
        return (*text, ABSENT, ABSENT, ABSENT), data
    theirs, ours = paired(cell, base, 0)
    if not len(theirs):
        return (*text, "0", ABSENT, ABSENT), data | {"pairs": 0}
    gaps = theirs - ours
    low, high, method = mean_interval(gaps, node_of(frame, *cell.key, "difference"))
    shown = (str(len(gaps)), signed(float(gaps.mean()), digits), interval(low, high, digits))
    return (*text, *shown), data | {
        "pairs": len(gaps),
        "difference": float(gaps.mean()),
        "difference_low": low,
        "difference_high": high,
        "difference_interval": interval_name(method),
    }
