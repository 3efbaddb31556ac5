"""Keep the rows of a measurement of selections in a CSV, and sum them up over parents."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from harness.core.errors import OutputUnwritable, UsageError

Row = dict[str, str | int | float]


def kept(
    target: Path, columns: Sequence[str], setting_of: Callable[[Mapping[str, str]], str | None]
) -> list[dict[str, str]]:
    """Return the rows of a CSV that are to be gone on from; none where there is no such file yet.

    Args:
        target: the CSV.
        columns: that the rows are known by.
        setting_of: the setting under which such a row would be measured now; None where it would not be measured.

    Raises:
        OutputUnwritable: no row could be added.
        UsageError: the file is no such CSV, or holds rows of another setting.
    """
    if not os.access(target if target.exists() else target.absolute().parent, os.W_OK) or target.is_dir():
        raise OutputUnwritable(f"{target}: no row can be written there; name a CSV in a folder that may be written to")
    rows = read(target) if target.exists() else []
    for row in rows:
        lacking = [column for column in ("setting", *columns) if row.get(column) is None]
        if lacking:
            raise UsageError(f"{target}: a row without {lacking[0]!r}: no CSV of this command; name another CSV")
        now = setting_of(row)
        if row["setting"] != now:
            raise UsageError(
                f"{target}: the row of {', '.join(row[column] for column in columns)} was measured under the setting "
                f"{row['setting']}, and this one is {now}; means over both would mean nothing: name another CSV"
            )
    return rows


def read(source: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV as they are written.

    Raises:
        UsageError: it holds no rows, or cannot be read as text.
    """
    try:
        with source.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        rows = []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{source}: the CSV cannot be read ({error}); name another CSV") from None
    if not rows:
        raise UsageError(
            f"{source}: it holds no rows: nothing was measured, or every training diverged; name another CSV, or lower "
            "the learning rate"
        )
    return rows


def append(target: Path, rows: Sequence[Row]) -> None:
    """Append rows to a CSV, whose header comes with the first of them."""
    if not rows:
        return
    fresh = not (target.exists() and target.stat().st_size)
    with target.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        if fresh:
            writer.writeheader()
        writer.writerows(rows)


def tau(scores: Sequence[float], gains: Sequence[float]) -> float:
    """Return Kendall's tau-b; 0 where a side does not vary, since such a score orders nothing."""
    found = float(stats.kendalltau(scores, gains).statistic)
    return round(found, 4) if math.isfinite(found) else 0.0


def interval(values: Sequence[float]) -> str:
    """Return a mean with its 95 % interval (Student's t), in words; the mean alone where there is one value."""
    mean = float(np.mean(values))
    if len(values) < 2:  # noqa: PLR2004 - one value has no spread
        return f"{mean:.2f}"
    half = float(stats.t.ppf(0.975, len(values) - 1)) * float(stats.sem(values))
    return f"{mean:.2f} [{mean - half:.2f}, {mean + half:.2f}]"
