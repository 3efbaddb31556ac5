"""The scores of candidates are held against a table's gains, every figure as its column says."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.spaces.nb201_moves import GrowingNasBench201, is_live
from benchmarks.training.hybrid import HybridConfig
from benchmarks.training.move_signal import (
    CASES,
    FEWEST,
    Case,
    Setting,
    _figures,
    measure,
    parents,
    table,
)
from benchmarks.training.signal_rows import read
from harness.core.errors import UsageError
from harness.core.interfaces import Place
from harness.core.types import Cost, Measurement, Move
from harness.plan import CATALOGUE
from harness.protocol import build, load

MOVES = (Move("a"), Move("b"), Move("c"))
GAINS = [1.0, 3.0, -2.0]
TINY = Setting(
    HybridConfig(train_images=80, valid_images=60, channels=2, batch_size=32, parent_epochs=1),
    cases=(Case("sg+sf", epochs=1), Case("without stops", arm="joint", epochs=1, penalty=0.0)),
    parents=1,
)


def attachment(
    weights: Sequence[float], cosines: Sequence[float] = (-0.1, -0.1, -0.1), slopes: Sequence[float] = (0.1, 0.1, 0.1)
) -> Measurement:
    metrics = {"digits/valid-before@attach(80) trial": 80.0, "digits/valid@attach(80) trial": 79.5}
    scores = dict(zip(MOVES, weights, strict=True))
    scores |= {f"{move}|-cos": value for move, value in zip(MOVES, cosines, strict=True)}
    scores |= {f"{move}|<g,c>": value for move, value in zip(MOVES, slopes, strict=True)}
    return Measurement(79.5, metrics, Cost(1), (79.5,), scores)


def test_a_score_in_the_order_of_the_gains_has_tau_one_and_chooses_the_best() -> None:
    figures = _figures(attachment((0.2, 0.3, 0.1), cosines=(-0.2, -0.3, -0.1)), MOVES, GAINS)
    assert (figures["tau_weight"], figures["tau_cosine"]) == (1.0, -1.0)
    assert (figures["gain_chosen"], figures["gain_best"]) == (3.0, 3.0)
    assert figures["gain_mean"] == pytest.approx(2 / 3, abs=1e-4)
    assert (figures["valid_before"], figures["valid_after"]) == (80.0, 79.5)


def test_scores_that_are_all_equal_order_nothing() -> None:
    figures = _figures(attachment((0.1, 0.1, 0.1)), MOVES, GAINS)
    assert (figures["tau_weight"], figures["tau_slope"]) == (0.0, 0.0)
    assert figures["gain_chosen"] == figures["gain_mean"], "nothing is chosen, whatever the order of the moves"


def test_a_falling_slope_promises_a_gain() -> None:
    found = attachment((0.1, 0.1, 0.1), slopes=(-1.0, -2.0, 0.5))
    assert _figures(found, MOVES, GAINS)["tau_slope"] == 1.0


def test_a_weight_is_taken_times_the_size_of_what_it_weighs() -> None:
    """With gradients of norm 1, candidates of the norms 3, 2 and 100, of which the last does not align at all."""
    found = attachment((0.2, 0.4, 0.1), cosines=(-0.5, 0.5, 0.0), slopes=(1.5, -1.0, 0.0))
    figures = _figures(found, MOVES, GAINS)
    assert figures["tau_spread"] == 1.0
    assert figures["tau_weight"] == 1.0
    larger = attachment((0.2, 0.1, 0.4), cosines=(-0.5, 0.5, -0.1), slopes=(1.5, -10.0, 0.1))
    figures = _figures(larger, MOVES, GAINS)
    assert (figures["tau_spread"], figures["tau_weight"]) == (1.0, -1.0)


def test_every_case_changes_one_thing_of_the_reference() -> None:
    reference = CASES[0]
    assert reference == Case("sg+sf")
    for case in CASES[1:]:
        changed = [
            key for key in ("arm", "epochs", "penalty", "scale") if getattr(case, key) != getattr(reference, key)
        ]
        assert len(changed) == 1, case
    assert len({case.name for case in CASES}) == len(CASES)


def test_parents_are_distinct_live_cells_that_do_not_depend_on_how_many_are_asked_for() -> None:
    chosen = parents(replace(TINY, parents=12))
    space = GrowingNasBench201()
    assert len(set(chosen)) == 12
    assert all(is_live(arch) and len(space.moves(arch)) >= FEWEST for arch in chosen)
    assert parents(replace(TINY, parents=5)) == chosen[:5]


def test_a_measurement_goes_on_from_its_csv_and_from_no_other(data_dir: Path, cache_dir: Path, tmp_path: Path) -> None:
    target, place = tmp_path / "signal.csv", Place(data_dir, cache_dir)
    measure(target, TINY, place)
    rows = read(target)
    assert [row["case"] for row in rows] == ["sg+sf", "without stops"]
    assert all(float(row["gain_best"]) >= float(row["gain_chosen"]) for row in rows)
    whole = target.read_bytes()
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerow(rows[0])
    measure(target, TINY, place)
    assert target.read_bytes() == whole
    assert table(rows).splitlines()[2].startswith("| sg+sf | 1 |")
    with pytest.raises(UsageError, match="another CSV"):
        measure(target, replace(TINY, config=replace(TINY.config, learning_rate=0.01)), place)
    assert target.read_bytes() == whole


def test_what_is_measured_is_what_the_hybrid_comparison_trains() -> None:
    benchmark = load("petridish-nb201-hybrid", CATALOGUE).model.tracks[0].benchmark
    assert Setting().config == build(HybridConfig, benchmark.options)
    assert benchmark.options["crop_padding"] == 0, "with crops, parents are not near convergence"
