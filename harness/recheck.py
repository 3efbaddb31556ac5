"""Compute what study.json says of its benchmarks anew from the data, and compare."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from harness.core.canonical import content_hash
from harness.core.errors import DataMissing, Unsupported
from harness.core.interfaces import Place
from harness.core.records import TrackRecord
from harness.core.schema import ProtocolModel, Track
from harness.job import open_benchmark
from harness.plan import budget_of
from harness.store import Study
from harness.verify.rules import Finding, shown

CLOSE = 1e-9
"""Relative: another library, or another processor, may add in another order."""


def recheck(study: Study, protocol: ProtocolModel, place: Place) -> tuple[list[Finding], dict[str, str]]:
    """Return what differs from the data on this machine, and the tracks that could not be opened, with the reason.

    Raises:
        DataCorrupt: the data are damaged, or not those that the protocol pins.
    """
    known = study.tracks()
    findings: list[Finding] = []
    unopened: dict[str, str] = {}
    for track in protocol.tracks:
        if track.id in known and known[track.id].fingerprint:
            try:
                findings += _of_track(track, known[track.id], place)
            except (DataMissing, Unsupported) as error:
                unopened[track.id] = str(error)
    return findings, unopened


def _of_track(track: Track, known: TrackRecord, place: Place) -> Iterator[Finding]:
    benchmark = open_benchmark(track, place)
    fingerprint = content_hash(benchmark.manifest())
    if fingerprint != known.fingerprint:
        what = f"tracks.{track.id}.fingerprint: the data here"
        yield Finding("track-fingerprint", "study.json", 0, what, fingerprint, known.fingerprint)
        return
    facts = json.loads(json.dumps(benchmark.references(budget_of(track))))
    for path, expected, found in _differences(facts, dict(known.references), ""):
        what = f"tracks.{track.id}.references{path}: the data here"
        yield Finding("references", "study.json", 0, what, shown(expected), shown(found))


def _differences(expected: Any, found: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield where two pieces of plain data differ; numbers may differ by rounding."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        for key in dict.fromkeys([*expected, *found]):
            yield from _differences(expected.get(key), found.get(key), f"{path}.{key}")
    elif isinstance(expected, list) and isinstance(found, list):
        for place, (first, second) in enumerate(zip_longest(expected, found)):
            yield from _differences(first, second, f"{path}[{place}]")
    elif isinstance(expected, int | float) and isinstance(found, int | float):
        if not math.isclose(expected, found, rel_tol=CLOSE, abs_tol=CLOSE):
            yield path, expected, found
    elif expected != found:
        yield path, expected, found
