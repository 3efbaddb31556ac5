"""Answer the command line; the only part of the harness that prints."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from harness.core.canonical import canonical_json
from harness.core.errors import HarnessError, UsageError

INTERRUPTED = 130
FAULT = 70


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    errors = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        _refuse_intruders()
        return _carry_out(arguments)
    except HarnessError as error:
        errors.print(f"error: {error}", markup=False)
        return error.exit_code
    except KeyboardInterrupt:
        errors.print("stopped; nothing that was recorded is lost", markup=False)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`... | head`): not our fault, and nothing more to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - a fault of ours: say so, keep the details for the report of it
        errors.print(f"fault in the harness: {error!r}; please report it with what follows", markup=False)
        errors.print(traceback.format_exc(), markup=False)
        return FAULT


def _carry_out(arguments: Sequence[str] | None) -> int:
    # Imported late: an intruder is named before an import of it fails, and a command loads only what it needs.
    options = import_module("harness.cli.parser").parser().parse_args(arguments)
    _log(options.verbose)
    module, _, function = options.handler.partition(":")
    return int(getattr(import_module(module), function)(options))


def _log(verbose: int) -> None:
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, stream=sys.stderr, format="%(message)s", force=True)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_JsonLines())


class _JsonLines(logging.Formatter):
    """One JSON object per line: time, level, logger, event, facts."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        return canonical_json(entry)


def _refuse_intruders() -> None:
    """Refuse to run where another distribution's package of the same name would be imported instead of ours."""
    homes = {}
    for name in ("harness", "methods", "benchmarks", "reports", "protocols"):
        spec = find_spec(name)
        homes[name] = Path(spec.origin).parent.parent if spec and spec.origin else None
    intruders = {name: home for name, home in homes.items() if home != homes["harness"]}
    if intruders:
        name, home = next(iter(intruders.items()))
        raise UsageError(
            f"the package {name!r} comes from {home}, not from {homes['harness']} where the harness is: another "
            "distribution ships the same name; install the harness into a virtual environment of its own"
        )
