"""Answer the data commands: where tables come from and lie, import one, verify one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.tabular.catalogue import KNOWN, File, Source
from benchmarks.tabular.files import sha256_of
from benchmarks.tabular.imports import IMPORTED, current, import_known, known, remedy, sources_of
from benchmarks.tabular.store import open_table
from harness.core.errors import DataError
from harness.core.interfaces import Place

MANIFESTS = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where one source of a table comes from, and whether it is here.

    Attributes:
        table: the table's name.
        form: 'parquet' or 'official'.
        files: the files it consists of.
        size: their size, for people.
        home: where they officially come from.
        licence: their terms.
        found: the folder that holds them here, or None.
        imported: the folder of the imported table, or None.
    """

    table: str
    form: str
    files: tuple[str, ...]
    size: str
    home: str
    licence: str
    found: Path | None
    imported: Path | None


@dataclass(frozen=True, slots=True)
class Finding:
    """What verifying one file or table gave."""

    path: Path
    ok: bool
    message: str


def where(place: Place) -> list[Whereabouts]:
    """Return the whereabouts of every table of the catalogue."""
    return [
        Whereabouts(
            table=table,
            form=source.form,
            files=tuple(file.name for file in source.files),
            size=source.size(),
            home=source.home,
            licence=source.licence,
            found=source.found(place.data),
            imported=current(table, source.form, place),
        )
        for table, sources in KNOWN.items()
        for source in sources
    ]


def import_table(name: str, place: Place) -> Path:
    """Import a table, whatever was imported before, and return its folder.

    Args:
        name: a table of the catalogue (`nb201`; `nb201:official` for one form of it), or the path of a manifest (YAML).
        place: where data and caches are.

    Raises:
        UsageError: there is no such table.
        DataMissing: its files are not here.
        DataCorrupt: a file is damaged.
        ProtocolError: every mistake in a manifest.
        OutputUnwritable: the cache cannot be written to.
    """
    if not name.endswith(MANIFESTS):
        return import_known(name, place)
    # Tables of users need the YAML reader and the declared spaces, which nothing else here does.
    from benchmarks.tabular.user_cache import import_anew  # noqa: PLC0415

    return import_anew(Path(name), place)


def verify(name: str, place: Place) -> list[Finding]:
    """Check the files of a table, where they are here, and the imported table byte by byte."""
    if name.endswith(MANIFESTS):
        from benchmarks.tabular.user_cache import folder_of, located  # noqa: PLC0415
        from benchmarks.tabular.user_cache import remedy as user_remedy  # noqa: PLC0415

        path = located(Path(name), place)
        return [_imported(folder_of(path, place), user_remedy(path))]
    table, form = known(name)
    findings: list[Finding] = []
    for source in sources_of(table, form):
        findings += _files(source, place)
        folder = current(table, source.form, place)
        findings += [] if folder is None else [_imported(folder, remedy(table, source.form, place))]
    return findings or [
        Finding(place.cache / IMPORTED, ok=False, message=f"not here; import it: {remedy(table, form, place)}")
    ]


def _files(source: Source, place: Place) -> list[Finding]:
    folder = source.found(place.data)
    return [] if folder is None else [_file(folder / file.name, file) for file in source.files]


def _file(path: Path, known_file: File) -> Finding:
    if not known_file.sha256:
        return Finding(path, ok=True, message="present; its checksum was never published")
    found = sha256_of(path)
    if found == known_file.sha256:
        return Finding(path, ok=True, message=f"as released, SHA-256 {found}")
    return Finding(path, ok=False, message=f"expected SHA-256 {known_file.sha256}, found {found}: fetch it again")


def _imported(folder: Path, command: str) -> Finding:
    try:
        table = open_table(folder, command)
    except DataError as error:
        return Finding(folder, ok=False, message=str(error))
    return Finding(folder, ok=True, message=f"whole: {len(table.archs)} architectures, content {table.content}")
