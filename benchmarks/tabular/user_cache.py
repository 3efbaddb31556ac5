"""Import users' tables into the cache, once, and open what was imported before."""

from __future__ import annotations

from pathlib import Path

from benchmarks.tabular.imports import IMPORTERS, tables_folder
from benchmarks.tabular.store import Table, open_table, write_table
from benchmarks.tabular.user_import import files_of, import_user
from benchmarks.tabular.user_manifest import read_manifest
from harness.core.canonical import content_hash
from harness.core.interfaces import Place


def open_user(manifest: Path, place: Place) -> Table:
    """Open the table that a manifest describes, importing it first where that was not done before.

    Args:
        manifest: the path of the manifest, absolute or relative to the data folder.
        place: where data and caches are.

    Raises:
        DataMissing: the manifest, or a file that it names, does not exist.
        DataCorrupt: a file, or the imported table, is damaged.
        ProtocolError: every mistake in the manifest.
        OutputUnwritable: the cache cannot be written to.
    """
    path = located(manifest, place)
    folder = folder_of(path, place)
    if not folder.is_dir():
        write_table(import_user(path), folder, replace=False)
    return open_table(folder, remedy(path))


def import_anew(manifest: Path, place: Place) -> Path:
    """Import the table that a manifest describes, whatever was imported before; return its folder."""
    path = located(manifest, place)
    return write_table(import_user(path), folder_of(path, place), replace=True)


def remedy(path: Path) -> str:
    """Return the command that imports the table of a manifest."""
    return f"python -m harness data import {path}"


def located(manifest: Path, place: Place) -> Path:
    """Return where a manifest lies: below the data folder, or as it is named."""
    below = manifest if place.data is None else place.data / manifest
    return below if below.is_file() else manifest


def folder_of(path: Path, place: Place) -> Path:
    """Return where the imported table of a manifest belongs; it changes with every file that the manifest names."""
    manifest, _ = read_manifest(path)
    key = content_hash({"table": manifest.table, "importers": IMPORTERS, "files": files_of(path)})
    return tables_folder(place) / f"{manifest.table}-user-{key[:16]}"
