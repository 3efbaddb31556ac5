"""Flip, crop, normalise and cut out whole batches: pure functions of images and of what a generator drew."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Draws:
    """The randomness of one epoch, drawn on the CPU so that every device trains alike.

    Attributes:
        order: the images in the order in which they are trained on, (n,).
        offsets: row and column of the crop of each position of that order, (n, 2).
        flips: whether the image at each position is mirrored, (n,).
    """

    order: Tensor
    offsets: Tensor
    flips: Tensor


def draw(images: int, recipe: Recipe, order: torch.Generator, augment: torch.Generator) -> Draws:
    """Draw the order and the augmentation of one epoch."""
    offsets = torch.randint(0, 2 * recipe.crop_padding + 1, (images, 2), generator=augment)
    flips = torch.rand(images, generator=augment) < (0.5 if recipe.flip else 0.0)
    return Draws(torch.randperm(images, generator=order), offsets, flips)


def draw_centres(images: int, size: int, cutout: torch.Generator) -> Tensor:
    """Draw row and column of the pixel about which each image is cut out, (images, 2), for images of size x size."""
    return torch.randint(0, size, (images, 2), generator=cutout)


def flip_and_crop(images: Tensor, flips: Tensor, offsets: Tensor, padding: int) -> Tensor:
    """Mirror images, pad them with zeros and cut them back to size at `offsets`; (n, c, h, w) in and out.

    A gather by index arithmetic: static shapes, and no synchronisation with a device.
    """
    count, channels, height, width = images.shape
    padded = functional.pad(images, (padding, padding, padding, padding))
    rows = offsets[:, :1] + torch.arange(height, device=images.device)
    columns = offsets[:, 1:] + torch.arange(width, device=images.device)
    columns = torch.where(flips[:, None], width + 2 * padding - 1 - columns, columns)
    index = rows[:, :, None] * (width + 2 * padding) + columns[:, None, :]
    index = index.reshape(count, 1, -1).expand(-1, channels, -1)
    return padded.flatten(2).gather(2, index).view_as(images)


def normalise(pixels: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return bytes as floats with the mean and the deviation of each channel taken out; (n, c, h, w), (c,) and (c,)."""
    return (pixels.float() - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)


def cut_out(images: Tensor, centres: Tensor, side: int) -> Tensor:
    """Set a square of each normalised image to zero, the mean of its channels; (n, c, h, w) in and out.

    Cutout (DeVries and Taylor, 2017): the square is clipped at the border. It begins `side // 2` pixels above and to
    the left of its centre, (n, 2).
    """
    rows, columns = (_within(centres[:, axis], side, images.shape[2 + axis]) for axis in (0, 1))
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)


def _within(centres: Tensor, side: int, length: int) -> Tensor:
    """Tell for each of `length` places whether it is in the stretch about each centre, (n, length)."""
    first = centres[:, None] - side // 2
    places = torch.arange(length, device=centres.device)
    return (places >= first) & (places < first + side)
