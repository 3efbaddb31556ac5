"""Evaluate the networks of a bundle together, on images that stay on the device."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from benchmarks.training.augment import normalise
from benchmarks.training.bundle import Bundle
from benchmarks.training.capture import Capture, Sweep
from benchmarks.training.evaluate import BATCH, Resident
from benchmarks.training.fused import EVALUATION_BATCH


class Survey:
    """The accuracy of every network on a split, counted on the device."""

    def __init__(self, bundle: Bundle, split: Resident, dtype: torch.dtype, capture: Capture) -> None:
        device = split.pixels.device
        self._bundle, self._split, self._dtype = bundle, split, dtype
        self._position = torch.zeros((), dtype=torch.int64, device=device)
        self._right = torch.zeros(bundle.count, dtype=torch.int64, device=device)
        self._finite = torch.ones(bundle.count, dtype=torch.bool, device=device)
        state = [self._position, self._right, self._finite]
        batch = BATCH if split.pixels.is_cuda else EVALUATION_BATCH
        self._sweep = Sweep(len(split), batch, self._count, state, capture)

    def run(self) -> None:
        """Launch the evaluation, without waiting for it."""
        self._position.zero_()
        self._right.zero_()
        self._finite.fill_(True)
        self._sweep.run()

    def result(self) -> Tensor:
        """Return the share of right answers of each network in percent, NaN where a logit is not finite; (k,)."""
        return torch.where(self._finite, 100.0 * self._right.double() / len(self._split), math.nan)

    @torch.no_grad()
    def _count(self, size: int) -> None:
        self._bundle.eval()
        places = self._position + torch.arange(size, device=self._position.device)
        pixels = self._split.pixels.index_select(0, places)
        images = normalise(pixels, self._split.mean, self._split.std).repeat(1, self._bundle.count, 1, 1)
        wide = images.to(self._dtype).contiguous(memory_format=torch.channels_last)
        logits = self._bundle(wide)
        right = (logits.argmax(2) == self._split.labels.index_select(0, places)).sum(1)
        self._right.add_(right)
        self._finite.logical_and_(logits.isfinite().flatten(1).all(1))
        self._position.add_(size)
