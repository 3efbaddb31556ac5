"""Write a document into a folder: Markdown, HTML, LaTeX, CSV, SVG, and an index with the hash of every file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from harness.core.canonical import canonical_json
from harness.core.errors import OutputUnwritable
from harness.core.records import Document, Figure, Table
from reports.figures import svg
from reports.html import html
from reports.latex import latex
from reports.markdown import markdown
from reports.tables import figure_csv, table_csv

INDEX = "index.json"
SCHEMA = 1
COMPARISON = "compare"
"""The name of a document that sets two studies side by side, and of its files."""


def render(document: Document) -> dict[str, bytes]:
    """Return every file of a rendered document by its name; the same document gives the same bytes."""
    stem = COMPARISON if document.name == COMPARISON else "report"
    beside = {f"{stem}.md": markdown(document), "tables.tex": latex(document)}
    beside = {name: text for name, text in beside.items() if text}
    downloads = (*beside, *document.attachments, INDEX)
    texts = {f"{stem}.md": beside[f"{stem}.md"], f"{stem}.html": html(document, downloads), **beside}
    files = {name: text.encode() for name, text in (texts | dict(document.attachments)).items()}
    for table in _tables(document):
        files[f"{table.name}.csv"] = table_csv(table).encode()
    for figure in _figures(document):
        files[f"{figure.name}.svg"] = svg(figure)
        files[f"{figure.name}.csv"] = figure_csv(figure).encode()
    hashes = {name: sha256(content).hexdigest() for name, content in sorted(files.items())}
    index = {"schema": SCHEMA, "document": document.name, "files": hashes}
    return files | {INDEX: f"{canonical_json(index)}\n".encode()}


def write(document: Document, folder: Path) -> list[Path]:
    """Write the rendered document, each file whole or not at all, and take away files that an earlier one left.

    Only files that the earlier index names are taken away. Returns the paths, the report first and the index last.

    Raises:
        OutputUnwritable: the folder cannot be written to.
    """
    files = render(document)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stale = _listed(folder) - files.keys()
        for name, content in files.items():
            _replace(folder / name, content)
        for name in stale:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputUnwritable(
            f"{folder}: the report cannot be written ({error.strerror}); free some space, or choose a folder that you "
            "may write to"
        ) from error
    return [folder / name for name in files]


def changed(document: Document, folder: Path) -> list[str]:
    """Return the names of the files in a folder that differ from what the document renders to, or are absent."""
    return [name for name, content in render(document).items() if _content(folder / name) != content]


def final_tables(document: Document) -> tuple[Table, ...]:
    """Return the final tables, one per track, as rows of plain text for a terminal."""
    return tuple(table for table in _tables(document) if table.name.startswith("final-"))


def _tables(document: Document) -> list[Table]:
    return [table for section in document.sections for table in section.tables]


def _figures(document: Document) -> list[Figure]:
    return [figure for section in document.sections for figure in section.figures]


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _listed(folder: Path) -> set[str]:
    """Return the files that the index in this folder names, as plain names of this folder alone."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return set()
    files = index.get("files") if isinstance(index, Mapping) else None
    return {name for name in files if Path(name).name == name} if isinstance(files, Mapping) else set()


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
