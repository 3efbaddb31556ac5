"""Define the options of `export`."""

from __future__ import annotations

import argparse
from pathlib import Path

NAME = "export"
HELP = "write a network that a recorded run recommends or trained, as a plain torch module with weights"


def add(entry: argparse.ArgumentParser) -> None:
    """Add the options of `export`."""
    entry.add_argument("run", type=Path, help="a run folder, for instance one below runs/")
    entry.add_argument("--track", help="of the run; needed where the study has several")
    entry.add_argument("--method", help="the row of the run; needed where the study has several")
    entry.add_argument("--variant", default="base", help="the ablation of the run; default: base")
    entry.add_argument("--replicate", type=int, default=0, help="of the run; default: 0")
    entry.add_argument("--arch", help="an architecture that the run trained; default: what it recommends")
    entry.add_argument(
        "--weights",
        choices=["final", "search"],
        default="final",
        help="final: trained from scratch under the final recipe (default); search: as the search left it",
    )
    entry.add_argument("--seed", type=int, help="of the final training; default: the first of the protocol")
    entry.add_argument(
        "--out", type=Path, help="the folder to write; default: exports/<run>, with a short hash of --arch"
    )
