"""Read the four official files of MNIST, checked by their SHA-256."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np

from benchmarks.training.cifar import Images
from harness.core.errors import DataCorrupt, DataMissing
from harness.core.interfaces import Place

HOME = "http://yann.lecun.com/exdb/mnist/ (mirror: https://ossci-datasets.s3.amazonaws.com/mnist/)"
SIZE = "11.6 MB"

FILES = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}

_HEADERS = {"images": (16, (28, 28)), "labels": (8, ())}


def locate(place: Place) -> Path | None:
    """Return the folder with the files, the data folder before the cache, or None where there is none."""
    for root in (place.data, place.cache):
        for folder in [] if root is None else [root / "mnist", root]:
            if any((folder / name).is_file() for name in FILES):
                return folder
    return None


def training_images(place: Place) -> Images:
    """Return the 60,000 training images in the official order.

    Raises:
        DataMissing: MNIST is not on this machine; the message names the files, their home and size.
        DataCorrupt: a file differs from its checksum.
    """
    return _images(place, "train")


def test_images(place: Place) -> Images:
    """Return the 10,000 test images in the official order; raises as `training_images` does."""
    return _images(place, "t10k")


def _images(place: Place, part: str) -> Images:
    pixels = _read(place, f"{part}-images-idx3-ubyte.gz", "images")
    labels = _read(place, f"{part}-labels-idx1-ubyte.gz", "labels")
    return Images(pixels[:, None], labels.astype(np.int64))


def _read(place: Place, name: str, kind: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    folder = locate(place)
    if folder is None or not (folder / name).is_file():
        where = folder or "the data folder (--data-dir or NAS_DATA_DIR)"
        raise DataMissing(
            f"mnist: {name} is not in {where}; fetch the four files {', '.join(FILES)} ({SIZE} in all) from {HOME} "
            "into DATA/mnist and name DATA with --data-dir, or choose the data set digits, which needs no file"
        )
    packed = (folder / name).read_bytes()
    found = hashlib.sha256(packed).hexdigest()
    if found != FILES[name]:
        raise DataCorrupt(
            f"mnist: {folder / name} has the SHA-256 {found}, not {FILES[name]} of the official file; fetch it again "
            f"from {HOME}"
        )
    header, shape = _HEADERS[kind]
    # A copy: the bytes of a file are read-only, which tensors are not.
    return np.frombuffer(gzip.decompress(packed), np.uint8, offset=header).reshape(-1, *shape).copy()
