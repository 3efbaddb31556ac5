"""Train K networks as one on an accelerator: every step a CUDA graph, every image and number on the device.

The same code runs plainly on the CPU, where tests hold it against `fit.train`. The host is asked for nothing between
the first and the last step of an epoch: order, augmentation, learning rates and the place in the epoch are tensors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from benchmarks.training.arithmetic import ACTIVATIONS, arithmetic, check_precision
from benchmarks.training.capture import Capture, Graphs, Sweep, plainly
from benchmarks.training.checkpoint import Shelf, State
from benchmarks.training.feed import Feed, upload
from benchmarks.training.fit import Course, Fit, Job, is_out_of_memory
from benchmarks.training.fused import answers_of, flatten, losses_of
from benchmarks.training.packing import assemble
from benchmarks.training.settings import Determinism
from benchmarks.training.survey import Survey
from harness.core.canonical import content_hash
from harness.core.errors import TrialFailed

WIDTH = 8
"""Networks of one bundle: the heaviest at full size, with batches of 256, take about 4 GB each."""

Answers = list[Fit | TrialFailed]


def train(jobs: Sequence[Job], course: Course, shelf: Shelf | None = None) -> Answers:
    """Train in bundles of up to `WIDTH` jobs of equal length, the same bits on every call; see `fit.Trainer`.

    Raises:
        UsageError: the device does not have the precision of the recipe.
    """
    return _train(jobs, course, shelf, "bitwise")


def train_statistical(jobs: Sequence[Job], course: Course, shelf: Shelf | None = None) -> Answers:
    """Train as `train` does with the fastest kernels, which give the same distribution but not the same bits."""
    return _train(jobs, course, shelf, "statistical")


def _train(jobs: Sequence[Job], course: Course, shelf: Shelf | None, determinism: Determinism) -> Answers:
    check_precision(course.recipe.precision, course.train.pixels.device)
    answers: dict[int, Fit | TrialFailed] = {}
    with arithmetic(determinism, course.recipe.precision, course.threads):
        for epochs in sorted({job.epochs for job in jobs}):
            chosen = [index for index, job in enumerate(jobs) if job.epochs == epochs]
            for first in range(0, len(chosen), WIDTH):
                part = chosen[first : first + WIDTH]
                found = _train_together([jobs[index] for index in part], course, shelf)
                answers.update(zip(part, found, strict=True))
    return [answers[index] for index in range(len(jobs))]


def _train_together(jobs: Sequence[Job], course: Course, shelf: Shelf | None) -> Answers:
    """Train a bundle; where the device lacks the memory for it, each half of it on its own."""
    try:
        return _train_bundle(jobs, course, shelf)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    if len(jobs) == 1:
        return [TrialFailed("out of memory", 1)]
    half = len(jobs) // 2
    return [answer for part in (jobs[:half], jobs[half:]) for answer in _train_together(part, course, shelf)]


def _train_bundle(jobs: Sequence[Job], course: Course, shelf: Shelf | None) -> Answers:
    key = course.key(jobs[0]) if len(jobs) == 1 else content_hash([course.key(job) for job in jobs])
    training, epochs = Training(jobs, course), jobs[0].epochs
    state = None if shelf is None else shelf.load(key)
    if state is not None and len(state["train_loss"]) <= epochs:
        training.restore(state)
    while training.epoch < epochs and training.alive:
        training.advance()
        if shelf is not None and training.epoch < epochs:
            shelf.offer(key, training.state)
    if shelf is not None and (epochs == course.recipe.epochs or not training.alive):
        shelf.drop(key)
    elif shelf is not None:
        shelf.save(key, training.state())
    return training.fits()


class Training:
    """A bundle of networks on its way through the schedule.

    Attributes:
        train_loss: mean loss of each epoch so far, each (k,); likewise `accuracy`, for each split that is watched.
    """

    def __init__(self, jobs: Sequence[Job], course: Course, capture: Capture | None = None) -> None:
        self._jobs, self._course = jobs, course
        device, recipe, split = course.train.pixels.device, course.recipe, course.train
        self._dtype = ACTIVATIONS[recipe.precision]
        self.bundle = assemble([job.arch for job in jobs], course.skeleton, [job.seed for job in jobs], str(device))
        self._flat = flatten(self.bundle)
        self._rate = torch.tensor(recipe.learning_rate, device=device)
        self._optimiser = torch.optim.SGD(
            [self._flat],
            lr=self._rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=True,
            fused=True,
        )
        # Momentum from zero is what torch begins with; a buffer that is there from the start can be captured.
        self._momentum = torch.zeros_like(self._flat.detach())
        self._optimiser.state[self._flat]["momentum_buffer"] = self._momentum
        self._feed = Feed(split, recipe, [job.seed for job in jobs])
        self._steps = math.ceil(len(split) / recipe.batch_size)
        self._rates = torch.zeros(self._steps, device=device)
        self._step = torch.zeros((), dtype=torch.int64, device=device)
        self._total = torch.zeros(len(jobs), device=device)
        self.train_loss: list[Tensor] = []
        self.accuracy: dict[str, list[Tensor]] = {name: [] for name in course.watch}
        repeat = capture or (Graphs() if device.type == "cuda" else plainly)
        self._sweep = Sweep(len(split), recipe.batch_size, self._train_batch, self._changing(), repeat)
        self._surveys = {
            name: Survey(self.bundle, watched, self._dtype, repeat) for name, watched in course.watch.items()
        }

    @property
    def epoch(self) -> int:
        """The epochs trained so far."""
        return len(self.train_loss)

    @property
    def alive(self) -> bool:
        """Whether the numbers of any network are finite; what diverged once never comes back."""
        last = [curve[-1] for curve in (self.train_loss, *self.accuracy.values()) if curve]
        return not last or bool(torch.stack([values.isfinite() for values in last]).all(0).any())

    def advance(self) -> None:
        """Train every network for one epoch and evaluate; the host waits for the device once, at the end."""
        self.begin_epoch()
        self.run_epoch()
        self.train_loss.append((self._total / len(self._course.train)).cpu())
        for name, survey in self._surveys.items():
            self.accuracy[name].append(survey.result().cpu())

    def begin_epoch(self) -> None:
        """Put on the device what the next epoch needs."""
        rates = [self._course.recipe.rate(self.epoch, step, self._steps) for step in range(self._steps)]
        upload(self._rates, torch.tensor(rates))
        self._feed.begin()
        self._step.zero_()
        self._total.zero_()

    def run_epoch(self) -> None:
        """Launch all steps and evaluations of an epoch, without waiting for any."""
        self._sweep.run()
        for survey in self._surveys.values():
            survey.run()

    def _changing(self) -> list[Tensor]:
        buffers = [self._feed.position, self._step, self._total, self._rate, self._momentum]
        return [self._flat.detach(), *self.bundle.buffers(), *buffers]

    def _train_batch(self, size: int) -> None:
        self.bundle.train()
        images, labels = self._feed.deal(size)
        self._rate.copy_(self._rates.index_select(0, self._step.view(1)).view(()))
        assert self._flat.grad is not None
        self._flat.grad.zero_()
        losses = losses_of(self.bundle(images.to(self._dtype)), labels)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self._total.add_(losses.detach(), alpha=size)
        self._step.add_(1)

    def state(self) -> State:
        """Return all that is needed to go on, down to the last bit."""
        return {
            "bundle": {name: tensor.cpu() for name, tensor in self.bundle.state_dict().items()},
            "momentum": self._momentum.cpu(),
            "generators": self._feed.state(),
            "train_loss": list(self.train_loss),
            "accuracy": {name: list(curve) for name, curve in self.accuracy.items()},
        }

    @torch.no_grad()
    def restore(self, state: State) -> None:
        """Go back to a state of the same jobs; every tensor stays where it is, since graphs know its place."""
        for name, tensor in self.bundle.state_dict().items():
            tensor.copy_(state["bundle"][name])
        self._momentum.copy_(state["momentum"])
        self._feed.restore(state["generators"])
        self.train_loss = list(state["train_loss"])
        self.accuracy = {name: list(curve) for name, curve in state["accuracy"].items()}

    def fits(self) -> Answers:
        """Return the networks as they are now, each as if it had been trained alone."""
        return answers_of(self.bundle, self._jobs, self._course, self.train_loss, self.accuracy)
