"""Open the data sets of real training: fixed splits, checksums, and the test images behind a door of their own.

Images stay bytes, with the constants that normalise them beside. Splits are fixed by hashing: image `i` of a data set
comes before image `j` where SHA-256 of 'NAME/split/i' is the smaller. That depends on no library's generator, gives the
same split for ever, and makes the first k training images a random subset.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.spaces.nb201 import Skeleton
from benchmarks.training import cifar
from benchmarks.training.cifar import Images
from harness.core.canonical import Json
from harness.core.errors import DataCorrupt, UsageError, nearest
from harness.core.interfaces import Place

DIGITS_SHA256 = "637d1cc7fcd6f9e8e1c9ba2133c86a68733f653b8d4a996175e9debfda3e993e"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a data set without opening it.

    Attributes:
        mean: of each channel, on the scale of the bytes.
        std: of each channel, on the scale of the bytes.
        train: images of the training split; likewise `valid` and `test`.
        origin: one sentence: where it comes from and how it is split.
    """

    name: str
    classes: int
    image_size: int
    image_channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train: int
    valid: int
    test: int
    origin: str

    def skeleton(self, channels: int, cells: int) -> Skeleton:
        """Return the network around a cell for images of this kind."""
        return Skeleton(channels, cells, self.classes, self.image_size, self.image_channels)


FACTS = {
    "digits": Facts(
        "digits", 10, 8, 1, (4.9,), (6.0,), 800, 499, 498,
        "scikit-learn load_digits (Alpaydin and Kaynak, 1998), 1,797 images with values 0 to 16; "
        "our split by SHA-256 of 'digits/split/INDEX': 800 train, 499 valid, 498 test",
    ),
    "cifar10": Facts(
        "cifar10", 10, 32, 3, (125.3, 123.0, 113.9), (63.0, 62.1, 66.7), 25_000, 25_000, 10_000,
        "CIFAR-10 (Krizhevsky, 2009); the official test images; the 50,000 training images are split 25,000 / 25,000 "
        "as in NAS-Bench-201, by SHA-256 of 'cifar10/split/INDEX': our halves, not its published index list",
    ),
}  # fmt: skip

HALVES = "halves"
"""The split that every data set has; on CIFAR-10 two halves."""

SPLITS = {"cifar10": {"45k-5k": (45_000, 5_000)}}
"""Further splits: how many of the first images train, and how many of the next validate, in the same order."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set as a search may see it: without its test images.

    Attributes:
        train: the training split, or the first images of it.
        valid: the validation split, or the first images of it.
        sha256: of all bytes and labels that the splits are taken from, whatever file format they came in.
    """

    facts: Facts
    train: Images
    valid: Images
    sha256: str

    def manifest(self) -> dict[str, Json]:
        """Return what a record says of the data."""
        return {
            "name": self.facts.name,
            "origin": self.facts.origin,
            "sha256": self.sha256,
            "train": len(self.train),
            "valid": len(self.valid),
            "test": self.facts.test,
            "mean": list(self.facts.mean),
            "std": list(self.facts.std),
        }


def facts(name: str, split: str = HALVES) -> Facts:
    """Return what is known of a data set under a split.

    Raises:
        UsageError: there is no data set of this name, or it has no such split.
    """
    if name not in FACTS:
        raise UsageError(f"dataset: no {name!r}{nearest(name, FACTS)}; known: {', '.join(FACTS)}")
    if split == HALVES:
        return FACTS[name]
    known = SPLITS.get(name, {})
    if split not in known:
        offered = [HALVES, *known]
        where = "".join(f"; dataset {other!r} has it" for other, sizes in SPLITS.items() if split in sizes)
        raise UsageError(f"split: {name} has no {split!r}{nearest(split, offered)}; give {' or '.join(offered)}{where}")
    train, valid = known[split]
    origin = (
        f"CIFAR-10 (Krizhevsky, 2009); the official test images; the 50,000 training images are split {train:,} / "
        f"{valid:,} by SHA-256 of 'cifar10/split/INDEX', and not in the order of the files"
    )
    return replace(FACTS[name], train=train, valid=valid, origin=origin)


def open_dataset(
    name: str,
    place: Place,
    train_images: int | None = None,
    valid_images: int | None = None,
    split: str = HALVES,
) -> Dataset:
    """Return a data set without its test images, cut to the first images of each split where a limit is given.

    Raises:
        UsageError: no such data set or split, or a limit outside its split.
        DataMissing: the data set is not on this machine.
        DataCorrupt: a file differs from its checksum.
    """
    known = facts(name, split)
    train = _limit("train_images", train_images, known.train)
    valid = _limit("valid_images", valid_images, known.valid)
    pool = _digits() if name == "digits" else cifar.training_images(place)
    order = split_order(name, len(pool))
    return Dataset(known, pool.take(order[:train]), pool.take(order[known.train : known.train + valid]), pool.sha256())


def test_images(name: str, place: Place) -> Images:
    """Return the test images; called by the sealed evaluation alone.

    Raises:
        DataMissing: the data set is not on this machine.
        DataCorrupt: a file differs from its checksum.
    """
    known = facts(name)
    if name == "cifar10":
        return cifar.test_images(place)
    pool = _digits()
    return pool.take(split_order(name, len(pool))[known.train + known.valid :])


def split_order(name: str, images: int) -> NDArray[np.int64]:
    """Return the order in which the images of a data set fall into its splits, the same for ever."""
    hashes = [hashlib.sha256(f"{name}/split/{index}".encode()).digest() for index in range(images)]
    return np.array(sorted(range(images), key=hashes.__getitem__), dtype=np.int64)


def _limit(key: str, given: int | None, size: int) -> int:
    if given is None:
        return size
    if not 1 <= given <= size:
        raise UsageError(f"{key} is {given}; the split has {size} images: give 1 to {size}, or null for all")
    return given


def _digits() -> Images:
    from sklearn.datasets import load_digits  # noqa: PLC0415 - half a second that only this data set needs

    bunch = load_digits()
    images = Images(bunch.images.astype(np.uint8)[:, None], bunch.target.astype(np.int64))
    if images.sha256() != DIGITS_SHA256:
        raise DataCorrupt(
            f"digits: scikit-learn's copy has the SHA-256 {images.sha256()}, not {DIGITS_SHA256}; "
            "install an unmodified scikit-learn (pip install --force-reinstall scikit-learn)"
        )
    return images
