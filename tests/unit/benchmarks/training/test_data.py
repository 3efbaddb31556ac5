from __future__ import annotations

import hashlib
import importlib.util
import lzma
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from torchvision.datasets import CIFAR10

from benchmarks.training import cifar, data
from benchmarks.training.cifar import Images
from benchmarks.training.data import Dataset, open_dataset, split_order
from benchmarks.training.evaluate import to_device
from harness.core.errors import DataCorrupt, DataMissing, UsageError
from harness.core.interfaces import Place


@pytest.fixture
def nowhere(tmp_path: Path) -> Place:
    return Place(None, tmp_path / "cache")


def _rows(images: Images) -> list[bytes]:
    return [label.tobytes() + image.tobytes() for image, label in zip(images.pixels, images.labels, strict=True)]


def test_digits_are_split_once_and_for_all(nowhere: Place) -> None:
    digits = open_dataset("digits", nowhere)
    parts = [digits.train, digits.valid, data.test_images("digits", nowhere)]
    assert [len(part) for part in parts] == [800, 499, 498]
    bunch = load_digits()
    everything = Images(bunch.images.astype(np.uint8)[:, None], bunch.target.astype(np.int64))
    assert sorted(row for part in parts for row in _rows(part)) == sorted(_rows(everything))
    assert split_order("digits", 1797)[:5].tolist() == _first_five("digits", 1797)
    assert all(np.bincount(part.labels).min() >= 30 for part in parts)


def _first_five(name: str, images: int) -> list[int]:
    keys = {index: hashlib.sha256(f"{name}/split/{index}".encode()).hexdigest() for index in range(images)}
    return sorted(keys, key=lambda index: keys[index])[:5]


def test_a_limit_takes_the_first_images(nowhere: Place) -> None:
    whole, part = open_dataset("digits", nowhere), open_dataset("digits", nowhere, 100, 50)
    assert _rows(part.train) == _rows(whole.train)[:100]
    assert _rows(part.valid) == _rows(whole.valid)[:50]
    assert part.manifest()["train"] == 100
    assert part.sha256 == whole.sha256


@pytest.mark.parametrize("limit", [0, -3, 801])
def test_a_limit_outside_the_split_is_refused(nowhere: Place, limit: int) -> None:
    with pytest.raises(UsageError, match=f"train_images is {limit}; the split has 800 images"):
        open_dataset("digits", nowhere, train_images=limit)


def test_an_unknown_name_gets_the_nearest(nowhere: Place) -> None:
    with pytest.raises(UsageError, match="did you mean 'cifar10'"):
        open_dataset("cifar-10", nowhere)


def test_other_digits_are_refused(nowhere: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "DIGITS_SHA256", "0" * 64)
    with pytest.raises(DataCorrupt, match="force-reinstall scikit-learn"):
        open_dataset("digits", nowhere)


def test_the_constants_of_digits_are_theirs(digits: Dataset) -> None:
    pixels = load_digits().images
    assert digits.facts.mean[0] == pytest.approx(pixels.mean(), abs=0.05)
    assert digits.facts.std[0] == pytest.approx(pixels.std(), abs=0.05)


