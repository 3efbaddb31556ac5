"""Set two run folders side by side from the command line."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from harness.testing.world import temp_protocol


@pytest.fixture
def study(harness, digits_protocol: Path, tmp_path: Path) -> Path:
    """A finished study."""
    folder = tmp_path / "study"
    done = harness("run", digits_protocol, "--out", folder, "--workers", "1")
    assert done.returncode == 0, done.stderr
    return folder


def test_two_run_folders_are_set_side_by_side(harness, study: Path, tmp_path: Path) -> None:
    shutil.copytree(study, tmp_path / "copy")
    done = harness("report", "--compare", study, tmp_path / "copy", "--out", tmp_path / "beside")
    assert done.returncode == 0, done.stderr
    assert "3 identical" in done.stdout
    assert "copy minus study" in done.stdout
    with (tmp_path / "beside" / "compare.csv").open(encoding="utf-8") as stream:
        verdicts = [row["verdict"] for row in csv.DictReader(stream)]
    assert verdicts == ["identical"] * 6
    index = json.loads((tmp_path / "beside" / "index.json").read_text(encoding="utf-8"))
    assert {"compare.md", "compare.html", "compare.csv", "tables.tex"} <= index["files"].keys()
    assert not (study / "report" / "compare.md").exists()


def test_folders_called_the_same_are_told_apart_and_have_a_default_place(harness, study: Path, tmp_path: Path) -> None:
    shutil.copytree(study, tmp_path / "elsewhere" / "study")
    done = harness("report", "--compare", study, tmp_path / "elsewhere" / "study", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "study (second) minus study (first)" in done.stdout
    assert (tmp_path / "comparisons" / "study (first)--study (second)" / "compare.html").is_file()


def test_studies_under_other_budgets_are_refused_in_one_line(harness, study: Path, tmp_path: Path) -> None:
    protocol = json.loads((study / "protocol.json").read_text(encoding="utf-8"))
    (tmp_path / "longer").mkdir()
    track = {key: protocol["tracks"][0][key] for key in ("id", "benchmark", "splits", "fidelity", "objective", "final")}
    longer = {**track, "purpose": "descriptive", "budget": {"unit": "epochs", "limit": 14}}
    other = temp_protocol(tmp_path / "longer", methods=["random_search"], track=longer)
    assert harness("run", other, "--out", tmp_path / "other", "--workers", "1").returncode == 0
    done = harness("report", "--compare", study, tmp_path / "other", "--out", tmp_path / "beside")
    assert done.returncode == 2
    assert "tracks.digits.budget.limit (12.0 against 14.0)" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "beside").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no run folder is named"),
        (["a", "--compare", "b", "c"], "--compare takes its two run folders"),
        (["--compare", "b", "c", "--check"], "--compare takes its two run folders"),
        (["a", "--out", "b"], "--out is for --compare"),
    ],
)
def test_a_command_line_that_asks_for_nothing_or_for_two_things_is_refused(
    harness, arguments: list[str], said: str
) -> None:
    done = harness("report", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
