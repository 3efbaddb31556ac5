"""Define the training recipe: every setting that can change a number, as part of the protocol."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Literal

from harness.core.canonical import Json
from harness.core.errors import UsageError

Precision = Literal["fp32", "tf32", "bf16"]

PHASES_VERSION = 1
"""Raised on any change of what a phase of a growing network computes."""

PASSES = 3.0
"""Forward passes that a training step counts as: one forward, two for the backward pass."""

GRADIENT_LIMIT = 5.0
"""The largest norm of a gradient in a phase, for the parent's parameters and for the candidates' apart."""

PROBED = 500
"""Validation images of the one pass from which the diagnostics of candidates are computed."""


@dataclass(frozen=True, slots=True)
class Descent:
    """Stochastic gradient descent with Nesterov momentum and a cosine to zero, as in NAS-Bench-201.

    Attributes:
        learning_rate: its value in the first step.
        momentum: Nesterov momentum.
        weight_decay: L2 penalty on every parameter, normalisation included.
        cosine: 'epoch' changes the learning rate once an epoch, as the official code does; 'step' at every step.
        precision: of the arithmetic; the reference trainer knows 'fp32' only.
    """

    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    cosine: Literal["epoch", "step"] = "epoch"
    precision: Precision = "fp32"


@dataclass(frozen=True, slots=True)
class Recipe(Descent):
    """How one network is trained.

    The defaults are those of NAS-Bench-201 (Dong and Yang, ICLR 2020) with its 12-epoch schedule.

    Attributes:
        epochs: length of the schedule; a partial training stops on the way and changes nothing before.
        channels: channels of the first stage.
        cells: cells of each of the three stages.
        batch_size: images of a step; the last step of an epoch takes what is left.
        flip: whether each image is mirrored with probability one half.
        crop_padding: black pixels around an image before it is cropped back at random; 0 for no crop.

    Raises:
        UsageError: a value is outside its range.
    """

    epochs: int = 12
    channels: int = 16
    cells: int = 5
    batch_size: int = 256
    flip: bool = True
    crop_padding: int = 4

    def __post_init__(self) -> None:
        for key in ("epochs", "channels", "cells", "batch_size"):
            _check(key, getattr(self, key), low=1)
        _check("crop_padding", self.crop_padding, low=0)
        _check("learning_rate", self.learning_rate, low=math.ulp(0.0))
        _check("weight_decay", self.weight_decay, low=0.0)
        if not 0 < self.momentum < 1:
            raise UsageError(f"recipe: momentum is {self.momentum}; Nesterov momentum lies between 0 and 1")
        for key, allowed in (("cosine", ("epoch", "step")), ("precision", ("fp32", "tf32", "bf16"))):
            if getattr(self, key) not in allowed:
                raise UsageError(f"recipe: {key} is {getattr(self, key)!r}; give one of {', '.join(allowed)}")

    def rate(self, epoch: int, step: int, steps: int) -> float:
        """Return the learning rate of a step (counted from 0) of an epoch (from 0) that has `steps` steps."""
        done = epoch + (step / steps if self.cosine == "step" else 0.0)
        return self.learning_rate * (1 + math.cos(math.pi * done / self.epochs)) / 2

    def describe(self) -> dict[str, Json]:
        """Return the recipe as plain data for manifests."""
        return {"optimiser": "SGD, Nesterov", **asdict(self)}


def describe_phases(recipe: Recipe) -> dict[str, Json]:
    """Return what the phases that go on from a trained network do, for manifests."""
    return {
        "version": PHASES_VERSION,
        "learning_rate": recipe.learning_rate,
        "gradient_limit": GRADIENT_LIMIT,
        "probed": PROBED,
    }


def _check(key: str, value: float, *, low: float) -> None:
    if not low <= value < math.inf:
        raise UsageError(f"recipe: {key} is {value}; give {'a positive number' if 0 < low < 1 else f'{low} or more'}")


PRESETS = {
    "nb201-12": Recipe(),
    "nb201-200": Recipe(epochs=200),
    "digits": Recipe(channels=8, cells=1, batch_size=64, flip=False, crop_padding=1),
}
