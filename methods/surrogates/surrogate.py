"""Define what a surrogate of an evaluation answers, and what all surrogates share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from statistics import NormalDist
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from harness.core.errors import UsageError, nearest
from harness.core.interfaces import Encodable, SearchSpace
from harness.core.types import Arch
from methods.surrogates import SURROGATES

Floats = NDArray[np.float64]

ORACLE = "oracle"
"""The true order, known to an assessment and never to a search."""

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Effort:
    """What a surrogate computes, in multiply-adds by a closed form of the sizes; no clock is read.

    Attributes:
        fit: of the last fit.
        prediction: of one prediction after it, for one cell.
    """

    fit: float
    prediction: float

    def __add__(self, other: Effort) -> Effort:
        return Effort(self.fit + other.fit, self.prediction + other.prediction)


class Ranking:
    """Marks a surrogate whose scores have units of their own: they order cells, and no error can be taken of them."""


class Surrogate(Protocol):
    """Learn from evaluated cells how good others are. Built with the space: `Kind(space)`."""

    def fit(self, cells: Sequence[Arch], values: Floats, rng: np.random.Generator) -> None:
        """Learn from cells and their objectives, signed so that more is better (a failure: minus infinity).

        All that is random is drawn from `rng`. Only the order of the values is used: see `normal_scores`.
        """
        ...

    def predict(self, cells: Sequence[Arch]) -> Floats:
        """Return a score for each cell, higher for better, in units of the normal scores of the fitted cells.

        A `Ranking` has units of its own.
        """
        ...

    def cost(self) -> Effort:
        """Return what the last fit and a prediction computed."""
        ...


def surrogate(name: str, space: SearchSpace) -> Surrogate:
    """Return a fresh surrogate for cells of a space.

    Raises:
        UsageError: there is none of this name, or it cannot describe this space.
    """
    check_name(name)
    module, _, kind = SURROGATES[name].partition(":")
    return cast("Surrogate", getattr(import_module(module), kind)(space))


def check_name(given: object) -> None:
    """Check the name of a surrogate that a search may use.

    Raises:
        UsageError: it is the oracle, or there is none of this name; the message gives the nearest and all.
    """
    if given == ORACLE:
        raise UsageError(
            f"option 'surrogate': {ORACLE!r} ranks by the true values of cells that were never paid for, so no search "
            "may use it; `python -m harness check-surrogate cells` shows it as the ceiling"
        )
    if given not in SURROGATES:
        raise UsageError(
            f"option 'surrogate': {given!r} given{nearest(str(given), SURROGATES)}; "
            f"allowed: {', '.join(SURROGATES)}; change it in the method's `options`"
        )


def normal_scores(values: Floats) -> Floats:
    """Return the normal quantile of each value's mid-rank; ties share theirs.

    Every fitted surrogate learns these instead of raw accuracies, whose mass at chance level (cells that are not
    connected) would own a squared error.
    """
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    quantiles = (np.cumsum(counts) - counts / 2) / len(values)
    scores: Floats = np.array([_NORMAL.inv_cdf(quantile) for quantile in quantiles])
    return scores[places]


def features(space: SearchSpace, cells: Sequence[Arch]) -> Floats:
    """Return the features of cells, (cells, features).

    Raises:
        UsageError: the space has none.
    """
    if not isinstance(space, Encodable):
        raise UsageError(
            f"space {space.name!r} gives no features; choose a benchmark that offers 'encodable' (see `harness list`)"
        )
    return np.stack([space.encode(cell) for cell in cells]).astype(np.float64)


def ranks(scores: Floats) -> Floats:
    """Return the mid-ranks of scores, from 0 for the worst to 1 for the best; ties share theirs."""
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    return ((np.cumsum(counts) - counts / 2) / len(scores))[places]
