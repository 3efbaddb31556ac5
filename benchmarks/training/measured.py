"""Keep what was measured in pages, and answer the commands that measure it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import platformdirs
from rich.console import Console

from harness.core.errors import DataMissing, HarnessError, UsageError
from harness.core.interfaces import Place

INTERRUPTED = 130


def answer(command: Callable[[], None], stopped: str = "stopped; nothing was written, begin again") -> NoReturn:
    """Carry a command out and leave with its exit code; `stopped` says after Ctrl-C what was kept and what is next."""
    errors = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        command()
    except HarnessError as error:
        errors.print(f"error: {error}", markup=False)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        errors.print(stopped, markup=False)
        sys.exit(INTERRUPTED)
    sys.exit(0)


def check(page: Path, part: str) -> tuple[str, str]:
    """Return what stands before and after a part of a page; ask before hours of measuring.

    Raises:
        UsageError: the page cannot be read or written, or does not hold both marks of the part.
    """
    begin, end = f"<!-- {part} begin -->", f"<!-- {part} end -->"
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{page}: the page cannot be read ({error}); name a Markdown file with '{begin}'") from None
    if not os.access(page, os.W_OK):
        raise UsageError(f"{page}: the page may not be written to; allow it, or name a copy")
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise UsageError(f"{page}: the marks '{begin}' and '{end}' are not both there; write them where it belongs")
    return f"{before}{begin}\n\n", f"\n\n{end}{after}"


def place_of_environment() -> Place:
    """Return the folders that NAS_DATA_DIR and NAS_CACHE_DIR name.

    Raises:
        DataMissing: NAS_DATA_DIR is not set, or is no folder.
    """
    folder = os.environ.get("NAS_DATA_DIR")
    if not folder:
        raise DataMissing("NAS_DATA_DIR is not set; name the folder with NAS-Bench-201 and CIFAR-10 in it")
    if not Path(folder).is_dir():
        raise DataMissing(f"NAS_DATA_DIR: {folder} is not a folder; name the one with NAS-Bench-201 and CIFAR-10 in it")
    cache = os.environ.get("NAS_CACHE_DIR") or platformdirs.user_cache_dir("nas-harness")
    return Place(Path(folder), Path(cache))


def put(page: Path, part: str, text: str) -> None:
    """Replace what stands between the two marks of a part of a Markdown file.

    Raises:
        UsageError: the page cannot be read or written, or does not hold both marks.
    """
    before, after = check(page, part)
    page.write_text(f"{before}{text}{after}", encoding="utf-8")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a Markdown table, the first of them as its header."""
    first, *others = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (first, ["---"] * len(first), *others))
