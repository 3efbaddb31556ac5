"""Rank the candidates of an attachment by what the measurement says of each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from harness.core.types import Move

Choice = Literal["top", "random", "cosine", "taylor"]

_SCORES: Mapping[Choice, tuple[str, float]] = {
    "top": ("", 1.0),
    "cosine": ("|-cos", 1.0),
    "taylor": ("|<g,c>", -1.0),
}
"""Which score of a move is compared (what follows the move in its key), and whether more or less of it is better."""


def ranked(moves: Sequence[Move], scores: Mapping[str, float], rule: Choice, rng: np.random.Generator) -> list[Move]:
    """Return the moves that may be chosen, the best first; equal ones in the given order.

    A move without a finite score is left out, and under 'top' one whose weight the penalty has drawn to zero. Under
    'random' every move may be chosen.
    """
    if rule == "random":
        return [moves[index] for index in rng.permutation(len(moves)).tolist()]
    suffix, sign = _SCORES[rule]
    values = {move: sign * scores.get(f"{move}{suffix}", math.nan) for move in moves}
    known = [move for move in moves if math.isfinite(values[move]) and (rule != "top" or values[move] > 0)]
    return sorted(known, key=lambda move: -values[move])
