"""Offer the Synthetic Petri Dish as a surrogate of sigmoid slopes, for the search that surrogates drive.

Rawal, Lehman, Such, Clune and Stanley (arXiv 2005.13092, 2020), first experiment. Torch is loaded by the first fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.core.errors import UsageError
from harness.core.interfaces import SearchSpace
from harness.core.types import Arch
from methods.surrogates.surrogate import Effort, Floats, normal_scores

if TYPE_CHECKING:
    from methods.surrogates.spd.artefact import Artefact

SPACE = "sigmoid-slope"
RESTARTS = 3
STEPS, RATE = 50, 0.05


class SlopeDish:
    """Train a network of single units with each slope on ten synthetic samples that rank the known slopes.

    The settings of the sigmoid experiment but for two: 50 inner steps at 0.05 in place of 250 at 0.01, a fifth of the
    computation, and the mean of three restarts.
    """

    def __init__(self, space: SearchSpace) -> None:
        if space.name != SPACE:
            raise UsageError(
                f"surrogate 'spd_slope': it trains networks with a sigmoid slope, and {space.name!r} has none; use it "
                f"with the benchmark {SPACE!r}, or choose 'spd' for cells"
            )
        self._artefact: Artefact | None = None
        self._fitted = 0

    def fit(self, cells: Sequence[Arch], values: Floats, rng: np.random.Generator) -> None:
        """Learn the synthetic samples."""
        from methods.surrogates.spd.dish import Dish  # noqa: PLC0415 - torch takes seconds to load
        from methods.surrogates.spd.inner import Inner  # noqa: PLC0415
        from methods.surrogates.spd.motif import SigmoidMotif  # noqa: PLC0415
        from methods.surrogates.spd.settings import DishSettings  # noqa: PLC0415

        settings = DishSettings(Inner(steps=STEPS, rate=RATE), restarts=RESTARTS)
        dish = Dish(SigmoidMotif(), settings)
        self._artefact = dish.fit(cells, normal_scores(values), int(rng.integers(2**62)))
        self._fitted = len(cells)

    def predict(self, cells: Sequence[Arch]) -> Floats:
        """Return the mean over restarts."""
        assert self._artefact is not None
        mean: Floats = self._artefact.predict(cells).mean(axis=0)
        return mean

    def cost(self) -> Effort:
        """Return the multiply-adds of the last fit, and of a prediction."""
        from methods.surrogates.spd.settings import (  # noqa: PLC0415
            prediction_multiply_adds,
            training_multiply_adds,
        )

        assert self._artefact is not None
        motif, settings = self._artefact.motif, self._artefact.settings
        fit = training_multiply_adds(motif, settings, self._fitted)
        return Effort(fit, prediction_multiply_adds(motif, settings, 1))
