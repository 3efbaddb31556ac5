"""Map the items to the AutoML Conference's submission checklist (2025), which draws upon the same list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.core.records import Table
from reports.checklist.model import Item


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the form: its number, what it asks in short, the items that answer it, and what is left to say."""

    number: str
    text: str
    items: tuple[str, ...]
    left: str = ""


LINES = (
    Line("2a", "same evaluation protocol for all methods", ("B1", "B4")),
    Line("2b", "all details: splits, search spaces, tuning", ("A3", "A5", "C1", "C3")),
    Line("2c", "repeated experiments", ("B7",)),
    Line("2d", "uncertainty of results", ("X6",)),
    Line("2e", "statistical significance", ("X7",)),
    Line("2f", "enough repetitions, data sets, benchmarks", ("B7", "X9")),
    Line("2g", "performance over time", ("B5",), "say how the longest run time was chosen"),
    Line("2h", "total compute and type of resources", ("C2", "C3")),
    Line("2i", "ablation studies", ("B3",)),
    Line("3a", "code, dependencies, seeds, instructions", ("A1", "A2", "A3", "A4", "A5")),
    Line("3b", "a minimal example", (), "name one; the protocol quickstart needs no download"),
    Line("3c", "quality and documentation of the code", (), "a person answers"),
    Line("3d", "raw results", ("X5",), "say where the study's folder is published"),
    Line("3e", "scripts that make the figures from the raw results", ("X10",)),
)


def mapping_table(items: Sequence[Item]) -> Table:
    """Return the form, answered by the items: yes where all of them are yes or n/a."""
    found = {item.rule.id: item for item in items}
    rows = tuple(
        (line.number, line.text, _answer(line, found), ", ".join(line.items) or "-", line.left or "-") for line in LINES
    )
    columns = ("no.", "asks for", "answer", "from items", "left to say")
    note = (
        "The AutoML Conference's checklist of 2025, each line answered by the items above: yes if all are yes or n/a."
    )
    data = tuple(dict(zip(columns, row, strict=True)) for row in rows)
    return Table("automl-conf", "AutoML Conference checklist", columns, rows, note, data)


def _answer(line: Line, found: Mapping[str, Item]) -> str:
    if not line.items:
        return "-"
    verdicts = {key: found[key].verdict for key in line.items}
    if set(verdicts.values()) == {"n/a"}:
        return "n/a"
    lacking = [key for key, verdict in verdicts.items() if verdict == "no"]
    attested = any(found[key].basis == "attested" for key in line.items)
    return f"no ({', '.join(lacking)})" if lacking else "yes, attested in part" if attested else "yes"
