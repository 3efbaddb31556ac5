"""Define the command line and turn its options into what the engine takes."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from harness.cli import audit_options, engine_options, export_options, parents_options, surrogate_options
from harness.core.errors import UsageError
from harness.core.interfaces import Place
from harness.environment import hardware


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        handler: 'module:function', imported when the command is called; it takes the options, returns an exit code.
        help: one line.
        machine: whether it takes the options of this machine (data folder, workers, device).
    """

    handler: str
    help: str
    machine: bool = False


COMMANDS = {
    "run": Command(
        "harness.cli.study:run",
        "run a protocol (a packaged name or a file), or go on where it stopped; then report",
        True,
    ),
    "resume": Command("harness.cli.study:resume", "go on with the study in a run folder", True),
    "status": Command("harness.cli.study:status", "say what of a study is done"),
    "check": Command(
        "harness.cli.check:check",
        "validate a protocol; show the plan, what is missing, and what it will take on this machine",
        True,
    ),
    "report": Command("harness.cli.study:report", "make the report of a study again from its records"),
    "checklist": Command(
        "harness.cli.checklist:checklist", "answer the checklist of Lindauer and Hutter from the records of a study"
    ),
    "verify": Command("harness.cli.audit:verify_record", audit_options.HELP["verify"]),
    "replay": Command("harness.cli.audit:replay_runs", audit_options.HELP["replay"], True),
    "repeat": Command("harness.cli.audit:repeat_study", audit_options.HELP["repeat"], True),
    "bundle": Command("harness.cli.audit:bundle_study", audit_options.HELP["bundle"]),
    "list": Command("harness.cli.listing:list_names", "the methods, benchmarks and protocols, one line each"),
    "data": Command(
        "harness.cli.data:data",
        "where tables and data sets are; import, verify or build one; describe digits201",
        True,
    ),
    engine_options.NAME: Command("harness.cli.engines:check_engine", engine_options.HELP, True),
    surrogate_options.NAME: Command("harness.cli.surrogates:check_surrogate", surrogate_options.HELP, True),
    parents_options.NAME: Command("harness.cli.parents:check_parents", parents_options.HELP, True),
    export_options.NAME: Command("harness.cli.export:export_model", export_options.HELP, True),
    "schema": Command("harness.cli.listing:schema", "print the JSON Schema of protocols, for editors"),
}

EPILOG = """exit codes: 0 done; 1 an error with its next step; 2 wrong command line; 3 mistakes in a protocol; 4 data
missing or damaged; 5 the run folder cannot be used; 6 a run took another course on resume; 7 work that a benchmark does
not offer; 8 workers died; 9 a method or benchmark broke the rules; 10 a record breaks its rules or came out differently
on replay; 70 a fault in the harness; 130 stopped by Ctrl-C"""


