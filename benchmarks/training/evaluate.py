"""Evaluate a network on clean images: whole splits that stay on the device."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.training.augment import normalise
from benchmarks.training.cifar import Images
from benchmarks.training.data import Facts

BATCH = 500
"""Images of one forward pass of an evaluation; fixed, since it can change the last bits of a logit."""

LAYOUTS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}
"""Orders of images in memory. Every operation keeps the order that it is given; an order that suits the kernels of a
processor makes convolutions faster, and changes the last bits."""


@dataclass(frozen=True, slots=True)
class Resident:
    """A split on the device.

    Attributes:
        pixels: bytes, (n, c, h, w).
        labels: class numbers, (n,).
        mean: of each channel on the scale of the bytes, (c,); likewise `std`.
        layout: in which networks get the images, a key of `LAYOUTS`; the same numbers, in another order in memory.
    """

    pixels: Tensor
    labels: Tensor
    mean: Tensor
    std: Tensor
    layout: str = "contiguous"

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, pixels: Tensor) -> Tensor:
        """Return bytes like those of this split as a network gets them: floats, normalised; (n, c, h, w) in and out."""
        return normalise(pixels, self.mean, self.std).contiguous(memory_format=LAYOUTS[self.layout])


def to_device(images: Images, facts: Facts, device: str, layout: str = "contiguous") -> Resident:
    """Return a split with what normalises it, on a device."""
    return Resident(
        torch.from_numpy(images.pixels).to(device),
        torch.from_numpy(images.labels).to(device),
        torch.tensor(facts.mean, device=device),
        torch.tensor(facts.std, device=device),
        layout,
    )


@torch.no_grad()
def accuracy(network: nn.Module, split: Resident) -> float:
    """Return the share of right answers in percent, or NaN where a logit is not finite."""
    network.eval()
    right = torch.zeros((), dtype=torch.int64, device=split.labels.device)
    finite = torch.ones((), dtype=torch.bool, device=split.labels.device)
    for first in range(0, len(split), BATCH):
        part = slice(first, first + BATCH)
        logits = network(split.images(split.pixels[part]))
        right += (logits.argmax(1) == split.labels[part]).sum()
        finite &= logits.isfinite().all()
    return 100.0 * int(right) / len(split) if bool(finite) else math.nan
