"""Train the perceptrons behind the sigmoid-slope curve: one architecture, a hundred slopes, all of them at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from benchmarks.sigmoid.curve import Curve, Definition
from benchmarks.training import data, mnist
from benchmarks.training.cifar import Images
from benchmarks.training.determinism import bitwise
from harness.core.canonical import canonical_json
from harness.core.errors import DataCorrupt
from harness.core.interfaces import Place
from harness.core.seeds import SeedTree

Floats = NDArray[np.float64]

Progress = Callable[[int, int], None]
"""Told the repeats that are done and their number."""

ROUNDED = 5e-5  # points: files hold four decimals
TOLERANCE = 1.5  # points: other processors add in another order, and training amplifies that

_PIECE = 1000  # images that are classified at a time: bounds the memory


@dataclass(frozen=True, slots=True)
class Splits:
    """Images as rows of numbers in [0, 1] with their classes."""

    train: tuple[Tensor, Tensor]
    valid: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class Verification:
    """What training some slopes again gave.

    Attributes:
        slopes: that were trained, in one `repeat`.
        differing: accuracies that came out differently, of two for each slope.
        furthest: the largest difference in points.
    """

    slopes: tuple[float, ...]
    repeat: int
    differing: int
    furthest: float

    @property
    def passed(self) -> bool:
        """Whether no accuracy is further away than another order of the same sums can bring it."""
        return self.furthest <= TOLERANCE


def open_splits(definition: Definition, place: Place) -> Splits:
    """Return the splits of a data set as the definition cuts them.

    MNIST: the first images of the official training file train, its last 10,000 validate, the official test file is
    the test. Digits: the splits of `benchmarks.training.data`.

    Raises:
        DataMissing: MNIST is not on this machine.
        DataCorrupt: a file differs from its checksum.
    """
    if definition.dataset == "mnist":
        images = mnist.training_images(place)
        first = np.arange(definition.train)
        last = np.arange(len(images) - definition.valid, len(images))
        return Splits(
            _rows(images.take(first), 255), _rows(images.take(last), 255), _rows(mnist.test_images(place), 255)
        )
    digits = data.open_dataset("digits", place)
    return Splits(_rows(digits.train, 16), _rows(digits.valid, 16), _rows(data.test_images("digits", place), 16))


def _rows(images: Images, full: int) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(images.pixels).flatten(1).float() / full, torch.from_numpy(images.labels)


def train(definition: Definition, splits: Splits, slopes: Sequence[float], repeat: int) -> tuple[Floats, Floats]:
    """Train one network for each slope and return validation and test accuracies in percent.

    Two hidden layers with sigma(c z) in both; cross-entropy, Adam. All slopes of a repeat share the initial weights and
    the order of the batches, which depend on the data set and the repeat alone.
    """
    node = SeedTree.root("sigmoid-slope", 0).child(definition.dataset, definition.init, "repeat", repeat)
    with bitwise(threads=1):
        networks = _Networks(definition, splits.train[0].shape[1], slopes, node.child("weights"))
        generator = torch.Generator().manual_seed(node.child("batches").seed())
        for _ in range(definition.epochs):
            for batch in torch.split(torch.randperm(len(splits.train[0]), generator=generator), definition.batch):
                networks.step(splits.train[0][batch], splits.train[1][batch])
        return networks.accuracies(*splits.valid), networks.accuracies(*splits.test)


class _Networks:
    """One perceptron for each slope; the first layers of all of them are one matrix, since they see the same images."""

    def __init__(self, definition: Definition, inputs: int, slopes: Sequence[float], node: SeedTree) -> None:
        self._slopes = torch.tensor(slopes, dtype=torch.float32).view(-1, 1, 1)
        self._width = definition.width
        generator = torch.Generator().manual_seed(node.seed())
        sizes = (inputs, definition.width, definition.width, definition.classes)
        layers = [_initial(definition.init, *fans, generator) for fans in pairwise(sizes)]
        count = len(slopes)
        self._first = layers[0][0].repeat(1, count).requires_grad_()
        rest = [layers[0][1], *layers[1], *layers[2]]
        self._rest = [tensor.expand(count, *tensor.shape).clone().requires_grad_() for tensor in rest]
        self._adam = torch.optim.Adam([self._first, *self._rest], lr=definition.rate, fused=True)

    def step(self, images: Tensor, classes: Tensor) -> None:
        """Train every network on one batch."""
        logits = self._logits(images)
        loss = cross_entropy(logits.flatten(0, 1), classes.repeat(len(logits)), reduction="sum") / len(images)
        self._adam.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self._adam.step()

    def accuracies(self, images: Tensor, classes: Tensor) -> Floats:
        """Return the accuracy of every network in percent."""
        right = torch.zeros(len(self._slopes), dtype=torch.int64)
        with torch.no_grad():
            for piece, truth in zip(torch.split(images, _PIECE), torch.split(classes, _PIECE), strict=True):
                right += (self._logits(piece).argmax(dim=2) == truth).sum(dim=1)
        accuracies: Floats = 100.0 * right.double().numpy() / len(images)
        return accuracies

    def _logits(self, images: Tensor) -> Tensor:
        bias1, weight2, bias2, weight3, bias3 = self._rest
        first = (images @ self._first).view(len(images), -1, self._width).transpose(0, 1) + bias1
        second = torch.baddbmm(bias2, torch.sigmoid(self._slopes * first), weight2)
        return torch.baddbmm(bias3, torch.sigmoid(self._slopes * second), weight3)


def _initial(init: str, fan_in: int, fan_out: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return weights and bias of a layer: N(0, 1) and zero, or both uniform as torch's linear layers have them."""
    if init == "normal":
        return torch.randn(fan_in, fan_out, generator=generator), torch.zeros(1, fan_out)
    bound = fan_in**-0.5
    weight, bias = torch.empty(fan_in, fan_out), torch.empty(1, fan_out)
    return weight.uniform_(-bound, bound, generator=generator), bias.uniform_(-bound, bound, generator=generator)


