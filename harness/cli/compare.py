"""Set two studies side by side: print the differences, and write them as Markdown, HTML, LaTeX and CSV."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.cli.parser import workers_of
from harness.cli.tables import console, print_table, shown
from harness.core.errors import UsageError
from harness.core.records import StudyRecord
from harness.gathering import gathered
from harness.plan import CATALOGUE, expand
from harness.protocol import load
from harness.store import Study
from reports.compare import build
from reports.render import COMPARISON, write

_SHOWN = ("track", "method", "metric", "n", "difference", "95 % interval", "verdict")


def check_options(options: argparse.Namespace) -> None:
    """Refuse a command line of `report` that asks for nothing, or for two things at once.

    Raises:
        UsageError: see above.
    """
    if options.compare is None and options.run is None:
        raise UsageError("report: no run folder is named; give one, or two with --compare")
    if options.compare is not None and (options.run is not None or options.check):
        raise UsageError("report: --compare takes its two run folders and goes neither with a third nor with --check")
    if options.out is not None and options.compare is None:
        raise UsageError("report: --out is for --compare; the report of one study stands in its own folder")


def compare(options: argparse.Namespace) -> int:
    """Compare two run folders; the comparison stands in --out, or in a folder below comparisons/."""
    folders = [folder.resolve() for folder in options.compare]
    names = _names(folders)
    first, second = (_record(folder, workers_of(options)) for folder in folders)
    document = build(first, second, names)
    out: Path = options.out or Path("comparisons") / f"{names[0]}--{names[1]}"
    target = console()
    for section in document.sections[:2]:
        target.print(section.text, markup=False)
        for table in section.tables:
            kept = [table.columns.index(column) for column in _SHOWN]
            rows = [tuple(row[place] for place in kept) for row in table.rows]
            print_table(target, f"{table.title}: {names[1]} minus {names[0]}", _SHOWN, rows)
    target.print(f"{COMPARISON}: {shown(write(document, out.resolve())[0])}", markup=False)
    return 0


def _record(folder: Path, workers: int) -> StudyRecord:
    study = Study(folder)
    study.protocol()
    protocol = load(str(folder / "protocol.json"), CATALOGUE).model
    return gathered(study, expand(protocol, study.choices()), workers)


def _names(folders: list[Path]) -> tuple[str, str]:
    """Return what the studies are called: their folders, and where these are called the same, their order too."""
    first, second = (folder.name for folder in folders)
    return (first, second) if first != second else (f"{first} (first)", f"{second} (second)")
