"""The fused engine against the reference trainer in one run: networks per second over K, at equal thread budgets.

Nothing here passes or fails by time. `extra_info` of each benchmark carries networks per second and `ratio`, how many
times more networks than the reference trains one after another; what both train is checked to be the same. Seconds of
one thread are those of the processor, which a busy machine hardly changes; those of all cores are real.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.spaces.nb201 import NasBench201, Skeleton
from benchmarks.training import fit
from benchmarks.training.determinism import bitwise
from benchmarks.training.digits201 import DIGITS_201, Bundle, Definition, Result, course, plan, train_bundle
from benchmarks.training.evaluate import Resident
from benchmarks.training.fit import Course, Fit, Job
from benchmarks.training.fused import Training
from benchmarks.training.recipe import Recipe
from harness.core.types import Arch

Timed = Any
"""The fixture of pytest-benchmark."""

CELLS = 8
NETWORKS_AT_ONCE = (1, 4, 16, 32)
SHORT = replace(DIGITS_201, recipe=replace(DIGITS_201.recipe, epochs=1))
"""One epoch of the recipe of digits-201, with its evaluations."""

WIDER = replace(SHORT, recipe=replace(SHORT.recipe, channels=8, batch_size=64))
RECIPES = {"digits-201, C=4 N=1": SHORT, "C=8 N=1": WIDER}


SECONDS: dict[str, float] = {}
LOSSES: dict[str, list[float]] = {}
"""What the reference, the first of each group, took for a network, and the losses that it ended with."""


@dataclass(frozen=True)
class Effort:
    """How much is trained: two steps, once and without evaluations, where nobody will read the figures."""

    quick: bool

    def cut(self, definition: Definition) -> Definition:
        return replace(definition, train_images=64) if self.quick else definition

    def course(self, definition: Definition) -> Course:
        whole = course(self.cut(definition))
        return replace(whole, watch={}) if self.quick else whole

    @property
    def rounds(self) -> int:
        return 1 if self.quick else 2


@pytest.fixture(scope="module")
def effort(pytestconfig: pytest.Config) -> Effort:
    return Effort(pytestconfig.getoption("quick", default=False))


@pytest.fixture(scope="module")
def archs() -> list[Arch]:
    space, rng = NasBench201(), np.random.default_rng(11)
    return [space.arch(int(index)) for index in rng.choice(len(space), CELLS, replace=False)]


def reference(jobs: Sequence[Job], common: Course) -> list[float]:
    return [found.train_loss[-1] for found in fit.train(jobs, common) if isinstance(found, Fit)]


def bundles(jobs: Sequence[Job], common: Course, width: int) -> list[float]:
    losses: list[float] = []
    with bitwise(common.threads):
        for first in range(0, len(jobs), width):
            training = Training(jobs[first : first + width], common)
            training.advance()
            losses += training.train_loss[-1].tolist()
    return losses


def measure(timed: Timed, work: Callable[[], list[float]], group: str, networks: int, rounds: int) -> None:
    """Time some work, note networks per second and the ratio to the reference, and compare what came out."""
    losses = timed.pedantic(work, rounds=rounds)
    seconds = timed.stats.stats.min / networks
    first = SECONDS.setdefault(group, seconds)
    expected = LOSSES.setdefault(group, losses)
    assert losses[: len(expected)] == pytest.approx(expected[: len(losses)], rel=0.05)
    timed.extra_info |= {"networks per second": float(f"{1 / seconds:.3g}"), "ratio": float(f"{first / seconds:.3g}")}


@pytest.fixture(scope="module", autouse=True)
def warm(archs: list[Arch], effort: Effort) -> None:
    """Load every library before the first measurement."""
    jobs = [Job(arch, 9, 1) for arch in archs[:2]]
    reference(jobs, effort.course(SHORT))
    bundles(jobs, effort.course(SHORT), 2)


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("width", [0, *NETWORKS_AT_ONCE], ids=lambda width: f"K={width}" if width else "reference")
def test_one_thread(benchmark: Timed, archs: list[Arch], width: int, recipe: str, effort: Effort) -> None:
    """Width 0 is the reference. Where K is more than the cells, the same cells come again with other seeds."""
    benchmark.group = f"one thread, {recipe}"
    common = effort.course(RECIPES[recipe])
    jobs = [Job(arch, seed, 1) for seed in range(max(1, width // CELLS)) for arch in archs]
    work = (lambda: bundles(jobs, common, width)) if width else (lambda: reference(jobs, common))
    measure(benchmark, work, benchmark.group, len(jobs), effort.rounds)


def full_size() -> Course:
    """Return the network of CIFAR-10 on random images of its shape."""
    draws = torch.Generator().manual_seed(5)
    pixels = torch.randint(0, 256, (32, 3, 32, 32), generator=draws, dtype=torch.uint8)
    labels = torch.randint(0, 10, (32,), generator=draws)
    split = Resident(pixels, labels, torch.full((3,), 127.0), torch.full((3,), 74.0))
    recipe = Recipe(epochs=1, batch_size=32)
    return Course(recipe, Skeleton(), split, {}, 1, "full size")


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("width", [0, 1, 2], ids=lambda width: f"K={width}" if width else "reference")
def test_full_size(benchmark: Timed, archs: list[Arch], width: int, effort: Effort) -> None:
    """One step of batch 32 with 16 channels and 5 cells in each stage: no slower is what is asked for."""
    benchmark.group = "one thread, CIFAR-10 network, C=16 N=5"
    common, jobs = full_size(), [Job(arch, 0, 1) for arch in archs[:2]]
    work = (lambda: bundles(jobs, common, width)) if width else (lambda: reference(jobs, common))
    measure(benchmark, work, benchmark.group, len(jobs), effort.rounds)


CORES = len(os.sched_getaffinity(0))


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(
        CORES, mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as p:
        yield p


def test_all_cores_reference(benchmark: Timed, effort: Effort) -> None:
    """Every core by torch's own threads, one network after another."""
    benchmark.group = "all cores, digits-201"
    common = replace(effort.course(SHORT), threads=CORES)
    jobs = [Job(NasBench201().arch(cell), 0, 1) for cell in plan(SHORT)[0].cells[:CELLS]]
    measure(benchmark, lambda: reference(jobs, common), benchmark.group, len(jobs), effort.rounds)


def test_all_cores_bundles(benchmark: Timed, pool: ProcessPoolExecutor, effort: Effort) -> None:
    """Every core by a process of one thread that trains bundles, as a build does."""
    benchmark.group = "all cores, digits-201"
    chosen: list[Bundle] = [plan(SHORT)[number] for number in range(CORES)]

    def work() -> list[float]:
        found: list[Result] = list(pool.map(train_bundle, [effort.cut(SHORT)] * CORES, chosen))
        return [float(loss) for loss in found[0].loss[:, -1]]

    measure(benchmark, work, benchmark.group, sum(len(bundle.cells) for bundle in chosen), effort.rounds)
