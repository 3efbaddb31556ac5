"""Train a network of the growth space with an auxiliary head, which adds to the loss of training alone."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.spaces.growth_size import REDUCTION, Shape
from benchmarks.training.drop_path import Path
from benchmarks.training.growth_cells import GrownNetwork, initialise_parts

_NARROW, _WIDE = 128, 768
_POOL, _STRIDE = 5, 3


class AuxiliaryHead(nn.Sequential):
    """The head of NASNet (Zoph et al., CVPR 2018), DARTS and the program of Petridish.

    ReLU; 5x5 average pooling with a stride of 3 and no padding, or over the whole image where that is smaller; a 1x1
    convolution to 128 channels, normalisation, ReLU; a convolution of all pixels that are left to 768 channels,
    normalisation, ReLU; a linear layer. Features, (n, c, h, w), to logits, (n, classes). Normalised over the images
    alone, it cannot be trained on a single one.
    """

    def __init__(self, features: Shape, classes: int) -> None:
        window = min(_POOL, features.size)
        left = (features.size - window) // _STRIDE + 1
        super().__init__(
            nn.ReLU(),
            nn.AvgPool2d(window, _STRIDE),
            nn.Conv2d(features.channels, _NARROW, 1, bias=False),
            nn.BatchNorm2d(_NARROW),
            nn.ReLU(),
            nn.Conv2d(_NARROW, _WIDE, left, bias=False),
            nn.BatchNorm2d(_WIDE),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(_WIDE, classes),
        )


class Assisted(nn.Module):
    """A network in training, with a head on the output of the cell before its last reduction.

    That is where the program of Petridish and NASNet have it, about two thirds down a network of two reductions.

    Attributes:
        network: the network itself, which knows nothing of the head.
        place: the index of the cell whose output the head reads.
        weight: of the loss of the head.
    """

    def __init__(self, network: GrownNetwork, weight: float, seed: int) -> None:
        super().__init__()
        positions = network.skeleton.positions(network.plan.form)
        self.network, self.weight = network, weight
        self.place = max(place for place, position in enumerate(positions) if position.kind == REDUCTION) - 1
        with torch.device("meta"):
            head = AuxiliaryHead(positions[self.place].shape, network.skeleton.classes)
        self.head = head.to_empty(device="cpu")
        initialise_parts(self.head, seed, "auxiliary")

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of the network; (n, c, h, w) to (n, classes)."""
        return cast("Tensor", self.network(images))

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the loss that is trained on: that of the network, and the head's by its weight."""
        before, last = (self.network.stem(images),) * 2
        seen = last
        for place, cell in enumerate(self.network.cells):
            before, last = last, cell(before, last)
            seen = last if place == self.place else seen
        own = functional.cross_entropy(self.network.classify(last), labels)
        return own + self.weight * functional.cross_entropy(self.head(seen), labels)

    def paths(self) -> list[Path]:
        """Return the operations of the network that can be dropped."""
        return self.network.paths()
