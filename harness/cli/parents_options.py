"""Define the options of `check-parents`."""

from __future__ import annotations

import argparse
from pathlib import Path

NAME = "check-parents"
HELP = "train the parents of a record on without candidates; say how far from convergence each row's were"


def add(entry: argparse.ArgumentParser) -> None:
    """Add the options of `check-parents`."""
    entry.add_argument("run", type=Path, help="a run folder, for instance one below runs/")
    entry.add_argument(
        "--epochs", type=int, required=True,
        help="further epochs of each parent, as many as it was trained for or more: their learning rate begins anew",
    )  # fmt: skip
    entry.add_argument("--replicates", type=int, default=1, help="look at the first so many of each row; default: 1")
