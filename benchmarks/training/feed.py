"""Deal augmented batches to K networks from images that stay on the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from benchmarks.training.augment import draw, flip_and_crop, normalise
from benchmarks.training.evaluate import Resident
from benchmarks.training.recipe import Recipe
from harness.core.seeds import SeedTree

STREAMS = ("order", "augment")


class Feed:
    """A split, in an order and with an augmentation for each seed, drawn as `fit.Training` draws them.

    What was drawn for an epoch lies on the device, and so does the place in it: dealing a batch is a fixed sequence of
    gathers, and no host takes part. Networks of one seed see the same images.

    Attributes:
        position: how many images of the epoch have been dealt; all that dealing changes.
    """

    def __init__(self, split: Resident, recipe: Recipe, seeds: Sequence[int]) -> None:
        self._split, self._recipe = split, recipe
        device, distinct = split.pixels.device, sorted(set(seeds))
        self._owner = torch.tensor([distinct.index(seed) for seed in seeds], device=device)
        self._generators = {
            f"{seed}/{name}": torch.Generator().manual_seed(SeedTree.root("training", seed).child(name).seed())
            for seed in distinct
            for name in STREAMS
        }
        self._seeds = distinct
        shape = len(distinct), len(split)
        self._order = torch.zeros(shape, dtype=torch.int64, device=device)
        self._offsets = torch.zeros((*shape, 2), dtype=torch.int64, device=device)
        self._flips = torch.zeros(shape, dtype=torch.bool, device=device)
        self.position = torch.zeros((), dtype=torch.int64, device=device)

    def begin(self) -> None:
        """Draw the next epoch, and start dealing from its first image."""
        for row, seed in enumerate(self._seeds):
            order, augment = (self._generators[f"{seed}/{name}"] for name in STREAMS)
            drawn = draw(len(self._split), self._recipe, order, augment)
            upload(self._order[row], drawn.order)
            upload(self._offsets[row], drawn.offsets)
            upload(self._flips[row], drawn.flips)
        self.position.zero_()

    def deal(self, size: int) -> tuple[Tensor, Tensor]:
        """Return the next images, (size, k * c, h, w) and channels_last, with labels, (k, size), and move on."""
        split, networks = self._split, len(self._owner)
        places = self.position + torch.arange(size, device=self.position.device)
        chosen = self._order.index_select(1, places).flatten()
        offsets = self._offsets.index_select(1, places).flatten(0, 1)
        flips = self._flips.index_select(1, places).flatten()
        cropped = flip_and_crop(split.pixels.index_select(0, chosen), flips, offsets, self._recipe.crop_padding)
        shape = split.pixels.shape[1:]
        images = normalise(cropped, split.mean, split.std).view(-1, size, *shape).index_select(0, self._owner)
        wide = images.transpose(0, 1).reshape(size, networks * shape[0], *shape[1:])
        labels = split.labels.index_select(0, chosen).view(-1, size).index_select(0, self._owner)
        self.position.add_(size)
        return wide.contiguous(memory_format=torch.channels_last), labels

    def state(self) -> dict[str, Tensor]:
        """Return the states of all generators, between two epochs."""
        return {name: generator.get_state() for name, generator in self._generators.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to such states."""
        for name, generator in self._generators.items():
            generator.set_state(state[name])


def upload(target: Tensor, values: Tensor) -> None:
    """Copy values of the host to their place on a device, without a wait for the device."""
    target.copy_(values.pin_memory() if target.is_cuda else values, non_blocking=True)