def test_missing_cifar_names_file_home_size_and_command(nowhere: Place) -> None:
    with pytest.raises(DataMissing) as caught:
        open_dataset("cifar10", nowhere)
    text = str(caught.value)
    for part in (
        "cifar-10-batches-py", "cifar-10-batches-bin", str(nowhere.cache), "https://www.cs.toronto.edu/~kriz/cifar.html",
        "163 MB", "python -m harness data import cifar10 --data-dir DIR", "unpack_cifar10.py",
    ):  # fmt: skip
        assert part in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [
        ("digits", "45k-5k", "digits has no '45k-5k'; give halves; dataset 'cifar10' has it"),
        ("cifar10", "45-5k", "cifar10 has no '45-5k' (did you mean '45k-5k'?); give halves or 45k-5k"),
    ],
)
def test_a_split_that_a_data_set_does_not_have_is_refused(nowhere: Place, name: str, split: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_dataset(name, nowhere, split=split)
    assert message in str(caught.value)


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Place, np.ndarray]:
    """Six tiny batches in the binary format whose md5 stand in for the published ones, and the training records."""
    rng = np.random.default_rng(4)
    folder = tmp_path / "data" / "cifar10" / cifar.BINARY
    folder.mkdir(parents=True)
    records = rng.integers(0, 256, (6, 20, 3073), dtype=np.uint8)
    records[:, :, 0] %= 10
    for name, batch in zip(cifar.BINARY_MD5, records, strict=True):
        (folder / name).write_bytes(batch.tobytes())
        monkeypatch.setitem(cifar.BINARY_MD5, name, hashlib.md5(batch.tobytes()).hexdigest())
    return Place(tmp_path / "data", tmp_path / "cache"), records


def test_the_binary_version_is_labels_and_planes(planted: tuple[Place, np.ndarray]) -> None:
    place, records = planted
    images = cifar.training_images(place)
    assert images.pixels.shape == (100, 3, 32, 32)
    flat = records[:5].reshape(100, 3073)
    assert np.array_equal(images.labels, flat[:, 0])
    assert images.pixels[37, 2, 5, 9] == flat[37, 1 + 2 * 1024 + 5 * 32 + 9]
    assert np.array_equal(cifar.test_images(place).labels, records[5, :, 0])
    assert cifar.verify(place) == 120


@pytest.mark.parametrize("read", [cifar.training_images, cifar.test_images])
def test_what_is_read_goes_to_a_device_as_it_is(
    planted: tuple[Place, np.ndarray], read: Callable[[Place], Images]
) -> None:
    images = read(planted[0])
    resident = to_device(images, data.FACTS["cifar10"], "cpu")
    assert np.array_equal(resident.pixels.numpy(), images.pixels)
    assert np.array_equal(resident.labels.numpy(), images.labels)
    assert images.pixels.flags.writeable  # torch warns of undefined behaviour where it is not
    assert images.pixels.flags.c_contiguous


def test_a_flipped_byte_is_corrupt(planted: tuple[Place, np.ndarray]) -> None:
    place, _ = planted
    path = cifar.locate(place) / "data_batch_3.bin"
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataCorrupt, match=r"data_batch_3\.bin has the md5 .* delete it and run"):
        cifar.training_images(place)


def test_a_real_md5_refuses_planted_images(tmp_path: Path) -> None:
    path = tmp_path / "data_batch_1.bin"
    path.write_bytes(bytes(3073 * 10))
    with pytest.raises(DataCorrupt, match="not the published 5dd7e06a14cb22eb9f671a540d1b7c25"):
        cifar.read_binary(path)


def test_the_test_images_are_behind_their_own_door(planted: tuple[Place, np.ndarray]) -> None:
    place, _ = planted
    (cifar.locate(place) / "test_batch.bin").unlink()
    assert len(cifar.training_images(place)) == 100
    with pytest.raises(DataMissing, match=r"test_batch\.bin is not there"):
        cifar.test_images(place)


def test_the_data_folder_comes_before_the_cache(tmp_path: Path) -> None:
    place = Place(tmp_path / "data", tmp_path / "cache")
    (tmp_path / "cache" / cifar.PYTHON).mkdir(parents=True)
    assert cifar.locate(place) == tmp_path / "cache" / cifar.PYTHON
    (tmp_path / "data" / "cifar10" / cifar.BINARY).mkdir(parents=True)
    assert cifar.locate(place) == tmp_path / "data" / "cifar10" / cifar.BINARY


