"""Write tables and the data of figures as CSV: texts and whole numbers as they are, statistics to twelve digits.

Twelve significant digits are far beyond any use, and short of the last bits, in which logarithms and sums differ
between processors: the same records give the same bytes on another machine.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from math import isfinite, nan

from harness.core.canonical import Json
from harness.core.records import Figure, Series, Table


def table_csv(table: Table) -> str:
    """Return a table as CSV: its data, or its texts where it has no other data."""
    if not table.data:
        return _csv(table.columns, table.rows)
    columns = list(dict.fromkeys(column for row in table.data for column in row))
    return _csv(columns, ([_exact(row.get(column)) for column in columns] for row in table.data))


def figure_csv(figure: Figure) -> str:
    """Return the data of a figure as CSV: every place of every curve, then the reference lines."""
    areas = any(one.ends for one in figure.series)
    columns = ("series", "role", "x", "middle", "low", "high", *(["end"] if areas else []))
    points = [
        (one.label, one.role, *(_exact(value) for value in values if value is not None))
        for one in figure.series
        for values in zip(
            one.x, one.middle, one.low, one.high, _ends(one) if areas else [None] * len(one.x), strict=True
        )
    ]
    lines = [(label, "line", "", _exact(height), *[""] * (len(columns) - 4)) for label, height in figure.lines.items()]
    return _csv(columns, [*points, *lines])


def _ends(one: Series) -> Sequence[float]:
    return one.ends or (nan,) * len(one.x)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return stream.getvalue()


def _exact(value: Json) -> str:
    """Return a value as text; nothing for what is absent."""
    if value is None or (isinstance(value, float) and not isfinite(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{float(value):.12g}" if isinstance(value, float) else str(value)
