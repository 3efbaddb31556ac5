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
    """

    train: float
    valid: float
    memory: int
    images: int

    def epoch(self, train: int, valid: int) -> float:
        """Return the seconds of an epoch on `train` images with an evaluation on `valid`."""
        return self.train * train + self.valid * valid


def calibrate(engine: Trainer, course: Course) -> Pace:
    """Return the pace of an engine on a course: a step to warm up, then about a second of steps.

    Raises:
        HarnessError: not even a step of an average cell can be trained here (lack of memory, say).
    """
    batch = course.recipe.batch_size
    _time(engine, course, batch)
    seconds, fit = _time(engine, course, batch)
    images = min(len(course.train), batch * max(1, round(_ENOUGH_SECONDS / seconds)))
    if images > batch:
        seconds, fit = _time(engine, course, images)
    split = _first(next(iter(course.watch.values())), BATCH)
    with bitwise(course.threads):
        watch = Stopwatch()
        accuracy(fit.network, split)
        validation = watch.lap()
    return Pace(seconds / images, validation / len(split), peak(course.train.pixels.device), images)


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
