"""Answer `list` and `schema`: what there is, and what a protocol may say."""

from __future__ import annotations

import argparse
import sys

from harness.cli.tables import console, print_table
from harness.core.registry import load, registry
from harness.protocol import packaged, schema_text, title


def list_names(options: argparse.Namespace) -> int:
    """List the methods, benchmarks and protocols with a line each."""
    target = console()
    for kind in [options.kind] if options.kind else ["methods", "benchmarks", "protocols"]:
        if kind == "protocols":
            rows = tuple((name, title(name)) for name in packaged())
        else:
            rows = tuple((name, _first_line(load(kind, name))) for name in registry(kind))
        print_table(target, kind, ("name", "what it is"), rows)
    return 0


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").strip().split("\n", 1)[0]


def schema(_options: argparse.Namespace) -> int:
    """Print the JSON Schema of protocols."""
    sys.stdout.write(schema_text())
    return 0