def test_the_python_archive_reads_as_the_binary_version(
    planted: tuple[Place, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, records = planted
    folder = tmp_path / "python" / cifar.PYTHON
    folder.mkdir(parents=True)
    files = {
        name.removesuffix(".bin"): {"data": batch[:, 1:], "labels": batch[:, 0].tolist()}
        for name, batch in zip(cifar.BINARY_MD5, records, strict=True)
    }
    files["batches.meta"] = {"label_names": list("abcdefghij")}
    md5 = {}
    for name, content in files.items():
        (folder / name).write_bytes(pickle.dumps(content))
        md5[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    monkeypatch.setattr(CIFAR10, "train_list", [[name, md5[name]] for name in files if name.startswith("data")])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", md5["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": md5["batches.meta"]})
    python = Place(tmp_path / "python", tmp_path / "cache")
    assert cifar.training_images(python).sha256() == cifar.training_images(place).sha256()
    assert cifar.test_images(python).sha256() == cifar.test_images(place).sha256()
    (folder / "data_batch_2").write_bytes(b"torn")
    with pytest.raises(DataCorrupt, match="missing or differs from its published md5"):
        cifar.training_images(python)


def test_a_failed_download_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(self: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(CIFAR10, "download", offline)
    with pytest.raises(DataMissing, match=r"Network is unreachable.*by hand and unpack it"):
        cifar.download(tmp_path)


@pytest.mark.slow
def test_a_real_batch_of_cifar10(data_dir: Path, tmp_path: Path) -> None:
    """One official batch, restored from the packed form where that is what the data folder has."""
    found = cifar.locate(Place(data_dir, tmp_path))
    path = None if found is None or found.name != cifar.BINARY else found / "test_batch.bin"
    if path is None:
        script, packed = data_dir / "unpack_cifar10.py", data_dir / "cifar10" / "test_batch.bin.med.xz"
        if not (script.is_file() and packed.is_file()):
            pytest.skip(f"{data_dir} holds neither the binary version of CIFAR-10 nor its packed batches")
        spec = importlib.util.spec_from_file_location("unpack_cifar10", script)
        unpack = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(unpack)
        path = tmp_path / "test_batch.bin"
        path.write_bytes(unpack.decode(lzma.decompress(packed.read_bytes())).tobytes())
    images = cifar.read_binary(path)
    assert np.bincount(images.labels).tolist() == [1000] * 10
    facts = data.FACTS["cifar10"]
    assert images.pixels.mean((0, 2, 3)) == pytest.approx(facts.mean, abs=2)
    assert images.pixels.std((0, 2, 3)) == pytest.approx(facts.std, abs=2)


def test_cifar_is_halved(planted: tuple[Place, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    place, records = planted
    monkeypatch.setitem(data.FACTS, "cifar10", replace(data.FACTS["cifar10"], train=50, valid=50, test=20))
    opened = open_dataset("cifar10", place)
    order = split_order("cifar10", 100)
    flat = records[:5].reshape(100, 3073)
    assert np.array_equal(opened.train.labels, flat[order[:50], 0])
    assert np.array_equal(opened.valid.labels, flat[order[50:], 0])
    assert "not its published index list" in str(opened.manifest()["origin"])


def test_another_split_of_cifar_cuts_the_same_order_elsewhere(
    planted: tuple[Place, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, records = planted
    monkeypatch.setitem(data.SPLITS, "cifar10", {"45k-5k": (90, 10)})
    opened = open_dataset("cifar10", place, split="45k-5k")
    order = split_order("cifar10", 100)
    flat = records[:5].reshape(100, 3073)
    assert np.array_equal(opened.train.labels, flat[order[:90], 0])
    assert np.array_equal(opened.valid.labels, flat[order[90:], 0])
    assert "90 / 10" in str(opened.manifest()["origin"])
    assert (opened.manifest()["train"], opened.manifest()["valid"]) == (90, 10)
    assert data.facts("cifar10").train == 25_000
    assert _rows(open_dataset("cifar10", place, 5, 4, "45k-5k").valid) == _rows(opened.valid)[:4]
