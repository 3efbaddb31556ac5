"""Import tables into the cache, once, and open what was imported before."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.tabular.catalogue import ALIASES, FORMS, KNOWN, Form, Source, refuse_damaged
from benchmarks.tabular.files import sha256_of
from benchmarks.tabular.series import Content
from benchmarks.tabular.store import Table, open_table, write_table, writing
from harness.core.canonical import content_hash
from harness.core.errors import DataMissing, UsageError, nearest
from harness.core.interfaces import Place

IMPORTERS = "1"
"""Raised when an importer changes what it writes, so that tables of an older one are imported anew."""

IMPORTED = "tables"
"""The folder of imported tables in the cache."""


def tables_folder(place: Place) -> Path:
    """Return where imported tables are kept."""
    return place.cache / IMPORTED


def current(table: str, form: str, place: Place) -> Path | None:
    """Return the folder of the latest import of a table in this form, or None."""
    pointer = _pointer(table, form, place)
    return tables_folder(place) / pointer.read_text(encoding="utf-8").strip() if pointer.is_file() else None


def remedy(table: str, form: Form | None, place: Place) -> str:
    """Return the command that imports a table."""
    data = "DIR" if place.data is None else str(place.data)
    name = f"{table}:{form}" if form == "official" else table
    return f"python -m harness data import {name} --data-dir {data}"


def open_known(table: str, form: Form | None, place: Place) -> Table:
    """Open a table of the catalogue, importing it first where its files are there and it was not imported before.

    Args:
        table: its name in the catalogue.
        form: which source to take; None: the first that is there.
        place: where data and caches are.

    Raises:
        DataMissing: neither an imported table nor its files are there.
        DataCorrupt: a file, or the imported table, is damaged.
        OutputUnwritable: the cache cannot be written to.
    """
    sources = sources_of(table, form)
    for source in sources:
        folder = source.found(place.data)
        if folder is not None:
            return _opened(table, source, folder, place)
    for source in sources:
        imported = current(table, source.form, place)
        if imported is not None:
            return open_table(imported, remedy(table, source.form, place))
    raise DataMissing(_missing(table, form, place))


def sources_of(table: str, form: Form | None) -> list[Source]:
    """Return the sources of a table in one form, or in every form."""
    return [source for source in KNOWN[table] if form in (None, source.form)]


def _opened(table: str, source: Source, data: Path, place: Place) -> Table:
    folder = _target(table, source, data, place)
    if not folder.is_dir():
        _import(table, source, data, place, replace=False)
    return open_table(folder, remedy(table, source.form, place))


def _target(table: str, source: Source, data: Path, place: Place) -> Path:
    """Return where the import of these files belongs: it changes with the files and with the importer."""
    key = content_hash({"table": table, "importers": IMPORTERS, "files": dict(_stamps(source, data))})
    return tables_folder(place) / f"{table}-{source.form}-{key[:16]}"


def _import(table: str, source: Source, data: Path, place: Place, *, replace: bool) -> Path:
    folder = write_table(_content(table, source, data), _target(table, source, data, place), replace=replace)
    _point(_pointer(table, source.form, place), folder.name)
    return folder


def import_known(name: str, place: Place) -> Path:
    """Import a table of the catalogue anew, from the first of its sources that is there; return its folder."""
    table, form = known(name)
    for source in sources_of(table, form):
        folder = source.found(place.data)
        if folder is not None:
            return _import(table, source, folder, place, replace=True)
    raise DataMissing(_missing(table, form, place))


def known(name: str) -> tuple[str, Form | None]:
    """Return the catalogue's name of a table, and the form that `name:form` asks for.

    Raises:
        UsageError: there is no such table, or not in this form.
    """
    first, _, second = name.partition(":")
    table = ALIASES.get(first, first)
    form = next((form for form in FORMS if form == second), None)
    if table not in KNOWN or (second and form is None):
        allowed = [*KNOWN, *ALIASES]
        raise UsageError(
            f"data: no table {name!r}{nearest(name, allowed)}; known: {', '.join(sorted(allowed))}, "
            f"each also as NAME:{' or NAME:'.join(FORMS)}, or the path of a table manifest (a YAML file)"
        )
    return table, form


def _content(table: str, source: Source, folder: Path) -> Content:
    # The importers load pyarrow or torch and many megabytes: only where they are needed.
    if source.form == "parquet":
        from benchmarks.tabular.nb201_parquet import import_parquet  # noqa: PLC0415

        return import_parquet(table, folder)
    from benchmarks.tabular.nb201_official import import_nats, import_pth  # noqa: PLC0415

    if source.files[0].name.endswith(".pth"):
        return import_pth(table, folder / source.files[0].name)
    return import_nats(table, folder, source.files[0].name)


def _stamps(source: Source, folder: Path) -> Mapping[str, str]:
    """Return what identifies each file: its checksum, or, where reading it takes long, size and time of change."""
    stamps: dict[str, str] = {}
    for file in source.files:
        path = folder / file.name
        if source.form == "parquet":
            stamps[file.name] = sha256_of(path)
            refuse_damaged(file, path, stamps[file.name])
        else:
            parts = (path.stat(), folder.stat())
            stamps[file.name] = " ".join(f"{part.st_size} {part.st_mtime_ns}" for part in parts)
    return stamps


def _pointer(table: str, form: str, place: Place) -> Path:
    return tables_folder(place) / f"{table}-{form}.current"


def _point(pointer: Path, name: str) -> None:
    """Remember which imported table is the latest of its kind, for when its files are no longer there."""
    with writing(pointer.parent):
        handle, draft = tempfile.mkstemp(prefix=".pointing-", dir=pointer.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(f"{name}\n")
        Path(draft).replace(pointer)


def _missing(table: str, form: Form | None, place: Place) -> str:
    where = "no data folder was named" if place.data is None else f"not in {place.data}"
    sources = sources_of(table, form)
    offers = "; or ".join(
        f"{' and '.join(file.name for file in source.files)} ({source.size()}, {source.home})" for source in sources
    )
    return (
        f"the table {table!r} is not on this machine ({where}): it needs {offers}; put the files into DIR "
        f"(or DIR/{sources[0].folders[0]}) and run: {remedy(table, form, place)}"
    )
