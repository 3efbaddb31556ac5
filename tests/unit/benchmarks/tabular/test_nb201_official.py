"""The official files: equal to what their own interface answers, and never unpickled freely."""

from __future__ import annotations

import bz2
import os
import pickle
import shutil
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.tabular.catalogue import NATS_META
from benchmarks.tabular.nb201_official import import_nats, import_pth
from benchmarks.tabular.nb201_parquet import import_parquet
from benchmarks.tabular.pickles import read_pickle
from benchmarks.tabular.series import Content, Series
from harness.core.errors import DataCorrupt

CELLS = (0, 11, 284)


def by_name(content: Content) -> dict[str, Series]:
    return {str(series.name): series for series in content.series}


def freely(path: Path) -> Any:
    """Unpickle a file whose checksum is known (the official ones)."""
    return pickle.loads(bz2.decompress(path.read_bytes()))


@pytest.fixture(scope="module")
def records(data_dir: Path) -> Path:
    return data_dir / "nb201" / "official_records"


@pytest.fixture(scope="module")
def whole(records: Path) -> dict[str, Any]:
    """The three records in the schema of the official `.pth` file."""
    cells = {cell: freely(records / f"{cell:06d}.pickle.pbz2") for cell in CELLS}
    return {
        "meta_archs": freely(records / NATS_META)["meta_archs"],
        "total_archs": 15_625,
        "evaluated_indexes": set(CELLS),
        "arch2infos": {cell: {"less": record["12"], "full": record["200"]} for cell, record in cells.items()},
    }


