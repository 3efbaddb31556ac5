"""Conduct a whole study: open its tracks, refuse drift, hand the runs that are left to an executor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from harness import hardware
from harness.core.canonical import content_hash
from harness.core.clock import Stopwatch
from harness.core.derivation import seeds_of
from harness.core.errors import DataCorrupt, DataMissing, DriftRefused, HarnessError, Unsupported
from harness.core.interfaces import Benchmark, Place
from harness.core.records import TrackRecord
from harness.core.registry import load
from harness.core.schema import ProtocolModel, Track
from harness.core.types import RunSpec
from harness.drift import describe, differences
from harness.executor import Executor, InlineExecutor, ProcessExecutor
from harness.plan import benchmark_config, budget_of, expand
from harness.runner import execute, obstacle, query_of
from harness.store import Study

REPORT_EVERY = 0.2  # seconds between two progress events of one run


@dataclass(frozen=True, slots=True)
class Settings:
    """How this machine conducts a study; never part of the protocol.

    Attributes:
        place: where data and caches are, and the device.
        workers: worker processes; 0 runs everything in this process.
        allow_slow: whether a track that needs a GPU may run without one.
        allow_drift: whether to go on after code, versions or hardware changed.
    """

    place: Place
    workers: int
    allow_slow: bool = False
    allow_drift: bool = False


class Watcher(Protocol):
    """Somebody who watches a study go on."""

    def planned(self, specs: Sequence[RunSpec], left: Sequence[RunSpec]) -> None:
        """Learn the plan and what is left of it."""
        ...

    def advanced(self, spec: RunSpec, share: float) -> None:
        """Learn the share of a run's budget that is spent."""
        ...

    def ended(self, spec: RunSpec) -> None:
        """Learn that a run is done."""
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """One run for a worker: everything that it needs is on disk or in here."""

    folder: Path
    spec: RunSpec
    place: Place
    environment: str

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


def survey(protocol: ProtocolModel, settings: Settings) -> dict[str, Benchmark | str]:
    """Open every track's benchmark; a track that this machine cannot run is answered with the reason.

    Raises:
        DataMissing, Unsupported: no track can run at all.
    """
    found: dict[str, Benchmark | str] = {}
    errors: list[HarnessError] = []
    for track in protocol.tracks:
        if track.needs == "gpu" and settings.place.device == "cpu" and not settings.allow_slow:
            found[track.id] = "needs a GPU and this machine has none; --allow-slow runs it on the CPU all the same"
            continue
        try:
            found[track.id] = open_benchmark(track, settings.place)
        except (DataMissing, Unsupported) as error:
            found[track.id] = str(error)
            errors.append(error)
    if errors and all(isinstance(answer, str) for answer in found.values()):
        raise errors[0]
    return found


def conduct(
    protocol: ProtocolModel, resolved: Mapping[str, Any], study: Study, settings: Settings, watcher: Watcher
) -> None:
    """Run what is left of a study in its folder.

    Raises:
        FolderBusy, FolderForeign, OutputUnwritable: the folder cannot be used.
        DriftRefused: code, versions or hardware changed since the study began.
        HarnessError: the first error of a run, after all other runs had their turn.
    """
    benchmarks = survey(protocol, settings)
    with study.lock():
        _settle_tracks(protocol, resolved, study, benchmarks, settings)
        study.sweep()
        environment = _open_segment(study, benchmarks, settings)
        specs = expand(protocol)
        left = list(_left(specs, protocol, study, benchmarks))
        watcher.planned(specs, left)
        jobs = [Job(study.folder, spec, settings.place, environment) for spec in left]
        _run_all(jobs, settings, watcher)


def _settle_tracks(
    protocol: ProtocolModel,
    resolved: Mapping[str, Any],
    study: Study,
    benchmarks: Mapping[str, Benchmark | str],
    settings: Settings,
) -> None:
    known = study.tracks() if study.exists else {}
    tracks = {track.id: _track_record(track, benchmarks[track.id], known.get(track.id)) for track in protocol.tracks}
    study.begin(resolved, tracks)
    changed = [
        key for key, track in known.items() if track.fingerprint and track.fingerprint != tracks[key].fingerprint
    ]
    if changed and not settings.allow_drift:
        raise DriftRefused(
            f"{study.folder}: the benchmark of {', '.join(changed)} changed since the study began (another table, "
            "data set or recipe); restore it, begin anew with --out, or go on with --allow-drift, which is recorded"
        )
    if known and known != tracks:
        study.update_tracks(tracks)


