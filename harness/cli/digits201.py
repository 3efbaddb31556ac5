"""Build, verify and describe the table digits-201, which anyone can make again."""

from __future__ import annotations

import argparse
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from benchmarks.tabular.digits201 import located, open_packed
from benchmarks.tabular.digits201_file import BUILD, NAME, SHIPPED, load
from benchmarks.tabular.digits201_page import page
from benchmarks.tabular.files import sha256_of
from harness.cli.parser import place_of, workers_of
from harness.cli.progress import Steps
from harness.cli.tables import console, print_facts, shown
from harness.core.errors import DataCorrupt, OutputUnwritable, WorkerDied
from harness.core.interfaces import Place
from reports.render import write

if TYPE_CHECKING:
    from benchmarks.training.digits201 import Definition
    from benchmarks.training.digits201_table import Verification

TABLE = "digits201"
PACKED = "digits201.npz"


def where(place: Place, target: Console) -> None:
    """Print where the table lies."""
    here = f"{SHIPPED}, SHA-256 {sha256_of(SHIPPED)}" if SHIPPED.is_file() else f"no; {BUILD}"
    facts = {
        "files": "part of this package; trained by it",
        "home": "docs/digits201.md",
        "here": here,
        "built": str(_folder(place, None)),
    }
    print_facts(target, TABLE, facts)


def import_(options: argparse.Namespace) -> int:
    """Write the table into the cache, as the first study with it does by itself."""
    table = open_packed(_file(options), place_of(options))
    console().print(f"{NAME}: imported into {shown(table.folder)}", markup=False)
    return 0


def build(options: argparse.Namespace) -> int:
    """Train what is missing of the table, and pack it once it is whole."""
    # Torch takes seconds to load: only where networks are trained.
    from benchmarks.training.digits201 import DIGITS_201  # noqa: PLC0415

    folder = _folder(place_of(options), options.out)
    return build_into(folder, max(1, workers_of(options)), DIGITS_201, console())


def build_into(folder: Path, workers: int, definition: Definition, target: Console) -> int:
    """Train what is missing in a folder with so many processes, and pack the table; a stopped build goes on."""
    from benchmarks.training.digits201 import build as train  # noqa: PLC0415
    from benchmarks.training.digits201_table import pack  # noqa: PLC0415

    again = f"{BUILD} --out {shown(folder)}"
    target.print(f"{NAME}: building in {shown(folder)}; it can be stopped, and goes on with: {again}", markup=False)
    try:
        with Steps("bundles", Console(stderr=True)) as steps:
            train(folder / "bundles", workers=workers, progress=steps, definition=definition)
        path = pack(folder / "bundles", folder / PACKED, definition=definition)
    except BrokenProcessPool as error:
        raise WorkerDied(
            f"{folder}: a training process ended (out of memory?); what is built is kept: go on with fewer processes: "
            f"{again} --workers 1"
        ) from error
    except OSError as error:
        raise OutputUnwritable(f"{folder}: cannot be written ({error}); free some space and go on: {again}") from error
    except KeyboardInterrupt:
        target.print(f"stopped; go on with: {again}", markup=False)
        raise
    _print_packed(path, target)
    return 0


def _print_packed(path: Path, target: Console) -> None:
    table = load(path)
    classes, seeds, epochs = table.valid.shape
    facts = {
        "packed": f"{shown(path)}, {path.stat().st_size / 1e6:.2f} MB, SHA-256 {sha256_of(path)}",
        "holds": f"{classes:,} classes, {seeds} seeds, {epochs} epochs",
        "verify": f"python -m harness data verify {TABLE} --file {shown(path)}",
        "describe": f"python -m harness data describe {TABLE} --file {shown(path)} --out FOLDER",
        "use": f"benchmark {TABLE} with the option file: {path}; to ship it, copy it to {shown(SHIPPED)}",
    }
    print_facts(target, NAME, facts)


def verify(options: argparse.Namespace) -> int:
    """Train some bundles of the table again and compare."""
    from benchmarks.training.digits201 import DIGITS_201  # noqa: PLC0415

    return verify_file(_file(options), options.cells, options.seed, DIGITS_201, console())


def verify_file(path: Path, cells: int, seed: int, definition: Definition, target: Console) -> int:
    """Train whole bundles with at least so many networks again and compare.

    Raises:
        DataCorrupt: they came out differently.
    """
    from benchmarks.training.digits201_table import verify as retrain  # noqa: PLC0415

    with Steps("bundles", Console(stderr=True)) as steps:
        found = retrain(path, cells=cells, seed=seed, progress=steps, definition=definition)
    verdict = _verdict(found)
    if not found.passed:
        raise DataCorrupt(f"{path}: {verdict}; reinstall the package, or build the table again: {BUILD}")
    target.print(f"ok {shown(path)}: {verdict}", markup=False)
    return 0


def _verdict(found: Verification) -> str:
    numbers = ", ".join(map(str, found.bundles))
    trained = f"{found.networks} networks trained again (whole bundles: {numbers})"
    if found.mode == "bitwise":
        return f"{trained}, compared bit for bit: {found.differing} differ"
    return (
        f"{trained}, compared within a tolerance, since {', '.join(found.foreign)} differ from the table's: validation "
        f"accuracies {found.mean_difference:.2f} points apart on average, allowed {found.tolerance:g}"
    )


def describe(options: argparse.Namespace) -> int:
    """Write the statistics of the space with tables and figures."""
    path = _file(options)
    files = write(page(load(path), sha256_of(path)), options.out or Path("runs") / f"{NAME}-space")
    console().print(f"{NAME}: {shown(files[0].resolve())}", markup=False)
    return 0


def _file(options: argparse.Namespace) -> Path:
    return located(str(options.file or ""), place_of(options))


def _folder(place: Place, out: Path | None) -> Path:
    return (out or place.cache / TABLE).resolve()


ACTIONS = {"import": import_, "build": build, "verify": verify, "describe": describe}
