"""Pack a study into one archive: records, report, environments and the code, described as an RO-Crate.

The same files give the same bytes: entries are sorted, have one fixed time, and are compressed at one level.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from harness.core.errors import VerificationFailed
from harness.environment.code_state import PACKAGES, SUFFIXES
from harness.store import Study, folder_name
from harness.store.files import writing
from harness.verify import verify_folder
from harness.verify.archive import MANIFEST, matches_record
from harness.verify.crate import CODE, METADATA, STUDY, metadata_text

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold
PERMISSIONS = 0o100644
LEVEL = 6
SNAPSHOT = (*PACKAGES, "protocols")
"""What is packed of the installation: the packages that `code_state` hashes, and the protocols, so that it can run."""


def bundle(study: Study, out: Path | None, home: Path | None = None, *, allow_findings: bool = False) -> Path:
    """Pack a study and return the archive; without `out` it stands beside the run folder.

    Args:
        study: a study that `harness.verify` finds nothing wrong with.
        out: the archive; one that is there already is replaced.
        home: the folder that holds the packages; None: this installation.
        allow_findings: pack it although rules are violated; `verify` will find the same in the archive.

    Raises:
        StoreError: there is no study in the folder.
        VerificationFailed: the record breaks its rules, or this installation is not the code that made it.
        OutputUnwritable: the archive cannot be written.
    """
    protocol = study.protocol()
    home = home or Path(__file__).resolve().parents[1]
    if not allow_findings:
        _refuse_unsound(study.folder, home)
    name = study.folder.name if "@" in study.folder.name else folder_name(protocol, _hash(study))
    target = out or study.folder.parent / f"{name}.zip"
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    # Laid out on disk first: a record may be larger than memory.
    with writing(target), tempfile.TemporaryDirectory(dir=target.parent, prefix=".bundle-") as folder:
        root = Path(folder)
        _lay_out(root, study.folder, home)
        partial = root.with_suffix(".part")
        try:
            _zip(root, partial)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    return target


def _hash(study: Study) -> str:
    return str(study.record([]).protocol_hash)


def _refuse_unsound(folder: Path, home: Path) -> None:
    verdict = verify_folder(folder)
    if verdict.findings:
        raise VerificationFailed(
            f"{folder}: {len(verdict.findings)} findings under {', '.join(verdict.violated[:5])}; see them with "
            "`verify`, mend the record (`resume` does what is missing), or pack it as it is with --allow-findings"
        )
    if not matches_record(home, folder):
        raise VerificationFailed(
            f"{folder}: the code installed here is not the code that made the record; install that code (the commit "
            "is in environments/), or pack all the same with --allow-findings"
        )


def _lay_out(root: Path, study: Path, home: Path) -> None:
    for source, target in (*_of_study(study), *_of_code(home)):
        path = root / target
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, path)
    (root / METADATA).write_text(metadata_text(root), encoding="utf-8", newline="\n")
    lines = [f"{_sha256(root / file)}  {file}\n" for file in _files(root)]
    (root / MANIFEST).write_text("".join(lines), encoding="utf-8", newline="\n")


def _of_study(study: Path) -> Iterator[tuple[Path, str]]:
    for file in _files(study):
        if file != ".lock":
            yield study / file, f"{STUDY}/{file}"


def _of_code(home: Path) -> Iterator[tuple[Path, str]]:
    for package in SNAPSHOT:
        for file in _files(home / package):
            if file.endswith(SUFFIXES):
                yield home / package / file, f"{CODE}/{package}/{file}"


def _files(folder: Path) -> list[str]:
    """Return every plain file below a folder, sorted."""
    found = (Path(at, name) for at, _, names in os.walk(folder) for name in names)
    return sorted(path.relative_to(folder).as_posix() for path in found if path.is_file() and not path.is_symlink())


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _zip(root: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        for file in _files(root):
            entry = zipfile.ZipInfo(file, EPOCH)
            entry.external_attr = PERMISSIONS << 16
            entry.create_system = 3  # Unix, wherever this runs
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.file_size = (root / file).stat().st_size
            with (root / file).open("rb") as source, archive.open(entry, "w") as stream:
                shutil.copyfileobj(source, stream)
