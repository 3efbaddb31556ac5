"""The digits-201 table is built from a fixed plan, can be resumed, and can be verified bundle by bundle."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest

from benchmarks.spaces.nb201 import NasBench201
from benchmarks.tabular.digits201_file import load
from benchmarks.training import digits201, digits201_table
from benchmarks.training.digits201 import DIGITS_201, Definition, build, course, plan, representatives, trained_cells
from benchmarks.training.digits201_table import cost_model, pack, verify
from benchmarks.training.recipe import Recipe
from harness.core.errors import DataCorrupt, DataMissing, DriftRefused, UsageError

FIRST_CELLS = (4804, 9528, 9209, 5459)
TRAIN_SHA256 = "15e5f214d7e336e290bc94a286f0141401b18d6b27553b32535c542336f8eb9c"

SMALL = Definition(
    Recipe(epochs=1, channels=1, cells=1, batch_size=400, flip=False, crop_padding=1),
    noise=0.3,
    seeds=(0, 1),
    width=2,
    cells=(11, 284, 6111),
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits201")
    build(folder, workers=1, definition=SMALL)
    return folder


@pytest.fixture(scope="module")
def packed(built: Path) -> Path:
    return pack(built, built / "small.npz", definition=SMALL)


def test_the_plan_trains_every_class_once_per_seed() -> None:
    assert len(representatives()) == 6466
    for seed in DIGITS_201.seeds:
        cells = [cell for bundle in plan(DIGITS_201) if bundle.seed == seed for cell in bundle.cells]
        assert sorted(cells) == list(representatives())
    space = NasBench201()
    assert all(space.representative(space.arch(cell)) == space.arch(cell) for cell in representatives()[::500])


def test_the_plan_and_the_images_never_change() -> None:
    first = plan(DIGITS_201)[0].cells[:4]
    assert first == FIRST_CELLS
    pixels = course(DIGITS_201).train.pixels.numpy()
    assert pixels.shape == (640, 1, 8, 8)
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == TRAIN_SHA256


def test_noise_has_the_declared_size_and_differs_between_splits() -> None:
    common = course(replace(DIGITS_201, noise=0.1))
    clean = course(replace(DIGITS_201, noise=0.0))
    inner = (clean.train.pixels > 60) & (clean.train.pixels < 200)
    gap = (common.train.pixels.double() - clean.train.pixels.double())[inner]
    assert float(gap.std()) == pytest.approx(24.0, rel=0.02)
    assert float(gap.mean()) == pytest.approx(0.0, abs=0.5)
    assert len(common.watch["valid"]) == 499
    assert len(common.watch["test"]) == 498


def test_an_interrupted_build_goes_on_to_the_same_table(built: Path, packed: Path, tmp_path: Path) -> None:
    for name in ("circumstances.json", "bundle-0001.npz"):
        (tmp_path / name).write_bytes((built / name).read_bytes())
    told: list[tuple[int, int]] = []
    build(tmp_path, workers=1, progress=lambda done, of: told.append((done, of)), definition=SMALL)
    assert told == [(2, 4), (3, 4), (4, 4)]
    again = load(pack(tmp_path, tmp_path / "again.npz", definition=SMALL))
    table = load(packed)
    for name in ("cells", "valid", "test", "loss"):
        assert np.array_equal(getattr(again, name), getattr(table, name))


def test_a_folder_of_another_origin_is_refused(built: Path, tmp_path: Path) -> None:
    other = json.loads((built / "circumstances.json").read_text())
    other["machine"]["torch"] = "0.1"
    (tmp_path / "circumstances.json").write_text(json.dumps(other))
    with pytest.raises(DriftRefused, match="machine"):
        build(tmp_path, workers=1, definition=SMALL)


def test_a_stopped_build_ends_at_once(tmp_path: Path) -> None:
    def stop(done: int, of: int) -> None:
        raise KeyboardInterrupt

    long = replace(SMALL, seeds=tuple(range(500)))
    others = set(active_children())  # of tests before this one, which may be slow to end
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, workers=1, progress=stop, definition=long)
    # Not `join`: a thread of the pool waits for the same process, and whoever comes second takes it for alive.
    deadline = time.monotonic() + 60
    while (left := set(active_children()) - others) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left
    assert 1 <= len(list(tmp_path.glob("bundle-*.npz"))) < len(plan(long))


def test_an_unfinished_build_cannot_be_packed(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="4 of 4 bundles"):
        pack(tmp_path, tmp_path / "table.npz", definition=SMALL)


def test_a_table_verifies_bit_for_bit(packed: Path) -> None:
    found = verify(packed, cells=3, seed=1, definition=SMALL)
    assert (found.mode, found.passed, found.differing, found.foreign) == ("bitwise", True, 0, ())
    assert found.networks >= 3


def test_a_table_that_was_tampered_with_does_not(packed: Path, tmp_path: Path) -> None:
    table = load(packed)
    valid = table.valid.copy()
    valid += 1
    with np.load(packed) as file:
        arrays = {name: file[name] for name in file.files} | {"valid": valid}
    np.savez_compressed(tmp_path / "bad.npz", **arrays)
    found = verify(tmp_path / "bad.npz", cells=100, seed=1, definition=SMALL)
    assert not found.passed
    assert found.differing == found.networks == 6
    assert found.mean_difference == pytest.approx(100 / 499)


def test_another_machine_is_compared_within_the_tolerance(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = digits201.machine()
    monkeypatch.setattr(digits201_table, "machine", lambda: here | {"processor": "another"})
    found = verify(packed, cells=1, seed=2, definition=SMALL)
    assert (found.mode, found.foreign, found.passed) == ("tolerance", ("processor",), True)


def test_a_table_of_another_recipe_is_refused(packed: Path) -> None:
    with pytest.raises(DataCorrupt, match="noise"):
        verify(packed, cells=1, seed=1, definition=replace(SMALL, noise=0.2))


def test_bad_requests_and_files_say_what_to_do(tmp_path: Path, packed: Path) -> None:
    with pytest.raises(UsageError, match="1 or more"):
        verify(packed, cells=0, seed=1, definition=SMALL)
    with pytest.raises(DataMissing, match="no such table"):
        load(tmp_path / "none.npz")
    (tmp_path / "torn.npz").write_bytes(packed.read_bytes()[:200])
    with pytest.raises(DataCorrupt, match="torn"):
        load(tmp_path / "torn.npz")


def test_the_table_holds_what_the_bundles_gave(built: Path, packed: Path) -> None:
    table = load(packed)
    assert tuple(table.cells) == trained_cells(SMALL)
    bundle = plan(SMALL)[3]
    with np.load(built / "bundle-0003.npz") as file:
        row = list(table.cells).index(bundle.cells[0])
        assert np.array_equal(table.valid[row, 1], file["valid"][0])
        assert np.array_equal(table.test[row, 1], file["test"][0])


def test_the_cost_model_recovers_the_price_of_an_operation() -> None:
    bundles = plan(DIGITS_201)[:60]
    space = NasBench201()
    names = ("skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    prices = dict(zip(names, (0.01, 0.02, 0.04, 0.03), strict=True))
    seconds = [
        sum(0.1 + sum(space.arch(cell).count(name) * price for name, price in prices.items()) for cell in bundle.cells)
        for bundle in bundles
    ]
    assert cost_model(bundles, seconds) == pytest.approx({"network": 0.1, **prices})


def test_bundles_too_few_to_tell_cost_the_mean() -> None:
    bundles = plan(DIGITS_201)[:2]
    model = cost_model(bundles, [1.0, 100.0])
    assert model["network"] > 0  # type: ignore[operator]
    assert all(price >= 0 for price in model.values())  # type: ignore[operator]
    falling = cost_model(tuple(plan(SMALL)), [0.1, 0.1, 0.1, 0.1])
    assert falling["network"] > 0  # type: ignore[operator]
