"""Say lists, counts and hashes the same way in every finding."""

from __future__ import annotations

from collections.abc import Iterable, Sized

NO_RUN = "no run is complete yet"
NO_TRACK = "no benchmark could be opened"
_SHOWN = 3
_HASH = 12


def first(entries: Iterable[object]) -> str:
    """Return the first few entries, and how many more there are."""
    listed = [str(entry) for entry in entries]
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more


def counted(entries: Sized, noun: str) -> str:
    """Return '1 run' or '7 runs'."""
    return amount(len(entries), noun)


def amount(number: int, noun: str) -> str:
    """Return '1 run' or '7 runs'."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def short(digest: str) -> str:
    """Return the start of a hash."""
    return digest[:_HASH]


def ranges(numbers: Iterable[int]) -> str:
    """Return whole numbers as '0 to 4, 7'."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
