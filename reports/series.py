"""Make the series of a method as every figure shows it: with n in its label, and its own colour."""

from __future__ import annotations

from typing import Literal

from harness.core.records import Series
from reports.curves import Floats, plain
from reports.frame import Cell, TrackFrame
from reports.wording import runs_of

Style = Literal["steps", "line", "points", "areas"]


def series_of(
    track: TrackFrame,
    cell: Cell,
    n: int,
    columns: tuple[Floats, Floats, Floats, Floats],
    *,
    style: Style = "steps",
    of: str = "",
    planned: int | None = None,
) -> Series:
    """Return the series of one method of a track.

    Args:
        track: the track; the method's place among its base rows fixes the colour.
        cell: the method.
        n: how many runs stand behind the series.
        columns: x, middle, low and high, each of shape (places,).
        style: how it is drawn.
        of: what of the runs is shown, where the note alone would not say it clearly enough.
        planned: how many runs were planned, where that is not the cell's own number.
    """
    label = f"{cell.label}{f', {of}' if of else ''} (n = {runs_of(n, planned or len(cell.traces))})"
    x, middle, low, high = (plain(column) for column in columns)
    return Series(label, x, middle, low, high, style=style, place=track.base.index(cell))
