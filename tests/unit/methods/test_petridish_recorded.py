"""Whole Petridish searches with real training in two worker processes: their order, their shelf, their kills."""

from __future__ import annotations

import importlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from harness.campaign import Settings, conduct
from harness.core.interfaces import Benchmark, Place
from harness.core.records import TrialRecord
from harness.core.registry import registry
from harness.core.schema import ProtocolModel, Track
from harness.core.types import Attach, Evaluate, Grow, Measurement, Outcome, Trial
from harness.job import Job, open_benchmark
from harness.plan import expand
from harness.recheck import recheck
from harness.replay import replay
from harness.store import Study
from harness.testing import tiny_protocol
from harness.testing.world import Silent
from harness.verify import verify

FIXTURES = Path(__file__).parents[2] / "fixtures"
TRIALS = 6
TRACK: dict[str, Any] = {
    "benchmark": {
        "options": {"channels": 2, "reductions": 1, "train_images": 64, "valid_images": 50, "batch_size": 32}
    },
    "fidelity": {"search": 1, "final": 1},
    "objective": {"metric": "digits/valid@1ep(64) trial", "secondary": ["digits/multiply-adds"]},
    "final": {"metrics": ["digits/test@1ep(114) trial"]},
    "replicates": 1,
    "workers": 2,
    "schedule": "recorded",
}


@dataclass(frozen=True)
class Bench:
    """One study of one search, and the folder from which its benchmark is steered."""

    jobs: ModuleType
    folder: Path
    trials: int = TRIALS

    def __post_init__(self) -> None:
        self.cache.mkdir(parents=True)

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def study(self) -> Study:
        return Study(self.folder / "study")

    @property
    def protocol(self) -> ProtocolModel:
        budget = {"unit": "evaluations", "limit": float(self.trials)}
        track = TRACK | {"benchmark": {"name": self.jobs.GROWING, **TRACK["benchmark"]}, "budget": budget}
        return ProtocolModel.model_validate(tiny_protocol(methods=["petridish"], track=track))

    @property
    def run_folder(self) -> Path:
        return self.study.run_folder(expand(self.protocol)[0])

    def run(self, processes: int = 0) -> None:
        settings = Settings(Place(None, self.cache), workers=processes, allow_drift=True)
        conduct(self.protocol, self.protocol.resolved(), self.study, settings, Silent())

    def steer(self, name: str, text: str = "x") -> None:
        (self.cache / name).write_text(text)

    def hold(self, trial: int, until: int) -> None:
        """Let a trial end only after another has landed."""
        self.steer(f"hold-{trial}", f'{self.run_folder / "trials.jsonl"}\n"id":{until},')

    def lines(self) -> list[str]:
        """Return the lines of the journal that are whole."""
        path = self.run_folder / "trials.jsonl"
        return path.read_text().split("\n")[:-1] if path.exists() else []

    def landed(self) -> list[int]:
        return [json.loads(line)["id"] for line in self.lines()]

    def evaluated(self) -> list[int]:
        """Return every trial that was evaluated, as often as it was."""
        return [int(line.split()[0]) for line in (self.cache / "log").read_text().splitlines()]

    def hands_on(self, record: TrialRecord) -> bool:
        """Tell whether what a trial goes on from was trained once, by another process than the trial."""
        work, seed = record.trial.work, record.trial.seed
        assert isinstance(work, Attach | Grow)
        rows = [line.split() for line in (self.cache / "trained").read_text().splitlines()]
        named = importlib.import_module("growing_jobs").named
        before, own = ([pid for key, pid in rows if key == named(each, seed)] for each in (work.after, work))
        assert len(own) == 1
        assert before[0] != own[0]
        return len(before) == 1

    def records(self) -> dict[int, TrialRecord]:
        return {record.trial.id: record for record in self.study.run(expand(self.protocol)[0]).trials}

    def again(self) -> str:
        place = Place(None, self.cache)
        answers = replay(self.study, self.protocol, expand(self.protocol), place, 0, lambda _: None)
        return answers[0].answer

    def sound(self) -> bool:
        rechecked = recheck(self.study, self.protocol, Place(None, self.cache))
        return verify(self.study.folder).findings == () and rechecked == ([], {})


@dataclass(frozen=True)
class Alone:
    """A crew of one, in this process, which evaluates in the order in which it was given."""

    benchmark: Benchmark
    given: list[Trial] = field(default_factory=list)

    def give(self, trial: Trial) -> None:
        self.given.append(trial)

    def hear(self) -> tuple[int, Outcome, float]:
        trial = self.given.pop(0)
        return trial.id, self.benchmark.evaluate(trial), 0.0

    def dismiss(self) -> None:
        assert not self.given


@contextmanager
def alone(job: Job, track: Track) -> Iterator[Alone]:
    yield Alone(open_benchmark(track, job.place))


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FIXTURES))
    found = importlib.import_module("overlap_jobs")
    names: Any = registry("benchmarks")
    monkeypatch.setitem(names, found.GROWING, "growing_jobs:Growing")
    monkeypatch.setattr("harness.campaign.work", found.work)
    monkeypatch.setattr("harness.replay.work", found.work)
    return found


@pytest.mark.slow
def test_a_search_that_is_killed_in_the_air_ends_with_a_sound_record_that_replays(
    jobs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(jobs, tmp_path)
    bench.hold(0, until=3)
    bench.hold(4, until=5)
    bench.steer("behead-5")  # two attachments are in the air
    kept: list[str] = []

    def look() -> None:
        while len(bench.lines()) < 4:
            time.sleep(0.02)
        kept.extend(bench.lines()[:4])

    watch = threading.Thread(target=look, daemon=True)
    watch.start()
    bench.run(processes=1)
    watch.join()
    assert bench.lines()[:4] == kept
    assert bench.landed() == [1, 2, 3, 0, 5, 4]
    records = bench.records()
    works = [records[number].trial.work for number in range(TRIALS)]
    assert list(map(type, works)) == [Evaluate, Evaluate, Attach, Grow, Attach, Attach]
    assert all(isinstance(record.result, Measurement) for record in records.values())
    assert sorted(bench.evaluated()) == [0, 1, 2, 3, 4, 5, 5], "what had landed is not evaluated again"
    assert bench.hands_on(records[5])
    assert bench.sound()
    before = {path.name: path.read_bytes() for path in bench.run_folder.iterdir()}
    monkeypatch.setattr("harness.job._crew", alone)
    assert bench.again() == "exact"
    assert {path.name: path.read_bytes() for path in bench.run_folder.iterdir()} == before
    monkeypatch.setattr("harness.replay._order", lambda *_: ())
    assert bench.again() == "different", "the order is in the journal and nowhere else"


@pytest.mark.slow
def test_processes_that_share_no_checkpoints_train_a_lineage_again(jobs: ModuleType, tmp_path: Path) -> None:
    bench = Bench(jobs, tmp_path, trials=3)
    bench.steer("apart")
    bench.steer("die-2")  # a process that has trained nothing takes its place
    bench.run()
    attachment = bench.records()[2]
    assert isinstance(attachment.trial.work, Attach)
    assert not bench.hands_on(attachment)
    assert bench.sound()
