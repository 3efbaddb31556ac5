"""Measure the engines on a CUDA device: throughput against the roofline, memory, and a full training of known cells."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch
from measure import CIFAR, Section, course_of
from pyarrow import parquet

from benchmarks.spaces.nb201 import CONV_1X1, CONV_3X3, NONE, SKIP, NasBench201, Skeleton, compose
from benchmarks.spaces.nb201_moves import GrowingNasBench201
from benchmarks.training import fit, graphs
from benchmarks.training.arithmetic import arithmetic
from benchmarks.training.capture import Capture, plainly
from benchmarks.training.cifar import join
from benchmarks.training.data import facts, open_dataset, test_images
from benchmarks.training.determinism import bitwise
from benchmarks.training.evaluate import to_device
from benchmarks.training.fit import Course, Fit, Job
from benchmarks.training.landmarks import AVERAGE, HEAVIEST, LIGHTEST
from benchmarks.training.nb201_growing import NB201Family
from benchmarks.training.phases import Phase, Regime
from benchmarks.training.recipe import Precision, Recipe
from benchmarks.training.settings import Determinism
from harness.core.interfaces import Place
from harness.core.seeds import SeedTree
from harness.core.types import Attach, Evaluate

IMAGES = 20 * 256  # of an epoch that is timed
ROUNDS = 3
MATRIX = 8192  # rows of the product that gives the roofline
TRAINED = {"bitwise": "graphs", "statistical": "graphs-statistical"}
KNOWN = (AVERAGE, HEAVIEST, compose((CONV_1X1, SKIP, CONV_3X3, SKIP, CONV_1X1, CONV_1X1)))
SEEDS = (0, 1, 2)

CELLS = {"average": AVERAGE, "heaviest": HEAVIEST, "lightest": LIGHTEST}

THROUGHPUT = """\\
Training images per second of all networks together, C=16, N=5, batch 256, augmentation included, evaluation and capture
not; median of rounds. `share` is the multiply-adds of these images, three passes each, over those of a large matrix
product in the same precision on this device; `memory` is the peak of what torch allocated."""

PHASE = """\\
Peak memory and seconds of an epoch of the average-sized chain of the growth space, bare and with all its moves attached
(phase 1), batch 256, fp32."""

ACCURACY = """\\
Test accuracy after 200 epochs on all 50,000 training images, three seeds, beside what the NAS-Bench-201 table holds for
the same cell. Splits of the seeds differ, so the ranges should overlap and need not agree."""


@dataclass(frozen=True)
class Setting:
    """One row of the throughput table; K = 0 is the reference trainer."""

    networks: int
    precision: Precision = "fp32"
    determinism: Determinism = "bitwise"
    capture: Capture | None = None

    @property
    def name(self) -> str:
        if not self.networks:
            return "reference, eager"
        return "the same code, eager" if self.capture else TRAINED[self.determinism]


SETTINGS = (
    Setting(0),
    Setting(1, capture=plainly),
    Setting(1),
    Setting(1, "fp32", "statistical"),
    Setting(1, "tf32", "statistical"),
    Setting(1, "bf16", "statistical"),
    Setting(8),
    Setting(8, "fp32", "statistical"),
    Setting(8, "tf32", "statistical"),
    Setting(8, "bf16", "statistical"),
)


def sections() -> list[Section]:
    """Return throughput, the memory of phase 1, and the known cells where their data are."""
    if not torch.cuda.is_available():
        raise SystemExit("torch finds no CUDA device")
    columns = ("cell", "engine", "K", "precision", "images per second", "times reference", "share", "memory, GB")
    found = [(THROUGHPUT, columns, throughput()), (PHASE, ("network", "seconds", "memory, GB"), phase_one())]
    if os.environ.get("NAS_DATA_DIR"):
        found.append((ACCURACY, ("cell", "engine", "trained here", "table"), known_cells()))
    return found


def seconds(work: Callable[[], object]) -> float:
    """Return the median real seconds of some work, the device idle before and after."""
    taken = []
    for _ in range(ROUNDS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return median(taken)


def peak(precision: Precision) -> float:
    """Return multiply-adds per second of a large matrix product."""
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    one, other = (torch.randn(MATRIX, MATRIX, device="cuda", dtype=kind) for _ in range(2))
    with arithmetic("statistical", precision, 1):
        for _ in range(3):
            torch.mm(one, other)
        return 10 * MATRIX**3 / seconds(lambda: [torch.mm(one, other) for _ in range(10)])


def throughput() -> list[tuple[str, ...]]:
    peaks = {precision: peak(precision) for precision in ("fp32", "tf32", "bf16")}
    rows = []
    for cell, arch in CELLS.items():
        first = 0.0
        for setting in SETTINGS:
            speed, memory = timed(setting, arch)
            first = first or speed
            share = 3 * Skeleton().multiply_adds(arch) * speed / peaks[setting.precision]
            shown = f"{speed:,.0f}", f"{speed / first:.2f}", f"{100 * share:.1f} %", f"{memory / 1e9:.2f}"
            rows.append((cell, setting.name, str(setting.networks or 1), setting.precision, *shown))
    return rows


def timed(setting: Setting, arch: str) -> tuple[float, int]:
    """Return images per second and the bytes at the peak."""
    recipe = Recipe(epochs=1000, precision=setting.precision)
    course = course_of(recipe, IMAGES, CIFAR, "cuda")
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    with arithmetic(setting.determinism, setting.precision, 1):
        epoch = epoch_of(setting, arch, course)
        epoch()
        speed = max(1, setting.networks) * IMAGES / seconds(epoch)
    return speed, torch.cuda.max_memory_allocated()


def epoch_of(setting: Setting, arch: str, course: Course) -> Callable[[], object]:
    if not setting.networks:
        return fit.Training(Job(arch, 0, 1), course)._train_epoch
    jobs = [Job(arch, seed, 1) for seed in range(setting.networks)]
    return graphs.Training(jobs, course, setting.capture).advance


def phase_one() -> list[tuple[str, ...]]:
    arch = compose((CONV_3X3, NONE, SKIP, NONE, NONE, CONV_1X1))
    course = course_of(Recipe(epochs=1), IMAGES, CIFAR, "cuda")
    regime = Regime(course.recipe, course.train, course.train, 1, "measurements")
    family, moves = NB201Family(course.skeleton), tuple(GrowingNasBench201().moves(arch))
    rows = []
    for name in ("bare", f"{len(moves)} moves attached"):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        network = family.found(arch, 0)
        if name != "bare":
            network = family.attach(network, Attach(Evaluate(arch, 1), moves, "sg+sf", 1), 0)
        with bitwise(1):
            phase = Phase(network.cuda(), regime, 1, SeedTree.root("measurements", 0))
            phase._train_epoch()
            taken = seconds(phase._train_epoch)
        rows.append((name, f"{taken:.2f}", f"{torch.cuda.max_memory_allocated() / 1e9:.2f}"))
    return rows


def known_cells() -> list[tuple[str, ...]]:
    """Train each known cell with three seeds, all as one, in both modes."""
    place = Place(Path(os.environ["NAS_DATA_DIR"]), Path(), "cuda")
    data, known = open_dataset("cifar10", place), facts("cifar10")
    train = to_device(join([data.train, data.valid]), known, "cuda")
    test = to_device(test_images("cifar10", place), known, "cuda")
    rows = []
    for determinism, precision, engine in (
        ("bitwise", "fp32", graphs.train),
        ("statistical", "bf16", graphs.train_statistical),
    ):
        recipe = replace(Recipe(epochs=200), precision=precision)
        course = Course(recipe, known.skeleton(16, 5), train, {"test": test}, 1, f"known cells {determinism}")
        for arch in KNOWN:
            answers = engine([Job(arch, seed, 200) for seed in SEEDS], course, None)
            accuracies = [answer.accuracy["test"][-1] for answer in answers if isinstance(answer, Fit)]
            rows.append((f"`{arch}`", f"{TRAINED[determinism]}, {precision}", spread(accuracies), tabled(arch)))
    return rows


def tabled(arch: str) -> str:
    """Return what the table holds for a cell: each training seed's test accuracy after 200 epochs on 50,000 images."""
    path = Path(os.environ["NAS_DATA_DIR"]) / "nb201" / "seed_final200.parquet"
    wanted = [
        ("dataset", "==", "cifar10"),
        ("split", "==", "ori-test"),
        ("arch_index", "==", NasBench201().index(arch)),
    ]
    return spread(parquet.read_table(path, filters=wanted)["accuracy"].to_pylist())


def spread(values: list[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f} ({len(values)})" if values else "failed"
