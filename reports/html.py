"""Write a document as one HTML page that needs nothing else: no network, no font, no script from elsewhere."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from urllib.parse import quote

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup, escape

from harness.core.records import Document, Figure, Section, Table
from reports.columns import numeric as is_numeric
from reports.columns import sort_key
from reports.figures import WIDTH
from reports.inline import NARROW, drawing, readings

_CODE = re.compile(r"`([^`\n]+)`")
_BOLD = re.compile(r"\*\*([^*\n]+)\*\*")
_LONG = 28  # letters: a cell with more is set in lines
_TOKEN = 24  # letters: a word with more, such as a hash, may be broken anywhere
_UNBREAKABLE = re.compile(rf"\S{{{_TOKEN},}}")
_FACTS = "item"  # the first column of a table that lists facts in an order of its own


@dataclass(frozen=True, slots=True)
class _Shown:
    """A cell of a table: its text, what it is sorted by (empty: its text), and its classes."""

    text: str
    key: str
    kind: str


@dataclass(frozen=True, slots=True)
class _Grid:
    """A table as the page shows it."""

    table: Table
    anchor: str
    numeric: tuple[bool, ...]
    rows: tuple[tuple[_Shown, ...], ...]
    sortable: bool


@dataclass(frozen=True, slots=True)
class _Picture:
    """A figure as the page shows it: two drawings, one of which fits, and the data behind them."""

    figure: Figure
    anchor: str
    wide: Markup
    narrow: Markup
    data: Markup


@dataclass(frozen=True, slots=True)
class _Part:
    """A section as the page shows it."""

    section: Section
    anchor: str
    text: Markup
    pictures: tuple[_Picture, ...]
    grids: tuple[_Grid, ...]


def html(document: Document, downloads: Sequence[str]) -> str:
    """Return the page of a document.

    Args:
        document: the report.
        downloads: files that lie beside the page and are linked at its end.
    """
    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        f"default-src 'none'; style-src '{_integrity(style)}'; script-src '{_integrity(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        _environment()
        .from_string(_asset("page.html"))
        .render(
            document=document,
            parts=[_part(section, index) for index, section in enumerate(document.sections, start=1)],
            downloads=downloads,
            policy=policy,
            style=Markup(style),  # noqa: S704 - a file of this package
            script=Markup(script),  # noqa: S704 - a file of this package
        )
    )


@cache
def _asset(name: str) -> str:
    return files("reports").joinpath("page", name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        loader=DictLoader({"macros.html": _asset("macros.html")}),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"inline": inline, "link": quote, "breakable": breakable}
    return environment


def _integrity(text: str) -> str:
    """Return the source expression that lets this very text run under a content security policy."""
    return f"sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}"


def _part(section: Section, index: int) -> _Part:
    pictures = tuple(_picture(figure) for figure in section.figures)
    grids = tuple(_grid(table) for table in section.tables)
    return _Part(section, f"section-{index}", prose(section.text), pictures, grids)


def _picture(figure: Figure) -> _Picture:
    anchor = f"figure-{_slug(figure.name)}"
    drawings = {"wide": drawing(figure, f"{anchor}-w", WIDTH), "narrow": drawing(figure, f"{anchor}-n", NARROW)}
    data = json.dumps(readings(figure, drawings), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    wide, narrow = (
        Markup(drawings[name].svg)  # noqa: S704 - serialised by the XML library, which escapes every text
        for name in ("wide", "narrow")
    )
    return _Picture(figure, anchor, wide, narrow, _embedded(data))


def _embedded(data: str) -> Markup:
    """Return JSON that no text within it can end: within a script element nothing is escaped."""
    safe = data.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")
    return Markup(safe)  # noqa: S704 - no character of HTML is left in it


def _grid(table: Table) -> _Grid:
    columns = list(zip(*table.rows, strict=True)) or [() for _ in table.columns]
    numeric = tuple(place > 0 and is_numeric(column) for place, column in enumerate(columns))
    rows = tuple(
        tuple(_cell(text, right=right) for text, right in zip(row, numeric, strict=True)) for row in table.rows
    )
    sortable = len(rows) > 1 and table.columns[:1] != (_FACTS,)
    return _Grid(table, f"table-{_slug(table.name)}", numeric, rows, sortable)


def _cell(text: str, *, right: bool) -> _Shown:
    kinds = ["num"] if right else []
    if not right and len(text) > _LONG:
        kinds.append("long")
    if _UNBREAKABLE.search(text):
        kinds.append("token")
    return _Shown(text, sort_key(text), " ".join(kinds))


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name)


def prose(text: str) -> Markup:
    """Return paragraphs and lists of a section as HTML: '- ' items, **bold**, `code`; everything else is text."""
    return Markup("\n").join(_blocks(text))


def _blocks(text: str) -> Iterator[Markup]:
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = block.splitlines()
        if not lines:
            continue
        if all(line.startswith("- ") for line in lines):
            items = Markup().join(Markup("<li>{}</li>").format(inline(line[2:])) for line in lines)
            yield Markup("<ul>{}</ul>").format(items)
        else:
            yield Markup("<p>{}</p>").format(inline(" ".join(lines)))


def inline(text: str) -> Markup:
    """Return a line of text as HTML: **bold** and `code` marked, everything else escaped."""
    escaped = str(escape(text))
    marked = _BOLD.sub(r"<strong>\1</strong>", _CODE.sub(r"<code>\1</code>", escaped))
    return Markup(marked)  # noqa: S704 - escaped before the marks were set


def breakable(text: str) -> Markup:
    """Return a name as HTML that may be broken after an underscore."""
    return escape(text).replace("_", Markup("_<wbr>"))
