"""Read CIFAR-10, checked by the published md5: the python archive through torchvision, or the binary version."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.core.errors import DataCorrupt, DataMissing
from harness.core.interfaces import Place

HOME = "https://www.cs.toronto.edu/~kriz/cifar.html"
PYTHON, BINARY = "cifar-10-batches-py", "cifar-10-batches-bin"
IMPORT = "python -m harness data import cifar10 --data-dir DIR"

_RECORD = 1 + 3 * 32 * 32  # a label and three planes

# The files of the binary version, with the md5 of what its author published.
BINARY_MD5 = {
    "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
    "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
    "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
    "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
    "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
    "test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d",
}
_TRAIN = tuple(name for name in BINARY_MD5 if name.startswith("data_"))


@dataclass(frozen=True, slots=True)
class Images:
    """Images with their labels.

    Attributes:
        pixels: bytes, (n, c, h, w).
        labels: class numbers, (n,).
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64]) -> Images:
        """Return the images with these indices, in this order."""
        return Images(self.pixels[indices], self.labels[indices])

    def sha256(self) -> str:
        """Return the SHA-256 of the shape, the bytes and the labels."""
        digest = hashlib.sha256(repr(self.pixels.shape).encode())
        digest.update(np.ascontiguousarray(self.pixels).data)
        digest.update(self.labels.astype("<i8").data)
        return digest.hexdigest()


def join(parts: Sequence[Images]) -> Images:
    """Return the images of all parts, one after the other."""
    return Images(np.concatenate([p.pixels for p in parts]), np.concatenate([p.labels for p in parts]))


def locate(place: Place) -> Path | None:
    """Return the folder with the batches, the data folder before the cache, or None where there is none."""
    for root in (place.data, place.cache):
        for folder in [] if root is None else [root / "cifar10", root]:
            for version in (PYTHON, BINARY):
                if (folder / version).is_dir():
                    return folder / version
    return None


def training_images(place: Place) -> Images:
    """Return the 50,000 training images in the official order.

    Raises:
        DataMissing: CIFAR-10 is not on this machine.
        DataCorrupt: a file differs from its checksum.
    """
    folder = _require(place)
    if folder.name == PYTHON:
        return _read_python(folder, train=True)
    return join([read_binary(folder / name) for name in _TRAIN])


def test_images(place: Place) -> Images:
    """Return the 10,000 test images in the official order; raises as `training_images` does."""
    folder = _require(place)
    return _read_python(folder, train=False) if folder.name == PYTHON else read_binary(folder / "test_batch.bin")


def read_binary(path: Path) -> Images:
    """Return the images of one file of the binary version.

    Raises:
        DataMissing: the file is not there.
        DataCorrupt: its md5 is not the published one.
    """
    if not path.is_file():
        raise DataMissing(f"cifar10: {path} is not there; {_next_step()}")
    content = path.read_bytes()
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 != BINARY_MD5[path.name]:
        raise DataCorrupt(
            f"cifar10: {path} has the md5 {md5}, not the published {BINARY_MD5[path.name]}; "
            f"delete it and {_next_step()}"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, _RECORD)
    # A copy: the bytes of a file are read-only, which tensors are not.
    return Images(records[:, 1:].copy().reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64))


def verify(place: Place) -> int:
    """Check every file against its published md5 and return the number of images.

    Raises:
        DataMissing: CIFAR-10 is not on this machine.
        DataCorrupt: a file differs from its checksum.
    """
    return len(training_images(place)) + len(test_images(place))


def download(folder: Path) -> Path:
    """Download the official python archive (163 MB) into `folder`/cifar10, unpack it and return the batches' folder.

    Raises:
        DataMissing: it cannot be downloaded or written.
    """
    from torchvision.datasets import CIFAR10  # noqa: PLC0415 - two seconds that only this data set needs

    target = folder / "cifar10"
    try:
        CIFAR10(str(target), download=True)
    except (OSError, RuntimeError) as error:
        raise DataMissing(
            f"cifar10: the download into {target} failed ({error}); fetch cifar-10-python.tar.gz or "
            f"cifar-10-binary.tar.gz from {HOME} by hand and unpack it in {target}"
        ) from error
    return target / PYTHON


def _require(place: Place) -> Path:
    folder = locate(place)
    if folder is None:
        looked = " or ".join(str(root / "cifar10") for root in (place.data, place.cache) if root is not None)
        raise DataMissing(f"cifar10: neither {PYTHON} nor {BINARY} is in {looked}; {_next_step()}")
    return folder


def _next_step() -> str:
    return (
        f"run `{IMPORT}` (163 MB from {HOME}), or unpack the binary version there "
        "(unpack_cifar10.py restores it from packed batches)"
    )


def _read_python(folder: Path, *, train: bool) -> Images:
    from torchvision.datasets import CIFAR10  # noqa: PLC0415 - two seconds that only this data set needs

    try:
        with warnings.catch_warnings():
            # The batches were pickled by an ancient numpy; torchvision unpickles them only after their md5 is checked.
            warnings.simplefilter("ignore")
            data = CIFAR10(str(folder.parent), train=train)
    except RuntimeError as error:
        raise DataCorrupt(
            f"cifar10: a file in {folder} is missing or differs from its published md5; delete the folder and "
            f"{_next_step()}"
        ) from error
    return Images(np.ascontiguousarray(data.data.transpose(0, 3, 1, 2)), np.asarray(data.targets, dtype=np.int64))
