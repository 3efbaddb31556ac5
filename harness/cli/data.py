"""Answer `data where`, and `data import`, `verify`, `build` and `describe` for tables and data sets."""

from __future__ import annotations

import argparse

from benchmarks.tabular.commands import import_table
from benchmarks.tabular.commands import verify as verify_table
from benchmarks.tabular.commands import where as where_tables
from benchmarks.training import cifar
from harness.cli import digits201, slopes
from harness.cli.parser import place_of
from harness.cli.tables import console, print_facts, shown
from harness.core.errors import DataCorrupt, UsageError, nearest
from harness.core.interfaces import Place

CIFAR10 = "cifar10"


def data(options: argparse.Namespace) -> int:
    """Carry out one data command."""
    place = place_of(options)
    if options.action == "where":
        return _where(place)
    if options.name is None:
        tables = dict.fromkeys(entry.table for entry in where_tables(place))
        names = ", ".join([*tables, digits201.TABLE, *slopes.NAMES, CIFAR10])
        raise UsageError(
            f"data {options.action}: name a table or data set ({names}), or the manifest of your own table"
        )
    if options.name == digits201.TABLE:
        return digits201.ACTIONS[options.action](options)
    if options.name in slopes.NAMES and options.action in slopes.ACTIONS:
        return slopes.ACTIONS[options.action](options)
    if options.action not in ("import", "verify") or options.name in slopes.NAMES:
        built = [digits201.TABLE, *slopes.NAMES]
        raise UsageError(
            f"data {options.action}: no {options.name!r}{nearest(options.name, built)}; tables that are built and "
            f"verified here are {', '.join(built)}; {digits201.TABLE} can be imported and described too"
        )
    return _import(options.name, place) if options.action == "import" else _verify(options.name, place)


def _where(place: Place) -> int:
    target = console()
    target.print(f"data folder: {place.data or 'none (--data-dir or NAS_DATA_DIR)'}", markup=False)
    target.print(f"cache: {place.cache}", markup=False)
    for entry in where_tables(place):
        facts = {
            "files": f"{', '.join(entry.files)}; {entry.size}; {entry.licence}",
            "home": entry.home,
            "here": str(entry.found or "no"),
            "imported": str(entry.imported or f"no; python -m harness data import {entry.table} --data-dir DIR"),
        }
        print_facts(target, f"{entry.table} ({entry.form})", facts)
    digits201.where(place, target)
    slopes.where(target)
    folder = cifar.locate(place)
    print_facts(target, CIFAR10, {"files": "163 MB", "home": cifar.HOME, "here": str(folder or f"no; {cifar.IMPORT}")})
    print_facts(target, "digits", {"files": "part of scikit-learn", "here": "yes"})
    return 0


def _import(name: str, place: Place) -> int:
    if name == CIFAR10:
        folder = cifar.locate(place) or cifar.download(place.data or place.cache)
        count = cifar.verify(place)
        console().print(f"{name}: {count} images in {shown(folder)}, each file as published", markup=False)
        return 0
    console().print(f"{name}: imported into {shown(import_table(name, place))}", markup=False)
    return 0


def _verify(name: str, place: Place) -> int:
    if name == CIFAR10:
        console().print(f"{name}: {cifar.verify(place)} images, each file as published", markup=False)
        return 0
    findings = verify_table(name, place)
    for finding in findings:
        verdict = "ok" if finding.ok else "BAD"
        console().print(f"{verdict} {shown(finding.path)}: {finding.message}", markup=False)
    bad = [finding for finding in findings if not finding.ok]
    if bad:
        raise DataCorrupt(f"{bad[0].path}: {bad[0].message}")
    return 0
