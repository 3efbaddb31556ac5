"""Train one network after another, plainly: eager, float32, one step at a time.

This is the reference trainer, the definition that faster engines are compared with. An engine is a function with the
signature of `Trainer`; what it must return is fixed by `Fit`, and what it must compute by this file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import nn
from torch.nn import functional

from benchmarks.spaces.nb201 import Skeleton
from benchmarks.training.augment import draw, flip_and_crop
from benchmarks.training.cells import build
from benchmarks.training.checkpoint import Shelf, State
from benchmarks.training.determinism import bitwise
from benchmarks.training.evaluate import Resident, accuracy
from benchmarks.training.recipe import Recipe
from harness.core.canonical import content_hash
from harness.core.errors import TrialFailed, UsageError
from harness.core.seeds import SeedTree
from harness.core.types import Arch


@dataclass(frozen=True, slots=True)
class Job:
    """One network to train: the first `epochs` of the recipe's schedule."""

    arch: Arch
    seed: int
    epochs: int


@dataclass(frozen=True, slots=True)
class Course:
    """What all the networks of a training have in common.

    Attributes:
        train: the images to train on.
        watch: splits on which every network is evaluated after each epoch, by name.
        identity: names everything beside a job that determines bits; checkpoints of another course are never read.
    """

    recipe: Recipe
    skeleton: Skeleton
    train: Resident
    watch: Mapping[str, Resident]
    threads: int
    identity: str

    def key(self, job: Job) -> str:
        """Return the name of a job's checkpoint: the same for every length, so that longer continues shorter."""
        return content_hash([self.identity, job.arch, job.seed])

    def in_layout(self, layout: str) -> Course:
        """Return the same course with its images in another order in memory."""
        watch = {name: replace(split, layout=layout) for name, split in self.watch.items()}
        return replace(self, train=replace(self.train, layout=layout), watch=watch)


@dataclass(frozen=True, slots=True)
class Fit:
    """A trained network.

    Attributes:
        train_loss: mean loss of each epoch, over augmented images and as the weights changed.
        accuracy: accuracy in percent after each epoch, for each split that was watched.
        network: in the state after the last epoch, on the device.
    """

    train_loss: tuple[float, ...]
    accuracy: Mapping[str, tuple[float, ...]]
    network: nn.Module


class Trainer(Protocol):
    """An engine: it trains the networks of several jobs and answers each, in order."""

    def __call__(self, jobs: Sequence[Job], course: Course, shelf: Shelf | None) -> Sequence[Fit | TrialFailed]:
        """Return a `Fit`, or why the network failed and after how many epochs; one failure stops no other job."""
        ...


def train(jobs: Sequence[Job], course: Course, shelf: Shelf | None = None) -> list[Fit | TrialFailed]:
    """Train one network after another, bit for bit the same on every call; see `Trainer`.

    Raises:
        UsageError: the recipe asks for another precision than float32.
    """
    if course.recipe.precision != "fp32":
        raise UsageError(
            f"recipe: the reference engine computes in 'fp32', not in {course.recipe.precision!r}; "
            "change `precision` or `engine`"
        )
    with bitwise(course.threads):
        return [_train_one(job, course, shelf) for job in jobs]


def _train_one(job: Job, course: Course, shelf: Shelf | None) -> Fit | TrialFailed:
    key = course.key(job)
    training: Training | None = None
    try:
        training = _begin(job, course, shelf)
        while training.epoch < job.epochs:
            training.advance()
            if shelf is not None and training.epoch < job.epochs:
                shelf.offer(key, training.state)
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not is_out_of_memory(error):
            raise
        return TrialFailed("out of memory", 1 if training is None else training.epoch + 1)
    except TrialFailed as failed:
        return failed
    if shelf is not None:
        _put_away(training, job, course, shelf)
    return training.fit()


def _begin(job: Job, course: Course, shelf: Shelf | None) -> Training:
    training = Training(job, course)
    state = None if shelf is None else shelf.load(course.key(job))
    if state is not None and len(state["train_loss"]) <= job.epochs:
        training.restore(state)
    return training


def _put_away(training: Training, job: Job, course: Course, shelf: Shelf) -> None:
    if job.epochs == course.recipe.epochs:
        shelf.drop(course.key(job))
    else:
        shelf.save(course.key(job), training.state())


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether an error means that memory ran out, on whichever device."""
    signs = ("out of memory", "can't allocate memory", "ALLOC_FAILED")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(sign in str(error) for sign in signs)


class Training:
    """One network on its way through the schedule, with every state that its future depends on."""

    def __init__(self, job: Job, course: Course) -> None:
        recipe = course.recipe
        self._course = course
        self._network = build(job.arch, course.skeleton, job.seed).to(course.train.pixels.device)
        self._optimiser = torch.optim.SGD(
            self._network.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=True,
            foreach=False,
        )
        seeds = SeedTree.root("training", job.seed)
        self._generators = {
            name: torch.Generator().manual_seed(seeds.child(name).seed()) for name in ("order", "augment")
        }
        self._train_loss: list[float] = []
        self._accuracy: dict[str, list[float]] = {name: [] for name in course.watch}

    @property
    def epoch(self) -> int:
        """The epochs trained so far."""
        return len(self._train_loss)

    def advance(self) -> None:
        """Train for one epoch and evaluate.

        Raises:
            TrialFailed: the loss or a logit is not finite; the epoch counts as spent.
        """
        loss = self._train_epoch()
        scores = {name: accuracy(self._network, split) for name, split in self._course.watch.items()}
        if not all(map(math.isfinite, (loss, *scores.values()))):
            raise TrialFailed(f"diverged: a loss or logit is not finite in epoch {self.epoch + 1}", self.epoch + 1)
        self._train_loss.append(loss)
        for name, score in scores.items():
            self._accuracy[name].append(score)

    def _train_epoch(self) -> float:
        recipe, split = self._course.recipe, self._course.train
        device = split.pixels.device
        draws = draw(len(split), recipe, self._generators["order"], self._generators["augment"])
        order, offsets, flips = draws.order.to(device), draws.offsets.to(device), draws.flips.to(device)
        steps = math.ceil(len(split) / recipe.batch_size)
        total = torch.zeros((), device=device)
        self._network.train()
        for step in range(steps):
            part = slice(step * recipe.batch_size, (step + 1) * recipe.batch_size)
            pixels = flip_and_crop(split.pixels[order[part]], flips[part], offsets[part], recipe.crop_padding)
            labels = split.labels[order[part]]
            for group in self._optimiser.param_groups:
                group["lr"] = recipe.rate(self.epoch, step, steps)
            loss = functional.cross_entropy(self._network(split.images(pixels)), labels)
            self._optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimiser.step()
            total += loss.detach() * len(labels)
        return total.item() / len(split)

    def state(self) -> State:
        """Return all that is needed to go on, down to the last bit."""
        return {
            "network": self._network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "generators": {name: generator.get_state() for name, generator in self._generators.items()},
            "train_loss": list(self._train_loss),
            "accuracy": {name: list(curve) for name, curve in self._accuracy.items()},
        }

    def restore(self, state: State) -> None:
        """Go back to a state of the same job."""
        self._network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        for name, generator in self._generators.items():
            generator.set_state(state["generators"][name])
        self._train_loss = list(state["train_loss"])
        self._accuracy = {name: list(curve) for name, curve in state["accuracy"].items()}

    def fit(self) -> Fit:
        """Return the network as it is now."""
        curves = {name: tuple(curve) for name, curve in self._accuracy.items()}
        return Fit(tuple(self._train_loss), curves, self._network)
