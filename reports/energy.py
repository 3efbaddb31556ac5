"""Tabulate the starts of a study: when, how long, in which environment, with how much energy, and covering what."""

from __future__ import annotations

from collections.abc import Mapping

from harness.core.canonical import Json
from harness.core.records import Table
from reports.frame import Frame
from reports.wording import ABSENT, amount, tabular

JOULES_PER_WATT_HOUR = 3600.0
NOT_MEASURED = "not measured"


def segments_table(frame: Frame) -> Table:
    """Return one row per start or resume with its real seconds and its energy."""
    data = tuple(_facts(number, segment) for number, segment in enumerate(frame.study.segments, start=1))
    return Table(
        name="segments",
        title="Starts and energy",
        columns=("start", "began", "ended", "environment", "real seconds", "energy, Wh", "covers", "method"),
        rows=tuple(tuple(_text(value) for value in row.values()) for row in data),
        note=(
            "Energy is what counters of the machine counted from start to end, whatever else ran on it, for the whole "
            "study and not by method; what is not covered is in no number. Not measured: no counter may be read here, "
            "or the start was killed before its end was recorded." + _of_tables(frame)
        ),
        data=data,
    )


def _facts(number: int, segment: Mapping[str, Json]) -> dict[str, Json]:
    energy = segment.get("energy")
    known = energy if isinstance(energy, dict) else {}
    joules = known.get("joules")
    return {
        "start": number,
        "began": segment.get("started"),
        "ended": segment.get("ended") or "not recorded",
        "environment": str(segment.get("environment", ""))[:12],
        "real_seconds": segment.get("seconds"),
        "energy_watt_hours": joules / JOULES_PER_WATT_HOUR if isinstance(joules, int | float) else NOT_MEASURED,
        "covers": known.get("covers") or ABSENT,
        "method": known.get("method") or ABSENT,
    }


def _text(value: Json) -> str:
    if value is None:
        return ABSENT
    return amount(value) if isinstance(value, float) else str(value)


def _of_tables(frame: Frame) -> str:
    looked_up = [track.id for track in frame.tracks if tabular(track) and not track.record.skipped]
    return f" What the trainings behind the tables of {', '.join(looked_up)} used is unknown." if looked_up else ""
