"""The store: written once and whole, verified at every opening, shared by processes."""

from __future__ import annotations

import multiprocessing
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from benchmarks.tabular.names import MetricName
from benchmarks.tabular.series import Content, Series, mean_of_recorded
from benchmarks.tabular.store import ARCHS, MANIFEST, SEAL, Table, open_table, write_table
from harness.core.errors import DataCorrupt, DataMissing, OutputUnwritable

NAN = float("nan")
REMEDY = "python -m harness data import tiny"
VALID = MetricName("toys", "valid", 3, "25k")


def tiny() -> Content:
    trials = np.array([[1.0, 2.0], [3.0, NAN], [NAN, NAN], [5.0, 7.0]])
    curves = np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 2, 3)
    series = [
        Series(VALID, "%", sealed=False, source="a", mean=mean_of_recorded(trials), trials=trials, labels=("7", "8")),
        Series(MetricName("toys", "test", 3, "25k"), "%", sealed=True, source="b", mean=np.arange(4.0)),
        Series(MetricName("toys", "loss", 3, "25k"), "", sealed=False, source="c", better="lower", stops=(1, 2, 3),
               labels=("7", "8"), trials=trials, curves=curves),
    ]  # fmt: skip
    return Content("tiny", {"kind": "ids"}, ["a", "b", "ä", "d"], 4, series, {"tiny.csv": "0" * 64}, "test 1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_table(tiny(), tmp_path / "tables" / "tiny", replace=False)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def assert_same(table: Table) -> None:
    wanted = {str(series.name): series for series in tiny().series}
    assert table.archs == ["a", "b", "ä", "d"]
    assert table.rows["ä"] == 2
    assert set(table.series) == set(wanted)
    for name, series in table.series.items():
        assert series.arrays().keys() == wanted[name].arrays().keys()
        assert (series.unit, series.sealed, series.labels, series.stops, series.better) == (
            wanted[name].unit, wanted[name].sealed, wanted[name].labels, wanted[name].stops, wanted[name].better,
        )  # fmt: skip
        for part, array in series.arrays().items():
            np.testing.assert_array_equal(array, wanted[name].arrays()[part])
            assert array.dtype == wanted[name].arrays()[part].dtype


def test_what_is_opened_is_what_was_written(folder: Path) -> None:
    assert_same(open_table(folder, REMEDY))


def test_arrays_are_read_only(folder: Path) -> None:
    mean = open_table(folder, REMEDY).series[str(VALID)].mean
    assert mean is not None
    with pytest.raises(ValueError, match="read-only"):
        mean[0] = 0.0


def test_missing_trials_are_counted_and_stay_missing(folder: Path) -> None:
    table = open_table(folder, REMEDY)
    counts = table.manifest["trials"]["toys/valid@3ep(25k)"]
    assert counts == {"cells_by_trials": {"0": 1, "1": 1, "2": 2}, "missing_by_seed": {"7": 1, "8": 2}}
    np.testing.assert_array_equal(table.series[str(VALID)].mean, [1.5, 3.0, NAN, 6.0])


def test_the_same_content_has_the_same_hash(folder: Path, tmp_path: Path) -> None:
    again = write_table(tiny(), tmp_path / "elsewhere" / "other-name", replace=False)
    assert open_table(again, REMEDY).content == open_table(folder, REMEDY).content
    assert files(again) == files(folder)


@pytest.mark.parametrize("number", range(8))
def test_a_flipped_bit_anywhere_is_found(folder: Path, number: int) -> None:
    names = files(folder)
    assert len(names) == 8
    path = folder / names[number]
    whole = path.read_bytes()
    for place in {0, len(whole) // 2, len(whole) - 1}:
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(bytes(damaged))
        with pytest.raises(DataCorrupt) as refusal:
            open_table(folder, REMEDY)
        message = str(refusal.value)
        assert "\n" not in message
        assert str(folder / (MANIFEST if names[number] == SEAL else names[number])) in message
        assert "expected SHA-256" in message
        assert REMEDY in message
    path.write_bytes(whole)
    assert_same(open_table(folder, REMEDY))


@pytest.mark.parametrize("name", [ARCHS, MANIFEST, SEAL, "001-toys_test_3ep_25k-mean.npy"])
@pytest.mark.parametrize("harm", ["deleted", "emptied", "cut"])
def test_a_lost_or_shortened_file_is_found(folder: Path, name: str, harm: str) -> None:
    path = folder / name
    if harm == "deleted":
        path.unlink()
    else:
        path.write_bytes(b"" if harm == "emptied" else path.read_bytes()[:-3])
    with pytest.raises(DataCorrupt, match="tiny"):
        open_table(folder, REMEDY)


def test_no_folder_is_missing_data_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=REMEDY):
        open_table(tmp_path / "nowhere", REMEDY)


def test_a_table_pickles_by_its_path(folder: Path) -> None:
    packed = pickle.dumps(open_table(folder, REMEDY))
    assert len(packed) < 1000
    assert_same(pickle.loads(packed))


def write_again(folder: Path, *, replace: bool) -> str:
    return open_table(write_table(tiny(), folder, replace=replace), REMEDY).content


@pytest.mark.parametrize("replace", [False, True])
def test_processes_that_import_at_once_all_succeed(tmp_path: Path, *, replace: bool) -> None:
    target = tmp_path / "tables" / "tiny"
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("fork")) as pool:
        contents = {job.result() for job in [pool.submit(write_again, target, replace=replace) for _ in range(12)]}
    assert len(contents) == 1
    assert [path.name for path in target.parent.iterdir()] == ["tiny"]


def test_replacing_mends_a_damaged_table(folder: Path) -> None:
    (folder / ARCHS).write_text("ruined")
    write_table(tiny(), folder, replace=False)
    with pytest.raises(DataCorrupt):
        open_table(folder, REMEDY)
    write_table(tiny(), folder, replace=True)
    assert_same(open_table(folder, REMEDY))
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


def test_an_unwritable_cache_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(OutputUnwritable, match="name a writable cache folder") as refusal:
        write_table(tiny(), tmp_path / "cache" / "tables" / "tiny", replace=False)
    assert "\n" not in str(refusal.value)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OutputUnwritable, match="No space left on device"):
        write_table(tiny(), tmp_path / "tables" / "tiny", replace=False)
    assert not list((tmp_path / "tables").iterdir())


def test_a_table_survives_a_move(folder: Path, tmp_path: Path) -> None:
    shutil.move(folder, tmp_path / "moved")
    assert_same(open_table(tmp_path / "moved", REMEDY))
