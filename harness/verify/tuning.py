"""Check the tuning of rows: that it kept away from what is reported, and that the ledger says what its runs give."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from harness.core.canonical import canonical_json, content_hash
from harness.core.errors import RulesBroken
from harness.core.grounds import shared_ground
from harness.core.records import TUNING
from harness.core.schema import ProtocolModel, Tuning
from harness.protocol.options import MOST_SETTINGS
from harness.tuning import ledger, tuned, tuning_runs
from harness.verify.reading import Run, Source
from harness.verify.shapes import TrackForm, TunedOnForm, TuningForm


def check_declared(source: Source, protocol: ProtocolModel) -> bool:
    """Check the tuning entries of a protocol; return whether their runs can be looked for."""
    sound = True
    whole = {entry.method for entry in tuned(protocol)}
    for number, entry in enumerate(protocol.tuning):
        if entry.source != "tuned":
            continue
        place = f"tuning[{number}]"
        if entry.method not in whole or prod(map(len, entry.space.values())) > MOST_SETTINGS:
            source.note("protocol-valid", "protocol.json", 0, f"{place} does not say what was tuned where, and how")
            sound = False
            continue
        _check_apart(source, protocol, entry, place)
    return sound


def _check_apart(source: Source, protocol: ProtocolModel, entry: Tuning, place: str) -> None:
    assert entry.benchmark is not None
    row = next(row for row in protocol.methods if row.key == entry.method)
    for track in protocol.tracks:
        shared = shared_ground(entry.benchmark.model_dump(mode="json"), track.model_dump(mode="json"))
        if shared and (row.tracks is None or track.id in row.tracks):
            source.note("tuning-apart", "protocol.json", 0, f"{place} shares {shared} with track {track.id!r}")


def facts_of(ledgers: Mapping[str, TuningForm], name: str) -> TrackForm | None:
    """Return what study.json says of the benchmark that a row was tuned on."""
    found = ledgers.get(name.removeprefix(TUNING))
    if found is None:
        return None
    return TrackForm(fingerprint=found.fingerprint, manifest=found.manifest, references={}, unavailable={}, skipped="")


def check_ledgers(
    source: Source, protocol: ProtocolModel, ledgers: Mapping[str, TuningForm], runs: Mapping[str, list[Run]]
) -> None:
    """Hold every ledger against the runs of its tuning, and the ledgers against the entries of the protocol."""
    entries = {entry.method: entry for entry in tuned(protocol)}
    for name in sorted(ledgers.keys() - entries.keys()):
        source.note("tuning-ledger", "study.json", 0, f"tuning.{name}: the protocol tunes no such row")
    for name, entry in entries.items():
        done = [run for run in runs.get(name, []) if run.done is not None]
        complete = len(done) == len(tuning_runs(protocol, entry))
        if name in ledgers:
            _check_ledger(source, protocol, entry, ledgers[name], done)
        elif complete:
            source.note("tuning-ledger", "study.json", 0, f"tuning.{name} is missing; `resume` writes it")


def _check_ledger(source: Source, protocol: ProtocolModel, entry: Tuning, found: TuningForm, runs: list[Run]) -> None:
    place = f"tuning.{entry.method}"
    if found.fingerprint != content_hash(found.manifest):
        what = f"{place}.fingerprint"
        source.note("track-fingerprint", "study.json", 0, what, content_hash(found.manifest), found.fingerprint)
    file = f"tuning/{entry.method}/benchmark.json"
    began = source.form(file, TunedOnForm)
    if began is not None and began.fingerprint != found.fingerprint:
        source.note("track-fingerprint", file, 0, "fingerprint", found.fingerprint, began.fingerprint)
    pinned = entry.benchmark.fingerprint if entry.benchmark is not None else None
    if pinned not in (None, found.fingerprint):
        source.note("track-fingerprint", "study.json", 0, f"{place}: the protocol's", pinned, found.fingerprint)
    row = next(row for row in protocol.methods if row.key == entry.method)
    trials = ((run.spec, [record for record, _ in run.trials]) for run in runs)
    try:
        expected: dict[str, Any] = ledger(entry, row.options, trials)
    except RulesBroken as error:
        source.note("tuning-ledger", "study.json", 0, f"{place}: {str(error).partition(';')[0]}")
        return
    recorded = found.model_dump(mode="json")
    for key, value in expected.items():
        if canonical_json(recorded[key]) != canonical_json(value):
            source.note("tuning-ledger", "study.json", 0, f"{place}.{key}", value, recorded[key])
