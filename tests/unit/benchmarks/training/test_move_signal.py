"""The scores of candidates are held against a table's gains, every figure as its column says."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.spaces.nb201_moves import GrowingNasBench201, is_live
from benchmarks.training.hybrid import HybridConfig
from benchmarks.training.move_signal import BEGIN, END, FEWEST, Setting, _figures, measure, parents, read, table, write
from harness.core.errors import UsageError
from harness.core.interfaces import Place
from harness.core.types import Cost, Measurement, Move

MOVES = (Move("a"), Move("b"), Move("c"))
GAINS = [1.0, 3.0, -2.0]
TINY = Setting(
    HybridConfig(train_images=80, valid_images=60, channels=2, batch_size=32, parent_epochs=1),
    epochs=1,
    arms=("sg+sf", "joint"),
    parents=1,
)


def attachment(**scores: float) -> Measurement:
    metrics = {"digits/valid-before@attach(80) trial": 80.0, "digits/valid@attach(80) trial": 79.5}
    return Measurement(79.5, metrics, Cost(1), (79.5,), {key.replace("_cos", "|-cos"): v for key, v in scores.items()})


def test_a_score_in_the_order_of_the_gains_has_tau_one_and_chooses_the_best() -> None:
    found = attachment(a=0.2, b=0.3, c=0.1, a_cos=-0.2, b_cos=-0.3, c_cos=-0.1)
    figures = _figures(found, MOVES, GAINS)
    assert (figures["tau_weight"], figures["tau_cosine"]) == (1.0, -1.0)
    assert (figures["gain_chosen"], figures["gain_best"]) == (3.0, 3.0)
    assert figures["gain_mean"] == pytest.approx(2 / 3, abs=1e-4)
    assert (figures["valid_before"], figures["valid_after"]) == (80.0, 79.5)


def test_scores_that_are_all_equal_or_absent_order_nothing() -> None:
    figures = _figures(attachment(a=0.1, b=0.1, c=0.1), MOVES, GAINS)
    assert (figures["tau_weight"], figures["tau_slope"]) == (0.0, 0.0)


def test_a_falling_slope_promises_a_gain() -> None:
    found = attachment(a=0.1, b=0.1, c=0.1)
    slopes = {"a|<g,c>": -1.0, "b|<g,c>": -2.0, "c|<g,c>": 0.5}
    assert _figures(replace(found, scores={**found.scores, **slopes}), MOVES, GAINS)["tau_slope"] == 1.0


def test_parents_are_distinct_live_cells_that_do_not_depend_on_how_many_are_asked_for() -> None:
    chosen = parents(replace(TINY, parents=12))
    space = GrowingNasBench201()
    assert len(set(chosen)) == 12
    assert all(is_live(arch) and len(space.moves(arch)) >= FEWEST for arch in chosen)
    assert parents(replace(TINY, parents=5)) == chosen[:5]


def test_a_measurement_goes_on_from_its_csv_and_becomes_a_table(
    data_dir: Path, cache_dir: Path, tmp_path: Path
) -> None:
    target, page, place = tmp_path / "signal.csv", tmp_path / "page.md", Place(data_dir, cache_dir)
    measure(target, TINY, place)
    rows = read(target)
    assert [row["arm"] for row in rows] == ["sg+sf", "joint"]
    assert all(float(row["gain_best"]) >= float(row["gain_chosen"]) for row in rows)
    whole = target.read_bytes()
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerow(rows[0])
    measure(target, TINY, place)
    assert target.read_bytes() == whole
    page.write_text(f"before {BEGIN}\nold\n{END} after", encoding="utf-8")
    write(target, page)
    assert table(rows) in page.read_text(encoding="utf-8")


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing", encoding="utf-8")
    with pytest.raises(UsageError, match="marks"):
        write(tmp_path / "absent.csv", page)
    assert page.read_text(encoding="utf-8") == "nothing"
