"""Draw figures for a page: SVG without styles of its own, in the page's font and colours, with ids of its own."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes

from harness.core.canonical import Json
from harness.core.records import Figure, Series
from reports.figures import STYLE, WIDTH, draw

NARROW = 4.2  # inches: as wide as a phone, so that texts keep their size there
PALETTE: tuple[str, ...] = tuple(sns.color_palette("colorblind").as_hex())
"""The colours of the methods, in order; the page defines `--s0` to `--s9` for them."""

_PAGE_COLOURS = {
    "#ffffff": "none",
    "#000000": "var(--ink)",
    "#222222": "var(--ink)",
    "#262626": "var(--ink)",
    "#333333": "var(--ink)",
    "#dddddd": "var(--grid)",
    "#555555": "var(--muted)",
    "#999999": "var(--muted)",
    **{colour: f"var(--s{index})" for index, colour in enumerate(PALETTE)},
}
_REMOVED = frozenset({"metadata", "style", "title"})
_UNSTYLED = frozenset({"font-family", "font"})
_FONT_SIZE = re.compile(r"([\d.]+)px")
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_POINT = re.compile(r"([ML]) (\S+) (\S+)")
_DIGITS = 6  # of the values that are shown under the pointer


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure drawn for a page.

    Attributes:
        svg: the element, without text for screen readers.
        box: left, top, width and height of the axes as shares of the picture.
        x: limits of the horizontal axis.
        y: limits of the vertical axis, the lower edge first.
    """

    svg: str
    box: tuple[float, float, float, float]
    x: tuple[float, float]
    y: tuple[float, float]


def drawing(figure: Figure, prefix: str, width: float = WIDTH) -> Drawing:
    """Return the figure for a page; `prefix` makes its ids unique there."""
    with mpl.rc_context({**STYLE, "svg.fonttype": "none"}):
        canvas = draw(figure, width, titled=False)
        stream = io.BytesIO()
        canvas.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    (axes,) = canvas.axes
    left, bottom, across, up = (float(share) for share in axes.get_position().bounds)
    box = (round(left, 5), round(1 - bottom - up, 5), round(across, 5), round(up, 5))
    return Drawing(_element(stream.getvalue(), prefix), box, *_limits(axes))


def _limits(axes: Axes) -> tuple[tuple[float, float], tuple[float, float]]:
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    return (float(left), float(right)), (float(bottom), float(top))


def _element(svg: bytes, prefix: str) -> str:
    root = ET.fromstring(svg)  # noqa: S314 - drawn by ourselves a moment ago
    for element in root.iter():
        for child in [child for child in element if _plain(child.tag) in _REMOVED]:
            element.remove(child)
    for element in root.iter():
        _restyle(element, prefix)
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "fill": "var(--ink)",
        "stroke-linejoin": "round",
        "aria-hidden": "true",
        "focusable": "false",
    }
    return ET.tostring(root, encoding="unicode")


def _plain(name: str) -> str:
    """Return a name without its namespace: within a page, SVG has none."""
    return name.rpartition("}")[2]


def _restyle(element: ET.Element, prefix: str) -> None:
    """Turn the style of an element into attributes, which a strict content policy lets through."""
    element.tag = _plain(element.tag)
    element.text, element.tail = _unbroken(element.text), _unbroken(element.tail)
    found = {_plain(key): value for key, value in element.attrib.items()}
    style = found.pop("style", "")
    size = _FONT_SIZE.search(style) if "font:" in style else None
    found |= dict(_attributes(style)) | ({"font-size": size[1]} if size else {})
    for key in ("id", "href", "clip-path"):
        if key in found:
            found[key] = re.sub(r"^(url\(#|#)?", rf"\g<0>{prefix}-", found[key])
    if "d" in found:
        found["d"] = _shorter(found["d"])
    element.attrib = {key: found[key] for key in sorted(found)}


def _attributes(style: str) -> Iterator[tuple[str, str]]:
    for part in style.split(";"):
        key, colon, value = (piece.strip() for piece in part.partition(":"))
        if colon and key not in _UNSTYLED:
            yield key, _PAGE_COLOURS.get(value, value.removesuffix("px"))


def _unbroken(text: str | None) -> str | None:
    return None if text is None or not text.strip() else text


def _shorter(path: str) -> str:
    """Return a path to a hundredth of a point, without what lies on a level or upright line between two points."""
    rounded = " ".join(_NUMBER.sub(lambda number: f"{round(float(number[0]), 2):g}", path).split())
    points = _POINT.findall(rounded)
    if not points[1:] or _POINT.sub("", rounded).strip(" z"):
        return rounded
    kept = [points[0]]
    for here, after in zip(points[1:], [*points[2:], None], strict=True):
        if after is None or not _between(kept[-1], here, after):
            kept.append(here)
    return " ".join(f"{letter}{x} {y}" for letter, x, y in kept) + ("z" if rounded.endswith("z") else "")


def _between(before: tuple[str, str, str], here: tuple[str, str, str], after: tuple[str, str, str]) -> bool:
    if "M" in (here[0], after[0]):
        return False
    for axis, other in ((1, 2), (2, 1)):
        level = before[axis] == here[axis] == after[axis]
        places = [float(point[other]) for point in (before, here, after)]
        if level and places in (sorted(places), sorted(places, reverse=True)):
            return True
    return False


def readings(figure: Figure, drawings: Mapping[str, Drawing]) -> dict[str, Json]:
    """Return what a page needs to show the values of every series under the pointer, as plain data."""
    labels = list(dict.fromkeys(one.label for one in figure.series if one.role == "method"))
    first, second = (figure.y_label, "") if figure.names else (figure.x_label, figure.y_label)
    return {
        "title": figure.title,
        "across": " ".join(first.split()),
        "up": " ".join(second.split()),
        "log": [figure.y_log == "log", False] if figure.names else [figure.x_log == "log", figure.y_log == "log"],
        "names": {name: _short(place) for name, place in figure.names.items()},
        "lines": {label: _short(height) for label, height in figure.lines.items()},
        "series": [] if figure.texts else [_series(one, labels) for one in figure.series],
        "drawings": {
            name: {"box": list(one.box), "x": [_short(end) for end in one.x], "y": [_short(end) for end in one.y]}
            for name, one in drawings.items()
        },
    }


def _series(one: Series, labels: list[str]) -> dict[str, Json]:
    values = {"x": one.x, "middle": one.middle, "low": one.low, "high": one.high}
    banded = one.low != one.high
    return {
        "label": one.label,
        "colour": _colour(one, labels),
        "style": one.style,
        **{key: [_short(number) for number in found] for key, found in values.items() if banded or key in "x middle"},
        **({"ends": [_short(number) for number in one.ends]} if one.ends else {}),
    }


def _colour(one: Series, labels: list[str]) -> int:
    """Return the place of the series' colour in the palette, as it is drawn; -1: grey."""
    if one.role == "reference":
        return -1
    return (labels.index(one.label) if one.place < 0 else one.place) % len(PALETTE)


def _short(value: float) -> Json:
    short = float(f"{value:.{_DIGITS}g}")
    return short if abs(short) < float("inf") else None
