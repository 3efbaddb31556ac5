"""Train K networks as one, each with its own weights, order and augmentation: what `fit.train` computes, faster."""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Mapping, Sequence
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.training.augment import draw, flip_and_crop, normalise
from benchmarks.training.bundle import Bundle
from benchmarks.training.cells import build
from benchmarks.training.checkpoint import Shelf
from benchmarks.training.determinism import bitwise
from benchmarks.training.evaluate import Resident
from benchmarks.training.fit import Course, Fit, Job
from benchmarks.training.packing import assemble, extract
from harness.core.errors import TrialFailed, UsageError
from harness.core.seeds import SeedTree

WIDTH = 16
"""Networks of one bundle; more gain little, and cost memory."""

WIDE = 16
"""Channels from which on a bundle holds one network: together they take longer (docs/measurements.md)."""

EVALUATION_BATCH = 50
"""Images of one forward pass of an evaluation, for each network."""


def train(jobs: Sequence[Job], course: Course, shelf: Shelf | None = None) -> list[Fit | TrialFailed]:
    """Train in bundles of up to `WIDTH` jobs of equal length, wide networks one by one; see `fit.Trainer`.

    Nothing is kept on the shelf: a bundle ends within seconds, and starts again after a kill.

    Raises:
        UsageError: the recipe asks for another precision than float32.
    """
    del shelf
    if course.recipe.precision != "fp32":
        raise UsageError(f"recipe: the fused engine computes in 'fp32', not in {course.recipe.precision!r}")
    answers: dict[int, Fit | TrialFailed] = {}
    width = WIDTH if course.skeleton.channels < WIDE else 1
    with bitwise(course.threads):
        for epochs in sorted({job.epochs for job in jobs}):
            chosen = [index for index, job in enumerate(jobs) if job.epochs == epochs]
            for first in range(0, len(chosen), width):
                part = chosen[first : first + width]
                training = Training([jobs[index] for index in part], course)
                for _ in range(epochs):
                    training.advance()
                answers.update(zip(part, training.fits(), strict=True))
    return [answers[index] for index in range(len(jobs))]


class Training:
    """A bundle of networks on its way through the schedule."""

    def __init__(self, jobs: Sequence[Job], course: Course) -> None:
        keep_memory()
        self._jobs, self._course = jobs, course
        self.bundle = assemble([job.arch for job in jobs], course.skeleton, [job.seed for job in jobs])
        self._flat = flatten(self.bundle)
        recipe = course.recipe
        self._optimiser = torch.optim.SGD(
            [self._flat],
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=True,
            foreach=False,
        )
        # Jobs of one seed draw the same, so one draw serves them all.
        self._streams = {seed: _Stream(seed) for seed in {job.seed for job in jobs}}
        self.train_loss: list[Tensor] = []
        self.accuracy: dict[str, list[Tensor]] = {name: [] for name in course.watch}

    @property
    def epoch(self) -> int:
        """The epochs trained so far."""
        return len(self.train_loss)

    def advance(self) -> None:
        """Train every network for one epoch and evaluate; a network that diverges goes on and counts as failed."""
        self.train_loss.append(self._train_epoch())
        for name, split in self._course.watch.items():
            self.accuracy[name].append(accuracy(self.bundle, split))

    def _train_epoch(self) -> Tensor:
        recipe, split = self._course.recipe, self._course.train
        epochs = {seed: stream.epoch(split, self._course) for seed, stream in self._streams.items()}
        pixels = torch.stack([epochs[job.seed][0] for job in self._jobs], 1).flatten(1, 2)
        labels = torch.stack([epochs[job.seed][1] for job in self._jobs])
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        steps = math.ceil(len(split) / recipe.batch_size)
        total = torch.zeros(len(self._jobs))
        self.bundle.train()
        for step in range(steps):
            part = slice(step * recipe.batch_size, (step + 1) * recipe.batch_size)
            for group in self._optimiser.param_groups:
                group["lr"] = recipe.rate(self.epoch, step, steps)
            total += self._step(pixels[part], labels[:, part]) * len(pixels[part])
        return total / len(split)

    def _step(self, pixels: Tensor, labels: Tensor) -> Tensor:
        """Train on one batch and return the mean loss of each network."""
        assert self._flat.grad is not None
        self._flat.grad.zero_()
        losses = losses_of(self.bundle(pixels), labels)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        return losses.detach()

    def fits(self) -> list[Fit | TrialFailed]:
        """Return the networks as they are now, each as if it had been trained alone."""
        return answers_of(self.bundle, self._jobs, self._course, self.train_loss, self.accuracy)


