"""Check what holds for a whole study: protocol, tracks, references, segments and environments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from harness.core.canonical import content_hash
from harness.core.schema import SCHEMA_VERSION, ProtocolModel, Track
from harness.environment.drift import differences
from harness.verify.reading import Source
from harness.verify.references import contradictions
from harness.verify.shapes import SegmentEndForm, SegmentForm, StudyForm, TrackForm, TuningForm
from harness.verify.tuning import check_declared

_NAMED = re.compile(r"(?P<protocol>.+)@(?P<version>\d+\.\d+\.\d+)-(?P<hash>[0-9a-f]{8})")
MOST_REPLICATES = 1_000_000
"""A record that claims more is not read on: its plan alone would fill the memory."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What of a study stands outside its runs.

    Attributes:
        protocol: None where protocol.json cannot be read.
        protocol_hash: the content hash of protocol.json as it stands.
        tracks: what study.json says of each track.
        environments: ids that a segment names and that are recorded.
        tuning: what study.json says of each row that was tuned.
    """

    protocol: ProtocolModel | None
    protocol_hash: str
    tracks: Mapping[str, TrackForm]
    environments: frozenset[str]
    tuning: Mapping[str, TuningForm]


def check_study(source: Source) -> Frame:
    """Check the files of a study outside its runs, and return what the rules about runs need of them."""
    plain = source.json("protocol.json")
    model = None if plain is None else _protocol(source, plain)
    digest = "" if plain is None else content_hash(plain)
    study = source.form("study.json", StudyForm)
    tracks: Mapping[str, TrackForm] = {} if study is None else study.tracks
    if study is not None and study.protocol_hash != digest:
        source.note("protocol-hash", "study.json", 0, "protocol_hash", digest, study.protocol_hash)
    if plain is not None:
        _check_name(source, plain, digest)
    if model is not None and study is not None:
        _check_tracks(source, model, tracks)
    if model is not None and not check_declared(source, model):
        model = None
    return Frame(model, digest, tracks, _check_segments(source), {} if study is None else study.tuning)


def _protocol(source: Source, plain: dict[str, Any]) -> ProtocolModel | None:
    data = {key: value for key, value in plain.items() if key != "schema"}
    try:
        model = ProtocolModel.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        for one in error.errors(include_url=False):
            source.note("protocol-valid", "protocol.json", 0, f"{'.'.join(map(str, one['loc']))}: {one['msg']}")
        return None
    if plain.get("schema") != SCHEMA_VERSION or content_hash(model.resolved()) != content_hash(plain):
        source.note("protocol-valid", "protocol.json", 0, "is not the whole resolved protocol")
    if sum(track.replicates for track in model.tracks) > MOST_REPLICATES:
        source.note("protocol-valid", "protocol.json", 0, f"more than {MOST_REPLICATES} replicates")
        return None
    return model


def _check_name(source: Source, plain: Mapping[str, Any], digest: str) -> None:
    named = _NAMED.fullmatch(source.root.name)
    expected = f"{plain.get('protocol')}@{plain.get('version')}-{digest[:8]}"
    if named is not None and source.root.name != expected:
        source.note("folder-name", ".", 0, "name of the folder", expected, source.root.name)


def _check_tracks(source: Source, model: ProtocolModel, tracks: Mapping[str, TrackForm]) -> None:
    for name in sorted({track.id for track in model.tracks} ^ tracks.keys()):
        source.note("track-known", "study.json", 0, f"tracks.{name} stands in one of protocol.json and study.json")
    for track in model.tracks:
        if track.id in tracks:
            _check_track(source, track, tracks[track.id])


def _check_track(source: Source, track: Track, facts: TrackForm) -> None:
    place = f"tracks.{track.id}"
    if bool(facts.skipped) == bool(facts.fingerprint):
        source.note("track-known", "study.json", 0, f"{place} must have a fingerprint, or a reason why it is skipped")
    if facts.fingerprint:
        expected = content_hash(facts.manifest)
        if facts.fingerprint != expected:
            source.note("track-fingerprint", "study.json", 0, f"{place}.fingerprint", expected, facts.fingerprint)
    pinned = track.benchmark.fingerprint
    if pinned is not None and facts.fingerprint not in ("", pinned):
        source.note("track-fingerprint", "study.json", 0, f"{place}: the protocol's", pinned, facts.fingerprint)
    strangers = facts.unavailable.keys() - set(track.final.metrics)
    if strangers:
        source.note("references", "study.json", 0, f"{place}.unavailable", track.final.metrics, sorted(strangers))
    for what in contradictions(facts.references, track):
        source.note("references", "study.json", 0, f"{place}.references: {what}")


def _check_segments(source: Source) -> frozenset[str]:
    """Check the segments and their environments; return the environments that they name."""
    lines = source.lines("segments.jsonl")
    segments = [
        (number, entry)
        for number, line in enumerate(lines, start=1)
        if (entry := source.entry("segments.jsonl", number, line, SegmentForm)) is not None
    ]
    if not segments:
        source.note("segments-time", "segments.jsonl", 0, "no segment: when and where this ran is not known")
    records = _environments(source)
    before: list[Mapping[str, Any]] = []
    latest: datetime | None = None
    for number, entry in segments:
        latest = _check_time(source, number, entry.started, latest)
        record = records.get(entry.environment)
        if record is None:
            source.note(
                "environment-known", "segments.jsonl", number, "no record of this environment", found=entry.environment
            )
            continue
        drift = min((differences(known, record) for known in before), key=len, default=[])
        expected = [each.field for each in drift]
        if entry.drift != expected:
            source.note("drift-recorded", "segments.jsonl", number, "drift", expected, entry.drift)
        before.append(record)
    _check_ends(source, dict(segments))
    return frozenset(entry.environment for _, entry in segments)


def _check_ends(source: Source, segments: Mapping[int, SegmentForm]) -> None:
    """Check the ends of segments; a segment that was killed has none, and older records have no such file."""
    file = "segment_ends.jsonl"
    latest = 0
    for number, line in enumerate(source.lines(file) if (source.root / file).is_file() else [], start=1):
        end = source.entry(file, number, line, SegmentEndForm)
        if end is None:
            continue
        segment = segments.get(end.segment)
        if segment is None or end.segment <= latest:
            source.note(
                "segments-time", file, number, "the end of no segment, or of one that has ended", "", end.segment
            )
        elif (started := _time(segment.started)) is not None:
            ended = _time(end.ended)
            if ended is None or ended < started:
                source.note("segments-time", file, number, "ended", f"not before {segment.started}", end.ended)
        latest = end.segment


def _time(text: str) -> datetime | None:
    """Return a time with its zone, or None."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if time.tzinfo is None else time


def _check_time(source: Source, number: int, started: str, latest: datetime | None) -> datetime | None:
    time = _time(started)
    if time is None:
        source.note("segments-time", "segments.jsonl", number, "started is no time with its zone", found=started)
        return latest
    if latest is not None and time < latest:
        source.note("segments-time", "segments.jsonl", number, "started", f"not before {latest.isoformat()}", started)
        return latest
    return time


def _environments(source: Source) -> dict[str, dict[str, Any]]:
    records = {}
    for path in sorted((source.root / "environments").glob("*.json")):
        file = f"environments/{path.name}"
        record = source.json(file)
        if record is None:
            continue
        expected = content_hash(record)[:16]
        if path.stem != expected:
            source.note("environment-hash", file, 0, "name of the file", expected, path.stem)
        records[path.stem] = record
    return records
