"""The statistics of a packed table are right on tables whose answers are known, and its page says them."""

from __future__ import annotations

import math
import runpy
from pathlib import Path

import numpy as np
import pytest

from benchmarks.spaces.nb201 import NasBench201
from benchmarks.tabular.digits201_file import Packed, load
from benchmarks.tabular.digits201_page import page
from benchmarks.tabular.digits201_statistics import course, reliability, tau, whole
from harness.core.errors import UsageError
from harness.core.records import Document, Table

HELPERS = Path(__file__).parents[3] / "fixtures" / "digits201_tables.py"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    return load(runpy.run_path(str(HELPERS))["invent"](tmp_path_factory.mktemp("packed") / "table.npz"))


@pytest.fixture(scope="module")
def document(packed: Packed) -> Document:
    return page(packed, "abc")


def _table(document: Document, name: str) -> Table:
    (found,) = [table for section in document.sections for table in section.tables if table.name == name]
    return found


def test_reliability_finds_what_normal_accuracies_were_made_of() -> None:
    rng = np.random.default_rng(4)
    found = reliability(80 + 3.0 * rng.standard_normal((4000, 1)) + 2.0 * rng.standard_normal((4000, 3)))
    assert found.within == pytest.approx(2.0, rel=0.05)
    assert found.single == pytest.approx(2 / math.pi * math.asin(9 / 13), abs=0.02)
    assert found.pair == pytest.approx(2 / math.pi * math.asin(9 / math.sqrt(11 * 13)), abs=0.02)
    assert found.mean == pytest.approx(2 / math.pi * math.asin(9 / (9 + 4 / 3)), abs=0.02)
    assert 0.05 < found.top < found.single
    assert found.tied == 1 / 4000
    assert found.tied < found.near < 0.1


def test_the_expected_agreement_of_triples_is_what_six_seeds_show() -> None:
    rng = np.random.default_rng(5)
    points = 80 + 2.0 * rng.standard_normal((3000, 1)) + 2.0 * rng.standard_normal((3000, 6))
    measured = tau(points[:, :3].mean(axis=1), points[:, 3:].mean(axis=1))
    assert reliability(points[:, :3]).mean == pytest.approx(measured, abs=0.02)
    points[:10] = 10.0  # cells that learn nothing
    assert reliability(points[:, :3]).mean == pytest.approx(measured, abs=0.02)


def test_ties_and_few_seeds() -> None:
    found = reliability(np.array([[90.0, 80.0], [80.0, 90.0], [70.0, 60.0], [10.0, 20.0]]))
    assert found.tied == 0.5
    assert found.single == pytest.approx(tau(np.array([90.0, 80, 70, 10]), np.array([80.0, 90, 60, 20])))
    assert math.isnan(found.pair)
    assert math.isnan(found.top)


def test_the_ranking_forms_over_the_epochs() -> None:
    rng = np.random.default_rng(6)
    truth, noise = rng.standard_normal((500, 1, 1)), rng.standard_normal((500, 3, 5))
    found = course(50 + truth + noise * np.array([8.0, 4.0, 2.0, 1.0, 0.5]))
    assert found.final[-1] == pytest.approx(1.0)
    assert (np.diff(found.final) > 0).all()
    assert (np.diff(found.seeds) > 0).all()
    assert found.seeds[-1] == pytest.approx(found.fresh[-1])


def test_the_page_tells_the_best_cell_and_its_figures(packed: Packed, document: Document) -> None:
    best = _table(document, "best").data[0]
    row = int(np.argmax(packed.valid[:, :, -1].sum(axis=1)))
    assert best["cell"] == packed.cells[row]
    assert best["valid"] == pytest.approx(100 * packed.valid[row, :, -1].mean() / 499)
    assert best["test"] == pytest.approx(100 * packed.test[row, :, -1].mean() / 498)
    assert NasBench201().arch(int(packed.cells[row])) in _table(document, "best").rows[0]


def test_the_expectation_of_one_draw_is_the_mean_of_all_cells(document: Document) -> None:
    rows = _table(document, "random-search").rows
    assert rows[0][0] == "1"
    assert rows[0][2] == rows[0][4] == "100.0"
    left = [float(row[2]) for row in rows]
    assert left == sorted(left, reverse=True)
    assert left[-1] < 30


def test_a_small_table_of_two_seeds_has_a_page_too(tmp_path: Path) -> None:
    invent = runpy.run_path(str(HELPERS))["invent"]

    def fewer(values: np.ndarray) -> np.ndarray:
        return values[:, :2]

    changes = dict.fromkeys(("valid", "test", "loss"), fewer)
    found = page(load(invent(tmp_path / "t.npz", [3, 40, 500], seeds=[0, 1], **changes)), "abc")
    assert "not available" in _table(found, "reliability").rows[1]


def test_classes_that_diverged_are_left_out_and_counted(tmp_path: Path) -> None:
    invent = runpy.run_path(str(HELPERS))["invent"]

    def diverge(counts: np.ndarray) -> np.ndarray:
        counts[0, 1, 3:] = -1
        return counts

    table = load(invent(tmp_path / "t.npz", [3, 40, 500, 600], valid=diverge))
    assert whole(table).tolist() == [False, True, True, True]
    assert "left out below: 1." in page(table, "abc").sections[0].text
    alone = load(invent(tmp_path / "one.npz", [3], valid=diverge))
    with pytest.raises(UsageError, match="no class"):
        page(alone, "abc")
