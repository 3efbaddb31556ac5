"""Draw where the real seconds of a run go: one stacked bar for each method, one part for each phase."""

from __future__ import annotations

from itertools import accumulate
from math import isfinite

from harness.core.records import Figure, Series
from reports.cost import PHASES, REST, complete, over, real
from reports.frame import TrackFrame

ORDER = (*PHASES, REST)


def breakdown_figure(track: TrackFrame) -> Figure | None:
    """Return the mean real seconds of a run by phase; None where no method has all of them on record."""
    means = {
        cell.label: [over([real(trace, phase) for trace in complete(cell)]).mean for phase in ORDER]
        for cell in track.cells
    }
    known = {label: values for label, values in means.items() if all(map(isfinite, values))}
    if not known:
        return None
    sizes = [len(complete(cell)) for cell in track.cells if cell.label in known]
    n = f"n = {sizes[0]}" if len(set(sizes)) == 1 else f"n = {min(sizes)} to {max(sizes)}"
    return Figure(
        name=f"cost-{track.id}",
        title=f"Where the real seconds of a run go on {track.id}",
        x_label="",
        y_label="real seconds of this machine, mean over the runs",
        series=tuple(_part(phase, index, known) for index, phase in enumerate(ORDER)),
        note=f"Complete runs, {n}; means, stacked in the order of the legend; the table has their spread.",
        x_log="linear",
        names={label: float(place) for place, label in enumerate(known)},
    )


def _part(phase: str, index: int, known: dict[str, list[float]]) -> Series:
    ends = [list(accumulate(max(value, 0.0) for value in values)) for values in known.values()]
    high = tuple(end[index] for end in ends)
    low = tuple(end[index - 1] if index else 0.0 for end in ends)
    middle = tuple(values[index] for values in known.values())
    return Series(phase, tuple(map(float, range(len(known)))), middle, low, high, style="stack")
