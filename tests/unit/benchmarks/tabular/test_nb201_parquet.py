"""NAS-Bench-201 from the two parquet files: every column where it belongs, gaps kept as gaps, damage found."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.spaces.nb201 import NasBench201
from benchmarks.tabular.nb201_parquet import import_parquet
from benchmarks.tabular.nb201_schema import ARCH_FILE, TRIAL_FILE
from benchmarks.tabular.series import Content, Series
from harness.core.errors import DataCorrupt

CELLS, TRIALS = 60, 775


def by_name(content: Content) -> dict[str, Series]:
    return {str(series.name): series for series in content.series}


@pytest.fixture(scope="module")
def frame(small_nb201: Path) -> pd.DataFrame:
    return pd.read_parquet(small_nb201 / ARCH_FILE).sort_values("arch_index")


@pytest.fixture(scope="module")
def trials(small_nb201: Path) -> pd.DataFrame:
    return pd.read_parquet(small_nb201 / TRIAL_FILE)


def test_every_release_has_its_own_means(small_nb201: Path, frame: pd.DataFrame) -> None:
    first, second = (by_name(import_parquet(table, small_nb201)) for table in ("nb201-v1.1", "nats-tss"))
    np.testing.assert_array_equal(first["cifar10/test@200ep(50k)"].mean, frame.v11_test_c10full)
    np.testing.assert_array_equal(second["cifar10/test@200ep(50k)"].mean, frame.nats_test_c10full)
    np.testing.assert_array_equal(first["cifar100/valid@200ep(50k)"].mean, frame.v11_valid_c100)
    for tables in (first, second):
        np.testing.assert_array_equal(tables["cifar10/valid@12ep(25k)"].mean, frame.e12_valid_c10valid)
        np.testing.assert_array_equal(tables["cifar10/multiply-adds"].mean, frame.flops_m_c10)
    assert any(
        not np.array_equal(first[name].mean, second[name].mean)
        for name in ("cifar10/test@200ep(50k)", "cifar100/test@200ep(50k)")
    )


def test_single_trials_belong_to_the_second_release(small_nb201: Path) -> None:
    first, second = (import_parquet(table, small_nb201) for table in ("nb201-v1.1", "nats-tss"))
    assert not any(series.trials is not None for series in first.series)
    assert {str(series.name) for series in second.series if series.trials is not None} == {
        "cifar10/test@200ep(50k)",
        "cifar10/valid@200ep(25k)",
        "cifar100/test@200ep(50k)",
        "cifar100/valid@200ep(50k)",
        "cifar100/valid+test@200ep(50k)",
    }


def test_test_metrics_are_sealed_and_nothing_else(small_nb201: Path) -> None:
    sealed = {str(series.name) for series in import_parquet("nb201-v1.1", small_nb201).series if series.sealed}
    assert sealed == {
        "cifar10/test@200ep(25k)",
        "cifar10/test-loss@200ep(25k)",
        "cifar10/test@200ep(50k)",
        "cifar100/test@200ep(50k)",
    }
    second = {str(series.name) for series in import_parquet("nats-tss", small_nb201).series if series.sealed}
    assert second == {"cifar10/test@200ep(50k)", "cifar100/test@200ep(50k)", "cifar100/valid+test@200ep(50k)"}


def test_only_exact_trials_are_trials(small_nb201: Path, trials: pd.DataFrame) -> None:
    content = import_parquet("nats-tss", small_nb201)
    held = sum(int((~np.isnan(series.trials)).sum()) for series in content.series if series.trials is not None)
    assert held == int((trials.quality == "exact").sum()) < TRIALS
    assert sum(content.extra["trial_qualities"].values()) == TRIALS


def test_missing_third_trials_are_counted_and_stay_missing(small_nb201: Path, frame: pd.DataFrame) -> None:
    content = import_parquet("nats-tss", small_nb201)
    counts = content.trial_counts()["cifar10/valid@200ep(25k)"]
    two, three = int((frame.n_seeds == 2).sum()), int((frame.n_seeds == 3).sum())
    assert counts["cells_by_trials"] == {"2": two, "3": three}
    assert counts["missing_by_seed"] == {"777": 0, "888": 0, "999": two}
    series = by_name(content)["cifar10/valid@200ep(25k)"]
    assert series.trials is not None
    np.testing.assert_array_equal(np.isnan(series.trials[:, 2]), frame.n_seeds == 2)
    np.testing.assert_allclose(series.mean, [np.mean(row[~np.isnan(row)]) for row in series.trials])


def test_charges_what_the_official_interface_charges(small_nb201: Path, frame: pd.DataFrame) -> None:
    series = by_name(import_parquet("nb201-v1.1", small_nb201))
    epoch, once = series["cifar10/epoch-seconds(25k)"].mean, series["cifar10/validation-seconds(25k)"].mean
    assert epoch is not None
    assert once is not None
    np.testing.assert_allclose(12 * epoch + once, frame.e12_cost_s_c10valid, rtol=1e-12)
    assert 12 * epoch[0] + once[0] == pytest.approx(89.20, abs=0.005)


def test_unsupported_devices_are_gaps(small_nb201: Path, frame: pd.DataFrame) -> None:
    series = by_name(import_parquet("nb201-v1.1", small_nb201))
    latency = series["cifar10/edgetpu-latency"].mean
    assert latency is not None
    np.testing.assert_array_equal(np.isnan(latency), frame.hw_c10_edgetpu_latency == -1)
    assert 0 < np.isnan(latency).sum() < CELLS


def test_rows_in_any_order_give_the_same_table(small_nb201: Path, tmp_path: Path, frame: pd.DataFrame) -> None:
    shutil.copy(small_nb201 / TRIAL_FILE, tmp_path)
    frame.sample(frac=1, random_state=1).to_parquet(tmp_path / ARCH_FILE)
    shuffled, straight = (import_parquet("nats-tss", folder) for folder in (tmp_path, small_nb201))
    assert shuffled.archs == straight.archs
    for one, other in zip(shuffled.series, straight.series, strict=True):
        assert one.name == other.name
        for part, array in one.arrays().items():
            np.testing.assert_array_equal(array, other.arrays()[part])


@pytest.mark.parametrize("name", [ARCH_FILE, TRIAL_FILE])
@pytest.mark.parametrize("kept", [0, 3, 4000, -1])
def test_a_truncated_file_is_one_line(small_nb201: Path, tmp_path: Path, name: str, kept: int) -> None:
    folder = shutil.copytree(small_nb201, tmp_path / "nb201")
    (folder / name).write_bytes((folder / name).read_bytes()[:kept])
    with pytest.raises(DataCorrupt, match="not a whole parquet file") as refusal:
        import_parquet("nb201-v1.1", folder)
    assert "\n" not in str(refusal.value)
    assert str(folder / name) in str(refusal.value)


def swapped(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[[3, 4], "arch_str"] = frame.loc[[4, 3], "arch_str"].to_numpy()
    return frame


FAULTS: dict[str, tuple[str, Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "no column": (
        ARCH_FILE,
        lambda f: f.rename(columns={"v11_testloss_c10valid": "v11_testlos_c10valid"}),
        r"no column 'v11_testloss_c10valid' \(did you mean 'v11_testlos_c10valid'\?\)",
    ),
    "no trial column": (TRIAL_FILE, lambda f: f.drop(columns="quality"), "no column 'quality'"),
    "numbers as text": (
        ARCH_FILE,
        lambda f: f.assign(v11_valid_c10valid=f.v11_valid_c10valid.astype(str)),
        "'v11_valid_c10valid' holds .*string, not numbers",
    ),
    "text as numbers": (TRIAL_FILE, lambda f: f.assign(split=1.0), "'split' holds double, not texts"),
    "twice": (ARCH_FILE, lambda f: pd.concat([f, f.iloc[:1]]), "arch_index 0 stands in more than one row"),
    "text twice": (
        ARCH_FILE,
        lambda f: f.assign(arch_str=[f.arch_str.iloc[1], *f.arch_str.iloc[1:]]),
        "stands in more than one row",
    ),
    "another order": (ARCH_FILE, swapped, "in the official order"),
    "no cell": (ARCH_FILE, lambda f: f.assign(arch_str=f.arch_str.str.replace("none", "nothing")), "official order"),
    "empty text": (TRIAL_FILE, lambda f: f.assign(dataset=[None, *f.dataset.iloc[1:]]), "1 empty entries"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_schema_is_one_line(small_nb201: Path, tmp_path: Path, fault: str) -> None:
    name, change, message = FAULTS[fault]
    folder = shutil.copytree(small_nb201, tmp_path / "nb201")
    change(pd.read_parquet(folder / name)).to_parquet(folder / name)
    with pytest.raises(DataCorrupt, match=message) as refusal:
        import_parquet("nats-tss" if name == TRIAL_FILE else "nb201-v1.1", folder)
    assert "\n" not in str(refusal.value)
    assert str(folder / name) in str(refusal.value)


class TestWholeTable:
    """The released figures, computed from the whole files."""

    @pytest.fixture(scope="class")
    @classmethod
    def tables(cls, data_dir: Path) -> dict[str, Content]:
        return {table: import_parquet(table, data_dir / "nb201") for table in ("nb201-v1.1", "nats-tss")}

    def test_holds_every_cell_in_the_official_order(self, tables: dict[str, Content]) -> None:
        space = NasBench201()
        for content in tables.values():
            assert content.archs == [space.arch(index) for index in range(15_625)]
            assert content.total == 15_625

    def test_best_means_are_the_published_ones(self, tables: dict[str, Content]) -> None:
        """Table 5 of the NAS-Bench-201 paper: 91.61, 94.37, 73.49, 73.51."""
        best = {
            "cifar10/valid@200ep(25k)": (91.61, 6111),
            "cifar10/test@200ep(50k)": (94.37, 6111),
            "cifar100/valid@200ep(50k)": (73.49, 9930),
            "cifar100/test@200ep(50k)": (73.51, 9930),
        }
        for content in tables.values():
            for name, (value, cell) in best.items():
                means = by_name(content)[name].per_cell("mean-of-trials")
                assert round(float(np.nanmax(means)), 2) == value
                assert int(np.nanargmax(means)) == cell

    def test_counts_the_missing_third_trials(self, tables: dict[str, Content]) -> None:
        counts = tables["nats-tss"].trial_counts()["cifar10/valid@200ep(25k)"]
        assert counts["cells_by_trials"] == {"2": 7456, "3": 8169}

    def test_releases_differ_for_about_2500_cells(self, tables: dict[str, Content]) -> None:
        first, second = (by_name(tables[name])["cifar10/valid@200ep(25k)"].mean for name in ("nb201-v1.1", "nats-tss"))
        assert first is not None
        assert second is not None
        assert 2300 < int((np.abs(first - second) > 1e-3).sum()) < 2600
