"""Define the options of the commands that hold a record to account."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

HELP = {
    "verify": "check a run folder or an archive, offline, against every rule of a sound record",
    "replay": "execute a random sample of the runs again and compare the journals byte for byte",
    "repeat": "run the same protocol with other seeds and test whether the results are equivalent",
    "bundle": "pack records, report, environments and code into one RO-Crate archive",
}


def _verify(entry: argparse.ArgumentParser) -> None:
    entry.add_argument("run", type=Path, help="a run folder, or an archive that `bundle` has made")
    entry.add_argument("--json", action="store_true", help="print rules and findings as JSON")
    data = "also compute the facts of every benchmark anew from the tables and data sets in this folder"
    entry.add_argument("--data-dir", type=Path, help=data)
    entry.add_argument("--cache-dir", type=Path, help="imported tables; default: NAS_CACHE_DIR or the user's cache")
    entry.set_defaults(device="cpu", threads=1)  # no training: facts of data sets are the same on every device


def _replay(entry: argparse.ArgumentParser) -> None:
    entry.add_argument("run", type=Path, help="a run folder")
    entry.add_argument("--sample", type=int, default=3, metavar="N", help="how many runs; default: 3")
    entry.add_argument("--seed", type=int, default=0, help="of the draw; default: 0")


def _repeat(entry: argparse.ArgumentParser) -> None:
    entry.add_argument("run", type=Path, help="a run folder")
    entry.add_argument("--seeds", required=True, metavar="A:B", help="one replicate per seed from A up to B, without B")
    entry.add_argument("--out", type=Path, help="the new run folder; default: beside the original")


def _bundle(entry: argparse.ArgumentParser) -> None:
    entry.add_argument("run", type=Path, help="a run folder")
    entry.add_argument("--out", type=Path, metavar="FILE.zip", help="default: the run folder's name with .zip")
    entry.add_argument("--allow-findings", action="store_true", help="pack a record although `verify` finds faults")


ADD: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "verify": _verify,
    "replay": _replay,
    "repeat": _repeat,
    "bundle": _bundle,
}
