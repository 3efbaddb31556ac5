"""`check-engine` trains real networks with both engines, writes the report and refuses nonsense."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from benchmarks.training import fit
from benchmarks.training.fit import Fit
from benchmarks.training.settings import ENGINES, Engine
from harness.cli import main

TINY = ["--cells", "3", "--seeds", "2", "--epochs", "1", "--set", "channels=2", "--set", "train_images=80"]


def _run(tmp_path: Path, *more: str) -> int:
    common = ["--out", str(tmp_path / "report"), "--cache-dir", str(tmp_path)]
    return main(["check-engine", *TINY, "--set", "valid_images=60", *common, *more])


def test_the_reference_agrees_with_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(tmp_path, "--engine", "reference") == 0
    assert "reference against reference" in capsys.readouterr().out


def test_an_engine_trains_on_images_in_its_own_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str]] = []

    def train(jobs, course, shelf):  # type: ignore[no-untyped-def]
        seen.append((course.train.layout, course.watch["valid"].layout))
        return plain(jobs, course, shelf)

    plain = fit.train
    monkeypatch.setattr(fit, "train", train)
    assert _run(tmp_path, "--engine", "channels-last") == 0
    assert set(seen) == {("contiguous",) * 2, ("channels-last",) * 2}


def test_the_fused_engine_is_compared_on_every_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(tmp_path, "--engine", "fused") == 0
    assert "fused" in capsys.readouterr().out
    with (tmp_path / "report" / "networks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert {row["seed"] for row in rows} == {"0", "1"}
    assert all(0 <= float(row[name]) <= 100 for row in rows for name in ("reference", "fused"))
    text = (tmp_path / "report" / "report.md").read_text()
    assert "80 training and 60 validation images" in text
    assert "channels 2" in text


def worse(jobs, course, shelf):  # type: ignore[no-untyped-def]
    """An engine that computes something else: every accuracy is 9 points lower."""
    fits = ENGINES["reference"].load()(jobs, course, shelf)
    return [Fit(fit.train_loss, {"valid": tuple(v - 9 for v in fit.accuracy["valid"])}, fit.network) for fit in fits]


def test_an_engine_that_computes_something_else_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(ENGINES, "worse", Engine("nowhere:worse"))
    genuine = Engine.load
    monkeypatch.setattr(Engine, "load", lambda engine: worse if engine.trainer == "nowhere:worse" else genuine(engine))
    assert _run(tmp_path, "--engine", "worse") == 10
    assert "trains differently" in capsys.readouterr().err
    assert "**different**" in (tmp_path / "report" / "report.md").read_text()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--engine", "fussed"], "did you mean 'fused'"),
        (["--engine", "fused", "--device", "cuda"], "CPU only"),
        (["--engine", "fused", "--cells", "1"], "give 2 to 15625"),
        (["--engine", "fused", "--seeds", "1"], "give 2"),
        (["--engine", "fused", "--set", "chanels=2"], "channels"),
        (["--engine", "fused", "--set", "channels"], "KEY=VALUE"),
    ],
)
def test_nonsense_is_refused_in_one_line(
    more: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(tmp_path, *more) == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert errors.count("\n") == 1
