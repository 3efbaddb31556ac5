"""Whole runs whose trials are evaluated in processes of their own: overlap, kills, faults, replay, verification."""

from __future__ import annotations

import importlib
import itertools
import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from harness.campaign import Settings, conduct
from harness.core.canonical import sha256_text
from harness.core.errors import WorkerDied
from harness.core.interfaces import Place
from harness.core.journal import GENESIS, chain
from harness.core.registry import registry
from harness.core.schema import ProtocolModel
from harness.core.types import Failure
from harness.executor import JobCrashed
from harness.plan import expand
from harness.replay import replay
from harness.store import Study
from harness.testing.world import Silent, tiny_protocol
from harness.verify import verify

FIXTURES = Path(__file__).parents[2] / "fixtures"
TRIALS = 8


@dataclass(frozen=True)
class Bench:
    """One study of one run with two workers, and the folder from which its benchmark is steered."""

    study: Study
    protocol: ProtocolModel
    cache: Path

    def run(self, processes: int = 0) -> None:
        settings = Settings(Place(None, self.cache), workers=processes, allow_drift=True)
        conduct(self.protocol, self.protocol.resolved(), self.study, settings, Silent())

    @property
    def folder(self) -> Path:
        return self.study.run_folder(expand(self.protocol)[0])

    def ids(self) -> list[int]:
        path = self.folder / "trials.jsonl"
        return [json.loads(line)["id"] for line in path.read_text().splitlines()] if path.exists() else []

    def steer(self, name: str, text: str = "x") -> None:
        (self.cache / name).write_text(text)

    def log(self) -> list[tuple[int, int, float, float]]:
        rows = [line.split() for line in (self.cache / "log").read_text().splitlines()]
        return [(int(number), int(pid), float(start), float(end)) for number, pid, start, end in rows]

    def again(self) -> str:
        answers = replay(self.study, self.protocol, expand(self.protocol), Place(None, self.cache), 0, lambda _: None)
        return answers[0].answer

    def sound(self) -> bool:
        return verify(self.study.folder).findings == ()


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FIXTURES))
    return importlib.import_module("overlap_jobs")


@pytest.fixture
def bench(jobs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    names: Any = registry("benchmarks")
    monkeypatch.setitem(names, jobs.NAME, "overlap_jobs:Slow")
    monkeypatch.setattr("harness.campaign.work", jobs.work)
    monkeypatch.setattr("harness.replay.work", jobs.work)
    track = {
        "benchmark": {"name": jobs.NAME},
        "budget": {"unit": "evaluations", "limit": float(TRIALS)},
        "replicates": 1,
        "workers": 2,
        "schedule": "recorded",
    }
    plain = tiny_protocol(methods=[{"name": "regularized_evolution", "options": {"population": 4}}], track=track)
    (tmp_path / "cache").mkdir()
    return Bench(Study(tmp_path / "study"), ProtocolModel.model_validate(plain), tmp_path / "cache")


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """No process outlives a test, neither a child nor a child's child."""
    multiprocessing.resource_tracker.ensure_running()  # type: ignore[attr-defined]
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


def vanish(pids: set[int]) -> bool:
    deadline = time.monotonic() + 20
    while any(psutil.pid_exists(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(psutil.pid_exists(pid) for pid in pids)


@pytest.mark.slow
def test_trials_overlap_land_as_they_end_and_are_replayed_in_that_order(bench: Bench) -> None:
    bench.steer("slow-0")
    bench.run()
    assert sorted(bench.ids()) == list(range(TRIALS))
    assert bench.ids()[0] != 0
    log = bench.log()
    assert any(one[2] < two[2] < one[3] and one[1] != two[1] for one, two in itertools.permutations(log, 2))
    assert os.getpid() not in {pid for _, pid, _, _ in log}
    assert len({pid for _, pid, _, _ in log}) == 2, "each process serves the run to its end"
    assert any(isinstance(trial.result, Failure) for trial in bench.study.run(expand(bench.protocol)[0]).trials)
    assert bench.sound()
    (bench.cache / "slow-0").unlink()
    bench.steer("slow-1")
    bench.steer("slow-2")
    before = {path.name: path.read_bytes() for path in bench.folder.iterdir()}
    assert bench.again() == "exact"
    assert {path.name: path.read_bytes() for path in bench.folder.iterdir()} == before


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_journal(bench: Bench) -> None:
    """The process of the run is killed in the middle; its evaluators end by themselves, and the run is given on."""
    bench.steer("slow-0")
    bench.steer("behead-4")
    bench.run(processes=1)
    log = bench.log()
    beheaded = next(index for index, entry in enumerate(log) if entry[0] == 4)
    assert vanish({pid for _, pid, _, _ in log[: beheaded + 1]})
    assert sorted(bench.ids()) == list(range(TRIALS))
    assert len(log) > TRIALS, "what was in the air was launched again"
    assert bench.sound()
    assert bench.again() == "exact"


def test_an_evaluator_that_is_killed_is_replaced(bench: Bench) -> None:
    bench.steer("die-2")
    bench.run()
    assert sorted(bench.ids()) == list(range(TRIALS))
    assert bench.sound()


@pytest.mark.slow
def test_a_trial_that_kills_every_evaluator_leaves_a_run_that_goes_on(bench: Bench) -> None:
    bench.steer("die-3", "xxx")
    with pytest.raises(WorkerDied, match="trial 3"):
        bench.run()
    landed = bench.ids()
    assert landed
    assert 3 not in landed
    bench.run()
    assert bench.ids()[: len(landed)] == landed
    assert bench.sound()


def test_a_fault_in_an_evaluator_leaves_a_run_that_goes_on(bench: Bench) -> None:
    bench.steer("crash-3")
    with pytest.raises(JobCrashed, match=r"trial 3.*a fault"):
        bench.run()
    landed = bench.ids()
    bench.run()
    assert bench.ids()[: len(landed)] == landed
    assert bench.sound()


@pytest.mark.slow
@pytest.mark.parametrize("processes", [0, 1])
def test_ctrl_c_leaves_a_run_that_goes_on_and_no_process(bench: Bench, processes: int) -> None:
    for number in range(TRIALS):
        bench.steer(f"slow-{number}")

    def interrupt() -> None:
        while len(bench.ids()) < 2:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        bench.run(processes)
    thread.join()
    assert vanish({pid for _, pid, _, _ in bench.log()})
    landed = bench.ids()
    for number in range(TRIALS):
        (bench.cache / f"slow-{number}").unlink()
    bench.run(processes)
    assert bench.ids()[: len(landed)] == landed
    assert bench.sound()


def test_a_record_with_an_impossible_order_breaks_a_rule(bench: Bench) -> None:
    bench.run()
    assert bench.sound()
    resolved = json.loads((bench.study.folder / "protocol.json").read_text())
    assert resolved["tracks"][0]["schedule"] == "recorded"
    for name in ("trials.jsonl", "sealed.jsonl"):
        path = bench.folder / name
        entries = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text("".join(chained(entries[::-1])))
    assert "trial-order" in verify(bench.study.folder).violated


def chained(entries: list[dict[str, Any]]) -> Iterator[str]:
    previous = GENESIS
    for entry in entries:
        line = chain({key: value for key, value in entry.items() if key != "prev"}, previous)
        previous = sha256_text(line)
        yield line + "\n"
