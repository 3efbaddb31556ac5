"""Train the same networks with an engine as with another: the numbers behind the claim that they compute the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.spaces.nb201 import NasBench201
from benchmarks.training.data import facts, open_dataset
from benchmarks.training.evaluate import to_device
from benchmarks.training.fit import Course, Fit, Job
from benchmarks.training.settings import ENGINES, TrainingConfig, check_engine
from harness.core.canonical import content_hash
from harness.core.clock import Stopwatch
from harness.core.errors import UsageError
from harness.core.interfaces import Place
from harness.core.seeds import SeedTree
from harness.core.types import Arch

REFERENCE = "reference"

AT_ONCE = 16
"""Networks that an engine is given in one call."""

_FEWEST = 2


@dataclass(frozen=True, slots=True)
class Trained:
    """What an engine made of the networks.

    Attributes:
        accuracy: validation accuracy after the last epoch in percent, NaN where it failed, (cells, seeds).
        seconds: real seconds for all of them, evaluations included.
    """

    engine: str
    accuracy: NDArray[np.float64]
    seconds: float


def course_of(config: TrainingConfig, epochs: int, place: Place) -> Course:
    """Return the course of a configuration: its data on the device and its recipe.

    Raises:
        UsageError: the configuration names an engine that does not run on the device.
        DataMissing: the data set is not on this machine.
    """
    check_engine(config.engine, place.device)
    data = open_dataset(config.dataset, place, config.train_images, config.valid_images)
    known = facts(config.dataset)
    train, valid = (to_device(images, known, place.device) for images in (data.train, data.valid))
    skeleton = known.skeleton(config.channels, config.cells)
    identity = content_hash(["check-engine", data.manifest(), config.recipe(epochs).describe()])
    return Course(config.recipe(epochs), skeleton, train, {"valid": valid}, place.threads, identity)


def sample(cells: int, seed: int) -> list[Arch]:
    """Return so many random cells of the space, no cell twice.

    Raises:
        UsageError: fewer than 2 or more than there are.
    """
    space = NasBench201()
    if not _FEWEST <= cells <= len(space):
        raise UsageError(f"--cells: {cells} is not allowed; give {_FEWEST} to {len(space)}")
    generator = SeedTree.root("check-engine", seed).child("cells").generator()
    return [space.arch(int(index)) for index in generator.choice(len(space), size=cells, replace=False)]


def train(engine: str, course: Course, archs: list[Arch], seeds: int, told: Callable[[], None]) -> Trained:
    """Train each cell with the seeds 0, 1, ... and return how it validates; `told` after every call of the engine.

    The reference computes in float32, whatever precision the course asks of the engine that is compared with it.
    """
    trainer = ENGINES[engine].load()
    course = course.in_layout(ENGINES[engine].layout)
    if engine == REFERENCE:
        course = replace(course, recipe=replace(course.recipe, precision="fp32"))
    jobs = [Job(arch, seed, course.recipe.epochs) for arch in archs for seed in range(seeds)]
    accuracies: list[float] = []
    watch = Stopwatch()
    for first in range(0, len(jobs), AT_ONCE):
        results = trainer(jobs[first : first + AT_ONCE], course, None)
        accuracies += [fit.accuracy["valid"][-1] if isinstance(fit, Fit) else math.nan for fit in results]
        told()
    return Trained(engine, np.array(accuracies).reshape(len(archs), seeds), watch.lap())
