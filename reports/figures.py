"""Draw figures as SVG: the same bytes from the same data, legible at half size, safe for colour-blind readers."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from harness.core.records import Figure, Series

WIDTH, HEIGHT = 7.2, 4.6  # inches: the text width of a page, text at 11 points stays legible at half size

_STYLE: Any = {
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
_DASHES: tuple[Any, ...] = (
    "-",
    (0, (6, 1.5)),
    (0, (3, 1.2)),
    (0, (5, 1.2, 1.2, 1.2)),
    (0, (1.5, 1)),
    (0, (8, 2, 2, 2)),
)
_REFERENCE = "#555555"
_FLOOR = 1e-3  # the lowest edge of a logarithmic axis of differences
_BAND_ROOM = 0.75  # how far a band may stretch a linear axis beyond the lines, in heights of the lines
_FEW_BANDS = 3  # more bands than these are drawn paler, so that the lines stay on top
_TICKS = ((1.3, (1.0, 2.0, 3.0, 5.0, 7.0)), (3.0, (1.0, 2.0, 5.0)), (math.inf, (1.0,)))
"""Up to how many decades an axis labels which multiples of a power of ten."""


def svg(figure: Figure) -> bytes:
    """Return the figure as SVG without a date or a random id."""
    with mpl.rc_context(_STYLE):
        stream = io.BytesIO()
        metadata = {"Date": None, "Creator": None, "Title": figure.title}
        _draw(figure).savefig(stream, format="svg", metadata=metadata)
    return stream.getvalue()


def png(figure: Figure, dpi: int = 160) -> bytes:
    """Return the figure as a picture of points, for a look and for terminals that show one."""
    with mpl.rc_context(_STYLE):
        stream = io.BytesIO()
        _draw(figure).savefig(stream, format="png", dpi=dpi, metadata={"Software": None})
    return stream.getvalue()


def _draw(figure: Figure) -> Canvas:
    canvas = Canvas(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes = canvas.add_subplot()
    _scales(axes, figure)
    _methods(axes, [series for series in figure.series if series.role == "method"])
    _references(axes, figure)
    axes.set_title(figure.title, loc="left", pad=10)
    axes.set_xlabel(figure.x_label)
    axes.set_ylabel(figure.y_label)
    axes.margins(x=0)
    axes.grid(visible=True, which="major", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    columns = 2 if len(figure.series) + len(figure.lines) > 1 else 1
    canvas.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=columns, handlelength=2.8)
    return canvas


def _methods(axes: Axes, series: Sequence[Series]) -> None:
    colours = sns.color_palette("colorblind", n_colors=max(len(series), 1))
    shade = 0.2 if len(series) <= _FEW_BANDS else 0.1
    for index, (one, colour) in enumerate(zip(series, colours, strict=False)):
        dashes = _DASHES[index % len(_DASHES)]
        axes.fill_between(one.x, one.low, one.high, step="post", color=colour, alpha=shade, linewidth=0)
        axes.plot(
            one.x, one.middle, drawstyle="steps-post", color=colour, linestyle=dashes, linewidth=1.9, label=one.label
        )


def _references(axes: Axes, figure: Figure) -> None:
    for one in figure.series:
        if one.role == "reference":
            axes.plot(
                one.x,
                one.middle,
                drawstyle="steps-post",
                color=_REFERENCE,
                linestyle=":",
                linewidth=1.4,
                label=one.label,
            )
    for (label, height), dashes in zip(figure.lines.items(), ((0, (7, 3)), (0, (2, 2)), "-."), strict=False):
        axes.axhline(height, color=_REFERENCE, linestyle=dashes, linewidth=1.0, label=label)


def _scales(axes: Axes, figure: Figure) -> None:
    if figure.x_log == "log":
        axes.set_xscale("log")
        _log_ticks(axes.xaxis, _span([x for series in figure.series for x in (series.x[0], series.x[-1])]))
    if figure.y_log == "log":
        axes.set_yscale("log", nonpositive="clip")
        bottom, top = _log_limits(figure)
        axes.set_ylim(bottom, top)
        _log_ticks(axes.yaxis, _span([bottom, top]))
    elif figure.series:
        axes.set_ylim(_linear_limits(figure))


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
