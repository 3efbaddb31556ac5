"""Tell whether two studies may be compared, and in what else they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.core.canonical import canonical_json
from harness.core.errors import UsageError
from reports.frame import Frame, TrackFrame
from reports.machines import machines_table

SAME_ON_A_TRACK = (
    "benchmark.name",
    "splits",
    "fidelity",
    "objective.metric",
    "objective.direction",
    "budget.unit",
    "budget.limit",
    "budget.overrun",
    "budget.repeats",
    "final.metrics",
    "selection",
    "workers",
    "schedule",
)
"""What must be equal in the plans of a track that two studies share, beside the fingerprint of its benchmark."""

SAME_IN_A_STUDY = (
    "accounting",
    "analysis.tests",
    "analysis.correction",
    "analysis.alpha",
    "analysis.equivalence_margin",
)
"""What must be equal in two protocols."""

_ABSENT = "absent"
_NAMED = ("id", "name", "method")  # what an entry of a list is known by


def common_tracks(first: Frame, second: Frame, names: Sequence[str]) -> list[tuple[TrackFrame, TrackFrame]]:
    """Return the tracks that both studies ran, in the order of the first.

    Raises:
        UsageError: the studies share no track, or differ in what makes their figures comparable; every such field is
            named with both values.
    """
    others = {track.id: track for track in second.tracks if not track.record.skipped}
    pairs = [(track, others[track.id]) for track in first.tracks if not track.record.skipped and track.id in others]
    if not pairs:
        known = (", ".join(track.id for track in frame.tracks) or "none" for frame in (first, second))
        raise UsageError(
            f"--compare: {names[0]} and {names[1]} share no track that both ran (tracks: {next(known)}; "
            f"{next(known)}); compare studies of the same track"
        )
    found = [*_in_study(first, second), *(line for pair in pairs for line in _on_track(*pair))]
    if found:
        raise UsageError(
            f"--compare: {names[0]} and {names[1]} cannot be compared, since they differ in {'; in '.join(found)}; "
            "compare studies that agree in these"
        )
    return pairs


def _in_study(first: Frame, second: Frame) -> Iterator[str]:
    for path in SAME_IN_A_STUDY:
        yield from _unequal(path, at(first.study.protocol, path), at(second.study.protocol, path))


def _on_track(first: TrackFrame, second: TrackFrame) -> Iterator[str]:
    where = f"tracks.{first.id}"
    yield from _unequal(f"{where}.fingerprint", first.record.fingerprint, second.record.fingerprint)
    for path in SAME_ON_A_TRACK:
        yield from _unequal(f"{where}.{path}", at(first.plan, path), at(second.plan, path))


def _unequal(path: str, one: Any, other: Any) -> Iterator[str]:
    if one != other:
        yield f"{path} ({_text(one)} against {_text(other)})"


def at(plain: Mapping[str, Any], path: str) -> Any:
    """Return what stands at a dotted path of plain data, or None where nothing does."""
    value: Any = plain
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical_json(value)


def differing_settings(first: Frame, second: Frame) -> list[tuple[str, str, str]]:
    """Return (field, first, second) for every field of the protocols that differs; entries of lists go by name."""
    sides = [dict(_leaves(dict(frame.study.protocol), "")) for frame in (first, second)]
    return _differing(sides)


def differing_machines(first: Frame, second: Frame) -> list[tuple[str, str, str]]:
    """Return (item, first, second) for every recorded fact of machines and software that differs."""
    sides = [
        {item: "; ".join(dict.fromkeys(values)) for item, *values in machines_table(frame).rows}
        for frame in (first, second)
    ]
    return _differing(sides)


def _differing(sides: Sequence[Mapping[str, str]]) -> list[tuple[str, str, str]]:
    items = dict.fromkeys([*sides[0], *sides[1]])
    rows = [(item, sides[0].get(item, _ABSENT), sides[1].get(item, _ABSENT)) for item in items]
    return [row for row in rows if row[1] != row[2]]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for index, inner in enumerate(value):
            name = next((str(inner[key]) for key in _NAMED if isinstance(inner, dict) and inner.get(key)), str(index))
            yield from _leaves(inner, f"{path}.{name}")
    else:
        yield path, _text(value)
