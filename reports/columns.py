"""Tell columns of numbers from columns of texts, and say what a cell is sorted by."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LEADING = re.compile(r"(?:[<>=≥≤]\s*|\[)?([+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)(?=$|[\s±%(\[/;,])")


def sort_key(text: str) -> str:
    """Return the number that a cell begins with, as a column is sorted by it, or an empty string."""
    found = _LEADING.match(text.strip())
    return found[1].replace(",", "").removeprefix("+") if found else ""


def numeric(column: Sequence[str]) -> bool:
    """Tell whether at least half of what stands in a column begins with a number."""
    known = [text for text in column if text.strip(" -")]
    return bool(known) and 2 * sum(1 for text in known if sort_key(text)) >= len(known)
