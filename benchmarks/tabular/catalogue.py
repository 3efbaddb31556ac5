"""Know where tables come from: their files, official homes, sizes, checksums and licences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.tabular.nb201_schema import ARCH_FILE, TRIAL_FILE
from harness.core.errors import DataCorrupt

Form = Literal["parquet", "official"]
FORMS: tuple[Form, ...] = ("parquet", "official")
"""How the data lie on disk: as the two parquet files of an extract, or as the authors released them."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a source: its name, its size in bytes, and its SHA-256 where that is known."""

    name: str
    size: int
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """One form in which the data of a table can be had.

    Attributes:
        form: which importer reads it.
        files: what must lie in the folder.
        folders: where it is looked for, below the data folder.
        home: where it officially comes from.
        licence: its terms.
        records: bytes of the files that are not listed one by one.
    """

    form: Form
    files: tuple[File, ...]
    folders: tuple[str, ...]
    home: str
    licence: str
    records: int = 0

    def found(self, data: Path | None) -> Path | None:
        """Return the first folder that holds all files of this source, or None."""
        candidates = [] if data is None else [data / folder for folder in self.folders]
        return next((path for path in candidates if all((path / file.name).exists() for file in self.files)), None)

    def size(self) -> str:
        """Return the size of all files, for people."""
        total = float(self.records + sum(file.size for file in self.files))
        for unit in ("bytes", "kB", "MB"):
            if total < 1000:  # noqa: PLR2004 - the step between SI units
                return f"{total:.3g} {unit}"
            total /= 1000
        return f"{total:.3g} GB"


_PARQUET = Source(
    form="parquet",
    files=(
        File(
            ARCH_FILE,
            3_591_187,
            "60860c55454aae163d3cb88ce97fdf35d72ece8e7c6e05f3f105a54423b2d350",
        ),
        File(
            TRIAL_FILE,
            751_691,
            "f767eb26e48622b238a77dcf18454ffdebe8101ad7b4d6e0224ab902f4c7c0ee",
        ),
    ),
    folders=("nb201", "."),
    home="an extract of the official releases below and of HW-NAS-Bench; docs/data.md lists its columns",
    licence="MIT (NAS-Bench-201, NATS-Bench)",
)
_PTH = Source(
    form="official",
    files=(File("NAS-Bench-201-v1_1-096897.pth", 4_700_000_000),),
    folders=("nb201", "."),
    home="https://github.com/D-X-Y/NAS-Bench-201 (https://drive.google.com/open?id=16Y0UwGisiouVRxW-W5hEtbxmcHw_0hF_)",
    licence="MIT",
)
NATS_META = "NATS-tss-v1_0-3ffb9-simple.meta.pickle.pbz2"
_NATS_FOLDER = "NATS-tss-v1_0-3ffb9-simple"
_NATS = Source(
    form="official",
    files=(File("meta.pickle.pbz2", 35_330, "7ecc7932fabec6b80551e07b845346de99d83c673f67a1891d619576b3fa053c"),),
    folders=(f"nb201/{_NATS_FOLDER}", _NATS_FOLDER),
    home="https://github.com/D-X-Y/NATS-Bench (NATS-tss-v1_0-3ffb9-simple.tar, 15,626 files)",
    licence="MIT",
    records=1_310_000_000,
)
_NATS_RECORDS = Source(
    form="official",
    files=(File(NATS_META, 35_330, "7ecc7932fabec6b80551e07b845346de99d83c673f67a1891d619576b3fa053c"),),
    folders=("nb201/official_records",),
    home="https://github.com/D-X-Y/NATS-Bench (some cells of NATS-tss-v1_0-3ffb9-simple.tar)",
    licence="MIT",
)

KNOWN: Mapping[str, tuple[Source, ...]] = {
    "nb201-v1.1": (_PARQUET, _PTH),
    "nats-tss": (_PARQUET, _NATS, _NATS_RECORDS),
}
"""The tables that can be imported by name, each with its sources in the order in which they are tried."""

ALIASES: Mapping[str, str] = {"nb201": "nb201-v1.1"}


def refuse_damaged(file: File, path: Path, found: str) -> None:
    """Refuse a file that has the size of the known release but not its checksum.

    A file of another size is another release or a part of one; the record then names its own checksum.

    Raises:
        DataCorrupt: the file is a damaged copy of the known one.
    """
    if file.sha256 and path.stat().st_size == file.size and found != file.sha256:
        raise DataCorrupt(
            f"{path}: expected SHA-256 {file.sha256}, found {found}: a damaged copy of the known file; fetch it again"
        )
