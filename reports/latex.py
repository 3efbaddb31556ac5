"""Write the tables of a document as LaTeX for a paper: booktabs, one float or long table each."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness.core.records import Document, Table
from reports.columns import numeric

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    "\u00d7": r"$\times$",
    "·": r"\textperiodcentered{}",
    "°": r"\textdegree{}",
    "²": r"$^2$",
    "\u2212": "$-$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "→": r"$\to$",
    "…": r"\ldots{}",
    "\u2013": "--",
    "\u2014": "---",
    "\u2019": "'",
    "[": "{[}",  # at the start of a row, LaTeX would take it for the argument of the line break before
}
_ESCAPES = str.maketrans(_SPECIAL)
_LONG_WORD = re.compile(r"[^\s\0]{25,}")
_PIECE = re.compile(r".{8}|.+")  # of a word with no hyphenation, such as a hash
_JOINT = re.compile(r"(?<=[/_@=;])(?=\w)")  # where a name may be broken
_FIT = 84  # letters in a row that fit the width of a page in small type
_GAP = 2  # letters between two columns
_LONG = 20  # letters: a column with more can be set in lines, of no fewer than half of them
_HEADING = 12  # letters in a line of a heading, where the column itself has fewer
_ROWS_OF_A_FLOAT = 30

_HEAD = r"""% Tables of {title}.
% In the preamble: \usepackage[T1]{{fontenc}} \usepackage{{textcomp,array,booktabs,longtable,graphicx}}
"""


def latex(document: Document) -> str:
    """Return all tables of the document that have rows, in its order; an empty string where none has."""
    tables = [table for section in document.sections for table in section.tables if table.columns and table.rows]
    if not tables:
        return ""
    head = _HEAD.format(title=" ".join(document.title.split()))
    return "\n".join([head, *(_table(table) for table in tables)])


def escaped(text: str) -> str:
    """Return a text with every character that LaTeX would take for a command escaped, and long words breakable."""
    joints = _JOINT.sub("\0", " ".join(text.split()))
    words = _LONG_WORD.sub(lambda word: "\0".join(_PIECE.findall(word[0])), joints)
    return words.translate(_ESCAPES).replace("\0", r"\allowbreak{}")


@dataclass(frozen=True, slots=True)
class _Layout:
    """How wide the columns of a table are.

    Attributes:
        columns: what LaTeX is told of them.
        headings: their headings, as lines.
        scaled: whether the table is still wider than a page, and is made smaller.
    """

    columns: str
    headings: tuple[tuple[str, ...], ...]
    scaled: bool


def _table(table: Table) -> str:
    layout = _layout(table)
    head = _row(_heading(lines) for lines in layout.headings)
    body = [
        _row(_emphasised(row) if index in table.strong else map(escaped, row)) for index, row in enumerate(table.rows)
    ]
    caption = rf"\caption{{\textbf{{{escaped(table.title)}.}} {escaped(table.note)}}}\label{{tab:{_label(table.name)}}}"
    made = _long if len(table.rows) > _ROWS_OF_A_FLOAT else _float
    return "\n".join([*made(caption, layout, head, body), ""])


def _float(caption: str, layout: _Layout, head: str, body: Sequence[str]) -> list[str]:
    before, after = ([r"\resizebox{\linewidth}{!}{%"], ["}"]) if layout.scaled else ([], [])
    return [
        r"\begin{table}[tbp]",
        r"\centering\small\setlength{\tabcolsep}{4pt}",
        caption,
        *before,
        rf"\begin{{tabular}}{{{layout.columns}}}",
        r"\toprule",
        head,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        *after,
        r"\end{table}",
    ]


def _long(caption: str, layout: _Layout, head: str, body: Sequence[str]) -> list[str]:
    return [
        r"\begingroup\small\setlength{\tabcolsep}{4pt}",
        rf"\begin{{longtable}}{{{layout.columns}}}",
        rf"{caption} \\",
        r"\toprule",
        head,
        r"\midrule",
        r"\endfirsthead",
        r"\toprule",
        head,
        r"\midrule",
        r"\endhead",
        r"\bottomrule",
        r"\endlastfoot",
        *body,
        r"\end{longtable}",
        r"\endgroup",
    ]


def _layout(table: Table) -> _Layout:
    """Lay a table out: numbers to the right; where a row is too wide for a page, long texts are set in lines."""
    columns = list(zip(*table.rows, strict=True))
    texts = [max(len(text) for text in column) for column in columns]
    headings = tuple(
        tuple(textwrap.wrap(name, max(width, _HEADING), break_long_words=False)) or ("",)
        for name, width in zip(table.columns, texts, strict=True)
    )
    widths = [max(width, *map(len, lines)) + _GAP for width, lines in zip(texts, headings, strict=True)]
    long = [width if width > _LONG else 0 for width in widths]
    room = _FIT - sum(width for width in widths if width <= _LONG)
    crowded = sum(widths) > _FIT
    in_lines = crowded and any(long) and room > sum(_LONG / 2 for width in long if width)
    shares = _shares(long, room / _FIT) if in_lines else [0.0] * len(widths)
    shape = "".join(_column(column, share) for column, share in zip(columns, shares, strict=True))
    return _Layout(f"@{{}}{shape}@{{}}", headings, crowded and not in_lines)


def _column(texts: Sequence[str], share: float) -> str:
    if share:
        return rf">{{\raggedright\arraybackslash}}p{{{share:.2f}\linewidth}}"
    return "r" if numeric(texts) else "l"


def _shares(long: Sequence[int], room: float) -> list[float]:
    """Share the room that is left among the long columns by the root of their length; 0: as wide as its texts."""
    total = sum(width**0.5 for width in long)
    return [max(room * width**0.5 / total - _GAP / _FIT, 0.05) if width else 0.0 for width in long]


def _heading(lines: Sequence[str]) -> str:
    made = r" \\ ".join(rf"\textbf{{{escaped(line)}}}" for line in lines)
    return made if len(lines) == 1 else rf"\begin{{tabular}}[b]{{@{{}}l@{{}}}}{made}\end{{tabular}}"


def _emphasised(row: Sequence[str]) -> Iterator[str]:
    yield rf"\textbf{{{escaped(row[0])}}}"
    yield from (escaped(cell) for cell in row[1:])


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _label(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]+", "-", name)
