"""Keep a table as memory-mapped arrays with checksums, written once and opened read-only by any process.

A table is a folder: `manifest.json` (what every array means, and its SHA-256), `manifest.sha256` (the hash of the
manifest, which is the content hash of the whole table), `archs.txt` (one canonical text a line) and one `.npy` file
for each array. Every file is hashed at every opening.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tabular.names import MetricName, Policy, parse
from benchmarks.tabular.series import Content, Floats, Series
from harness.core.canonical import Json, canonical_json
from harness.core.errors import DataCorrupt, DataError, DataMissing, OutputUnwritable

SCHEMA = 1
MANIFEST, SEAL, ARCHS = "manifest.json", "manifest.sha256", "archs.txt"


class Table:
    """An opened table; pickles by its path, so that worker processes share the same pages.

    Attributes:
        folder: where it lies.
        manifest: what it says of itself.
        content: SHA-256 of the manifest, and so of everything in the table.
        series: its quantities by their names without a policy; the arrays are read-only memory maps.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, Any], content: str, remedy: str) -> None:
        self.folder, self.manifest, self.content, self.remedy = folder, manifest, content, remedy
        self._archs = _verified(folder / ARCHS, manifest["archs"]["sha256"], remedy)
        self.series: dict[str, Series] = {entry["name"]: _series(folder, entry, remedy) for entry in manifest["series"]}

    def __reduce__(self) -> tuple[Any, tuple[Path, str]]:
        return open_table, (self.folder, self.remedy)

    @property
    def name(self) -> str:
        """The table's name."""
        return str(self.manifest["table"])

    @cached_property
    def archs(self) -> list[str]:
        """The canonical text of each cell, in row order."""
        return self._archs[:].decode().split("\n")[:-1]

    @cached_property
    def rows(self) -> dict[str, int]:
        """The row of each cell."""
        return {arch: row for row, arch in enumerate(self.archs)}

    @cached_property
    def names(self) -> dict[str, tuple[Series, Policy | None]]:
        """Every qualified name that the table answers at the end of a schedule."""
        return {str(name): (series, name.policy) for series in self.series.values() for name in series.names()}


def _series(folder: Path, entry: Mapping[str, Any], remedy: str) -> Series:
    name = parse(entry["name"])
    assert name is not None
    arrays = {part: _array(folder, array, remedy) for part, array in entry["arrays"].items()}
    return Series(
        name=name,
        unit=entry["unit"],
        sealed=entry["sealed"],
        source=entry["source"],
        better=entry["better"],
        labels=tuple(entry["labels"]),
        stops=tuple(entry["stops"]),
        **arrays,
    )


def open_table(folder: Path, remedy: str) -> Table:
    """Open a table and verify every byte of it.

    Args:
        folder: the table's folder.
        remedy: the command that imports the table again, for error messages.

    Raises:
        DataMissing: there is no table in this folder.
        DataCorrupt: a file differs from its checksum, or is absent.
    """
    seal, raw = _bytes(folder / SEAL, remedy), _bytes(folder / MANIFEST, remedy)
    content = hashlib.sha256(raw).hexdigest()
    if seal != f"{content}\n".encode():
        expected = seal.decode("ascii", errors="replace").strip()
        raise DataCorrupt(_complaint(folder / MANIFEST, expected, content, remedy))
    manifest = json.loads(raw)
    if manifest["schema"] != SCHEMA:
        raise DataCorrupt(f"{folder / MANIFEST}: schema {manifest['schema']}, this version reads {SCHEMA}; {remedy}")
    return Table(folder, manifest, content, remedy)


def _array(folder: Path, array: Mapping[str, Any], remedy: str) -> Floats:
    """Map an array; its shape and type stand in the manifest, so the file's own header is only hashed."""
    pages = _verified(folder / array["file"], array["sha256"], remedy)
    dtype = np.dtype(array["dtype"])
    size = math.prod(array["shape"]) * dtype.itemsize
    return np.ndarray(array["shape"], dtype, buffer=pages, offset=len(pages) - size)


def _verified(path: Path, expected: str, remedy: str) -> mmap.mmap:
    """Map a file into memory, after hashing the very pages that will be read."""
    with _readable(path, remedy).open("rb") as stream:
        try:
            pages = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise DataCorrupt(f"{path}: the file is empty; import the table again: {remedy}") from error
    found = hashlib.sha256(pages).hexdigest()
    if found != expected:
        raise DataCorrupt(_complaint(path, expected, found, remedy))
    return pages


