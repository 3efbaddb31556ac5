"""The pilot measures what its columns say, and its table is made of its CSV alone."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.training.digits201 import DIGITS_201
from benchmarks.training.digits201_pilot import SEEDS, pilot, reliability, sample, table

SHORT = replace(DIGITS_201, recipe=replace(DIGITS_201.recipe, epochs=2))


def test_seeds_that_agree_have_tau_one_and_seeds_that_reverse_have_minus_one() -> None:
    rising = np.arange(20.0)
    agreeing = reliability(np.stack([rising] * 6, axis=1))
    assert [agreeing[f"tau_{what}"] for what in ("single", "triples", "top")] == pytest.approx([1.0] * 3)
    assert (agreeing["seed_sd"], agreeing["tied_best"]) == pytest.approx((0.0, 1 / 20))
    assert (agreeing["q0"], agreeing["q50"], agreeing["q100"]) == pytest.approx((0.0, 9.5, 19.0))
    assert reliability(np.stack([rising, -rising], axis=1))["tau_single"] == pytest.approx(-1.0)


def test_the_pilot_saw_no_network_of_the_table() -> None:
    assert not set(SEEDS) & set(DIGITS_201.seeds)
    assert sample(64) == sample(64)
    assert len(set(sample(64))) == 64


def test_a_pilot_becomes_a_table(tmp_path: Path) -> None:
    measured = tmp_path / "pilot.csv"
    pilot(measured, {"short": SHORT}, cells=8)
    with measured.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["candidate"], row["epoch"]) for row in rows] == [("short", "1"), ("short", "2")]
    assert f"{float(rows[1]['tau_triples']):.2f}" in table(measured).splitlines()[-1]


def test_a_pilot_that_was_stopped_trains_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[str] = []

    def measure(name: str, _: object) -> list[dict[str, object]]:
        if name == "third":
            raise KeyboardInterrupt
        trained.append(name)
        return [{"candidate": name, "epoch": 1, "tau_triples": 0.5}]

    monkeypatch.setattr("benchmarks.training.digits201_pilot._measure", measure)
    measured = tmp_path / "pilot.csv"
    with pytest.raises(KeyboardInterrupt):
        pilot(measured, {"first": SHORT, "second": SHORT, "third": SHORT}, cells=8)
    pilot(measured, {"first": SHORT, "second": SHORT, "fourth": SHORT}, cells=8)
    assert trained == ["first", "second", "fourth"]
    with measured.open(encoding="utf-8", newline="") as file:
        assert [row["candidate"] for row in csv.DictReader(file)] == trained
