"""Offer the Synthetic Petri Dish as a surrogate of NAS-Bench-201 cells, and what it has to be told apart from.

Rawal, Lehman, Such, Clune and Stanley (arXiv 2005.13092, 2020) gave motifs of a sigmoid network and of a recurrent
cell; the motif of a convolutional cell is ours. Torch is loaded by the first fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from harness.core.interfaces import SearchSpace
from harness.core.types import Arch
from methods.surrogates.cells201 import check_space
from methods.surrogates.controls import Forest
from methods.surrogates.surrogate import Effort, Floats, Ranking, normal_scores, ranks

if TYPE_CHECKING:
    from methods.surrogates.spd.artefact import Artefact
    from methods.surrogates.spd.settings import DishSettings

RESTARTS = 3


class SyntheticPetriDish:
    """Train each cell, shrunk to a motif, on a few synthetic images that were learned to rank the known cells.

    Attributes:
        name: in `methods.surrogates.SURROGATES`.
        changes: what its settings change of `settings_of`.
        artefact: the fitted dish; None before the first fit.
    """

    name: ClassVar[str] = "spd"
    changes: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, space: SearchSpace) -> None:
        check_space(space, self.name)
        self.artefact: Artefact | None = None
        self._fitted = 0

    def fit(self, cells: Sequence[Arch], values: Floats, rng: np.random.Generator) -> None:
        """Learn the synthetic images."""
        from methods.surrogates.spd.cell import CellMotif  # noqa: PLC0415 - torch takes seconds to load
        from methods.surrogates.spd.dish import Dish  # noqa: PLC0415

        dish = Dish(CellMotif(), settings_of(self.changes))
        self.artefact = dish.fit(cells, normal_scores(values), int(rng.integers(2**62)))
        self._fitted = len(cells)

    def predict(self, cells: Sequence[Arch]) -> Floats:
        """Return the mean over the restarts that did not diverge, or over all where each did."""
        assert self.artefact is not None
        kept = ~np.array(self.artefact.diverged)
        each = self.predict_each(cells)
        mean: Floats = (each[kept] if kept.any() else each).mean(axis=0)
        return mean

    def predict_each(self, cells: Sequence[Arch]) -> Floats:
        """Return the prediction of each restart, (restarts, cells)."""
        assert self.artefact is not None
        reading = self.artefact.reading
        return reading.truth_mean[:, None] + reading.truth_std[:, None] * self.artefact.predict(cells)

    def cost(self) -> Effort:
        """Return the multiply-adds of all restarts; what a diverged attempt cost is not foreseen."""
        from methods.surrogates.spd.cell import CellMotif  # noqa: PLC0415
        from methods.surrogates.spd.settings import (  # noqa: PLC0415
            prediction_multiply_adds,
            training_multiply_adds,
        )

        settings = settings_of(self.changes)
        return Effort(
            training_multiply_adds(CellMotif(), settings, self._fitted),
            prediction_multiply_adds(CellMotif(), settings, 1),
        )


class UntrainedDish(SyntheticPetriDish):
    """Train the motifs on random images: what the dish knows before it learns anything."""

    name = "spd_untrained"
    changes: ClassVar[Mapping[str, Any]] = {"phases": ()}


class AveragedDishes(SyntheticPetriDish):
    """Average three dishes with images, labels and initial weights of their own."""

    name = "spd_averaged"
    changes: ClassVar[Mapping[str, Any]] = {"restarts": RESTARTS}


class EmphaticDish(SyntheticPetriDish):
    """Weigh a known cell by exp(z) of its normal score, so that the dish orders the good cells first of all."""

    name = "spd_emphatic"
    changes: ClassVar[Mapping[str, Any]] = {"emphasis": 1.0}


class DishAndForest(Ranking):
    """Take the mean of the ranks that a dish and a random forest give; they rank against the other cells asked for."""

    def __init__(self, space: SearchSpace) -> None:
        self._parts = (SyntheticPetriDish(space), Forest(space))

    def fit(self, cells: Sequence[Arch], values: Floats, rng: np.random.Generator) -> None:
        """Fit both."""
        for part in self._parts:
            part.fit(cells, values, rng)

    def predict(self, cells: Sequence[Arch]) -> Floats:
        """Return the mean ranks, from 0 to 1."""
        mean: Floats = np.mean([ranks(part.predict(cells)) for part in self._parts], axis=0)
        return mean

    def cost(self) -> Effort:
        """Return what both compute."""
        first, second = self._parts
        return first.cost() + second.cost()


def settings_of(changes: Mapping[str, Any]) -> DishSettings:
    """Return the settings of a dish of cells: few images, a short inner loop, mini-batches of cells."""
    from methods.surrogates.spd.inner import Inner  # noqa: PLC0415 - torch takes seconds to load
    from methods.surrogates.spd.settings import DishSettings, Phase  # noqa: PLC0415

    settings: dict[str, Any] = {
        "inner": Inner(steps=20, rate=0.05, epsilon=1e-8),
        "phases": (Phase(60, 0.05, 0.005),),
        "validation": "copy",
        "batch": 16,
        "precision": "float32",
    }
    return DishSettings(**(settings | dict(changes)))
