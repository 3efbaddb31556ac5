"""Options that a method and a benchmark do not share are refused before training, by `check` and by `run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.core.errors import UsageError
from harness.testing import temp_protocol

TRACK = {
    "benchmark": {"name": "nb201-training", "options": {"channels": 2, "train_images": 64, "valid_images": 50}},
    "fidelity": {"search": 1, "final": 1},
    "objective": {"metric": "digits/valid@1ep(64) trial", "secondary": ["digits/multiply-adds"]},
    "budget": {"unit": "evaluations", "limit": 3.0},
    "final": {"metrics": ["digits/test@1ep(114) trial"]},
}


def command(name: str, folder: Path, *methods: Any, **rest: Any) -> list[str]:
    path = temp_protocol(folder, methods=list(methods), track=TRACK, **rest)
    places = ["--cache-dir", str(folder / "cache"), "--workers", "0", "--device", "cpu"]
    return [name, str(path), *places, *(["--out", str(folder / "run")] if name == "run" else [])]


@pytest.mark.parametrize("name", ["check", "run"])
def test_an_option_that_the_benchmark_does_not_have_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"name": "petridish", "options": {"inherit": "all-but-merge"}}
    assert main(command(name, tmp_path, "random_search", row)) == UsageError.exit_code
    told = capsys.readouterr().err
    assert told.startswith("error: methods: 'petridish' on track 'tiny': inherit: 'all-but-merge' is no growth of this")
    assert told.rstrip().endswith("give weights or nothing")
    assert not list(tmp_path.rglob("trials.jsonl"))


def test_a_value_of_an_ablation_is_refused_likewise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ablations = [{"method": "petridish", "vary": {"inherit": ["nothing", "all-but-merge"]}}]
    assert main(command("run", tmp_path, "petridish", ablations=ablations)) == UsageError.exit_code
    assert "inherit: 'all-but-merge'" in capsys.readouterr().err
    assert not list(tmp_path.rglob("trials.jsonl"))
    allowed = [{"method": "petridish", "vary": {"inherit": ["nothing"]}}]
    assert main(command("check", tmp_path, "petridish", ablations=allowed)) == 0
