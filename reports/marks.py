"""Draw the series of a figure: steps, lines, points, boxes, bars and areas, upright or lying."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes

from harness.core.records import Figure, Series

_DASHES: tuple[Any, ...] = (
    "-",
    (0, (6, 1.5)),
    (0, (3, 1.2)),
    (0, (5, 1.2, 1.2, 1.2)),
    (0, (1.5, 1)),
    (0, (8, 2, 2, 2)),
)
_MARKERS = ("o", "s", "^", "D", "v", "P")
_REFERENCE = "#555555"
_FEW_BANDS = 3  # more bands than these are drawn paler, so that the lines stay on top
_BOX = 0.28  # half the height of a box, in rows
_MANY_POINTS = 60  # more points than these are drawn smaller and paler
_STEPS: dict[str, Any] = {"drawstyle": "steps-post"}


def draw_methods(axes: Axes, series: Sequence[Series], *, lying: bool) -> None:
    """Draw the series of the methods; those of one place, or of one label, share colour, dashes and marker."""
    labels = list(dict.fromkeys(one.label for one in series))
    places = [labels.index(one.label) if one.place < 0 else one.place for one in series]
    colours = sns.color_palette("colorblind", n_colors=max(places, default=0) + 1)
    bands = sum(1 for one in series if one.style in {"steps", "line"})
    shade = 0.2 if bands <= _FEW_BANDS else 0.1
    for one, index in zip(series, places, strict=True):
        look = {"color": colours[index], "label": one.label}
        if one.style == "points":
            _points(axes, one, look | {"marker": _MARKERS[index % len(_MARKERS)]}, lying=lying)
        elif one.style == "box":
            _box(axes, one, look, lying=lying)
        elif one.style == "bars":
            _bars(axes, one, look)
        elif one.style == "stack":
            axes.barh(one.x, np.subtract(one.high, one.low), left=one.low, height=2 * _BOX, linewidth=0, **look)
        elif one.style == "areas":
            _areas(axes, one, look)
        else:
            _curve(axes, one, look | {"linestyle": _DASHES[index % len(_DASHES)]}, shade)


def _curve(axes: Axes, one: Series, look: dict[str, Any], shade: float) -> None:
    steps = one.style == "steps"
    if one.low != one.high:
        band: dict[str, Any] = {"step": "post"} if steps else {}
        axes.fill_between(one.x, one.low, one.high, color=look["color"], alpha=shade, linewidth=0, **band)
    axes.plot(one.x, one.middle, linewidth=1.9, **(_STEPS if steps else {}), **look)


def _points(axes: Axes, one: Series, look: dict[str, Any], *, lying: bool) -> None:
    places, heights = (one.middle, one.x) if lying else (one.x, one.middle)
    if one.low == one.high:
        # Runs that end at one architecture are one point: thousands of them on one spot only take time and space.
        places, heights = zip(*dict.fromkeys(zip(places, heights, strict=True)), strict=True)
        many = len(one.x) > _MANY_POINTS
        size, alpha = (10, 0.45) if many else (22, 0.75)
        axes.scatter(places, heights, s=size, alpha=alpha, linewidths=0, zorder=3, **look)
        return
    whiskers = np.array([np.subtract(one.middle, one.low), np.subtract(one.high, one.middle)])
    side: dict[str, Any] = {"xerr" if lying else "yerr": np.nan_to_num(np.maximum(whiskers, 0.0))}
    axes.errorbar(places, heights, **side, linestyle="none", markersize=6, linewidth=1.6, capsize=3, zorder=3, **look)


def _box(axes: Axes, one: Series, look: dict[str, Any], *, lying: bool) -> None:
    bar, line, side, start = (
        (axes.barh, axes.vlines, "height", "left") if lying else (axes.bar, axes.hlines, "width", "bottom")
    )
    shape: dict[str, Any] = {side: 2 * _BOX, start: one.low}
    bar(one.x, np.subtract(one.high, one.low), **shape, color=look["color"], alpha=0.22, linewidth=0, zorder=1)
    line(one.middle, np.subtract(one.x, _BOX), np.add(one.x, _BOX), color=look["color"], linewidth=2.2, zorder=4)


def _bars(axes: Axes, one: Series, look: dict[str, Any]) -> None:
    widths = np.diff(one.x, append=2 * one.x[-1] - one.x[-2])
    axes.bar(one.x, one.middle, width=widths, align="edge", alpha=0.55, linewidth=0, **look)


def _areas(axes: Axes, one: Series, look: dict[str, Any]) -> None:
    shape: dict[str, Any] = {"width": np.subtract(one.ends, one.x), "bottom": one.low, "align": "edge"}
    axes.bar(
        one.x,
        np.subtract(one.high, one.low),
        **shape,
        alpha=one.shade,
        linewidth=0,
        antialiased=False,
        zorder=1,
        **look,
    )


def draw_references(axes: Axes, figure: Figure) -> None:
    """Draw what is no method in grey: curves, rings, bars, and straight lines across the heights."""
    for one in figure.series:
        if one.role == "reference":
            _reference(axes, one, lying=bool(figure.names))
    across = axes.axvline if figure.names else axes.axhline
    for (label, height), dashes in zip(figure.lines.items(), ((0, (7, 3)), (0, (2, 2)), "-."), strict=False):
        across(height, color=_REFERENCE, linestyle=dashes, linewidth=1.0, label=label)


def _reference(axes: Axes, one: Series, *, lying: bool) -> None:
    look: dict[str, Any] = {"label": one.label}
    if one.style == "bars":
        _bars(axes, one, look | {"color": "#999999"})
    elif one.style == "points":
        rings: dict[str, Any] = {"facecolors": "none", "edgecolors": "#222222", "linewidths": 1.1}
        axes.scatter(one.x, one.middle, s=26, zorder=4, **rings, **look)
    elif lying:
        axes.plot(one.middle, one.x, color=_REFERENCE, linewidth=1.6, marker="o", markersize=4, zorder=2, **look)
    else:
        drawn = _STEPS if one.style == "steps" else {}
        axes.plot(one.x, one.middle, color=_REFERENCE, linestyle=":", linewidth=1.4, zorder=2, **look, **drawn)


def legend_entries(axes: Axes, figure: Figure) -> tuple[list[Any], list[str]]:
    """Return handles and labels of what the rows of the figure do not name already, each label once."""
    found = dict(reversed([(label, handle) for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)]))
    wanted = [label for label in dict.fromkeys(reversed(found)) if label not in figure.names]
    return [found[label] for label in wanted], wanted
