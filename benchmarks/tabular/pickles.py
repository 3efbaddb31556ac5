"""Read compressed pickles that hold only numbers, texts and containers; anything else is refused, not run."""

from __future__ import annotations

import bz2
import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.errors import DataCorrupt

MOST_BYTES = 256 * 2**20
"""How much a file may unpack to; the largest official one takes 1.4 MB."""

_NUMERIC = frozenset("biuf")


class _Refused(Exception):
    """A pickle that asks for something outside the allow-list."""


class _Number:
    """Stand in for `numpy.dtype` while a scalar is read: only its code and byte order count."""

    def __init__(self, code: object, *_: object) -> None:
        if not isinstance(code, str):
            raise _Refused("a dtype without a code")
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[object, ...]) -> None:
        order = state[1]
        self.order = order if isinstance(order, str) and order in "<>=|" else "="

    def read(self, data: bytes) -> float:
        """Return the number that the bytes stand for."""
        dtype = np.dtype(self.code).newbyteorder(self.order)  # type: ignore[arg-type]
        if dtype.kind not in _NUMERIC or dtype.itemsize != len(data):
            raise _Refused(f"a scalar of {dtype}")
        value = np.frombuffer(data, dtype=dtype)[0].item()
        return float(value)


def _scalar(dtype: object, data: object = None) -> float:
    if not isinstance(dtype, _Number) or not isinstance(data, bytes):
        raise _Refused("a numpy scalar without a plain number")
    return dtype.read(data)


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("numpy", "dtype"): _Number,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
}


class _Reader(pickle.Unpickler):
    """Unpickle with an explicit allow-list, whose entries are our own stand-ins."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what a pickle may build."""
        if (module, name) not in _ALLOWED:
            raise _Refused(f"the class {module}.{name}")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> Any:
        """Refuse objects that live outside the file."""
        raise _Refused(f"the outside object {pid!r}")


def read_pickle(path: Path) -> Any:
    """Return the plain data of a bz2-compressed pickle.

    Raises:
        DataCorrupt: the file is truncated or no pickle, or asks for a class that plain data does not need; nothing
            of it is run then.
    """
    try:
        return _Reader(io.BytesIO(_unpacked(path))).load()
    except _Refused as error:
        raise DataCorrupt(
            f"{path}: the pickle asks for {error}, which recorded results do not need; nothing of it was run; "
            "fetch the file from its official home"
        ) from error
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise DataCorrupt(f"{path}: damaged or truncated ({reason}); fetch the file again") from error


def _unpacked(path: Path) -> bytes:
    unpacker = bz2.BZ2Decompressor()
    data = unpacker.decompress(path.read_bytes(), max_length=MOST_BYTES)
    if not unpacker.eof:
        raise _Refused(f"more than {MOST_BYTES} bytes") if len(data) >= MOST_BYTES else EOFError("the end is missing")
    return data
