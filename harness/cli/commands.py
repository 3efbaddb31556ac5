"""Carry out the commands: each takes the parsed options and returns an exit code."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from harness import checkup
from harness.campaign import Settings, conduct, survey
from harness.cli.parser import Command, place_of, workers_of
from harness.cli.progress import Display
from harness.core.errors import StoreError, UsageError
from harness.core.records import Document
from harness.core.registry import load, registry
from harness.core.schema import ProtocolModel
from harness.plan import CATALOGUE, expand
from harness.protocol import Loaded, packaged, schema_text, title
from harness.protocol import load as load_protocol
from harness.store import Study, folder_name
from reports.render import changed, final_tables, write

RUNS = Path("runs")
MINUTE = 60
HOUR = 3600


def _console() -> Console:
    return Console(soft_wrap=True, highlight=False)


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(place_of(options), workers_of(options), options.allow_slow, options.allow_drift)


def _run(options: argparse.Namespace) -> int:
    loaded = load_protocol(options.protocol, CATALOGUE)
    folder = options.out or RUNS / folder_name(loaded.resolved, loaded.hash)
    return _conduct(loaded, Study(folder.resolve()), options)


def _resume(options: argparse.Namespace) -> int:
    study = Study(options.run.resolve())
    study.protocol()
    return _conduct(load_protocol(str(study.folder / "protocol.json"), CATALOGUE), study, options)


def _conduct(loaded: Loaded, study: Study, options: argparse.Namespace) -> int:
    console = _console()
    console.print(f"{loaded.resolved['protocol']} {loaded.resolved['version']}, protocol hash {loaded.hash[:12]}")
    console.print(f"run folder: {_shown(study.folder)}", markup=False)
    try:
        with Display(Console(stderr=True)) as display:
            conduct(loaded.model, loaded.resolved, study, _settings(options), display)
    except KeyboardInterrupt:
        console.print(f"stopped; go on with: python -m harness resume {_shown(study.folder)}", markup=False)
        raise
    return _make_report(study, loaded.model, console)


def _shown(folder: Path) -> str:
    return str(folder.relative_to(Path.cwd())) if folder.is_relative_to(Path.cwd()) else str(folder)


def _study(options: argparse.Namespace) -> tuple[Study, ProtocolModel]:
    study = Study(options.run.resolve())
    study.protocol()
    return study, load_protocol(str(study.folder / "protocol.json"), CATALOGUE).model


def _report(options: argparse.Namespace) -> int:
    study, protocol = _study(options)
    return _check_report(study, protocol) if options.check else _make_report(study, protocol, _console())


def _make_report(study: Study, protocol: ProtocolModel, console: Console) -> int:
    for document, folder in _documents(study, protocol):
        for table in final_tables(document):
            _print_table(console, table.title, table.columns, table.rows, table.note)
        console.print(f"report: {_shown(write(document, folder)[0])}", markup=False)
    return 0


def _check_report(study: Study, protocol: ProtocolModel) -> int:
    for document, folder in _documents(study, protocol):
        differing = changed(document, folder)
        if differing:
            raise StoreError(
                f"{folder}: {', '.join(differing)} differ from what the records give; make the report again with "
                f"`report {_shown(study.folder)}`"
            )
        _console().print(f"{_shown(folder)}: every file is what the records give, byte for byte", markup=False)
    return 0


def _documents(study: Study, protocol: ProtocolModel) -> Iterator[tuple[Document, Path]]:
    """Yield each report of the protocol with its folder; the first stands in report/ itself."""
    for position, name in enumerate(protocol.reports):
        folder = study.folder / "report"
        yield load("reports", name)(study.record(expand(protocol))), folder / name if position else folder


def _print_table(
    console: Console, heading: str, columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...], note: str = ""
) -> None:
    table = Table(title=heading, caption=note or None, title_justify="left", caption_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table, markup=False)


def _status(options: argparse.Namespace) -> int:
    study, protocol = _study(options)
    counts: dict[tuple[str, str, str], Counter[str]] = {}
    for spec in expand(protocol):
        counts.setdefault((spec.track, spec.method, spec.variant), Counter())[study.status(spec)] += 1
    states = ("done", "partial", "skipped", "missing")
    rows = tuple((*key, *(str(count[state]) for state in states)) for key, count in counts.items())
    console = _console()
    _print_table(console, f"{study.folder.name}", ("track", "method", "variant", *states), rows)
    if any(count["partial"] + count["missing"] for count in counts.values()):
        console.print(f"go on with: python -m harness resume {_shown(study.folder)}", markup=False)
    return 0


def _check(options: argparse.Namespace) -> int:
    loaded = load_protocol(options.protocol, CATALOGUE)
    settings = _settings(options)
    benchmarks = survey(loaded.model, settings)
    console = _console()
    console.print(
        f"{loaded.resolved['protocol']} {loaded.resolved['version']}: valid, hash {loaded.hash}", markup=False
    )
    rows = tuple(
        (row.track, row.method, row.variant, str(row.runs), row.obstacle or "can run")
        for row in checkup.rows(loaded.model, benchmarks)
    )
    _print_table(console, "plan", ("track", "method", "variant", "runs", "on this machine"), rows)
    _print_capabilities(console, benchmarks)
    forecast = tuple(
        (row.track, _duration(row.seconds), f"{row.memory / 2**30:.1f} GiB", row.basis)
        for row in checkup.forecasts(loaded.model, benchmarks, settings.workers)
    )
    heading = f"estimate with {settings.workers} worker processes"
    _print_table(console, heading, ("track", "time", "memory", "basis"), forecast)
    return 0


def _print_capabilities(console: Console, benchmarks: Mapping[str, Any]) -> None:
    rows = tuple(
        (key, answer, "", "")
        if isinstance(answer, str)
        else (
            key,
            ", ".join(sorted(answer.offers)),
            ", ".join(str(epochs) for epochs in answer.fidelities),
            "; ".join(f"{name}: {why}" for name, why in answer.metrics.unavailable.items()),
        )
        for key, answer in benchmarks.items()
    )
    _print_table(console, "benchmarks", ("track", "offers", "epochs", "not available"), rows)


def _duration(seconds: float) -> str:
    if seconds < 2 * MINUTE:
        return f"{max(seconds, 0.1):.1f} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < 2 * HOUR else f"{seconds / HOUR:.1f} h"


def _list(options: argparse.Namespace) -> int:
    console = _console()
    for kind in [options.kind] if options.kind else ["methods", "benchmarks", "protocols"]:
        if kind == "protocols":
            rows = tuple((name, title(name)) for name in packaged())
        else:
            rows = tuple((name, _first_line(load(kind, name))) for name in registry(kind))
        _print_table(console, kind, ("name", "what it is"), rows)
    return 0


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").strip().split("\n", 1)[0]


def _data(options: argparse.Namespace) -> int:
    catalogue = load("benchmarks", "nb201")
    raise UsageError(f"data {options.action} {options.name}: {catalogue}")


def _schema(_options: argparse.Namespace) -> int:
    sys.stdout.write(schema_text())
    return 0


COMMANDS: dict[str, Command] = {
    "run": _run,
    "resume": _resume,
    "status": _status,
    "check": _check,
    "report": _report,
    "list": _list,
    "data": _data,
    "schema": _schema,
}
