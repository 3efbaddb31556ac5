"""Turn the incumbents of runs into right-continuous step functions of the budget, on a common logarithmic grid.

A run's curve at t is the value of the last incumbent at or before t. Nothing is interpolated between two
architectures, and nothing is drawn before every run has an incumbent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GRID_POINTS = 200


@dataclass(frozen=True, slots=True)
class Step:
    """A right-continuous step function.

    Attributes:
        at: where it steps, non-decreasing, shape (k,); of several steps at one place the last one counts.
        values: the value from each step on, shape (k,).
    """

    at: Floats
    values: Floats

    @property
    def start(self) -> float:
        """Where the function begins; infinity where it never does."""
        return float(self.at[0]) if len(self.at) else float("inf")

    def __call__(self, places: Floats) -> Floats:
        """Return the value of the last step at or before each place; NaN before the first."""
        index = np.searchsorted(self.at, places, side="right") - 1
        known = np.append(self.values, np.nan)  # index -1, before the first step, finds the NaN
        return known[index]


def plain(values: Floats) -> tuple[float, ...]:
    """Return an array as plain numbers, as records hold them."""
    return tuple(float(value) for value in values)


def common_start(steps: Sequence[Step]) -> float:
    """Return the place from which every function has a value; infinity where one of them has none at all."""
    return max((step.start for step in steps), default=float("inf"))


def log_grid(start: float, end: float) -> Floats:
    """Return 200 places from `start` to `end`, evenly spaced in their logarithm; both ends are exact."""
    return np.geomspace(start, end, GRID_POINTS)


def on_grid(steps: Sequence[Step], grid: Floats) -> Floats:
    """Return the functions at the places of the grid, shape (functions, places)."""
    return np.stack([step(grid) for step in steps])


def area(step: Step, start: float, end: float) -> float:
    """Return the mean height of a step function over log10(t) from `start` to `end`, in the unit of its values.

    Exact: a sum over the steps, not over a grid. The function must have begun at `start`, and 0 < start < end.
    """
    inside = (step.at > start) & (step.at < end)
    edges = np.concatenate([[start], step.at[inside], [end]])
    widths = np.diff(np.log10(edges))
    return float(np.dot(widths, step(edges[:-1])) / np.log10(end / start))
