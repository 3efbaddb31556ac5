"""Build `digits-201`: every isomorphism class of the NAS-Bench-201 space, trained three times on noisy digits.

The plan is fixed: which networks are trained together, in which order, with which seeds. So any bundle of the table can
be trained again on its own and compared bit for bit, on the same library versions, processor model and thread count.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import active_children, get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.spaces.nb201 import SIZE, NasBench201, Skeleton
from benchmarks.training import data
from benchmarks.training.cifar import Images
from benchmarks.training.determinism import bitwise
from benchmarks.training.evaluate import Resident
from benchmarks.training.fit import Course, Job
from benchmarks.training.fused import Training
from benchmarks.training.recipe import Recipe
from harness.core.canonical import Json, canonical_json, content_hash
from harness.core.errors import DriftRefused
from harness.core.interfaces import Place
from harness.core.seeds import SeedTree


@dataclass(frozen=True, slots=True)
class Definition:
    """Everything that fixes a table of this family.

    Attributes:
        recipe: of every network.
        noise: standard deviation of the fixed noise on every pixel, as a share of the full range.
        train_images: the first so many of the 800 training images.
        seeds: of the networks of each class.
        width: networks of one bundle.
        cells: official indices of the trained cells, rising; empty for the representatives of all 6,466 classes.
    """

    recipe: Recipe
    noise: float
    train_images: int = 640
    seeds: tuple[int, ...] = (0, 1, 2)
    width: int = 32
    cells: tuple[int, ...] = ()


DIGITS_201 = Definition(
    Recipe(epochs=9, channels=4, cells=1, batch_size=32, flip=False, crop_padding=1, cosine="step"), noise=0.15
)

MEAN, STD = 88.0, 90.0
_LEVELS = 16
_FULL = 240

Progress = Callable[[int, int], None]
"""Told how many bundles are done, and of how many."""


def skeleton(recipe: Recipe) -> Skeleton:
    """Return the network around the cells of a table."""
    return data.facts("digits").skeleton(recipe.channels, recipe.cells)


def noisy(images: Images, split: str, noise: float) -> Images:
    """Return digits with fixed noise on every pixel, cut off at black and white: values 0 to 255."""
    generator = SeedTree.root("digits-201", 0).child("noise", split).generator()
    clean = images.pixels.astype(np.float64) * (_FULL // _LEVELS)
    # Noise of 24 bits from integers: the same for ever, whatever the library does for normal deviates.
    draws = generator.integers(0, 1 << 24, size=(12, *clean.shape)).sum(axis=0) / (1 << 24) - 6.0
    pixels = np.clip(np.rint(clean + draws * (noise * _FULL)), 0, 255).astype(np.uint8)
    return Images(pixels, images.labels)


@cache
def course(definition: Definition) -> Course:
    """Return what all networks of the table have in common; the test images are watched under the name 'test'."""
    nowhere = Place(None, Path())  # scikit-learn brings the images
    clean = data.open_dataset("digits", nowhere, definition.train_images)
    parts = {"train": clean.train, "valid": clean.valid, "test": data.test_images("digits", nowhere)}
    splits = {name: _resident(noisy(images, name, definition.noise)) for name, images in parts.items()}
    train = splits.pop("train")
    recipe = definition.recipe
    return Course(recipe, skeleton(recipe), train, splits, threads=1, identity="digits-201")


def _resident(images: Images) -> Resident:
    pixels, labels = torch.from_numpy(images.pixels), torch.from_numpy(images.labels)
    return Resident(pixels, labels, torch.tensor([MEAN]), torch.tensor([STD]))


@dataclass(frozen=True, slots=True)
class Bundle:
    """Networks that are trained together.

    Attributes:
        number: its place in the plan.
        seed: of all its networks.
        cells: official indices, one for each network, in the order of the channels.
    """

    number: int
    seed: int
    cells: tuple[int, ...]


@cache
def representatives() -> tuple[int, ...]:
    """Return the smallest official index of each isomorphism class, rising."""
    space = NasBench201()
    return tuple(sorted({space.index(space.representative(space.arch(index))) for index in range(SIZE)}))


def trained_cells(definition: Definition) -> tuple[int, ...]:
    """Return the official indices of the cells that a table trains, rising."""
    return definition.cells or representatives()


@cache
def plan(definition: Definition) -> tuple[Bundle, ...]:
    """Return all bundles, seed after seed; classes are shuffled so that every bundle is a random sample of them."""
    cells = np.array(trained_cells(definition))
    bundles: list[Bundle] = []
    for seed in definition.seeds:
        order = _shuffled(len(cells), seed)
        for first in range(0, len(cells), definition.width):
            chosen = tuple(int(cell) for cell in cells[order[first : first + definition.width]])
            bundles.append(Bundle(len(bundles), seed, chosen))
    return tuple(bundles)


def _shuffled(count: int, seed: int) -> NDArray[np.int64]:
    """Return a permutation by hashes, the same for ever."""
    hashes = [hashlib.sha256(f"digits-201/{seed}/{item}".encode()).digest() for item in range(count)]
    return np.array(sorted(range(count), key=hashes.__getitem__), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Result:
    """What a bundle gave.

    Attributes:
        valid: right answers after each epoch, (networks, epochs); likewise `test`. -1 where a network diverged.
        loss: mean training loss of each epoch, (networks, epochs).
        seconds: processor time of the whole bundle, on one thread; a busy machine hardly changes it.
    """

    valid: NDArray[np.int16]
    test: NDArray[np.int16]
    loss: NDArray[np.float32]
    seconds: float


def train_bundle(definition: Definition, bundle: Bundle) -> Result:
    """Train the networks of a bundle for the whole schedule, on one thread."""
    space, common, start = NasBench201(), course(definition), time.thread_time()
    jobs = [Job(space.arch(cell), bundle.seed, definition.recipe.epochs) for cell in bundle.cells]
    with bitwise(1):
        training = Training(jobs, common)
        for _ in range(definition.recipe.epochs):
            training.advance()
    counts = {
        name: np.nan_to_num(np.stack(curve, 1) * (len(common.watch[name]) / 100), nan=-1.0).round().astype(np.int16)
        for name, curve in training.accuracy.items()
    }
    loss = np.stack(training.train_loss, 1).astype(np.float32)
    return Result(counts["valid"], counts["test"], loss, time.thread_time() - start)


def build(
    folder: Path, *, workers: int = 2, progress: Progress | None = None, definition: Definition = DIGITS_201
) -> None:
    """Train every bundle that is not in `folder` yet, with `workers` processes of one thread each.

    Each bundle is a file, written in one move; a kill or Ctrl-C loses the bundles in work, and nothing else.

    Raises:
        DriftRefused: the folder was begun with another recipe, other versions or another processor.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, definition)
    missing = [bundle for bundle in plan(definition) if not path_of(folder, bundle).exists()]
    done = len(plan(definition)) - len(missing)
    with _processes(workers) as pool:
        for future in as_completed([pool.submit(_build_one, folder, definition, bundle) for bundle in missing]):
            future.result()
            done += 1
            if progress is not None:
                progress(done, len(plan(definition)))


