"""Print plain tables on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

NOT_AVAILABLE = "not available"
UNBOUNDED = 10_000  # columns


def console() -> Console:
    """Return a console for standard output: as wide as the terminal, or as wide as its lines where there is none."""
    plain = Console(soft_wrap=True, highlight=False)
    return plain if plain.is_terminal else Console(soft_wrap=True, highlight=False, width=UNBOUNDED)


def shown(folder: Path) -> str:
    """Return a path as short as it can be named from here."""
    return str(folder.relative_to(Path.cwd())) if folder.is_relative_to(Path.cwd()) else str(folder)


def print_table(
    target: Console, heading: str, columns: Sequence[str], rows: Sequence[Sequence[str]], note: str = ""
) -> None:
    """Print a table; on a terminal it fits the width, elsewhere each row stays on one line."""
    table = Table(title=Text(heading), title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    target.print(table)
    if note:
        target.print(note, markup=False)


def print_facts(target: Console, heading: str, facts: Mapping[str, str]) -> None:
    """Print a heading and one indented line per fact."""
    target.print(heading, style="bold", markup=False)
    for name, fact in facts.items():
        target.print(f"  {name:9s} {fact}", markup=False)


def long_form(
    columns: Sequence[str], rows: Sequence[Sequence[str]], fixed: int
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Turn a wide table into one row per value, so that long names of metrics fit a terminal.

    The first `fixed` columns name the row. Values that are not available in any row are left out.
    """
    kept = [place for place in range(fixed, len(columns)) if any(row[place] != NOT_AVAILABLE for row in rows)]
    long = [(columns[place], *row[:fixed], row[place]) for place in kept for row in rows if row[place] != "-"]
    return ("metric", *columns[:fixed], "value"), long