def build(definition: Definition, name: str, folder: Path, place: Place, progress: Progress) -> Floats:
    """Train what is missing of a curve and return all accuracies, (2, slopes, repeats): validation, then test.

    Every repeat is kept in the folder as soon as it is done, so that a stopped build goes on.

    Raises:
        DataMissing: MNIST is not on this machine.
        DataCorrupt: a file in the folder belongs to another definition.
    """
    folder.mkdir(parents=True, exist_ok=True)
    splits = open_splits(definition, place)
    done = []
    for repeat in range(definition.repeats):
        path = folder / f"{name}-repeat-{repeat}.json"
        if not path.is_file():
            pair = train(definition, splits, definition.grid, repeat)
            record = {"definition": definition.manifest(), "accuracies": [row.tolist() for row in pair]}
            draft = path.with_suffix(".draft")
            draft.write_text(canonical_json(record), encoding="utf-8")
            draft.replace(path)
        record = json.loads(path.read_text(encoding="utf-8"))
        if {**record["definition"], "repeats": 0} != {**definition.manifest(), "repeats": 0}:
            raise DataCorrupt(f"{path}: trained by another recipe than {name!r}; delete it, or build in another folder")
        done.append(record["accuracies"])
        progress(repeat + 1, definition.repeats)
    return np.array(done).transpose(1, 2, 0)


def verify(curve: Curve, place: Place, slopes: int, seed: int) -> Verification:
    """Train some slopes of one repeat again and compare.

    Args:
        curve: the curve to hold to account.
        place: where the data set is.
        slopes: how many of them.
        seed: of the choice of slopes and repeat.
    """
    generator = SeedTree.root("sigmoid-slope/verify", seed).generator()
    rows = np.sort(generator.permutation(curve.definition.slopes)[:slopes])
    repeat = int(generator.integers(curve.definition.repeats))
    grid = [curve.definition.grid[row] for row in rows]
    valid, test = train(curve.definition, open_splits(curve.definition, place), grid, repeat)
    gaps = np.stack([valid - curve.valid[rows, repeat], test - curve.test[rows, repeat]])
    return Verification(tuple(grid), repeat, int((np.abs(gaps) > ROUNDED).sum()), float(np.abs(gaps).max()))
