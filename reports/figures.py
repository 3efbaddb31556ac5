"""Draw figures as SVG: the same bytes from the same data, legible at half size, safe for colour-blind readers."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from harness.core.records import Figure
from reports.marks import draw_methods, draw_references, legend_entries

WIDTH, HEIGHT = 7.2, 4.6  # inches: the text width of a page, text at 11 points stays legible at half size

STYLE: Any = {
    **sns.axes_style("ticks"),
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine draws the same glyphs
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.labelsize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.edgecolor": "#333333",
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "svg.hashsalt": "nas-harness",  # ids of clip paths are hashes with this salt instead of random ones
    "svg.fonttype": "path",
    "path.simplify": False,
}
_ROOM, _ROW = 1.5, 0.42  # inches of a lying figure: around the rows, and for each row
_TICKS_ACROSS = 6  # of a linear axis as wide as a page, so that long numbers do not collide
_NAME, _LABEL = 36, 45  # letters in a line of a row's name, and of the label below the rows
_UNIT, _WORDS = 0.62, 8.5  # of a drawing: inches that a unit of its heights takes, and points of its words
_ENTRY = 0.2  # inches that an entry of the legend adds to a figure too narrow for two columns of them
_FLOOR = 1e-3  # the lowest edge of a logarithmic axis of differences
_BAND_ROOM = 0.75  # how far a band may stretch a linear axis beyond the lines, in heights of the lines
_TICKS = ((1.3, (1.0, 2.0, 3.0, 5.0, 7.0)), (3.0, (1.0, 2.0, 5.0)), (4.5, (1.0, 3.0)), (math.inf, (1.0,)))
"""Up to how many decades an axis labels which multiples of a power of ten."""


def svg(figure: Figure) -> bytes:
    """Return the figure as SVG without a date or a random id."""
    with mpl.rc_context(STYLE):
        stream = io.BytesIO()
        metadata = {"Date": None, "Creator": None, "Title": figure.title}
        draw(figure).savefig(stream, format="svg", metadata=metadata)
    return stream.getvalue()


def png(figure: Figure, dpi: int = 160) -> bytes:
    """Return the figure as a picture of points, for a look and for terminals that show one."""
    with mpl.rc_context(STYLE):
        stream = io.BytesIO()
        draw(figure).savefig(stream, format="png", dpi=dpi, metadata={"Software": None})
    return stream.getvalue()


def draw(figure: Figure, width: float = WIDTH, *, titled: bool = True) -> Canvas:
    """Return the figure drawn at a width in inches, to be saved within the context of `STYLE`."""
    canvas = Canvas(figsize=(width, _height(figure)), layout="constrained")
    axes = canvas.add_subplot()
    _scales(axes, figure, WIDTH / width)
    draw_methods(axes, [series for series in figure.series if series.role == "method"], lying=bool(figure.names))
    draw_references(axes, figure)
    if titled:
        axes.set_title(figure.title, loc="left", pad=10)
    _labels(axes, figure, WIDTH / width)
    if figure.texts:
        _drawing(axes, figure, WIDTH / width)
    else:
        axes.grid(visible=True, which="major", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
    handles, labels = legend_entries(axes, figure)
    columns = 2 if len(labels) > 1 and width >= WIDTH else 1
    if width < WIDTH:
        canvas.set_figheight(_height(figure) + _ENTRY * len(labels))
    if labels:
        canvas.legend(handles, labels, loc="outside lower center", ncols=columns, handlelength=2.8)
    return canvas


def _height(figure: Figure) -> float:
    """Return the height in inches: that of the page's figures, or as much as rows or a drawing need."""
    if figure.texts:
        heights = [height for _, height, _ in figure.texts]
        return max(2.0, _ROOM + _UNIT * (max(heights) - min(heights)))
    return min(HEIGHT, _ROOM + _ROW * len(figure.names)) if figure.names else HEIGHT


def _drawing(axes: Axes, figure: Figure, crowding: float) -> None:
    axes.set_axis_off()
    axes.set_aspect("equal")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, *(y for _, y, _ in figure.texts)), high)  # of one row the nodes would be cut in half
    for x, y, words in figure.texts:
        axes.text(x, y, words, ha="center", va="top", fontsize=_WORDS / crowding**0.5)


