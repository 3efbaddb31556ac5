"""Chain the lines of a journal, so that no line can be changed, dropped or moved unseen.

A journal is JSON Lines. Each line is the canonical JSON of an object whose key `prev` is the SHA-256 of the line
before it (64 zeros for the first). A last line without its line break was torn off by a crash and does not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from harness.core.canonical import canonical_json, sha256_text
from harness.core.errors import JournalCorrupt

GENESIS = "0" * 64


def chain(entry: dict[str, Any], previous: str) -> str:
    """Return the journal line (without line break) of `entry` after the line whose hash is `previous`."""
    return canonical_json({**entry, "prev": previous})


def whole_lines(content: bytes, name: str) -> list[str]:
    """Return the complete lines of a journal; what follows the last line break was torn off and is dropped.

    Raises:
        JournalCorrupt: a complete line is not UTF-8.
    """
    # Cut before decoding: a crash may tear a character.
    whole = content[: content.rfind(b"\n") + 1]
    try:
        return whole.decode("utf-8").split("\n")[:-1]
    except UnicodeDecodeError as error:
        raise JournalCorrupt(
            f"{name}: byte {error.start} is not UTF-8: the journal was changed after it was written; restore it from a "
            "copy, or delete this run's folder and resume"
        ) from error


def entries(lines: list[str], name: str) -> Iterator[dict[str, Any]]:
    """Yield the entries of a journal, checking the chain.

    Raises:
        JournalCorrupt: a line is no JSON object, or does not follow the line before it.
    """
    previous = GENESIS
    for number, line in enumerate(lines, start=1):
        try:
            entry = orjson.loads(line)
            follows = entry["prev"] == previous
        except (ValueError, KeyError, TypeError):
            entry, follows = {}, False
        if not follows:
            raise JournalCorrupt(
                f"{name}:{number}: this line does not follow the one before it: the journal was changed after it was "
                "written; restore it from a copy, or delete this run's folder and resume"
            )
        previous = sha256_text(line)
        yield entry
