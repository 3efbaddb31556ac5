"""Draw what a run is charged for: one stacked bar for each method, the search and the final training.

Real seconds are in the tables alone: a figure is the same on every machine, and after every kill.
"""

from __future__ import annotations

from itertools import accumulate
from math import isfinite

from harness.core.records import Figure, Series
from reports.cost import Account, complete
from reports.frame import TrackFrame

PARTS = ("search", "final training")


def breakdown_figure(track: TrackFrame) -> Figure | None:
    """Return the mean charge of a run by phase, in the budget's unit, or in epochs where a final training has no other.

    None where no complete run says what its final training costs.
    """
    for unit in dict.fromkeys((track.plan["budget"]["unit"], "epochs")):
        accounts = [Account(track, cell, unit) for cell in track.cells if complete(cell)]
        known = [account for account in accounts if isfinite(account.automl.mean)]
        if known and unit != "evaluations":
            return _figure(track, known)
    return None


def _figure(track: TrackFrame, accounts: list[Account]) -> Figure:
    sizes = [len(account.runs) for account in accounts]
    n = f"n = {sizes[0]}" if len(set(sizes)) == 1 else f"n = {min(sizes)} to {max(sizes)}"
    means = [(account.search.mean, account.final.mean) for account in accounts]
    return Figure(
        name=f"cost-{track.id}",
        title=f"What a run on {track.id} is charged for",
        x_label="",
        y_label=f"{accounts[0].name}, mean over the runs",
        series=tuple(_part(name, index, means) for index, name in enumerate(PARTS)),
        note=(
            f"Complete runs, {n}. The search is the account of Definition 7, both parts together that of Definition 8 "
            "(Lindauer and Hutter, 2020); selection is charged nothing, tuning is not in it. The table has the spread."
        ),
        x_log="linear",
        names={account.cell.label: float(place) for place, account in enumerate(accounts)},
    )


def _part(name: str, index: int, means: list[tuple[float, float]]) -> Series:
    ends = [tuple(accumulate(parts)) for parts in means]
    low = tuple(end[index - 1] if index else 0.0 for end in ends)
    middle = tuple(parts[index] for parts in means)
    return Series(
        name, tuple(map(float, range(len(means)))), middle, low, tuple(end[index] for end in ends), style="stack"
    )
