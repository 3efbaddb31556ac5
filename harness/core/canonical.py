"""Turn plain data into one byte string and one hash, the same in every process and on every machine."""

from __future__ import annotations

import hashlib
import json
from typing import Any

Json = None | bool | int | float | str | list[Any] | dict[str, Any]

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: Any) -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces, shortest floats; NaN and infinity are refused."""
    return _ENCODER.encode(value)


def sha256_text(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def content_hash(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of `value`, in hexadecimal."""
    return sha256_text(canonical_json(value))
