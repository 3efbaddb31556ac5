"""Time a few steps of an average cell, to say what a training will take before it starts."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from benchmarks.training.determinism import bitwise
from benchmarks.training.evaluate import BATCH, Resident, accuracy
from benchmarks.training.fit import Course, Fit, Job, Trainer
from benchmarks.training.landmarks import AVERAGE
from harness.core.clock import Stopwatch
from harness.core.errors import HarnessError

_ENOUGH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast this machine trains and evaluates an average cell.

    Attributes:
        train: seconds for each training image.
        valid: seconds for each validation image.
        memory: bytes at the peak, of the process, or of the accelerator where there is one.
        images: how many training images were timed.
        start: seconds before the first step of a network: to build it, and to capture its steps where an engine does.
    """

    train: float
    valid: float
    memory: int
    images: int
    start: float = 0.0

    def epoch(self, train: int, valid: int) -> float:
        """Return the seconds of an epoch on `train` images with an evaluation on `valid`."""
        return self.train * train + self.valid * valid


def calibrate(engine: Trainer, course: Course) -> Pace:
    """Return the pace of an engine on a course: a step to warm up, then more and more steps for about a second.

    Raises:
        HarnessError: not even a step of an average cell can be trained here (lack of memory, say).
    """
    images = batch = min(course.recipe.batch_size, len(course.train))
    _time(engine, course, batch)
    once, fit = _time(engine, course, batch)
    seconds = once
    # What every training begins with is in both times, and so not in their difference.
    while seconds - once < _ENOUGH_SECONDS / 4 and images < len(course.train):
        images = min(len(course.train), 2 * batch if images == batch else 4 * images)
        seconds, fit = _time(engine, course, images)
    train = (seconds - once) / (images - batch) if seconds > once else seconds / images
    split = _first(next(iter(course.watch.values())), BATCH)
    with bitwise(course.threads):
        watch = Stopwatch()
        accuracy(fit.network, split)
        validation = watch.lap()
    start = max(0.0, once - train * batch)
    return Pace(train, validation / len(split), peak(course.train.pixels.device), images, start)


def _time(engine: Trainer, course: Course, images: int) -> tuple[float, Fit]:
    nothing: Mapping[str, Resident] = {}
    short = replace(course, train=_first(course.train, images), watch=nothing)
    watch = Stopwatch()
    result = engine([Job(AVERAGE, 0, 1)], short, None)[0]
    if not isinstance(result, Fit):
        raise HarnessError(f"calibration: an average cell cannot be trained on this machine ({result.reason})")
    return watch.lap(), result


def _first(split: Resident, images: int) -> Resident:
    return replace(split, pixels=split.pixels[:images], labels=split.labels[:images])


def peak(device: torch.device) -> int:
    """Return the bytes at the peak, of the process, or of the accelerator where there is one."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