def _readable(path: Path, remedy: str) -> Path:
    if not path.parent.is_dir():
        raise DataMissing(f"{path.parent}: there is no table here; import it: {remedy}")
    if not path.is_file():
        raise DataCorrupt(f"{path}: the table lacks this file; import it again: {remedy}")
    return path


def _bytes(path: Path, remedy: str) -> bytes:
    return _readable(path, remedy).read_bytes()


def _complaint(path: Path, expected: str, found: str, remedy: str) -> str:
    return f"{path}: expected SHA-256 {expected}, found {found}: it was changed after the import; repair it: {remedy}"


def write_table(content: Content, folder: Path, *, replace: bool) -> Path:
    """Write a table beside `folder` and move it into place in one step; return `folder`.

    Two processes may do this at once: the first to arrive is kept, and both succeed. With `replace`, what lies in
    the folder gives way, unless it is the same table and whole.

    Raises:
        OutputUnwritable: the folder cannot be written to, or the disk is full.
    """
    with writing(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".importing-", dir=folder.parent))
        try:
            draft.chmod(0o755)
            _write(content, draft)
            _settle(draft, folder, replace=replace)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return folder


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a failure to write below `folder` into one line."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputUnwritable(
            f"{folder}: cannot write imported tables there ({reason}); free some space, or name a writable cache folder"
        ) from error


def _settle(draft: Path, folder: Path, *, replace: bool) -> None:
    if replace and folder.exists() and not _same(draft, folder):
        # The old table moves aside whole; it goes with the draft's own folder name and is deleted with it.
        aside = Path(tempfile.mkdtemp(prefix=".replaced-", dir=folder.parent))
        with suppress(FileNotFoundError):  # another process moved it first
            folder.replace(aside / folder.name)
        shutil.rmtree(aside, ignore_errors=True)
    try:
        draft.replace(folder)
    except OSError:
        # Another process put the same content there first: its copy is as good as this one.
        if not (folder / SEAL).is_file():
            raise


def _same(draft: Path, folder: Path) -> bool:
    """Tell whether a folder holds, whole, the table that a draft holds."""
    try:
        return f"{open_table(folder, remedy='').content}\n".encode() == (draft / SEAL).read_bytes()
    except DataError:
        return False


def _write(content: Content, folder: Path) -> None:
    archs = "".join(f"{arch}\n" for arch in content.archs).encode()
    (folder / ARCHS).write_bytes(archs)
    manifest: dict[str, Json] = {
        "schema": SCHEMA,
        "table": content.table,
        "importer": content.importer,
        "space": dict(content.space),
        "archs": {"sha256": hashlib.sha256(archs).hexdigest(), "cells": len(content.archs), "total": content.total},
        "series": [_write_series(series, folder, number) for number, series in enumerate(content.series)],
        "sources": dict(content.sources),
        "trials": content.trial_counts(),
        "notes": list(content.notes),
        **content.extra,
    }
    raw = canonical_json(manifest).encode()
    (folder / MANIFEST).write_bytes(raw)
    (folder / SEAL).write_text(hashlib.sha256(raw).hexdigest() + "\n", encoding="ascii")


def _write_series(series: Series, folder: Path, number: int) -> dict[str, Json]:
    arrays: dict[str, Json] = {}
    for part, array in series.arrays().items():
        arrays[part] = _write_array(array, folder, f"{number:03d}-{_stem(series.name)}-{part}.npy")
    return {
        "name": str(series.name),
        "unit": series.unit,
        "sealed": series.sealed,
        "source": series.source,
        "better": series.better,
        "labels": list(series.labels),
        "stops": list(series.stops),
        "arrays": arrays,
    }


def _write_array(array: Floats, folder: Path, file: str) -> dict[str, Json]:
    np.save(folder / file, np.ascontiguousarray(array), allow_pickle=False)
    digest = hashlib.sha256((folder / file).read_bytes()).hexdigest()
    return {"file": file, "dtype": array.dtype.str, "shape": list(array.shape), "sha256": digest}


def _stem(name: MetricName) -> str:
    return "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in str(name)).rstrip("_")