def parser() -> argparse.ArgumentParser:
    """Return the parser; the options that it returns name the command's `handler`."""
    top = argparse.ArgumentParser(
        prog="python -m harness",
        description="Run sound studies of neural architecture search.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    entries = top.add_subparsers(metavar="COMMAND", required=True)
    common, machine = _common(), _machine()
    for name, command in COMMANDS.items():
        parents = [common, machine] if command.machine else [common]
        entry = entries.add_parser(name, parents=parents, help=command.help, description=command.help)
        entry.set_defaults(handler=command.handler)
        _ADD.get(name, _nothing)(entry)
    return top


def _nothing(_entry: argparse.ArgumentParser) -> None:
    pass


def _protocol(entry: argparse.ArgumentParser) -> None:
    entry.add_argument("protocol", help="a packaged name such as quickstart, or a YAML or JSON file")


def _run(entry: argparse.ArgumentParser) -> None:
    _protocol(entry)
    entry.add_argument("--out", type=Path, help="the run folder; default: runs/<protocol>@<version>-<hash>")


def _folder(entry: argparse.ArgumentParser) -> None:
    entry.add_argument("run", type=Path, help="a run folder, for instance one below runs/")


def _report(entry: argparse.ArgumentParser) -> None:
    entry.add_argument("run", type=Path, nargs="?", help="a run folder, for instance one below runs/")
    entry.add_argument("--check", action="store_true", help="only compare the report on disk with the records")
    entry.add_argument("--workers", type=int, help="processes that read many runs; 0: none; default: one per core")
    entry.add_argument(
        "--compare", type=Path, nargs=2, metavar="RUN", help="set two studies of the same benchmark side by side"
    )
    entry.add_argument("--out", type=Path, help="the folder of a comparison; default: comparisons/<first>--<second>")


def _kind(entry: argparse.ArgumentParser) -> None:
    entry.add_argument("kind", nargs="?", choices=["methods", "benchmarks", "protocols"])


def _data(entry: argparse.ArgumentParser) -> None:
    entry.add_argument("action", choices=["where", "import", "verify", "build", "describe"])
    entry.add_argument("name", nargs="?", help="a table or data set, or the manifest of your own table")
    entry.add_argument("--out", type=Path, help="digits201: where to build or describe it; default: the cache, runs/")
    entry.add_argument("--file", type=Path, help="digits201: the packed table; default: the one of this package")
    entry.add_argument("--cells", type=int, default=20, help="digits201: verify at least so many networks; default: 20")
    entry.add_argument("--seed", type=int, default=1, help="digits201: of the choice what to verify; default: 1")


_ADD = {
    "run": _run,
    "resume": _folder,
    "status": _folder,
    "report": _report,
    "checklist": _folder,
    "check": _protocol,
    **audit_options.ADD,
    "list": _kind,
    "data": _data,
    engine_options.NAME: engine_options.add,
    export_options.NAME: export_options.add,
    parents_options.NAME: parents_options.add,
    surrogate_options.NAME: surrogate_options.add,
}


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "-v", "--verbose", action="count", default=0, help="a structured log on stderr; -vv: each trial"
    )
    return common


def _machine() -> argparse.ArgumentParser:
    machine = argparse.ArgumentParser(add_help=False)
    machine.add_argument("--data-dir", type=Path, help="tables and data sets; default: NAS_DATA_DIR")
    machine.add_argument("--cache-dir", type=Path, help="imported tables; default: NAS_CACHE_DIR or the user's cache")
    machine.add_argument("--workers", type=int, help="worker processes; 0: none; default: one per core")
    machine.add_argument("--threads", type=int, default=1, help="threads per run; default: 1")
    machine.add_argument("--device", help="cpu, cuda or cuda:N; default: cuda where there is one")
    machine.add_argument("--allow-slow", action="store_true", help="run tracks that need a GPU on the CPU")
    machine.add_argument("--allow-drift", action="store_true", help="go on after code, versions or hardware changed")
    return machine


def place_of(options: argparse.Namespace) -> Place:
    """Return where this machine keeps things, from the options and the environment.

    Raises:
        UsageError: --data-dir is no folder, or --threads is below 1.
    """
    data = options.data_dir or (Path(os.environ["NAS_DATA_DIR"]) if os.environ.get("NAS_DATA_DIR") else None)
    if data is not None and not data.is_dir():
        raise UsageError(f"--data-dir: {data} is not a folder; name the folder that holds the tables and data sets")
    cache = options.cache_dir or Path(os.environ.get("NAS_CACHE_DIR") or platformdirs.user_cache_dir("nas-harness"))
    if options.threads < 1:
        raise UsageError(f"--threads: {options.threads} is not allowed; give 1 or more")
    return Place(data and data.resolve(), cache.resolve(), options.device or _device(), options.threads)


def _device() -> str:
    return "cuda" if hardware.gpus() else "cpu"


def workers_of(options: argparse.Namespace) -> int:
    """Return the number of worker processes: one per core that this process may use, unless told otherwise.

    Raises:
        UsageError: --workers is negative.
    """
    if options.workers is None:
        return len(os.sched_getaffinity(0))
    if options.workers < 0:
        raise UsageError(f"--workers: {options.workers} is not allowed; give 0 (no worker processes) or more")
    return int(options.workers)
