"""Set how a dish is built, trained and read."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import torch

from methods.surrogates.spd.inner import Inner
from methods.surrogates.spd.motif import Motif


@dataclass(frozen=True)
class Phase:
    """A part of the outer schedule; Adam starts anew in each.

    Attributes:
        steps: outer steps.
        rate: learning rate of the first step.
        last: learning rate at the end of a cosine that starts at `rate`; None: `rate` throughout.
    """

    steps: int
    rate: float
    last: float | None = None

    def at(self, step: int) -> float:
        """Return the learning rate of a step of this phase."""
        if self.last is None:
            return self.rate
        return self.last + (self.rate - self.last) * (1 + math.cos(math.pi * step / self.steps)) / 2


PUBLISHED = (Phase(20, 0.05), Phase(30, 0.02), Phase(30, 0.008))
"""The schedule of the sigmoid experiment as it was run."""


@dataclass(frozen=True)
class DishSettings:
    """Settings of a dish; the defaults are those of the sigmoid experiment.

    Attributes:
        inner: how motifs are trained on the synthetic data.
        phases: the outer schedule; none leaves the dish untrained.
        samples: synthetic samples for training, and as many for validation.
        validation: what the synthetic validation data start as: 'copy' of the training data; 'inputs' of their own with
            the labels of the training data; 'own' inputs and labels.
        learn_labels: whether the labels are learned too, as sigmoids of logits.
        learn_weights: whether the initial weights that all motifs share are learned too.
        restarts: independent dishes that are trained at once along a leading axis.
        batch: motifs in an outer step, drawn anew in each; None: all.
        decay: factor of the squared norm of the synthetic inputs in the outer loss.
        emphasis: tilts the outer loss towards good motifs: a motif that stands `z` deviations above the mean weighs
            exp(emphasis * z); 0 weighs all alike.
        transform: of the ground truth: 'identity', or 'normal' scores of the ranks.
        clip: largest norm of the outer gradient of a restart.
        watch: outer steps between two looks at the error on all training motifs, where `batch` is set.
        attempts: how often a restart that diverges is begun again with new initial weights and data.
        precision: 'float64' or 'float32'.
    """

    inner: Inner = field(default_factory=Inner)
    phases: tuple[Phase, ...] = PUBLISHED
    samples: int = 10
    validation: Literal["copy", "inputs", "own"] = "copy"
    learn_labels: bool = False
    learn_weights: bool = False
    restarts: int = 1
    batch: int | None = None
    decay: float = 1e-5
    emphasis: float = 0.0
    transform: Literal["identity", "normal"] = "identity"
    clip: float = 10.0
    watch: int = 5
    attempts: int = 3
    precision: Literal["float64", "float32"] = "float64"

    @property
    def outer_steps(self) -> int:
        """The steps of all phases."""
        return sum(phase.steps for phase in self.phases)

    @property
    def dtype(self) -> torch.dtype:
        """The precision as torch names it."""
        return torch.float64 if self.precision == "float64" else torch.float32


def training_multiply_adds(motif: Motif, settings: DishSettings, motifs: int) -> float:
    """Return the multiply-adds of fitting a dish to so many motifs, restarts included.

    By count of forward passes: a gradient is two more, so an inner step is three, and pulling the outer gradient back
    through it twice as much again; a block is computed once more. Restarts after divergence are not foreseen.
    """
    forward = motif.multiply_adds(settings.samples)
    inner = (12 if settings.inner.block else 9) * settings.inner.steps * forward
    each = min(settings.batch or motifs, motifs) * (inner + 3 * forward)
    looks = 1 + (settings.outer_steps // settings.watch if settings.batch else 0)
    reading = looks * prediction_multiply_adds(motif, settings, motifs)
    return settings.restarts * settings.outer_steps * each + reading


def prediction_multiply_adds(motif: Motif, settings: DishSettings, motifs: int) -> float:
    """Return the multiply-adds of predicting so many motifs with all restarts of a dish."""
    forward = motif.multiply_adds(settings.samples)
    return settings.restarts * motifs * (3 * settings.inner.steps + 1) * forward
