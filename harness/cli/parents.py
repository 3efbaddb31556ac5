"""Answer `check-parents`: say how far from convergence the parents were that candidates were attached to."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from math import isfinite, isnan, nan
from statistics import fmean

import numpy as np
from rich.console import Console

from harness.cli.parser import place_of
from harness.cli.progress import Steps
from harness.cli.tables import console, print_table
from harness.parents import Prolonged, prolong
from harness.plan import CATALOGUE
from harness.protocol import load
from harness.store import Study
from reports.stats import t_interval

NEAR = 1.0
"""Points of accuracy within which a parent counts as converged."""


def check_parents(options: argparse.Namespace) -> int:
    """Train parents on, and print for each row how much they had left to gain."""
    study = Study(options.run.resolve())
    study.protocol()
    protocol = load(str(study.folder / "protocol.json"), CATALOGUE).model
    with Steps("parents", Console(stderr=True)) as steps:
        found = list(prolong(study, protocol, place_of(options), options.epochs, options.replicates, steps))
    rows: dict[tuple[str, ...], list[Prolonged]] = {}
    for parent in found:
        rows.setdefault((parent.spec.track, parent.spec.method, parent.spec.variant), []).append(parent)
    columns = (
        "track", "row", "variant", "replicates", "parents", "diverged", "other here", "when attached, %",
        f"after {options.epochs} more epochs, %", "left to gain, points", f"within {NEAR:g} point",
    )  # fmt: skip
    note = (
        "Validation accuracy without candidates. Means over replicates of the means over their parents, with "
        "Student's 95 % interval over replicates; parents of a lineage are not independent. The further epochs begin "
        "at the full learning rate of attachments again; where they lose more than a point they were too few to tell. "
        "Other here: parents whose accuracy when attached is not the recorded one, as on another machine."
    )
    print_table(console(), "parents", columns, [(*row, *_cells(parents)) for row, parents in rows.items()], note)
    return 0


def _cells(parents: Sequence[Prolonged]) -> tuple[str, ...]:
    finite = [parent for parent in parents if isfinite(parent.after)]
    replicates = sorted({parent.spec.replicate for parent in finite})
    groups = [[parent for parent in finite if parent.spec.replicate == replicate] for replicate in replicates]
    before = [fmean(parent.before for parent in group) for group in groups]
    after = [fmean(parent.after for parent in group) for group in groups]
    left = [late - early for early, late in zip(before, after, strict=True)]
    mean = round(fmean(left), 2) if left else nan
    return (
        str(len(replicates)),
        str(len(parents)),
        str(len(parents) - len(finite)),
        str(sum(parent.before != parent.recorded for parent in finite)),
        f"{fmean(before) if before else nan:.2f}",
        f"{fmean(after) if after else nan:.2f}",
        f"{mean:+.2f}{_interval(left)}",
        _verdict(mean),
    )


def _verdict(left: float) -> str:
    """Tell whether so many points are near nothing; a loss tells of the further epochs, not of the parents."""
    if isnan(left) or left < -NEAR:
        return "unclear"
    return "yes" if left <= NEAR else "no"


def _interval(left: Sequence[float]) -> str:
    """Return the interval of a mean as a text; nothing where one replicate leaves none."""
    if len(left) < 2:  # noqa: PLR2004 - one value has no spread
        return ""
    low, high = t_interval(np.array(left))
    return f" [{low:.2f}, {high:.2f}]"
