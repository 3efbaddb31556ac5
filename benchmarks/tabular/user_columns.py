"""Read the columns of a user's CSV or parquet file, and say exactly what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
from numpy.typing import NDArray

from benchmarks.tabular.files import read_parquet
from harness.core.errors import DataCorrupt, DataMissing, nearest


class ColumnProblem(Exception):
    """A column that is absent or holds something else than asked for; the message says which and what."""


class Columns:
    """A data file, read whole.

    Args:
        path: a `.parquet` file, or a text file with commas and a header line.
        texts: the columns to read as text even where they look like numbers.

    Raises:
        DataMissing: there is no such file.
        DataCorrupt: it cannot be read.
    """

    def __init__(self, path: Path, texts: Iterable[str]) -> None:
        if not path.is_file():
            raise DataMissing(f"{path}: no such file; the table manifest beside it names it as `file`")
        self.path = path
        self.table = read_parquet(path) if path.suffix == ".parquet" else _read_csv(path, list(texts))

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.table.num_rows)

    def texts(self, name: str) -> list[str]:
        """Return a column as texts; numbers are written as they stand.

        Raises:
            ColumnProblem: it is absent, or has empty entries.
        """
        values = self._column(name)
        if values.null_count:
            row = pc.index(pc.is_null(values), True).as_py() + 1
            raise ColumnProblem(f"column {name!r} of {self.path.name} is empty in row {row}; every row needs a text")
        return [str(value) for value in values.to_pylist()]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column of numbers; NaN where an entry is empty.

        Raises:
            ColumnProblem: it is absent, holds something else than numbers, or holds infinity.
        """
        values = self._column(name)
        if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type) or pa.types.is_null(values.type)):
            raise ColumnProblem(
                f"column {name!r} of {self.path.name} holds {values.type}, not numbers{_culprit(values)}"
            )
        found = np.array(pc.cast(values, pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
        if np.isinf(found).any():
            row = int(np.flatnonzero(np.isinf(found))[0]) + 1
            raise ColumnProblem(f"column {name!r} of {self.path.name} is infinite in row {row}; leave the entry empty")
        return found

    def _column(self, name: str) -> pa.ChunkedArray:
        names = self.table.column_names
        if names.count(name) != 1:
            what = f"no column {name!r}{nearest(name, names)}" if name not in names else f"several columns {name!r}"
            raise ColumnProblem(f"{what} in {self.path.name}; it has: {', '.join(names)}")
        return self.table.column(name)


def _culprit(values: pa.ChunkedArray) -> str:
    """Return ' ("n/a" in row 3)' for the first entry of a text column that is no number."""
    if not pa.types.is_string(values.type):
        return ""
    for row, value in enumerate(values.to_pylist(), 1):
        try:
            float(value or "nan")
        except ValueError:
            return f" ({value!r} in row {row})"
    return ""


def _read_csv(path: Path, texts: list[str]) -> pa.Table:
    types = dict.fromkeys(texts, pa.string())
    try:
        return pv.read_csv(path, convert_options=pv.ConvertOptions(column_types=types, strings_can_be_null=True))
    except (pa.ArrowException, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0][:200]
        raise DataCorrupt(f"{path}: not a whole CSV file ({reason}); mend it, or export it again") from error
