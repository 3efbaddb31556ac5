from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.training import export as exporting
from benchmarks.training.data import facts
from benchmarks.training.export import export
from benchmarks.training.growth_benchmark import GrowthTraining
from benchmarks.training.growth_cells import build_grown
from benchmarks.training.growth_model import read_model
from benchmarks.training.growth_settings import GrowthConfig
from harness.cli import main
from harness.core.errors import OutputUnwritable, TrialFailed
from harness.core.types import Arch
from harness.testing import tiny_protocol

ARCH = Arch("cell normal[concat(c2.max3x3+c1.sep3x3) sum(l1.identity)] reduction[concat(c2.dil-sep5x5)]")
SPACE = GrowthConfig(channels=2).space()
SKELETON = SPACE.skeleton


def some_pixels(count: int) -> torch.Tensor:
    return torch.randint(0, 17, (count, 1, 8, 8), generator=torch.Generator().manual_seed(0)).float()


def test_an_exported_network_runs_where_there_is_only_torch(
    tmp_path: Path, alone: Callable[[Path, torch.Tensor], torch.Tensor]
) -> None:
    network = build_grown(ARCH, SKELETON, 3)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # as after training: no identity
            module.running_mean.fill_(0.25)
            module.running_var.fill_(2.0)
    written = export(tmp_path, network, ARCH, facts("digits"), {"run": "by hand"})
    assert written.missing == ""
    assert {path.name for path in written.files} == {"model.pt", "model.json", "model.pt2"}
    known = facts("digits")
    expected = network.eval()((some_pixels(7) - known.mean[0]) / known.std[0])
    torch.testing.assert_close(alone(tmp_path, some_pixels(7)), expected)
    read = read_model(tmp_path / "model.pt", SPACE).network().eval()
    assert torch.equal(read((some_pixels(7) - known.mean[0]) / known.std[0]), expected)
    described = json.loads((tmp_path / "model.json").read_text())
    assert described["arch"] == ARCH
    assert described["origin"] == {"run": "by hand"}
    assert described["parameters"] == sum(value.numel() for value in network.parameters())
    assert described["cells"]["normal"]["nodes"][-1]["id"] == "x"
    for name, digest in described["files"].items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest


def test_where_torch_cannot_export_the_weights_are_written_and_the_reason_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no such operator\nand more")

    monkeypatch.setattr(exporting.torch.export, "export", broken)
    written = export(tmp_path, build_grown(ARCH, SKELETON, 3), ARCH, facts("digits"), {})
    assert written.missing.endswith("no such operator")
    assert not (tmp_path / "model.pt2").exists()
    assert read_model(tmp_path / "model.pt", SPACE).arch == ARCH


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputUnwritable, match="name another folder"):
        export(tmp_path / "file" / "below", build_grown(ARCH, SKELETON, 3), ARCH, facts("digits"), {})


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded study: random search over tiny growing networks, one replicate."""
    folder = tmp_path_factory.mktemp("study")
    options = {"channels": 2, "reductions": 1, "train_images": 64, "valid_images": 50, "max_steps": 2, "pairs": 1}
    protocol = tiny_protocol(
        track={
            "benchmark": {"name": "growth-training", "options": options},
            "fidelity": {"search": 2, "final": 1},
            "objective": {"metric": "digits/valid@2ep(64) trial"},
            "budget": {"unit": "epochs", "limit": 4.0},
            "final": {"metrics": ["digits/test@1ep(114) trial"]},
            "replicates": 1,
        }
    )
    (folder / "tiny.yaml").write_text(json.dumps(protocol))
    place = ["--cache-dir", str(folder / "cache"), "--workers", "0", "--device", "cpu"]
    assert main(["run", str(folder / "tiny.yaml"), "--out", str(folder / "run"), *place]) == 0
    return folder


def command(study: Path, *options: str) -> int:
    place = ["--cache-dir", str(study / "cache"), "--device", "cpu"]
    return main(["export", str(study / "run"), *options, *place])


def recorded(study: Path) -> tuple[str, float]:
    line = next((study / "run").rglob("final.jsonl")).read_text().splitlines()[0]
    entry = json.loads(line)
    return entry["arch"], entry["metrics"]["digits/test@1ep(114) trial"]


def test_the_command_writes_the_very_network_that_was_tested(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained_again(*_: object) -> None:
        raise AssertionError("the checkpoint was on the shelf")

    monkeypatch.setattr("benchmarks.training.phases.Phase.advance", trained_again)
    assert command(study, "--out", str(tmp_path / "out")) == 0
    arch, percent = recorded(study)
    described = json.loads((tmp_path / "out" / "model.json").read_text())
    assert described["arch"] == arch
    assert described["origin"]["sealed"] == {"digits/test@1ep(114) trial": percent}
    from benchmarks.training.data import test_images as sealed_images  # noqa: PLC0415 - its name looks like a test

    images = sealed_images("digits", None)
    program = torch.export.load(tmp_path / "out" / "model.pt2").module()
    logits = program(torch.from_numpy(images.pixels).float())
    right = logits.argmax(1).numpy() == images.labels
    assert 100 * np.mean(right) == pytest.approx(percent)


def test_the_command_takes_what_the_search_left(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(exporting, "_program", lambda *_: "not asked for here")
    assert command(study, "--weights", "search", "--out", str(tmp_path / "left")) == 0
    assert command(study, "--seed", "5", "--out", str(tmp_path / "other")) == 0
    assert "no model.pt2: not asked for here" in capsys.readouterr().out
    origins = [json.loads((tmp_path / name / "model.json").read_text())["origin"] for name in ("left", "other")]
    assert (origins[0]["weights"], origins[0]["trial"]) == ("search", pytest.approx(0, abs=1))
    assert (origins[1]["weights"], origins[1]["seed"]) == ("final", 5)


def test_the_command_takes_another_architecture_of_the_run(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(exporting, "_program", lambda *_: "not asked for here")
    trials = next((study / "run").rglob("trials.jsonl")).read_text().splitlines()
    archs = [json.loads(line)["work"]["arch"] for line in trials]
    other = next(arch for arch in archs if arch != recorded(study)[0])
    assert command(study, "--arch", other, "--out", str(tmp_path)) == 0
    described = json.loads((tmp_path / "model.json").read_text())
    assert described["arch"] == other
    assert described["origin"]["sealed"] == {}, "only what is recommended was tested"
    assert command(study, "--arch", f"{other} ") == 2
    assert f"did you mean '{other}'" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--method", "random_serach"),
            "--method: no run has 'random_serach' (did you mean 'random_search'?); choose from: random_search",
        ),
        (("--weights", "search", "--seed", "0"), "--seed: 0 given with --weights search"),
    ],
)
def test_options_that_name_nothing_are_refused(
    study: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    assert command(study, *options) == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("weights", "answer", "step"),
    [("search", "network_of", "give --weights final"), ("final", "network", "try another --seed")],
)
def test_a_training_that_fails_has_a_next_step(
    study: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    weights: str,
    answer: str,
    step: str,
) -> None:
    def fail(*_: object) -> None:
        raise TrialFailed("the loss is NaN", 1.0)

    monkeypatch.setattr(GrowthTraining, answer, fail)
    assert command(study, "--weights", weights) == 1
    assert f"failed: the loss is NaN; {step}" in " ".join(capsys.readouterr().err.split())