def _labels(axes: Axes, figure: Figure, crowding: float) -> None:
    if figure.names:
        names = [textwrap.fill(name, round(_NAME / crowding), break_long_words=False) for name in figure.names]
        axes.set_yticks(list(figure.names.values()), names)
        axes.set_ylim(max(figure.names.values()) + 0.6, min(figure.names.values()) - 0.6)
        lines = [textwrap.fill(line, round(_LABEL / crowding)) for line in figure.y_label.splitlines()]
        axes.set_xlabel("\n".join(lines))
        axes.tick_params(axis="y", length=0)
        return
    axes.set_xlabel(figure.x_label)
    axes.set_ylabel(figure.y_label)
    axes.margins(x=0.03 if any(series.style == "points" for series in figure.series) else 0)


def _scales(axes: Axes, figure: Figure, crowding: float) -> None:
    if figure.x_log == "log" and not figure.names:
        axes.set_xscale("log")
        _log_ticks(axes.xaxis, crowding * _span([x for series in figure.series for x in series.x]))
    heights = "x" if figure.names else "y"
    if figure.y_log == "log":
        axes.set(**{f"{heights}scale": "log"})
        limits = _log_limits(figure)
        # Names take of the width of a lying figure, the more of it the narrower it is.
        _log_ticks(getattr(axes, f"{heights}axis"), _span(limits) * (crowding**2 if figure.names else 1.0))
    else:
        limits = _linear_limits(figure)
    axes.set(**{f"{heights}lim": limits})
    if axes.get_xscale() == "linear":
        axes.locator_params(axis="x", nbins=max(3, round(_TICKS_ACROSS / crowding)))


def _log_limits(figure: Figure) -> tuple[float, float]:
    """Return limits below every positive middle line and above everything, no lower than the floor.

    A band may leave the picture at the bottom, as a zero must: following it down would flatten the lines.
    """
    middles = [height for series in figure.series for height in series.middle]
    lowest = min((height for height in (*middles, *figure.lines.values()) if height > 0), default=1.0)
    highest = max((height for series in figure.series for height in series.high), default=1.0)
    bottom = max(lowest * 0.6, _FLOOR)
    return bottom, max(max(highest, *figure.lines.values(), 0.0) * 1.25, bottom * 10)


def _linear_limits(figure: Figure) -> tuple[float, float]:
    """Return limits around the middle lines with room for the bands, as far as they stay near the lines."""
    stacked = [height for series in figure.series if series.style == "stack" for height in series.high]
    if stacked:
        return 0.0, 1.04 * max(stacked) or 1.0
    middles = [height for series in figure.series for height in series.middle] + list(figure.lines.values())
    room = _BAND_ROOM * (max(middles) - min(middles)) or abs(middles[0]) * 0.01 or 1.0
    low = max(min(middles) - room, min(height for series in figure.series for height in series.low))
    high = min(max(middles) + room, max(height for series in figure.series for height in series.high))
    bottom, top = min(low, *middles), max(high, *middles)
    margin = 0.04 * (top - bottom) or room
    return bottom - margin, top + margin


def _span(values: Sequence[float]) -> float:
    positive = [value for value in values if value > 0]
    return math.log10(max(positive) / min(positive)) if positive else 0.0


def _log_ticks(axis: Any, decades: float) -> None:
    subs = next(labelled for most, labelled in _TICKS if decades <= most)
    axis.set_major_locator(LogLocator(base=10, subs=subs, numticks=20))
    axis.set_minor_locator(LogLocator(base=10, subs=tuple(range(2, 10)), numticks=20))
    axis.set_major_formatter(FuncFormatter(_tick))
    axis.set_minor_formatter(NullFormatter())


def _tick(value: float, _: int | None = None) -> str:
    """Return a tick as a plain number: 0.05, 200, 20,000; powers of ten from a million on."""
    if value >= 1e6:  # noqa: PLR2004 - longer numbers collide
        power = math.floor(math.log10(value) + 1e-9)
        factor = value / 10**power
        return rf"$10^{{{power}}}$" if round(factor) == 1 else rf"${factor:.0f}\cdot10^{{{power}}}$"
    return f"{value:,.10g}"
