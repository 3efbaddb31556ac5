"""`check-surrogate cells`: bad options are refused, and a small part of it runs on the real table."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from harness.cli import main

COMMAND = ["check-surrogate", "cells"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--train", "3"], "at least 4 cells"),
        (["--seeds", "0"], "1 seed"),
        (["--rounds", "-1"], "0 rounds"),
        (["--surrogate", "forrest"], "'forest'"),
    ],
)
def test_bad_options_are_refused(options: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMMAND, *options]) == 2
    assert told in capsys.readouterr().err


def test_a_missing_table_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = ["--data-dir", str(tmp_path), "--cache-dir", str(tmp_path / "cache")]
    assert main([*COMMAND, "--reduced", *places]) == 4
    assert "nb201" in capsys.readouterr().err


def test_a_part_runs_on_the_real_table(data_dir: Path, cache_dir: Path, tmp_path: Path) -> None:
    part = [option for name in ("oracle", "random", "ridge") for option in ("--surrogate", name)]
    extent = ["--dataset", "cifar100", "--train", "30", "--seeds", "2", "--rounds", "1", "--workers", "0"]
    places = ["--data-dir", str(data_dir), "--cache-dir", str(cache_dir), "--out", str(tmp_path)]
    assert main([*COMMAND, *part, *extent, *places]) == 0
    with (tmp_path / "fits.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    taus = {name: [float(row["tau"]) for row in rows if row["surrogate"] == name] for name in ("oracle", "ridge")}
    assert len(rows) == 6
    assert taus["oracle"] == pytest.approx([1.0, 1.0])
    assert all(0.2 < tau < 1 for tau in taus["ridge"])
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "cifar100/valid@200ep(50k) mean-of-trials" in report
    assert "test@" not in report


def test_the_reduced_assessment_fits_the_dish(data_dir: Path, cache_dir: Path, tmp_path: Path) -> None:
    places = ["--data-dir", str(data_dir), "--cache-dir", str(cache_dir), "--out", str(tmp_path)]
    assert main([*COMMAND, "--reduced", "--workers", "0", *places]) == 0
    with (tmp_path / "fits.csv").open(encoding="utf-8") as file:
        taus = {row["surrogate"]: float(row["tau"]) for row in csv.DictReader(file)}
    assert taus["oracle"] == pytest.approx(1.0)
    assert taus["spd"] > 0.2
    assert "REDUCED RUN" in (tmp_path / "report.md").read_text(encoding="utf-8")