def answers_of(
    bundle: Bundle,
    jobs: Sequence[Job],
    course: Course,
    train_loss: Sequence[Tensor],
    accuracy: Mapping[str, Sequence[Tensor]],
) -> list[Fit | TrialFailed]:
    """Return each network of a bundle as if it had been trained alone; each number of an epoch is of shape (k,)."""
    answers: list[Fit | TrialFailed] = []
    for position, job in enumerate(jobs):
        losses = tuple(float(epoch[position]) for epoch in train_loss)
        curves = {name: tuple(float(epoch[position]) for epoch in curve) for name, curve in accuracy.items()}
        epochs = zip(losses, *curves.values(), strict=True)
        diverged = next((epoch for epoch, values in enumerate(epochs, 1) if not all(map(math.isfinite, values))), None)
        if diverged is not None:
            answers.append(TrialFailed(f"diverged: a loss or logit is not finite in epoch {diverged}", diverged))
            continue
        network: nn.Module = build(job.arch, course.skeleton, job.seed)
        extract(bundle, network, position)
        answers.append(Fit(losses, curves, network.to(course.train.pixels.device)))
    return answers


class _Stream:
    """The data of one seed: the draws of `fit.Training`, epoch after epoch."""

    def __init__(self, seed: int) -> None:
        seeds = SeedTree.root("training", seed)
        self._order, self._augment = (
            torch.Generator().manual_seed(seeds.child(name).seed()) for name in ("order", "augment")
        )

    def epoch(self, split: Resident, course: Course) -> tuple[Tensor, Tensor]:
        """Return the images of the next epoch, augmented and normalised, and their labels."""
        draws = draw(len(split), course.recipe, self._order, self._augment)
        cropped = flip_and_crop(split.pixels[draws.order], draws.flips, draws.offsets, course.recipe.crop_padding)
        return normalise(cropped, split.mean, split.std), split.labels[draws.order]


def losses_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of each network; (k, n, classes) and (k, n)."""
    each = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return each.view(labels.shape).mean(1)


@torch.no_grad()
def accuracy(bundle: Bundle, split: Resident) -> Tensor:
    """Return the share of right answers of each network in percent, NaN where a logit is not finite; (k,)."""
    bundle.eval()
    right = torch.zeros(bundle.count, dtype=torch.int64)
    finite = torch.ones(bundle.count, dtype=torch.bool)
    for first in range(0, len(split), EVALUATION_BATCH):
        part = slice(first, first + EVALUATION_BATCH)
        images = normalise(split.pixels[part], split.mean, split.std).repeat(1, bundle.count, 1, 1)
        logits = bundle(images.contiguous(memory_format=torch.channels_last))
        right += (logits.argmax(2) == split.labels[part]).sum(1)
        finite &= logits.isfinite().flatten(1).all(1)
    return torch.where(finite, 100.0 * right.double() / len(split), math.nan)


def flatten(module: nn.Module) -> nn.Parameter:
    """Move all parameters and their gradients into one vector each, so that an optimiser makes one pass.

    Element-wise optimisers compute the same as on the separate tensors.
    """
    parameters = list(module.parameters())
    flat = nn.Parameter(torch.cat([parameter.detach().flatten() for parameter in parameters]))
    flat.grad = torch.zeros_like(flat)
    first = 0
    for parameter in parameters:
        part = slice(first, first + parameter.numel())
        parameter.data = flat.detach()[part].view(parameter.shape)
        parameter.grad = flat.grad[part].view(parameter.shape)
        first = part.stop
    return flat


@cache
def keep_memory() -> None:
    """Tell the C library to keep freed memory instead of handing it back to the system.

    By default glibc maps every tensor above 128 KiB anew, and the faults of first touch take half of the time of a
    step. Values are untouched. Other C libraries are left as they are.
    """
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        trim, top_pad, mmap = -1, -2, -3
        for option, size in ((mmap, 32 << 20), (trim, 1 << 30), (top_pad, 64 << 20)):
            library.mallopt(option, size)
