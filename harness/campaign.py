"""Conduct a whole study: open its tracks, refuse drift, hand the runs that are left to an executor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from harness import tuning
from harness.core.canonical import content_hash
from harness.core.clock import Stopwatch
from harness.core.errors import (
    DataMissing,
    DriftRefused,
    HarnessError,
    OutputUnwritable,
    Unsupported,
    UsageError,
)
from harness.core.interfaces import Benchmark, Place
from harness.core.records import TrackRecord
from harness.core.schema import ProtocolModel, Track, Tuning
from harness.core.types import RunSpec
from harness.environment import hardware
from harness.environment.drift import describe, differences
from harness.environment.energy import Meter
from harness.executor import Executor, InlineExecutor, ProcessExecutor
from harness.job import Job, open_benchmark, work
from harness.plan import budget_of, expand
from harness.runner import obstacle, rehearse
from harness.store import Study


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


def survey(protocol: ProtocolModel, settings: Settings) -> dict[str, Benchmark | str]:
    """Open every track's benchmark; a track that this machine cannot run is answered with the reason.

    Raises:
        DataMissing, Unsupported: no track can run at all.
        UsageError: a method refuses the options that a row gives it there.
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
    _rehearse(protocol, found)
    return found


def _rehearse(protocol: ProtocolModel, benchmarks: Mapping[str, Benchmark | str]) -> None:
    rows = {(spec.track, spec.method, spec.variant): spec for spec in reversed(expand(protocol))}
    for spec in rows.values():
        track, benchmark = protocol.track(spec.track), benchmarks[spec.track]
        if not isinstance(benchmark, str) and not obstacle(spec, track, benchmark):
            rehearse(spec, track, benchmark)


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
        with _measured(study) as meter:
            conductor = _Conductor(study, settings, watcher, environment, meter)
            _tune(protocol, conductor, benchmarks)
            specs = expand(protocol, study.choices())
            left = list(_left(specs, protocol, study, benchmarks))
            watcher.planned(specs, left)
            conductor.run(left)


@contextmanager
def _measured(study: Study) -> Iterator[Meter]:
    """Measure a segment, and record its end however it ends; only a kill leaves none."""
    meter, watch = Meter(), Stopwatch()
    try:
        yield meter
    finally:
        ended = datetime.now(UTC).isoformat(timespec="seconds")
        # A full disk has stopped the runs already, and what they say counts.
        with suppress(OutputUnwritable):
            study.end_segment({"ended": ended, "seconds": round(watch.lap(), 3), "energy": meter.total()})


@dataclass(frozen=True, slots=True)
class _Conductor:
    """Everything that it takes to run runs.

    Attributes:
        environment: the id of the segment's environment.
        meter: reads energy counters on the way.
    """

    study: Study
    settings: Settings
    watcher: Watcher
    environment: str
    meter: Meter

    def run(self, specs: Sequence[RunSpec]) -> None:
        """Run these runs, in worker processes where the settings ask for them."""
        jobs = [Job(self.study.folder, spec, self.settings.place, self.environment) for spec in specs]
        workers = min(self.settings.workers, len(jobs))
        executor: Executor = ProcessExecutor(workers, self.settings.place.threads) if workers else InlineExecutor()
        errors: list[HarnessError] = []
        for done in executor.run(work, jobs, self._advanced):
            self.meter.tick()
            if done.error is not None:
                errors.append(done.error)
            else:
                self.watcher.ended(done.job.spec)
        if errors:
            raise errors[0]

    def _advanced(self, job: Job, share: float) -> None:
        self.meter.tick()
        self.watcher.advanced(job.spec, share)


def _tune(protocol: ProtocolModel, conductor: _Conductor, reported: Mapping[str, Benchmark | str]) -> None:
    """Tune every row that the protocol says is tuned and whose ledger is not written yet.

    Raises:
        DataMissing, UsageError: a benchmark to tune on cannot be opened.
        Unsupported: a row cannot be run on the benchmark that it is to be tuned on.
        UsageError: that benchmark is one of the reported ones under another name.
    """
    study = conductor.study
    entries = [entry for entry in tuning.tuned(protocol) if entry.method not in study.tuning()]
    opened = {entry.method: open_tuning(protocol, entry, conductor.settings.place, reported) for entry in entries}
    for entry in entries:
        _settle_tuning(study, entry, opened[entry.method], conductor.settings)
        specs = tuning.tuning_runs(protocol, entry)
        left = [spec for spec in specs if not study.is_done(spec)]
        conductor.watcher.planned(specs, left)
        conductor.run(left)
        study.note_tuning(entry.method, _ledger(protocol, entry, specs, study, opened[entry.method]))


def _settle_tuning(study: Study, entry: Tuning, benchmark: Benchmark, settings: Settings) -> None:
    """Record the benchmark of a tuning before its first run, refusing another one on resume."""
    manifest = benchmark.manifest()
    known = study.tuning_benchmark(entry.method)
    if known is not None and known["fingerprint"] != content_hash(manifest) and not settings.allow_drift:
        raise DriftRefused(
            f"{study.folder}: the benchmark that {entry.method!r} is tuned on changed since its tuning began (another "
            "table, data set or recipe); restore it, begin anew with --out, or go on with --allow-drift"
        )
    study.note_tuning_benchmark(entry.method, {"fingerprint": content_hash(manifest), "manifest": manifest})


def open_tuning(
    protocol: ProtocolModel, entry: Tuning, place: Place, reported: Mapping[str, Benchmark | str]
) -> Benchmark:
    """Open the benchmark that a row is tuned on, and refuse one that the row is reported on.

    Raises:
        DataMissing, DataCorrupt, UsageError: it cannot be opened, is a reported one under another name, or the method
            refuses a setting there.
        Unsupported: the row cannot be run on it.
    """
    specs = tuning.tuning_runs(protocol, entry)
    track = tuning.track_of(protocol, specs[0].track)
    benchmark = open_benchmark(track, place)
    reason = obstacle(specs[0], track, benchmark)
    if reason:
        raise Unsupported(f"tuning of {entry.method!r}: {reason}; tune it on another benchmark or in another unit")
    for spec in {spec.variant: spec for spec in specs}.values():
        rehearse(spec, track, benchmark)
    row = next(row for row in protocol.methods if row.key == entry.method)
    dataset, identity = _dataset(track), content_hash(benchmark.manifest())
    for key in row.tracks or reported:
        other = reported[key]
        same = not isinstance(other, str) and content_hash(other.manifest()) == identity
        if same and _dataset(protocol.track(key)) == dataset:
            raise UsageError(
                f"tuning of {entry.method!r}: its benchmark is that of track {key!r} under another name (fingerprint "
                f"{identity[:12]}); no row may be tuned on what is reported: tune on other data"
            )
    return benchmark


def _dataset(track: Track) -> str:
    return track.objective.metric.partition("/")[0]


def _ledger(
    protocol: ProtocolModel, entry: Tuning, specs: Sequence[RunSpec], study: Study, benchmark: Benchmark
) -> dict[str, Any]:
    row = next(row for row in protocol.methods if row.key == entry.method)
    runs = [study.run(spec) for spec in specs]
    found = tuning.ledger(entry, row.options, ((run.spec, run.trials) for run in runs))
    manifest = benchmark.manifest()
    facts = {"fingerprint": content_hash(manifest), "manifest": manifest, "seconds": tuning.real_seconds(runs)}
    return {**found, **facts}


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
