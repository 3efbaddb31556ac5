"""NAS-Bench-201 networks that leave the harness, and which network of a run leaves it."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.spaces.nb201 import compose, drawing
from benchmarks.training import export as exporting
from benchmarks.training.cells import build
from benchmarks.training.data import facts
from benchmarks.training.data import test_images as sealed_images
from benchmarks.training.export import NB201_FORMAT, export
from harness.cli import main
from harness.cli.export import _refuse_looked_up
from harness.core.errors import TrialFailed, UsageError
from harness.core.types import Arch, Evaluate

DIGITS = facts("digits")
SKELETON = DIGITS.skeleton(2, 1)
TEST = "digits/test@2ep(140) trial"


def test_an_exported_cell_runs_where_there_is_only_torch(
    tmp_path: Path, mixed: Arch, alone: Callable[[Path, torch.Tensor], torch.Tensor]
) -> None:
    network = build(mixed, SKELETON, 3).to(memory_format=torch.channels_last)
    written = export(tmp_path, network, mixed, DIGITS, {"run": "by hand"})
    assert written.missing == ""
    pixels = torch.randint(0, 17, (5, 1, 8, 8), generator=torch.Generator().manual_seed(0)).float()
    expected = network.eval()((pixels - DIGITS.mean[0]) / DIGITS.std[0])
    torch.testing.assert_close(alone(tmp_path, pixels), expected)
    data = torch.load(tmp_path / "model.pt", weights_only=True)
    assert (data["format"], data["arch"]) == (NB201_FORMAT, mixed)
    assert all(value.is_contiguous() for value in data["weights"].values())
    again = build(mixed, SKELETON, 0)
    again.load_state_dict(data["weights"])
    described = json.loads((tmp_path / "model.json").read_text())
    assert described["parameters"] == sum(value.numel() for value in again.parameters())
    assert described["multiply_adds"] == SKELETON.multiply_adds(mixed)
    assert described["cells"]["cell"] == drawing(mixed)


def test_a_drawing_leaves_out_what_is_none() -> None:
    drawn = drawing(compose((3, 0, 1, 0, 4, 2)))
    assert [node["kind"] for node in drawn["nodes"]] == ["input", "sum", "sum", "output"]
    assert drawn["edges"] == [
        {"from": "0", "to": "1", "operation": "nor_conv_3x3"},
        {"from": "1", "to": "2", "operation": "skip_connect"},
        {"from": "1", "to": "3", "operation": "avg_pool_3x3"},
        {"from": "2", "to": "3", "operation": "nor_conv_1x1"},
    ]


def test_a_training_that_fails_is_told_apart(open_tiny: Callable[..., Any], mixed: Arch) -> None:
    benchmark = open_tiny(learning_rate=1e30)
    with pytest.raises(TrialFailed):
        benchmark.network(mixed, 0)
    with pytest.raises(TrialFailed):
        benchmark.network_of(Evaluate(mixed, 4), 0)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded study: Petridish over tiny NAS-Bench-201 networks, its hull trained finally under two seeds."""
    folder = tmp_path_factory.mktemp("study")
    options = {"train_images": 80, "valid_images": 60, "channels": 2, "batch_size": 32}
    track = {
        "id": "tiny",
        "benchmark": {"name": "nb201-training", "options": options},
        "splits": {"train": "a", "search": "b", "final": "c"},
        "fidelity": {"search": 4, "final": 2},
        "objective": {"metric": "digits/valid@4ep(80) trial", "secondary": ["digits/multiply-adds"]},
        "budget": {"unit": "multiply_adds", "limit": 4e8, "max_trials": 7},
        "final": {"metrics": [TEST], "seeds": [3, 4], "models": "hull"},
        "replicates": 1,
    }
    method = {"name": "petridish", "options": {"keep": 1, "merge": "sum", "attach_epochs": 1, "grow_epochs": 1}}
    protocol = {"protocol": "tiny", "version": "1.0.0", "tracks": [track], "methods": [method]}
    (folder / "tiny.yaml").write_text(json.dumps(protocol))
    place = ["--cache-dir", str(folder / "cache"), "--workers", "0", "--device", "cpu"]
    assert main(["run", str(folder / "tiny.yaml"), "--out", str(folder / "run"), *place]) == 0
    return folder


def lines(study: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in next((study / "run").rglob(name)).read_text().splitlines()]


