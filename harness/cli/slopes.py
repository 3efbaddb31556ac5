"""Build and verify the curves of sigmoid slopes, which anyone can make again."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from benchmarks.sigmoid.curve import CURVES, PREFIX, build_command, load, shipped, write
from benchmarks.tabular.files import sha256_of
from harness.cli.parser import place_of
from harness.cli.progress import Steps
from harness.cli.tables import console, print_facts, shown
from harness.core.errors import DataCorrupt

NAMES = tuple(f"{PREFIX}{name}" for name in CURVES)


def where(target: Console) -> None:
    """Print where the curves lie."""
    for name in CURVES:
        here = f"{shipped(name)}, SHA-256 {sha256_of(shipped(name))}" if shipped(name).is_file() else "no"
        facts = {"files": "part of this package; trained by it", "here": here, "again": build_command(name)}
        print_facts(target, f"{PREFIX}{name}", facts)


def build(options: argparse.Namespace) -> int:
    """Train what is missing of a curve and write it as CSV."""
    # Torch takes seconds to load: only where networks are trained.
    from benchmarks.training import sigmoid_slope  # noqa: PLC0415

    name, place = options.name.removeprefix(PREFIX), place_of(options)
    folder = (options.out or place.cache / options.name).resolve()
    target = console()
    target.print(f"{options.name}: building in {shown(folder)}; it can be stopped, and goes on there", markup=False)
    with Steps("repeats", Console(stderr=True)) as steps:
        accuracies = sigmoid_slope.build(CURVES[name], name, folder, place, steps)
    path = folder / f"{name}.csv"
    write(path, CURVES[name], accuracies)
    facts = {
        "written": f"{shown(path)}, SHA-256 {sha256_of(path)}",
        "verify": f"python -m harness data verify {options.name} --file {shown(path)}",
        "use": f"benchmark sigmoid-slope with the options curve: {name}, file: {path}",
    }
    print_facts(target, options.name, facts)
    return 0


def verify(options: argparse.Namespace) -> int:
    """Train some slopes of a curve again and compare.

    Raises:
        DataCorrupt: they came out differently.
    """
    from benchmarks.training import sigmoid_slope  # noqa: PLC0415

    curve = load(options.name.removeprefix(PREFIX), options.file)
    found = sigmoid_slope.verify(curve, place_of(options), min(options.cells, curve.definition.slopes), options.seed)
    verdict = (
        f"{len(found.slopes)} slopes of repeat {found.repeat} trained again: {found.differing} of "
        f"{2 * len(found.slopes)} accuracies differ, the furthest by {found.furthest:.2f} points, allowed "
        f"{sigmoid_slope.TOLERANCE}"
    )
    if not found.passed:
        raise DataCorrupt(f"{curve.file}: {verdict}; reinstall the package, or {build_command(curve.name)}")
    path: Path = options.file or shipped(curve.name)
    console().print(f"ok {shown(path)}: {verdict}", markup=False)
    return 0


ACTIONS = {"build": build, "verify": verify}
