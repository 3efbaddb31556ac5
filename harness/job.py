"""Do one run in whatever process it is given to: open its benchmark, replay what is recorded, go on, record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.core.canonical import content_hash
from harness.core.clock import Stopwatch
from harness.core.codec import result_from_json, result_to_json
from harness.core.derivation import seeds_of
from harness.core.errors import DataCorrupt, UsageError
from harness.core.interfaces import Benchmark, Place
from harness.core.registry import load
from harness.core.schema import ProtocolModel, Track
from harness.core.types import Outcome, RunSpec, Trial
from harness.executor import Crew, Report
from harness.plan import benchmark_config
from harness.runner import execute, query_of
from harness.store import Study
from harness.tuning import track_of

REPORT_EVERY = 0.2  # seconds between two progress events of one run


@dataclass(frozen=True, slots=True)
class Job:
    """One run for a worker: everything that it needs is on disk or in here.

    Attributes:
        order: ids of trials in the order in which a recorded schedule is to let them land once more.
    """

    folder: Path
    spec: RunSpec
    place: Place
    environment: str
    order: tuple[int, ...] = ()

    @property
    def id(self) -> str:
        """The run's name, for messages."""
        return self.spec.id


def open_benchmark(track: Track, place: Place) -> Benchmark:
    """Open the benchmark of a track.

    Raises:
        DataMissing, DataCorrupt, UsageError: see `harness.core.interfaces.Benchmark`.
        DataCorrupt: the protocol pins another fingerprint.
    """
    kind = load("benchmarks", track.benchmark.name)
    benchmark: Benchmark = kind(benchmark_config(track), place, query_of(track))
    pinned = track.benchmark.fingerprint
    if pinned is not None and pinned != content_hash(benchmark.manifest()):
        raise DataCorrupt(
            f"tracks.{track.id}.benchmark.fingerprint: the protocol pins {pinned[:12]}, and this machine's "
            f"{benchmark.name} has {content_hash(benchmark.manifest())[:12]}; import the data that the protocol names"
        )
    return benchmark


def open_recorded(study: Study, track: Track, place: Place) -> Benchmark:
    """Open the benchmark that a track of a study was recorded with.

    Raises:
        UsageError: the benchmark here is another one.
    """
    benchmark = open_benchmark(track, place)
    recorded, here = study.tracks()[track.id].fingerprint, content_hash(benchmark.manifest())
    if recorded != here:
        raise UsageError(
            f"{study.folder}: track {track.id} was recorded with another {benchmark.name} ({recorded[:12]}) than this "
            f"one ({here[:12]}); use the harness and the data of the record"
        )
    return benchmark


def work(job: Job, report: Any) -> None:
    """Do one run; this is what a worker process calls."""
    protocol = _protocol(job.folder)
    track = track_of(protocol, job.spec.track)
    benchmark = _benchmark(job.folder, track.id, job.place)
    seeds = seeds_of(job.spec, track)
    facts = {
        "protocol_hash": protocol.hash(),
        "environment": job.environment,
        "seeds": {"replicate": list(seeds.path), "method": seeds.child("method", job.spec.implementation).seed()},
    }
    recorder = Study(job.folder).recorder(job.spec, facts, durable=benchmark.durable)
    watch = Stopwatch()
    quiet = 0.0

    def listener(share: float) -> None:
        nonlocal quiet
        quiet += watch.lap()
        if quiet >= REPORT_EVERY:
            quiet = 0.0
            report(share)

    try:
        with _crew(job, track) as crew:
            execute(job.spec, track, benchmark, recorder, listener, crew, job.order)
    finally:
        recorder.close()


@dataclass(frozen=True, slots=True)
class Question:
    """One trial of a run, for a process that evaluates it beside others."""

    job: Job
    trial: Trial

    @property
    def id(self) -> str:
        """The trial's name, for messages."""
        return f"{self.job.id}, trial {self.trial.id}"


Plain = tuple[dict[str, Any], dict[str, float]]
"""An outcome as plain data: the result, and the sealed metrics."""


def answer(question: Question, _report: Report) -> Plain:
    """Evaluate one trial; this is what a process of a recorded schedule calls."""
    job = question.job
    outcome = _benchmark(job.folder, job.spec.track, job.place).evaluate(question.trial)
    return result_to_json(outcome.result), dict(outcome.sealed)


@dataclass(frozen=True, slots=True)
class _Evaluators:
    """The crew of a run: processes that have its benchmark open."""

    job: Job
    crew: Crew[Question, Plain]

    def give(self, trial: Trial) -> None:
        self.crew.give(Question(self.job, trial))

    def hear(self) -> tuple[int, Outcome, float]:
        done = self.crew.next()
        result, sealed = done.result()
        return done.job.trial.id, Outcome(result_from_json(result), sealed), done.seconds

    def dismiss(self) -> None:
        self.crew.dismiss()


@contextmanager
def _crew(job: Job, track: Track) -> Iterator[_Evaluators | None]:
    """Offer the processes of a recorded schedule, and None for a simulated one."""
    if track.schedule == "virtual":
        yield None
        return
    with Crew(answer, track.workers, job.place.threads) as crew:
        yield _Evaluators(job, crew)


@lru_cache(maxsize=1)
def _protocol(folder: Path) -> ProtocolModel:
    plain = Study(folder).protocol()
    plain.pop("schema")
    return ProtocolModel.model_validate(plain)


@lru_cache(maxsize=8)
def _benchmark(folder: Path, track_id: str, place: Place) -> Benchmark:
    return open_benchmark(track_of(_protocol(folder), track_id), place)
