"""Keep a study on disk: append-only journals that survive a kill at any byte.

runs/<protocol>@<version>-<hash>/
  protocol.json           the resolved protocol; running it alone repeats the study
  study.json              protocol hash; what each track's benchmark says of itself; exact references; what tuning chose
  environments/<id>.json  hardware and software, by content hash
  segments.jsonl          one line per start or resume: environment, time, drift
  segment_ends.jsonl      one line per start that came to an end: time, seconds, energy
  runs/<track>/<method>/<variant>/r0007/
    manifest.json         the run's specification and where its seeds come from
    trials.jsonl          trial, result, budget spent, recommendation; chained; no clock, no sealed value
    sealed.jsonl          test metrics by trial id; written here, read by reports only
    final.jsonl           sealed metrics of the recommended architecture under the final recipe
    timings.jsonl         seconds of ask, evaluate and tell; informative
    done.json             why it ended, and the SHA-256 of the journals
  tuning/<method>/        of each row that the study tunes
    benchmark.json        what its benchmark says of itself
    <setting>/r0007/      the same files as of any run; nothing is evaluated finally
  report/                 made again from the rest at any time
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from harness.core.canonical import canonical_json, content_hash, sha256_text
from harness.core.codec import spec_to_json
from harness.core.errors import FolderForeign, StoreError
from harness.core.records import RunRecord, StudyRecord, TrackRecord, run_folder
from harness.core.types import RunSpec
from harness.store.files import FolderFiles, lock, read_json, read_lines, write_atomically, write_json
from harness.store.reader import read_run
from harness.store.recorder import PARTIAL, Recorder

SCHEMA = 1


def folder_name(protocol: Mapping[str, Any], protocol_hash: str) -> str:
    """Return the name of the study folder of a protocol."""
    return f"{protocol['protocol']}@{protocol['version']}-{protocol_hash[:8]}"


class Study:
    """The folder of one study."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def exists(self) -> bool:
        """Tell whether a study was begun in this folder."""
        return (self.folder / "protocol.json").is_file()

    def lock(self) -> AbstractContextManager[None]:
        """Hold the folder for this process.

        Raises:
            FolderBusy: another process holds it.
        """
        return lock(self.folder / ".lock")

    def protocol(self) -> dict[str, Any]:
        """Return the resolved protocol.

        Raises:
            StoreError: there is no study in this folder.
        """
        if not self.exists:
            raise StoreError(
                f"{self.folder}: no study here (protocol.json is missing); name a folder that `run` has made, "
                "for instance one below runs/"
            )
        return read_json(self.folder / "protocol.json")

    def begin(self, protocol: Mapping[str, Any], tracks: Mapping[str, TrackRecord]) -> None:
        """Write what is fixed before the first run, or check that the folder holds this very study.

        Raises:
            FolderForeign: the folder belongs to another protocol, or holds files that are no study.
        """
        if self.exists:
            self._refuse_foreign(protocol)
            return
        strangers = [entry.name for entry in self.folder.iterdir() if entry.name != ".lock"]
        if strangers:
            raise FolderForeign(
                f"{self.folder}: the folder holds files that are no study ({', '.join(sorted(strangers)[:3])}); "
                "choose an empty folder with --out"
            )
        self._write_facts(protocol, tracks, {})
        write_json(self.folder / "protocol.json", dict(protocol))

    def _refuse_foreign(self, protocol: Mapping[str, Any]) -> None:
        theirs = self.protocol()
        if content_hash(theirs) != content_hash(dict(protocol)):
            raise FolderForeign(
                f"{self.folder}: the folder belongs to {theirs.get('protocol')}@{theirs.get('version')} with protocol "
                f"hash {content_hash(theirs)[:8]}, and this protocol has {content_hash(dict(protocol))[:8]}; choose "
                "another folder with --out, or resume that study with `resume`"
            )

    def _write_facts(
        self, protocol: Mapping[str, Any], tracks: Mapping[str, TrackRecord], tuning: Mapping[str, Any]
    ) -> None:
        plain = {
            key: {name: getattr(track, name) for name in track.__dataclass_fields__} for key, track in tracks.items()
        }
        data = {"schema": SCHEMA, "protocol_hash": content_hash(dict(protocol)), "tracks": plain}
        if tuning:
            data["tuning"] = dict(tuning)
        write_json(self.folder / "study.json", data)

    def update_tracks(self, tracks: Mapping[str, TrackRecord]) -> None:
        """Write the tracks anew, for those that could not be opened before and can be now."""
        self._write_facts(self.protocol(), tracks, self.tuning())

    def tuning(self) -> dict[str, dict[str, Any]]:
        """Return the ledger of each row whose tuning is done (see `harness.tuning.ledger`)."""
        found: dict[str, dict[str, Any]] = read_json(self.folder / "study.json").get("tuning", {})
        return found

    def tuning_benchmark(self, row: str) -> dict[str, Any] | None:
        """Return what was recorded of the benchmark that a row is tuned on; None before its first tuning run."""
        path = self.folder / "tuning" / row / "benchmark.json"
        return read_json(path) if path.is_file() else None

    def note_tuning_benchmark(self, row: str, facts: Mapping[str, Any]) -> None:
        """Record the benchmark that a row is tuned on."""
        write_json(self.folder / "tuning" / row / "benchmark.json", dict(facts))

    def choices(self) -> dict[str, dict[str, Any]]:
        """Return the options that each finished tuning chose, for `harness.plan.expand`."""
        known = self.tuning() if (self.folder / "study.json").is_file() else {}
        return {row: entry["options"] for row, entry in known.items()}

    def note_tuning(self, row: str, ledger: Mapping[str, Any]) -> None:
        """Write what the tuning of a row found; what stands there of others is kept."""
        self._write_facts(self.protocol(), self.tracks(), {**self.tuning(), row: dict(ledger)})

    def tracks(self) -> dict[str, TrackRecord]:
        """Return what the study knows of its tracks."""
        return {key: TrackRecord(**track) for key, track in read_json(self.folder / "study.json")["tracks"].items()}

    def add_segment(self, environment: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
        """Record that the study starts or goes on in this environment, and return the environment's id."""
        identity = content_hash(dict(environment))[:16]
        path = self.folder / "environments" / f"{identity}.json"
        if not path.exists():
            write_json(path, dict(environment))
        segments = [*read_lines(self.folder / "segments.jsonl"), canonical_json({"environment": identity, **facts})]
        write_atomically(self.folder / "segments.jsonl", "".join(line + "\n" for line in segments))
        return identity

    def segments(self) -> tuple[dict[str, Any], ...]:
        """Return one entry per start or resume, the first first."""
        return tuple(json.loads(line) for line in read_lines(self.folder / "segments.jsonl"))

    def end_segment(self, facts: Mapping[str, Any]) -> None:
        """Record how the last segment ended: when, after how many seconds, with which energy; a kill leaves no line."""
        path = self.folder / "segment_ends.jsonl"
        lines = [*read_lines(path), canonical_json({"segment": len(self.segments()), **facts})]
        write_atomically(path, "".join(line + "\n" for line in lines))

    def _ended_segments(self) -> tuple[dict[str, Any], ...]:
        ends = {end.pop("segment"): end for end in map(json.loads, read_lines(self.folder / "segment_ends.jsonl"))}
        return tuple({**entry, **ends.get(number, {})} for number, entry in enumerate(self.segments(), start=1))

    def environment(self, identity: str) -> dict[str, Any]:
        """Return the environment record with this id."""
        return read_json(self.folder / "environments" / f"{identity}.json")

    def run_folder(self, spec: RunSpec) -> Path:
        """Return the folder of a run."""
        return self.folder / run_folder(spec)

    def is_done(self, spec: RunSpec) -> bool:
        """Tell whether a run has ended with its budget spent or nothing left to try."""
        return (self.run_folder(spec) / "done.json").is_file()

    def recorder(self, spec: RunSpec, facts: Mapping[str, Any], *, durable: bool) -> Recorder:
        """Open the journals of a run for writing; what they hold already is replayed."""
        manifest = {"schema": SCHEMA, "spec": spec_to_json(spec), **facts}
        return Recorder(self.run_folder(spec), manifest, durable=durable)

    def sweep(self) -> None:
        """Take away what a kill left of runs that were being written; only the holder of the lock may."""
        for pattern in ("runs/*/*/*", "tuning/*/*"):
            for partial in self.folder.glob(f"{pattern}/.r*{PARTIAL}"):
                shutil.rmtree(partial)

    def skip(self, spec: RunSpec, reason: str) -> None:
        """Record why a run cannot be done."""
        write_json(self.run_folder(spec) / "skipped.json", {"schema": SCHEMA, "reason": reason}, durable=False)

    def clear_skip(self, spec: RunSpec) -> None:
        """Forget that a run was skipped, since it is about to be done."""
        folder = self.run_folder(spec)
        if (folder / "skipped.json").exists():
            shutil.rmtree(folder)

    def status(self, spec: RunSpec) -> str:
        """Return 'done', 'partial', 'skipped' or 'missing' without reading the journal."""
        folder = self.run_folder(spec)
        for status, name in (("done", "done.json"), ("skipped", "skipped.json"), ("partial", "manifest.json")):
            if (folder / name).is_file():
                return status
        return "missing"

    def run(self, spec: RunSpec) -> RunRecord:
        """Return one run as it stands on disk.

        Raises:
            JournalCorrupt: a journal was changed after it was written.
        """
        return read_run(self.run_folder(spec), spec)

    def record(self, specs: list[RunSpec]) -> StudyRecord:
        """Return the whole study for the reports; runs are read when asked for, in the order of `specs`."""
        protocol = self.protocol()
        segments = self._ended_segments()

        def runs() -> Iterator[RunRecord]:
            return (self.run(spec) for spec in specs)

        return StudyRecord(
            protocol=protocol,
            protocol_hash=content_hash(protocol),
            environments={entry["environment"]: self.environment(entry["environment"]) for entry in segments},
            segments=segments,
            tracks=self.tracks(),
            runs=runs,
            files=FolderFiles(self.folder),
            tuning=self.tuning(),
        )

    def digest(self, specs: list[RunSpec]) -> str:
        """Return one hash over the journals of all runs, for byte-for-byte comparison of two studies."""
        return sha256_text("\n".join(f"{spec.id} {self.run(spec).journal}" for spec in specs))