@pytest.fixture(scope="module")
def pth(whole: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch = pytest.importorskip("torch")
    path = tmp_path_factory.mktemp("pth") / "three-cells.pth"
    torch.save(whole, path)
    return path


@pytest.fixture(scope="module")
def interface(whole: dict[str, Any]) -> Any:
    return pytest.importorskip("nas_201_api").NASBench201API(whole, verbose=False)


@pytest.fixture(scope="module", params=["nats", "pth"])
def content(request: pytest.FixtureRequest, records: Path, pth: Path) -> Content:
    return import_nats("nats-tss", records, NATS_META) if request.param == "nats" else import_pth("nb201-v1.1", pth)


def test_holds_the_recorded_cells_only(content: Content, whole: dict[str, Any]) -> None:
    assert content.archs == [whole["meta_archs"][cell] for cell in CELLS]
    assert content.total == 15_625


@pytest.mark.parametrize("schedule", ["12", "200"])
@pytest.mark.parametrize(
    ("official", "key", "name"),
    [
        ("cifar10-valid", "valid-accuracy", "cifar10/valid@{}ep(25k)"),
        ("cifar10-valid", "test-accuracy", "cifar10/test@{}ep(25k)"),
        ("cifar10-valid", "valid-loss", "cifar10/valid-loss@{}ep(25k)"),
        ("cifar10-valid", "train-accuracy", "cifar10/train@{}ep(25k)"),
        ("cifar10", "test-accuracy", "cifar10/test@{}ep(50k)"),
        ("cifar10", "test-loss", "cifar10/test-loss@{}ep(50k)"),
        ("cifar100", "valid-accuracy", "cifar100/valid@{}ep(50k)"),
        ("cifar100", "test-accuracy", "cifar100/test@{}ep(50k)"),
        ("cifar100", "valtest-accuracy", "cifar100/valid+test@{}ep(50k)"),
        ("cifar100", "train-loss", "cifar100/train-loss@{}ep(50k)"),
        ("ImageNet16-120", "valid-accuracy", "imagenet16-120/valid@{}ep(151.7k)"),
        ("ImageNet16-120", "test-accuracy", "imagenet16-120/test@{}ep(151.7k)"),
    ],
)
def test_means_and_trials_equal_the_official_interface(
    content: Content, interface: Any, schedule: str, official: str, key: str, name: str
) -> None:
    series = by_name(content)[name.format(schedule)]
    assert series.mean is not None
    assert series.trials is not None
    for row, cell in enumerate(CELLS):
        mean = interface.get_more_info(cell, official, hp=schedule, is_random=False)[key]
        assert series.mean[row] == pytest.approx(mean, rel=1e-12)
        seeds = interface.arch2infos_dict[cell][schedule].get_dataset_seeds(official)
        assert sorted(series.labels) == sorted(str(seed) for seed in seeds)
        for column, seed in enumerate(series.labels):
            trial = interface.get_more_info(cell, official, hp=schedule, is_random=int(seed))[key]
            assert series.trials[row, column] == trial


@pytest.mark.parametrize(("schedule", "epoch"), [("12", 1), ("12", 7), ("200", 25), ("200", 199)])
def test_curves_equal_the_official_interface(content: Content, interface: Any, schedule: str, epoch: int) -> None:
    series = by_name(content)[f"cifar10/valid@{schedule}ep(25k)"]
    assert series.curves is not None
    position = series.stops.index(epoch)
    for row, cell in enumerate(CELLS):
        for column, seed in enumerate(series.labels):
            info = interface.get_more_info(cell, "cifar10-valid", iepoch=epoch - 1, hp=schedule, is_random=int(seed))
            assert series.curves[row, column, position] == np.float32(info["valid-accuracy"])


def test_what_was_evaluated_at_the_end_only_has_no_curve(content: Content) -> None:
    series = by_name(content)
    assert series["cifar100/valid@200ep(50k)"].curves is None
    assert series["cifar100/valid@12ep(50k)"].curves is not None


@pytest.mark.parametrize(("dataset", "train"), [("cifar10", "25k"), ("cifar100", "50k"), ("ImageNet16-120", "151.7k")])
def test_costs_equal_the_official_interface(content: Content, interface: Any, dataset: str, train: str) -> None:
    series = by_name(content)
    epoch, once = (
        series[f"{dataset.lower()}/{quantity}({train})"].mean for quantity in ("epoch-seconds", "validation-seconds")
    )
    assert epoch is not None
    assert once is not None
    for row, cell in enumerate(CELLS):
        charged = interface.simulate_train_eval(cell, dataset, hp="12")[2]
        assert 12 * epoch[row] + once[row] == pytest.approx(charged, rel=1e-12)


def test_sizes_equal_the_official_interface(content: Content, interface: Any) -> None:
    series = by_name(content)
    for row, cell in enumerate(CELLS):
        costs = interface.get_cost_info(cell, "cifar10")
        for quantity, key in {"multiply-adds": "flops", "parameters": "params", "gpu-latency": "latency"}.items():
            mean = series[f"cifar10/{quantity}"].mean
            assert mean is not None
            assert mean[row] == pytest.approx(costs[key], rel=1e-12)


def test_agrees_with_the_extract(content: Content, data_dir: Path) -> None:
    """Cells 0, 11 and 284 of the parquet files are these records, written with six decimals or more."""
    extract = by_name(import_parquet("nats-tss", data_dir / "nb201"))
    shared = [name for name, series in by_name(content).items() if name in extract and series.name.epochs]
    assert len(shared) == 7
    for name in shared:
        recorded, copied = by_name(content)[name].mean, extract[name].mean
        assert recorded is not None
        assert copied is not None
        np.testing.assert_allclose(copied[list(CELLS)], recorded, atol=1e-4)


def test_both_releases_of_the_same_records_are_the_same_table(records: Path, pth: Path) -> None:
    one, other = by_name(import_nats("t", records, NATS_META)), by_name(import_pth("t", pth))
    assert one.keys() == other.keys()
    for name, series in one.items():
        for part, array in series.arrays().items():
            np.testing.assert_array_equal(array, other[name].arrays()[part])


class Hostile:
    """What a malicious file holds: unpickling it runs a command."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def compress(path: Path, value: Any, protocol: int = 4) -> Path:
    path.write_bytes(bz2.compress(pickle.dumps(value, protocol=protocol)))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_a_hostile_pickle_is_named_and_not_run(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "was-run"
    path = compress(tmp_path / "000000.pickle.pbz2", {"12": Hostile(mark)}, protocol)
    with pytest.raises(DataCorrupt, match=r"the class posix.system.*nothing of it was run") as refusal:
        read_pickle(path)
    assert not mark.exists()
    assert "\n" not in str(refusal.value)
    assert str(path) in str(refusal.value)


def test_a_hostile_pth_is_refused_and_not_run(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    mark, path = tmp_path / "was-run", tmp_path / "hostile.pth"
    torch.save({"meta_archs": ["a"], "arch2infos": {0: Hostile(mark)}}, path)
    with pytest.raises(DataCorrupt, match=r"it asks for posix.system, .*nothing of it was run") as refusal:
        import_pth("nb201-v1.1", path)
    assert not mark.exists()
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "value",
    [
        np.array(["text"], dtype=object),
        np.zeros(3),
        np.ma.masked,
        np.str_("text"),
        {1, complex(1, 2)},
        pickle.PickleBuffer,
        Path("x"),
    ],
    ids=str,
)
def test_only_plain_data_and_numbers_are_read(tmp_path: Path, value: Any) -> None:
    path = compress(tmp_path / "x.pickle.pbz2", value)
    with pytest.raises(DataCorrupt, match="nothing of it was run"):
        read_pickle(path)


def test_plain_data_and_numbers_are_read(tmp_path: Path) -> None:
    plain = {
        "a": [1, 2.5, None, True, "ä", (3, {4})],
        "b": OrderedDict([(0, np.float64(0.1)), (1, np.float32(0.5))]),
        "c": np.int64(7),
    }
    assert read_pickle(compress(tmp_path / "x.pickle.pbz2", plain)) == plain


@pytest.mark.parametrize("kept", [0, 10, 1000, -1])
def test_a_truncated_record_is_one_line(records: Path, tmp_path: Path, kept: int) -> None:
    folder = shutil.copytree(records, tmp_path / "records")
    path = folder / "000011.pickle.pbz2"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataCorrupt, match="damaged or truncated") as refusal:
        import_nats("nats-tss", folder, NATS_META)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_truncated_pth_is_one_line(pth: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.pth"
    path.write_bytes(pth.read_bytes()[:-1000])
    with pytest.raises(DataCorrupt, match="damaged or truncated") as refusal:
        import_pth("nb201-v1.1", path)
    assert "\n" not in str(refusal.value)


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.tabular.pickles.MOST_BYTES", 10_000)
    path = compress(tmp_path / "bomb.pickle.pbz2", b"0" * 1_000_000)
    with pytest.raises(DataCorrupt, match="more than 10000 bytes"):
        read_pickle(path)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"12": {}}, "holds the cell -1"),
        ({"200": {}}, "not the schema"),
        ([1, 2], "not the schema"),
        ({"12": {"arch_str": "another"}, "200": {}}, "holds the cell another"),
    ],
)
def test_a_record_of_something_else_is_one_line(records: Path, tmp_path: Path, value: Any, message: str) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    shutil.copy(records / NATS_META, folder)
    compress(folder / "000000.pickle.pbz2", value)
    with pytest.raises(DataCorrupt, match=message):
        import_nats("nats-tss", folder, NATS_META)


def test_a_meta_file_of_something_else_is_one_line(tmp_path: Path) -> None:
    compress(tmp_path / NATS_META, {"meta_archs": ["a", "a"]})
    with pytest.raises(DataCorrupt, match="no list `meta_archs` of distinct cells"):
        import_nats("nats-tss", tmp_path, NATS_META)
