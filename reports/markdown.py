"""Write a document as Markdown with linked figures and data files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.core.records import Document, Figure, Section, Table


def markdown(document: Document) -> str:
    """Return the document as one Markdown text; figures and CSV files are linked by name, beside it."""
    parts = [f"# {_inline(document.title)}"]
    for section in document.sections:
        parts += _section(section)
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> Iterator[str]:
    yield f"## {_inline(section.title)}"
    if section.text:
        yield section.text
    for figure in section.figures:
        yield from _figure(figure)
    for table in section.tables:
        yield from _table(table)


def _figure(figure: Figure) -> Iterator[str]:
    yield f"![{_inline(figure.title)}]({figure.name}.svg)"
    yield f"**{_inline(figure.title)}.** {figure.note} Data: [{figure.name}.csv]({figure.name}.csv)."


def _table(table: Table) -> Iterator[str]:
    yield f"**{_inline(table.title)}.** {table.note} Data: [{table.name}.csv]({table.name}.csv).".replace("  ", " ")
    if table.columns:
        lines = [_row(table.columns), _row(["---"] * len(table.columns))]
        lines += [_row(_emphasised(row) if index in table.strong else row) for index, row in enumerate(table.rows)]
        yield "\n".join(lines)


def _emphasised(row: Sequence[str]) -> list[str]:
    return [f"**{row[0]}**", *row[1:]]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_inline(cell) for cell in cells)} |"


def _inline(text: str) -> str:
    """Return text that stays within one cell or one line."""
    return " ".join(text.split()).replace("|", r"\|")
