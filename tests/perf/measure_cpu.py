"""Measure the fused engine against the reference on one thread of the CPU, and say where the time of a step goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
import torch
from measure import CIFAR, DIGITS, Section, course_of
from torch.profiler import ProfilerActivity, profile

from benchmarks.spaces.nb201 import NasBench201
from benchmarks.training import fit, fused
from benchmarks.training.determinism import bitwise
from benchmarks.training.fit import Course, Job
from benchmarks.training.recipe import Recipe

ROUNDS = 5
COMPARED = 4  # cells; what trains more networks trains these again with other seeds
WIDTHS = (1, 2, 4, 8, 16, 32)

SMALL = {
    "C=4, N=1, batch 32, digits": (Recipe(channels=4, cells=1, batch_size=32, crop_padding=1), 128, DIGITS, WIDTHS),
    "C=8, N=1, batch 64, digits": (Recipe(channels=8, cells=1, batch_size=64, crop_padding=1), 128, DIGITS, WIDTHS),
    "C=16, N=5, batch 32, CIFAR-10": (Recipe(batch_size=32), 32, CIFAR, (1, 2)),
}

CURVE = f"""\
One thread. Milliseconds of processor time for one network and step, median of {ROUNDS} rounds. In each round the
reference, network by network, and the fused engine with K networks take turns; the ratio is the median of the rounds'
ratios (lowest to highest in brackets). The same {COMPARED} random cells on both sides; augmentation included,
evaluation not."""

PROFILE = f"""\
Where the time of a step goes at C=8, N=1: the share of the kernels of each kind in the real time under the profiler,
and of all that is outside kernels, which the profiler's own cost makes too large; medians of {ROUNDS} rounds."""

OTHER, OUTSIDE = "other arithmetic and the optimiser", "Python, autograd, dispatch"

KINDS = {
    "convolution": ("conv", "mkldnn"),
    "batch normalisation": ("batch_norm",),
    "pooling": ("pool",),
    "gathering and scattering of nodes, copies": ("index", "scatter", "copy", "zero", "fill", "cat", "stack", "clone"),
    "ReLU": ("relu", "threshold", "clamp"),
}


def sections() -> list[Section]:
    """Return the curves over K and the profiles."""
    torch.set_num_threads(1)
    with bitwise(1):
        curves = [line for name, setting in SMALL.items() for line in curve(name, *setting)]
        spent = profiles()
    return [
        (CURVE, ("setting", "K", "reference", "fused", "ratio"), curves),
        (PROFILE, ("kind", "reference", "fused, K = 1", "fused, K = 16"), spent),
    ]


def cells(count: int) -> list[str]:
    """Return so many cells: `COMPARED` random ones, again and again."""
    space, rng = NasBench201(), np.random.default_rng(11)
    drawn = [space.arch(int(index)) for index in rng.choice(len(space), COMPARED, replace=False)]
    return [drawn[number % COMPARED] for number in range(count)]


def plainly(course: Course) -> Callable[[], object]:
    """Return an epoch of the reference trainer over the random cells, ready to run."""
    trainings = [fit.Training(Job(arch, 1, 1), course) for arch in cells(COMPARED)]
    return lambda: [training._train_epoch() for training in trainings]


def together(course: Course, width: int) -> Callable[[], object]:
    """Return an epoch of the fused engine over each of these cells, or more where K is more, ready to run."""
    jobs = [Job(arch, 1 + number // COMPARED, 1) for number, arch in enumerate(cells(max(width, COMPARED)))]
    trainings = [fused.Training(jobs[first : first + width], course) for first in range(0, len(jobs), width)]
    return lambda: [training._train_epoch() for training in trainings]


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def curve(
    name: str, recipe: Recipe, images: int, shape: tuple[int, int], widths: Sequence[int]
) -> list[tuple[str, ...]]:
    course = course_of(recipe, images, shape)
    steps = -(-images // recipe.batch_size)
    alone = plainly(course)
    bundles = {width: together(course, width) for width in widths}
    for work in (alone, *bundles.values()):
        work()  # the first steps load kernels and take memory
    taken: dict[int, list[tuple[float, float]]] = {width: [] for width in widths}
    for _ in range(ROUNDS):
        for width, work in bundles.items():
            taken[width].append((seconds(alone) / (COMPARED * steps), seconds(work) / (max(width, COMPARED) * steps)))
    return [(name, str(width), *figures(rounds)) for width, rounds in taken.items()]


def figures(rounds: Sequence[tuple[float, float]]) -> tuple[str, str, str]:
    ratios = [alone / fused_ for alone, fused_ in rounds]
    alone, fused_ = (1000 * median(side) for side in zip(*rounds, strict=True))
    return f"{alone:.2f}", f"{fused_:.2f}", f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def profiles() -> list[tuple[str, ...]]:
    recipe, images, shape, _ = SMALL["C=8, N=1, batch 64, digits"]
    course = course_of(recipe, images, shape)
    works = plainly(course), together(course, 1), together(course, 16)
    for work in works:
        work()
    rounds = [[shares(work) for work in works] for _ in range(ROUNDS)]
    return [
        (kind, *(f"{100 * median(each[side][kind] for each in rounds):.0f} %" for side in range(len(works))))
        for kind in rounds[0][0]
    ]


def shares(work: Callable[[], object]) -> dict[str, float]:
    """Return the share of the real time of some work that each kind of kernel takes."""
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        start = time.perf_counter()
        work()
        whole = time.perf_counter() - start
    spent = dict.fromkeys((*KINDS, OTHER), 0.0)
    for event in seen.key_averages():
        own, name = event.self_cpu_time_total / 1e6, event.key.lower()
        if name.startswith("aten::"):  # the rest is autograd's own bookkeeping
            spent[next((kind for kind, parts in KINDS.items() if any(part in name for part in parts)), OTHER)] += own
    return {kind: value / whole for kind, value in spent.items()} | {OUTSIDE: 1 - sum(spent.values()) / whole}
