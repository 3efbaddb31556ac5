"""Define the options of `check-surrogate`."""

from __future__ import annotations

import argparse
from pathlib import Path

NAME = "check-surrogate"
HELP = "hold surrogates to what they should show: required and measured side by side, misses as misses"

TARGETS = {
    "sigmoid": "harness.cli.surrogate_sigmoid:assess",
    "cells": "harness.cli.surrogate_cells:assess",
}
"""What is assessed, and who does it: takes the options, returns a `Document`."""


def add(entry: argparse.ArgumentParser) -> None:
    """Add the options of `check-surrogate`."""
    entry.add_argument(
        "target", choices=list(TARGETS), help="sigmoid: slopes of a sigmoid network; cells: NAS-Bench-201"
    )
    entry.add_argument("--reduced", action="store_true", help="a small version of the same, in under a minute")
    entry.add_argument("--seed", type=int, default=1, help="of everything that is drawn; default: 1")
    entry.add_argument("--out", type=Path, help="the folder of the report; default: runs/check-surrogate-TARGET")
    _add_cells(entry)


def _add_cells(entry: argparse.ArgumentParser) -> None:
    entry.add_argument(
        "--dataset", default="cifar10", choices=["cifar10", "cifar100"],
        help="cells: whose validation accuracy; default: cifar10",
    )  # fmt: skip
    entry.add_argument(
        "--train", type=int, action="append", metavar="CELLS", help="cells: known cells; default: 10 20 50 100 200"
    )
    entry.add_argument("--seeds", type=int, help="cells: draws of cells; default: 5")
    entry.add_argument(
        "--surrogate", action="append", metavar="NAME", help="cells: only these surrogates; default: all of them"
    )
    entry.add_argument("--rounds", type=int, help="cells: rounds of each search, 0 for no search; default: 4")