def command(study: Path, *options: str) -> int:
    return main(["export", str(study / "run"), *options, "--cache-dir", str(study / "cache"), "--device", "cpu"])


def percent_of(folder: Path) -> float:
    """Return the test accuracy of an exported program, in percent."""
    images = sealed_images("digits", None)
    logits = torch.export.load(folder / "model.pt2").module()(torch.from_numpy(images.pixels).float())
    return float(100 * np.mean(logits.argmax(1).numpy() == images.labels))


def test_the_record_of_a_hull_is_sound(study: Path) -> None:
    assert main(["verify", str(study / "run")]) == 0
    finals = lines(study, "final.jsonl")
    assert [line["seed"] for line in finals] == [3, 4] * (len(finals) // 2)
    assert all(set(line["metrics"]) == {TEST} for line in finals)
    assert TEST not in next((study / "run").rglob("trials.jsonl")).read_text()


def test_the_recommended_network_is_the_very_one_that_was_tested(study: Path, tmp_path: Path) -> None:
    first, second = lines(study, "final.jsonl")[:2]
    assert command(study, "--out", str(tmp_path)) == 0
    origin = json.loads((tmp_path / "model.json").read_text())["origin"]
    assert percent_of(tmp_path) == pytest.approx(first["metrics"][TEST])
    assert origin["sealed"][TEST] == pytest.approx((first["metrics"][TEST] + second["metrics"][TEST]) / 2)


def test_any_network_that_the_run_trained_can_be_taken(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(exporting, "_program", lambda *_: "not asked for here")
    monkeypatch.chdir(tmp_path)
    trials = lines(study, "trials.jsonl")
    founder = next(line["work"]["arch"] for line in trials if line["work"]["kind"] == "evaluate")
    grown = next(line for line in trials if line["work"]["kind"] == "grow")
    assert command(study, "--arch", founder, "--weights", "search") == 0
    assert command(study, "--arch", grown["work"]["arch"], "--weights", "search") == 0
    assert f"trained {founder}" in " ".join(capsys.readouterr().out.split())
    folders = sorted(Path("exports").iterdir())
    assert len(folders) == 2, "each network has a folder of its own"
    described = {each["arch"]: each for each in (json.loads((one / "model.json").read_text()) for one in folders)}
    assert set(described) == {founder, grown["work"]["arch"]}
    assert described[grown["work"]["arch"]]["origin"]["trial"] == grown["id"]


def test_an_architecture_that_was_not_trained_is_refused_with_what_was(
    study: Path, mixed: Arch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(study, "--arch", mixed) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "trained no" in said
    assert "did you mean" in said
    assert lines(study, "final.jsonl")[0]["arch"] in said


def test_a_long_list_is_cut(study: Path, mixed: Arch, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("harness.cli.export._LISTED", 1)
    assert command(study, "--arch", mixed) == 2
    assert "more" in capsys.readouterr().err


def test_what_was_looked_up_has_no_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    track = {
        "id": "looked-up",
        "benchmark": {"name": "digits201"},
        "splits": {"train": "a", "search": "b", "final": "c"},
        "fidelity": {"search": 9, "final": 9},
        "objective": {"metric": "digits/valid@9ep(640) mean-of-trials"},
        "budget": {"unit": "epochs", "limit": 27},
        "final": {"metrics": ["digits/test@9ep(640) mean-of-trials"]},
        "replicates": 1,
    }
    protocol = {"protocol": "tiny", "version": "1.0.0", "tracks": [track], "methods": [{"name": "random_search"}]}
    (tmp_path / "tiny.yaml").write_text(json.dumps(protocol))
    place = ["--cache-dir", str(tmp_path / "cache"), "--workers", "0"]
    assert main(["run", str(tmp_path / "tiny.yaml"), "--out", str(tmp_path / "run"), *place]) == 0
    assert main(["export", str(tmp_path / "run"), *place[:2]]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "looked up in a table, which holds no weights; run the protocol on" in said
    assert "nb201-training or growth-training" in said


def test_a_hybrid_has_none_either() -> None:
    record = SimpleNamespace(manifest={"kind": "tabular", "local": {"engine": "reference"}})
    hybrid: Any = SimpleNamespace(tracks=lambda: {"t": record})
    with pytest.raises(UsageError, match="the candidates that it trained here are gone"):
        _refuse_looked_up(hybrid, Namespace(track="t"))  # type: ignore[arg-type]
