"""Answer `run`, `resume`, `status` and `report`: conduct a study, and say what came of it."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from harness.campaign import Settings, conduct
from harness.cli.checklist import NAME as CHECKLIST
from harness.cli.checklist import show
from harness.cli.compare import check_options, compare
from harness.cli.parser import place_of, workers_of
from harness.cli.progress import Display
from harness.cli.tables import console, long_form, print_table, shown
from harness.core.errors import StoreError
from harness.core.records import Document
from harness.core.registry import load
from harness.core.schema import ProtocolModel
from harness.gathering import gathered
from harness.plan import CATALOGUE, expand
from harness.protocol import Loaded
from harness.protocol import load as load_protocol
from harness.store import Study, folder_name
from harness.tuning import all_tuning_runs
from reports.render import changed, final_tables, write

RUNS = Path("runs")


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(place_of(options), workers_of(options), options.allow_slow, options.allow_drift)


def run(options: argparse.Namespace) -> int:
    """Run a protocol in its folder, or go on with it where it stopped; then report."""
    loaded = load_protocol(options.protocol, CATALOGUE)
    folder = options.out or RUNS / folder_name(loaded.resolved, loaded.hash)
    return _conduct(loaded, Study(folder.resolve()), options)


def resume(options: argparse.Namespace) -> int:
    """Go on with the study in a run folder; then report."""
    study = Study(options.run.resolve())
    study.protocol()
    return _conduct(load_protocol(str(study.folder / "protocol.json"), CATALOGUE), study, options)


def _conduct(loaded: Loaded, study: Study, options: argparse.Namespace) -> int:
    target = console()
    target.print(f"{loaded.resolved['protocol']} {loaded.resolved['version']}, protocol hash {loaded.hash[:12]}")
    target.print(f"run folder: {shown(study.folder)}", markup=False)
    try:
        with Display(Console(stderr=True)) as display:
            conduct(loaded.model, loaded.resolved, study, _settings(options), display)
    except KeyboardInterrupt:
        target.print(f"stopped; go on with: python -m harness resume {shown(study.folder)}", markup=False)
        raise
    return _make_report(study, loaded.model, target, workers_of(options))


def _study(options: argparse.Namespace) -> tuple[Study, ProtocolModel]:
    study = Study(options.run.resolve())
    study.protocol()
    return study, load_protocol(str(study.folder / "protocol.json"), CATALOGUE).model


def report(options: argparse.Namespace) -> int:
    """Make the reports of a study again, compare them with the records, or compare two studies."""
    check_options(options)
    if options.compare:
        return compare(options)
    study, protocol = _study(options)
    workers = workers_of(options)
    if options.check:
        return _check_report(study, protocol, workers)
    return _make_report(study, protocol, console(), workers)


def _make_report(study: Study, protocol: ProtocolModel, target: Console, workers: int) -> int:
    for document, folder in _documents(study, protocol, workers):
        if document.name == CHECKLIST:
            show(document, target)
        for table in final_tables(document):
            columns, rows = long_form(table.columns, table.rows, fixed=2)
            print_table(target, table.title, columns, rows)
        target.print(f"report: {shown(write(document, folder)[0])}", markup=False)
    return 0


def _check_report(study: Study, protocol: ProtocolModel, workers: int) -> int:
    for document, folder in _documents(study, protocol, workers):
        differing = changed(document, folder)
        if differing:
            raise StoreError(
                f"{folder}: {', '.join(differing)} differ from what the records give; make the report again with "
                f"`report {shown(study.folder)}`"
            )
        console().print(f"{shown(folder)}: every file is what the records give, byte for byte", markup=False)
    return 0


def _documents(study: Study, protocol: ProtocolModel, workers: int) -> Iterator[tuple[Document, Path]]:
    """Yield each report of the protocol with its folder; the first stands in report/ itself."""
    for position, name in enumerate(protocol.reports):
        folder = study.folder / "report"
        yield (
            load("reports", name)(gathered(study, expand(protocol, study.choices()), workers)),
            folder / name if position else folder,
        )


def status(options: argparse.Namespace) -> int:
    """Say how many runs of each row are done, partial, skipped or missing."""
    study, protocol = _study(options)
    counts: dict[tuple[str, str, str], Counter[str]] = {}
    for spec in (*all_tuning_runs(protocol), *expand(protocol, study.choices())):
        counts.setdefault((spec.track, spec.method, spec.variant), Counter())[study.status(spec)] += 1
    states = ("done", "partial", "skipped", "missing")
    rows = tuple((*key, *(str(count[state]) for state in states)) for key, count in counts.items())
    target = console()
    print_table(target, f"{study.folder.name}", ("track", "method", "variant", *states), rows)
    if any(count["partial"] + count["missing"] for count in counts.values()):
        target.print(f"go on with: python -m harness resume {shown(study.folder)}", markup=False)
    return 0
