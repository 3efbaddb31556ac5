"""Define the options of `check-engine`."""

from __future__ import annotations

import argparse
from pathlib import Path

NAME = "check-engine"
HELP = "train the same random cells with an engine and with the reference; say whether they agree"


def add(entry: argparse.ArgumentParser) -> None:
    """Add the options of `check-engine`."""
    entry.add_argument("--engine", required=True, help="an engine, for instance fused")
    entry.add_argument("--dataset", default="digits", help="digits or cifar10; default: digits")
    entry.add_argument("--cells", type=int, default=100, help="random cells; default: 100")
    entry.add_argument("--seeds", type=int, default=3, help="seeds of each cell, 2 or more; default: 3")
    entry.add_argument("--epochs", type=int, default=12, help="length of the schedule; default: 12")
    entry.add_argument("--seed", type=int, default=1, help="of the choice of cells; default: 1")
    entry.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="an option of nb201-training: channels=4, say"
    )
    entry.add_argument("--out", type=Path, help="the folder of the report; default: runs/check-ENGINE-DATASET")
