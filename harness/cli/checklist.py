"""Answer the checklist of a study, print it, and write it beside the report."""

from __future__ import annotations

import argparse

from rich.console import Console

from harness.cli.tables import console, print_table, shown
from harness.core.records import Document
from harness.core.registry import load
from harness.plan import CATALOGUE, expand
from harness.protocol import load as load_protocol
from harness.store import Study
from reports.render import write

NAME = "checklist"


def checklist(options: argparse.Namespace) -> int:
    """Make the checklist of a study, print it, and write it into the report's folder."""
    study = Study(options.run.resolve())
    study.protocol()
    protocol = load_protocol(str(study.folder / "protocol.json"), CATALOGUE).model
    document: Document = load("reports", NAME)(study.record(expand(protocol, study.choices())))
    target = console()
    show(document, target)
    first = protocol.reports[0] if protocol.reports else ""
    folder = study.folder / "report" if first == NAME else study.folder / "report" / NAME
    target.print(f"report: {shown(write(document, folder)[0])}", markup=False)
    return 0


def show(document: Document, target: Console) -> None:
    """Print the badge line, the sixteen cells, and what was found for every item."""
    lead, *_ = document.sections
    for line in lead.text.split("\n\n")[:3]:
        target.print(line.strip("*"), markup=False)
    for section in document.sections[:2]:
        for table in section.tables:
            rows = [(row[0], row[2], *row[4:]) for row in table.rows]
            print_table(target, table.title, ("item", "verdict", "what was found", "remedy"), rows)