def _track_record(track: Track, benchmark: Benchmark | str, known: TrackRecord | None) -> TrackRecord:
    if isinstance(benchmark, str):
        return known if known is not None and known.fingerprint else TrackRecord("", {}, {}, {}, benchmark)
    manifest = benchmark.manifest()
    fingerprint = content_hash(manifest)
    if known is not None and known.fingerprint == fingerprint:
        return known
    unavailable = {name: why for name, why in benchmark.metrics.unavailable.items() if name in track.final.metrics}
    return TrackRecord(fingerprint, manifest, benchmark.references(budget_of(track)), unavailable)


def _open_segment(study: Study, benchmarks: Mapping[str, Benchmark | str], settings: Settings) -> str:
    """Record this environment, refusing one that no segment of the study has known."""
    record = hardware.record({"settings": _machine_settings(settings), **_determinism(benchmarks.values())})
    before = [study.environment(entry["environment"]) for entry in study.segments()]
    drift = min((differences(environment, record) for environment in before), key=len, default=[])
    if drift and not settings.allow_drift:
        raise DriftRefused(
            f"{study.folder}: the environment changed since the study began: {describe(drift)}; restore it, begin anew "
            "with --out, or go on with --allow-drift, which is recorded"
        )
    started = datetime.now(UTC).isoformat(timespec="seconds")
    facts = {"started": started, "drift": [entry.field for entry in drift], "sample": hardware.sample()}
    return study.add_segment(record, facts)


def _machine_settings(settings: Settings) -> dict[str, Any]:
    return {"device": settings.place.device, "threads": settings.place.threads}


def _determinism(benchmarks: Iterable[Benchmark | str]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for benchmark in benchmarks:
        environment = getattr(benchmark, "environment", None)
        if environment is not None:
            facts.update(environment())
    return {"determinism": facts} if facts else {}


def _left(
    specs: Sequence[RunSpec], protocol: ProtocolModel, study: Study, benchmarks: Mapping[str, Benchmark | str]
) -> Iterable[RunSpec]:
    """Yield the runs that are neither done nor impossible; record why the impossible ones are skipped."""
    for spec in specs:
        if study.is_done(spec):
            continue
        benchmark = benchmarks[spec.track]
        reason = benchmark if isinstance(benchmark, str) else obstacle(spec, protocol.track(spec.track), benchmark)
        if reason and study.status(spec) in ("missing", "skipped"):
            study.skip(spec, reason)
        elif not reason:
            study.clear_skip(spec)
            yield spec


def _run_all(jobs: Sequence[Job], settings: Settings, watcher: Watcher) -> None:
    workers = min(settings.workers, len(jobs))
    executor: Executor = ProcessExecutor(workers, settings.place.threads) if workers else InlineExecutor()
    errors: list[HarnessError] = []
    for done in executor.run(work, jobs, lambda job, share: watcher.advanced(job.spec, share)):
        if done.error is not None:
            errors.append(done.error)
        else:
            watcher.ended(done.job.spec)
    if errors:
        raise errors[0]


def work(job: Job, report: Any) -> None:
    """Do one run; this is what a worker process calls."""
    protocol = _protocol(job.folder)
    track = protocol.track(job.spec.track)
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
        execute(job.spec, track, benchmark, recorder, listener)
    finally:
        recorder.close()


@lru_cache(maxsize=1)
def _protocol(folder: Path) -> ProtocolModel:
    plain = Study(folder).protocol()
    plain.pop("schema")
    return ProtocolModel.model_validate(plain)


@lru_cache(maxsize=8)
def _benchmark(folder: Path, track_id: str, place: Place) -> Benchmark:
    return open_benchmark(_protocol(folder).track(track_id), place)
