"""The commands of the sigmoid experiment: build, verify and place its curves; assess the dish."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.sigmoid import curve as curves
from benchmarks.sigmoid.curve import CURVES, load, shipped
from harness.cli import main


def test_where_names_every_curve_with_its_hash(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["data", "where", "--cache-dir", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    for name in CURVES:
        assert f"sigmoid-{name}" in told
        assert load(name).sha256 in told


def test_a_curve_is_built_and_verified(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = replace(CURVES["digits"], slopes=3, repeats=2, epochs=1)
    monkeypatch.setitem(curves.CURVES, "digits", tiny)
    folder = tmp_path / "out"
    assert main(["data", "build", "sigmoid-digits", "--out", str(folder)]) == 0
    assert main(["data", "verify", "sigmoid-digits", "--file", str(folder / "digits.csv"), "--cells", "2"]) == 0
    assert "2 slopes of repeat" in capsys.readouterr().out
    content = (folder / "digits.csv").read_text()
    first = content.splitlines()[1].split(",")
    (folder / "digits.csv").write_text(content.replace(",".join(first[3:]), ",".join(["99.0"] * 4)))
    assert main(["data", "verify", "sigmoid-digits", "--file", str(folder / "digits.csv"), "--cells", "3"]) == 4
    assert "trained again" in capsys.readouterr().err


@pytest.mark.parametrize("action", ["import", "describe"])
def test_what_a_curve_cannot_do_is_refused(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", action, "sigmoid-digits"]) == 2
    assert "sigmoid-digits" in capsys.readouterr().err


def test_the_reduced_assessment_writes_the_whole_report(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["check-surrogate", "sigmoid", "--reduced", "--out", str(tmp_path)]) == 0
    assert "REDUCED" in capsys.readouterr().out
    with (tmp_path / "acceptance.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["id"] for row in rows} == {f"A{number}" for number in range(10)}
    truth = [row["verdict"] for row in rows if row["id"] == "A0"]
    assert truth == ["met", "met"]
    assert (tmp_path / "regret.svg").is_file()


def test_the_shipped_curves_are_part_of_the_package() -> None:
    assert all(shipped(name).is_file() for name in CURVES)
