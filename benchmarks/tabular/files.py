"""Hash files and read parquet files, with one line where one is damaged."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import DataCorrupt

if TYPE_CHECKING:
    import pyarrow as pa


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_parquet(path: Path) -> pa.Table:
    """Return a whole parquet file.

    Raises:
        DataCorrupt: it is truncated, damaged, or no parquet file.
    """
    # Loaded where a file is read, so that workers which open an imported table do without.
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0][:200]
        raise DataCorrupt(
            f"{path}: not a whole parquet file ({reason}); fetch it again, or import another copy"
        ) from error
