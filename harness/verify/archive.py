"""Open an archive of a study without trusting it, and check what it says of itself."""

from __future__ import annotations

import hashlib
import json
import re
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.core.errors import StoreError
from harness.environment.code_state import content
from harness.verify.crate import CODE, METADATA, STUDY, metadata_text
from harness.verify.rules import Finding, shown

MANIFEST = "manifest-sha256.txt"
LARGEST = 16 * 2**30
"""Bytes that an archive may unpack to."""
MOST_FILES = 1_000_000
DEEPEST = 16  # parts of a path
CHUNK = 1 << 20
RESULT_PACKAGES = ("harness", "methods", "benchmarks")
"""The packages whose code may change a number; reports are made anew from the records."""

_LINE = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<file>.+)")


def is_archive(path: Path) -> bool:
    """Tell whether this is meant as an archive: any plain file."""
    return path.is_file()


@contextmanager
def opened(path: Path) -> Iterator[tuple[Path, Path]]:
    """Unpack an archive into a temporary folder and yield that and the study's folder in it.

    Raises:
        StoreError: it is no archive, is damaged, would write outside its folder, or is too large.
    """
    with tempfile.TemporaryDirectory(prefix="nas-harness-") as folder:
        root = Path(folder)
        try:
            with zipfile.ZipFile(path) as archive:
                _unpack(archive, root, path)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise StoreError(f"{path}: not a whole archive ({error}); fetch it again, or name a run folder") from error
        except OSError as error:
            raise StoreError(
                f"{path}: cannot be unpacked ({error.strerror or error}); make room in {tempfile.gettempdir()}, or set "
                "TMPDIR to a larger folder"
            ) from error
        yield root, root / STUDY


def _unpack(archive: zipfile.ZipFile, root: Path, path: Path) -> None:
    entries = archive.infolist()
    _refuse_unsafe(entries, path)
    left = LARGEST
    for entry in entries:
        target = root / entry.filename
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(entry) as stream, target.open("xb") as copy:
            while chunk := stream.read(CHUNK):
                left -= len(chunk)  # what really comes out: a header may lie
                if left < 0:
                    raise StoreError(_refusal(path, f"more than {LARGEST >> 30} GiB when unpacked"))
                copy.write(chunk)


def _refuse_unsafe(entries: list[zipfile.ZipInfo], path: Path) -> None:
    names = [entry.filename for entry in entries]
    if len(entries) > MOST_FILES or sum(entry.file_size for entry in entries) > LARGEST:
        raise StoreError(_refusal(path, f"more than {MOST_FILES} files or {LARGEST >> 30} GiB when unpacked"))
    if len({name.casefold() for name in names}) != len(names):
        raise StoreError(_refusal(path, "two entries of the same name"))
    for entry in entries:
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG) or not _safe(entry.filename):
            raise StoreError(_refusal(path, f"the entry {shown(ascii(entry.filename))}, which is no plain file in it"))


def _safe(name: str) -> bool:
    parts = name.split("/")
    plain = all(part not in ("", ".", "..") and part.isprintable() for part in parts)
    return plain and len(parts) <= DEEPEST and "\\" not in name and ":" not in parts[0]


def _refusal(path: Path, what: str) -> str:
    return f"{path}: the archive has {what}; nothing of it is used: ask whoever made it for one made by `bundle`"


def check_archive(root: Path, study: Path) -> list[Finding]:
    """Check the manifest of an archive, its RO-Crate metadata, and its code."""
    return [*_check_hashes(root), *_check_crate(root), *_check_code(root, study)]


def _check_hashes(root: Path) -> Iterator[Finding]:
    listed: dict[str, str] = {}
    for number, line in enumerate(_lines(root / MANIFEST), start=1):
        found = _LINE.fullmatch(line)
        if found is None:
            yield Finding("archive-hash", MANIFEST, number, "is no hash and file", "", shown(line))
        else:
            listed[found["file"]] = found["digest"]
    present = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()} - {MANIFEST}
    for file in sorted(present | listed.keys()):
        digest = _sha256(root / file) if file in present else "absent"
        if listed.get(file) != digest:
            yield Finding("archive-hash", file, 0, "SHA-256", listed.get(file, "not listed"), digest)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_crate(root: Path) -> Iterator[Finding]:
    try:
        expected = metadata_text(root)
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield Finding("archive-crate", METADATA, 0, f"the study cannot be described ({type(error).__name__})")
        return
    if "\n".join(_lines(root / METADATA)) + "\n" != expected:
        yield Finding("archive-crate", METADATA, 0, "is not what the files of the archive give")


def _check_code(root: Path, study: Path) -> Iterator[Finding]:
    folder = root / CODE
    if not all((folder / package).is_dir() for package in RESULT_PACKAGES):
        yield Finding("archive-code", CODE, 0, "a package is absent", ", ".join(RESULT_PACKAGES))
    elif not matches_record(folder, study):
        yield Finding("archive-code", CODE, 0, "is the code of no environment of this study")


def matches_record(code: Path, study: Path) -> bool:
    """Tell whether the packages in a folder are those of an environment of a study."""
    mine = content(code)
    return any(
        all(theirs.get(package) == mine[package] for package in RESULT_PACKAGES)
        for path in sorted((study / "environments").glob("*.json"))
        if (theirs := _recorded(path)) is not None
    )


def _recorded(path: Path) -> dict[str, Any] | None:
    try:
        recorded = json.loads(path.read_bytes())["code"]["content"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return recorded if isinstance(recorded, dict) else None
