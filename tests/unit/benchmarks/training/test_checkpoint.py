from __future__ import annotations

import hashlib
import io
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.training import checkpoint
from benchmarks.training.checkpoint import Shelf
from benchmarks.training.fit import Course, Fit, Job, Training, train
from harness.core.errors import OutputUnwritable
from harness.core.types import Arch, Evaluate, Outcome, Trial

STATE = {"network": {"w": torch.arange(3.0)}, "train_loss": [0.5, 0.25], "name": "x"}


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save after every epoch."""
    monkeypatch.setattr(checkpoint, "INTERVAL_SECONDS", 0.0)


def _same(one: object, two: object) -> bool:
    assert isinstance(one, Fit)
    assert isinstance(two, Fit)
    pairs = zip(one.network.state_dict().values(), two.network.state_dict().values(), strict=True)
    return (
        one.train_loss == two.train_loss and one.accuracy == two.accuracy and all(torch.equal(a, b) for a, b in pairs)
    )


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    Shelf(tmp_path / "deep" / "folder").save("key", STATE)
    state = Shelf(tmp_path / "deep" / "folder").load("key")
    assert state is not None
    assert torch.equal(state.pop("network")["w"], torch.arange(3.0))
    assert state == {"train_loss": [0.5, 0.25], "name": "x"}
    assert [path.name for path in (tmp_path / "deep" / "folder").iterdir()] == ["key.checkpoint"]


def test_what_is_absent_or_dropped_is_none(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    assert shelf.load("key") is None
    shelf.save("key", STATE)
    shelf.drop("key")
    shelf.drop("key")
    assert shelf.load("key") is None


@pytest.mark.parametrize("position", [0, 40, 400, -1])
def test_a_flipped_byte_is_noticed(tmp_path: Path, position: int) -> None:
    shelf = Shelf(tmp_path)
    shelf.save("key", STATE)
    content = bytearray((tmp_path / "key.checkpoint").read_bytes())
    content[position] ^= 1
    (tmp_path / "key.checkpoint").write_bytes(content)
    assert shelf.load("key") is None


@pytest.mark.parametrize("length", [0, 10, 32, 500])
def test_a_torn_file_is_noticed(tmp_path: Path, length: int) -> None:
    shelf = Shelf(tmp_path)
    shelf.save("key", STATE)
    content = (tmp_path / "key.checkpoint").read_bytes()
    (tmp_path / "key.checkpoint").write_bytes(content[:length])
    assert shelf.load("key") is None


class Hostile:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


def test_a_hostile_pickle_is_not_run(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"train_loss": Hostile(tmp_path / "harmed")}, buffer)
    for payload in (buffer.getvalue(), pickle.dumps(Hostile(tmp_path / "harmed"), protocol=2)):
        (tmp_path / "key.checkpoint").write_bytes(hashlib.sha256(payload).digest() + payload)
        assert Shelf(tmp_path).load("key") is None
    assert not (tmp_path / "harmed").exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputUnwritable, match="no checkpoint can be written") as caught:
        Shelf(tmp_path / "file").save("key", STATE)
    assert "\n" not in str(caught.value)


def test_a_failed_write_leaves_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf(tmp_path)
    shelf.save("key", STATE)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputUnwritable, match="No space left"):
        shelf.save("key", {"train_loss": []})
    state = shelf.load("key")
    assert state is not None
    assert state["name"] == "x"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_oldest_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "MOST_KEPT", 3)
    shelf = Shelf(tmp_path)
    for index in range(5):
        shelf.save(f"k{index}", STATE)
        os.utime(tmp_path / f"k{index}.checkpoint", (index, index))
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["k2", "k3", "k4"]


def test_nothing_is_saved_before_it_is_due(tmp_path: Path, course: Course, mixed: Arch) -> None:
    train([Job(mixed, 1, 4)], course, Shelf(tmp_path / "shelf"))
    assert not (tmp_path / "shelf").exists()


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("step", [1, 3, 4, 6, 8, 10, 12])
def test_an_interruption_at_any_step_changes_nothing(
    step: int, course: Course, mixed: Arch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, shelf = Job(mixed, 1, 4), Shelf(tmp_path)
    undisturbed = train([job], course)[0]
    genuine, calls = torch.optim.SGD.step, []

    def interrupted(self: torch.optim.SGD, *args: object) -> object:
        calls.append(1)
        if len(calls) == step:
            raise KeyboardInterrupt
        return genuine(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.SGD, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train([job], course, shelf)
    epochs_done = (step - 1) // 3
    assert len(list(tmp_path.iterdir())) == (1 if epochs_done else 0)
    advances = []
    monkeypatch.setattr(Training, "advance", _counted(Training.advance, advances))
    assert _same(train([job], course, shelf)[0], undisturbed)
    assert len(advances) == 4 - epochs_done
    assert list(tmp_path.iterdir()) == []


def _counted(genuine: object, calls: list[int]) -> object:
    def advance(self: Training) -> None:
        calls.append(1)
        genuine(self)  # type: ignore[operator]

    return advance


KILLED = """
import os, signal, sys, torch
from pathlib import Path
from benchmarks.training import checkpoint
from benchmarks.training.benchmark import NB201Training
from benchmarks.training.settings import TrainingConfig
from harness.core.interfaces import Place, Query
from harness.core.types import Evaluate, Trial

checkpoint.INTERVAL_SECONDS = 0.0
genuine, calls = torch.optim.SGD.step, []
def step(self, *args):
    calls.append(1)
    if len(calls) == 8:
        os.kill(os.getpid(), signal.SIGKILL)
    return genuine(self, *args)
torch.optim.SGD.step = step
query = Query("digits/valid@4ep(80) trial", (), ("digits/test@2ep(140) trial",), 4, 2)
config = TrainingConfig(train_images=80, valid_images=60, channels=2, batch_size=32)
NB201Training(config, Place(None, Path(sys.argv[1])), query).evaluate(Trial(0, Evaluate(sys.argv[2], 4), 11))
"""


def test_kill_minus_nine_and_evaluate_again(
    open_tiny: object, mixed: Arch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "killed"), mixed],
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "7"},
    )
    assert done.returncode == -signal.SIGKILL
    assert len(list((tmp_path / "killed" / "checkpoints").iterdir())) == 1
    trial = Trial(0, Evaluate(mixed, 4), 11)
    expected = open_tiny(tmp_path / "calm").evaluate(trial)  # type: ignore[operator]
    advances: list[int] = []
    monkeypatch.setattr(Training, "advance", _counted(Training.advance, advances))
    resumed: Outcome = open_tiny(tmp_path / "killed").evaluate(trial)  # type: ignore[operator]
    assert resumed == expected
    assert len(advances) == 2  # the first two epochs were on disk, written by another process
    assert list((tmp_path / "killed" / "checkpoints").iterdir()) == []