@contextmanager
def _processes(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Give processes of one thread each; whatever goes wrong, Ctrl-C too, ends them at once."""
    others = set(active_children())
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_calm)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(active_children()) - others:
            process.terminate()
        raise
    pool.shutdown()


def _calm() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one ends the others
    torch.set_num_threads(1)


def _build_one(folder: Path, definition: Definition, bundle: Bundle) -> None:
    result, path = train_bundle(definition, bundle), path_of(folder, bundle)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as file:
        np.savez(file, valid=result.valid, test=result.test, loss=result.loss, seconds=result.seconds)
    partial.replace(path)


def path_of(folder: Path, bundle: Bundle) -> Path:
    """Return where the result of a bundle lies in the folder of a build."""
    return folder / f"bundle-{bundle.number:04d}.npz"


def _claim(folder: Path, definition: Definition) -> None:
    """Write down under which circumstances a folder is filled, or compare with what is written there."""
    path, now = folder / "circumstances.json", circumstances(definition)
    if not path.exists():
        path.write_text(canonical_json(now), encoding="utf-8")
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    if changed := [key for key in now if before.get(key) != now[key]]:
        raise DriftRefused(
            f"{path}: begun with other {', '.join(changed)}; a table has one origin: choose an empty folder"
        )


def circumstances(definition: Definition) -> dict[str, Json]:
    """Return everything that the bits of the table depend on."""
    common = course(definition)
    splits = {"train": common.train, **common.watch}
    return {
        "recipe": definition.recipe.describe(),
        "noise": definition.noise,
        "train_images": definition.train_images,
        "data": {name: hashlib.sha256(split.pixels.numpy().tobytes()).hexdigest() for name, split in splits.items()},
        "plan": content_hash([[bundle.seed, *bundle.cells] for bundle in plan(definition)]),
        "machine": machine(),
    }


def machine() -> dict[str, Json]:
    """Return what decides whether a bundle can be compared bit for bit."""
    return {
        "platform": f"{sys.platform}-{platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "processor": _processor(),
        "threads": 1,
    }


def _processor() -> str:
    """Return the model, family and stepping of the processor, since kernels are chosen by them."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0]
    except OSError:
        return platform.processor()
    facts = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    named = {key.strip(): value.strip() for key, value in facts.items()}
    flags = content_hash(sorted(named.get("flags", named.get("Features", "")).split()))[:16]
    return " ".join([*(named.get(key, "?") for key in ("model name", "cpu family", "model", "stepping")), flags])
