"""Answer `check-surrogate`: assess surrogates, print the acceptance table, write the report."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from harness.cli.surrogate_options import TARGETS
from harness.cli.tables import console, print_table, shown
from harness.core.records import Document
from reports.render import write


def check_surrogate(options: argparse.Namespace) -> int:
    """Carry out one assessment; a miss is a result and no error."""
    module, _, function = TARGETS[options.target].partition(":")
    document: Document = getattr(import_module(module), function)(options)
    path = write(document, options.out or Path("runs") / f"check-surrogate-{options.target}")[0].resolve()
    target = console()
    table = document.sections[0].tables[0]
    print_table(target, document.title, table.columns, table.rows, table.note)
    target.print(f"Report: {shown(path)}", markup=False)
    return 0
