"""Parents of a record are trained on as they were, and each row is told apart."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.cli.parents import _cells, _verdict
from harness.core.types import Arch, Attach, Outcome, RunSpec, Trial
from harness.parents import ARM, Prolonged, prolong
from harness.plan import CATALOGUE
from harness.protocol import load
from harness.store import Study
from harness.testing import temp_protocol

PETRIDISH = {"name": "petridish", "options": {"attach_epochs": 1, "grow_epochs": 1}}
JOINT = {"name": "petridish", "id": "joined", "options": {"attach_epochs": 1, "grow_epochs": 1, "arm": "joint"}}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded study of two rows of Petridish and random search, two replicates."""
    folder = tmp_path_factory.mktemp("study")
    protocol = recorded_by(folder, PETRIDISH, JOINT, "random_search")
    assert main(["run", str(protocol), "--out", str(folder / "run"), *place(folder)]) == 0
    return folder


def recorded_by(folder: Path, *methods: Any) -> Path:
    """Return a protocol of these rows on tiny growing networks."""
    options = {"channels": 2, "reductions": 1, "train_images": 64, "valid_images": 50, "batch_size": 32}
    track = {
        "benchmark": {"name": "growth-training", "options": options},
        "fidelity": {"search": 1, "final": 1},
        "objective": {"metric": "digits/valid@1ep(64) trial", "secondary": ["digits/multiply-adds"]},
        "budget": {"unit": "evaluations", "limit": 4.0},
        "final": {"metrics": ["digits/test@1ep(114) trial"]},
    }
    return temp_protocol(folder, methods=list(methods), track=track)


def place(study: Path) -> list[str]:
    return ["--cache-dir", str(study / "cache"), "--workers", "0", "--device", "cpu"]


def told(study: Path, *options: str) -> int:
    return main(["check-parents", str(study / "run"), *options, *place(study)])


def test_every_row_that_attaches_is_a_line_and_the_record_stays(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in (study / "run").rglob("*") if path.is_file()}
    assert told(study, "--epochs", "2", "--replicates", "2") == 0
    lines = [re.split(r"\s{2,}", line.strip()) for line in capsys.readouterr().out.splitlines()]
    rows = {line[1]: line for line in lines if line[0] == "tiny"}
    assert list(rows) == ["petridish", "joined"]
    for row in rows.values():
        assert row[3:7] == ["2", "4", "0", "0"]
        early, late, left = float(row[7]), float(row[8]), float(row[9].split()[0])
        assert left == pytest.approx(late - early, abs=0.011)
    assert {path: path.read_bytes() for path in (study / "run").rglob("*") if path.is_file()} == before


def test_a_parent_begins_where_the_record_left_it_and_is_trained_once(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.training.growth_benchmark import GrowthTraining  # noqa: PLC0415 - loads torch

    asked: list[Attach] = []
    evaluate = GrowthTraining.evaluate

    def counting(self: GrowthTraining, trial: Trial) -> Outcome:
        assert isinstance(trial.work, Attach)
        asked.append(trial.work)
        return evaluate(self, trial)

    monkeypatch.setattr(GrowthTraining, "evaluate", counting)
    found = list(prolonged(study, 3, 1))
    assert [parent.spec.method for parent in found] == ["petridish"] * 2 + ["joined"] * 2
    # The founder is the same in both rows of a replicate; what has grown from it is not.
    assert len(asked) == len(set(asked)) == 3
    assert all((work.moves, work.arm, work.epochs, work.penalty) == ((), ARM, 3, 0.0) for work in asked)
    recorded = Study(study / "run").run(found[0].spec)
    first = next(entry for entry in recorded.trials if isinstance(entry.trial.work, Attach))
    told = first.result.metrics["digits/valid-before@attach(64) trial"]  # type: ignore[union-attr]
    assert found[0].before == found[0].recorded == told


def prolonged(study: Path, epochs: int, replicates: int) -> Any:
    from harness.core.interfaces import Place  # noqa: PLC0415 - of this alone

    record = Study((study / "run").resolve())
    protocol = load(str(record.folder / "protocol.json"), CATALOGUE).model
    return prolong(record, protocol, Place(study, study / "cache"), epochs, replicates, lambda *_: None)


def test_means_are_over_replicates_and_a_parent_that_diverged_is_counted_apart() -> None:
    spec = RunSpec("tiny", "1.0.0", "track", "petridish", "petridish", "base", {}, 0, 0)
    parents = [
        Prolonged(spec, Arch("a"), 80.0, 80.0, 80.5),
        Prolonged(spec, Arch("b"), 84.5, 84.0, 85.5),
        Prolonged(spec, Arch("c"), 10.0, 10.0, float("nan")),
        Prolonged(replace(spec, replicate=1), Arch("a"), 90.0, 90.0, 94.0),
    ]
    assert _cells(parents) == ("2", "4", "1", "1", "86.00", "88.50", "+2.50 [-16.56, 21.56]", "no")
    assert _cells(parents[:1]) == ("1", "1", "0", "0", "80.00", "80.50", "+0.50", "yes")


@pytest.mark.parametrize(
    ("left", "verdict"), [(1.0, "yes"), (1.01, "no"), (-1.0, "yes"), (-1.01, "unclear"), (float("nan"), "unclear")]
)
def test_a_loss_says_nothing_of_convergence(left: float, verdict: str) -> None:
    assert _verdict(left) == verdict


@pytest.mark.parametrize(
    ("options", "message"),
    [(("--epochs", "0"), "give 1 or more"), (("--epochs", "1", "--replicates", "0"), "give 1 or more")],
)
def test_numbers_that_train_nothing_are_refused(
    study: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    assert told(study, *options) == 2
    assert message in capsys.readouterr().err


def test_a_record_without_attachments_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["run", str(recorded_by(tmp_path, "random_search")), "--out", str(tmp_path / "run"), *place(tmp_path)])
        == 0
    )
    assert told(tmp_path, "--epochs", "1") == 2
    assert "attached candidates" in capsys.readouterr().err


def test_another_benchmark_than_the_recorded_one_is_refused(
    study: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.training.growth_benchmark.GROWTH_VERSION", 99)
    assert told(study, "--epochs", "1") == 2
    assert "recorded with another growth-training" in capsys.readouterr().err
