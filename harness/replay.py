"""Execute a sample of recorded runs again, elsewhere, and compare the bytes of their journals."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from harness.core.canonical import content_hash
from harness.core.errors import DataCorrupt, StoreError, UsageError
from harness.core.interfaces import Place
from harness.core.records import TUNING, TrackRecord
from harness.core.schema import ProtocolModel, Track
from harness.core.seeds import SeedTree
from harness.core.types import RunSpec
from harness.executor import Executor, InlineExecutor, ProcessExecutor
from harness.job import Job, open_benchmark, work
from harness.plan import expand
from harness.store import Study
from harness.store.files import read_json, write_json
from harness.store.recorder import CHAINED
from harness.tuning import all_tuning_runs, track_of

Answer = Literal["exact", "different", "statistical"]


@dataclass(frozen=True, slots=True)
class Replayed:
    """One run, executed again.

    Attributes:
        answer: 'exact' (the same bytes), 'different', or 'statistical': not executed, since the benchmark declares
            that the same trial may end differently.
        place: journal and line of the first difference, or an empty string.
        recorded: that line as recorded; empty where there is none.
        again: that line as it came out now.
    """

    spec: RunSpec
    answer: Answer
    place: str = ""
    recorded: str = ""
    again: str = ""


def sample(specs: Sequence[RunSpec], size: int, seed: int) -> list[RunSpec]:
    """Return `size` runs drawn at random, spread evenly over the rows of the study, in plan order.

    Every row (track, method, variant) is drawn once before any is drawn twice.

    Raises:
        UsageError: the size is below 1.
    """
    if size < 1:
        raise UsageError(f"--sample: {size} is not allowed; give 1 or more")
    rng = SeedTree.root("replay", seed).generator()
    rows: dict[tuple[str, str, str], list[int]] = {}
    for position, spec in enumerate(specs):
        rows.setdefault((spec.track, spec.method, spec.variant), []).append(position)
    shuffled = [[members[index] for index in rng.permutation(len(members))] for members in rows.values()]
    order = [shuffled[index] for index in rng.permutation(len(shuffled))]
    rounds = (position for turn in zip_longest(*order) for position in turn if position is not None)
    return [specs[position] for position in sorted(position for position, _ in zip(rounds, range(size), strict=False))]


def replay(
    study: Study,
    protocol: ProtocolModel,
    chosen: Sequence[RunSpec],
    place: Place,
    workers: int,
    told: Callable[[Replayed], None],
) -> list[Replayed]:
    """Execute finished runs again in a scratch folder, and compare every journal byte for byte.

    The record is not touched. Benchmarks must be the recorded ones; checkpoints of earlier trainings are not used.

    Args:
        study: the study.
        protocol: its protocol.
        chosen: finished runs (see `finished`).
        place: where data are.
        workers: worker processes; 0 runs everything in this process.
        told: learns each answer as it comes.

    Raises:
        DataCorrupt: a benchmark here is not the one that was recorded.
        HarnessError: a run could not be executed.
    """
    tracks, tuned = study.tracks(), study.tuning().items()
    tracks |= {TUNING + row: TrackRecord(entry["fingerprint"], entry["manifest"], {}, {}) for row, entry in tuned}
    for name in {spec.track: None for spec in chosen}:
        _refuse_other_data(track_of(protocol, name), tracks[name], place)
    still = [spec for spec in chosen if tracks[spec.track].manifest.get("determinism") == "statistical"]
    found = [Replayed(spec, "statistical") for spec in still]
    for answer in found:
        told(answer)
    with tempfile.TemporaryDirectory(prefix="nas-harness-replay-") as folder:
        scratch = Study(Path(folder) / "study")
        write_json(scratch.folder / "protocol.json", study.protocol())
        jobs = [
            Job(
                scratch.folder,
                spec,
                _own_cache(place, tracks[spec.track], folder),
                "replay",
                _order(study, spec, track_of(protocol, spec.track)),
            )
            for spec in chosen
            if spec not in still
        ]
        executor: Executor = ProcessExecutor(workers, place.threads) if workers and jobs else InlineExecutor()
        for done in executor.run(work, jobs, _ignore):
            done.result()
            answer = _compare(study.run_folder(done.job.spec), scratch.run_folder(done.job.spec), done.job.spec)
            told(answer)
            found.append(answer)
    return sorted(found, key=lambda answer: chosen.index(answer.spec))


def note(study: Study, answers: Sequence[Replayed]) -> None:
    """Write the answers into replay.json beside the record, each with the hash of the journal that it is about.

    Answers that stand there for other runs are kept.

    Raises:
        OutputUnwritable: the folder cannot be written to.
    """
    path = study.folder / "replay.json"
    known = read_json(path)["runs"] if path.is_file() else []
    entries = {entry["run"]: entry for entry in known}
    for answer in answers:
        journal = study.run(answer.spec).journal
        entries[answer.spec.id] = {"run": answer.spec.id, "journal": journal, "answer": answer.answer}
    write_json(path, {"schema": 1, "runs": [entries[name] for name in sorted(entries)]})


def finished(study: Study, protocol: ProtocolModel) -> list[RunSpec]:
    """Return the runs of a study that are done, those of finished tunings among them.

    Raises:
        StoreError: there is none.
    """
    tuning = [spec for spec in all_tuning_runs(protocol) if spec.method in study.tuning()]
    specs = [spec for spec in (*tuning, *expand(protocol, study.choices())) if study.is_done(spec)]
    if not specs:
        raise StoreError(f"{study.folder}: no run is done yet; finish the study with `resume`")
    return specs


def _refuse_other_data(track: Track, recorded: TrackRecord, place: Place) -> None:
    benchmark = open_benchmark(track, place)
    found = content_hash(benchmark.manifest())
    if found != recorded.fingerprint:
        raise DataCorrupt(
            f"tracks.{track.id}: the record was made with fingerprint {recorded.fingerprint[:12]}, and this machine's "
            f"{benchmark.name} has {found[:12]}: another table, data set or recipe; replay with the recorded one"
        )


def _own_cache(place: Place, recorded: TrackRecord, folder: str) -> Place:
    # A training that goes on from a checkpoint of the recorded run would prove nothing.
    looked_up = recorded.manifest.get("kind") == "tabular" and "local" not in recorded.manifest
    return place if looked_up else replace(place, cache=Path(folder) / "cache")


def _order(study: Study, spec: RunSpec, track: Track) -> tuple[int, ...]:
    """Return the order in which the trials of a run landed, where nothing but its record knows it."""
    return () if track.schedule == "virtual" else tuple(record.trial.id for record in study.run(spec).trials)


def _ignore(_job: Job, _event: object) -> None:
    pass


def _compare(recorded: Path, again: Path, spec: RunSpec) -> Replayed:
    for name in CHAINED:
        first, second = ((folder / name).read_bytes() for folder in (recorded, again))
        if first == second:
            continue
        lines = zip_longest(first.split(b"\n"), second.split(b"\n"), fillvalue=b"")
        number, (old, new) = next((n, pair) for n, pair in enumerate(lines, start=1) if pair[0] != pair[1])
        texts = (line.decode("utf-8", errors="replace") for line in (old, new))
        return Replayed(spec, "different", f"{name}:{number}", *texts)
    return Replayed(spec, "exact")
