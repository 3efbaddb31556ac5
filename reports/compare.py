"""Set two studies side by side: what differs between their results, and what differs between their settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import isfinite

from harness.core.canonical import Json
from harness.core.records import Document, Figure, Section, Series, StudyRecord, Table
from reports.analysis import plan_of
from reports.beside import IDENTICAL, INDEPENDENT, MIXED, PAIRED, Beside, beside
from reports.final import facts
from reports.frame import Frame, TrackFrame, read
from reports.likeness import common_tracks, differing_machines, differing_settings
from reports.render import COMPARISON
from reports.reproduction import SMALLEST_SAMPLE
from reports.setting import journals_hash
from reports.wording import ABSENT, INTERVALS, interval, listed, number, probability, runs_of, scale, signed, spread

_VERDICTS = (IDENTICAL, "equivalent", "different", "inconclusive")
_DESIGNS = {
    PAIRED: "The runs are paired by seed on {tracks}: the studies share protocol name, root and seeds, so that runs "
    "with one seed met the same noise.",
    INDEPENDENT: "The runs are independent samples on {tracks}: no seed is shared.",
    MIXED: "Nothing is tested on {tracks}: the studies share some seeds and not others, so that their runs are neither "
    "pairs nor independent. The intervals there are those of independent samples.",
}
_ELSEWHERE = "not in the other study, or skipped there"
_LIMITS = (
    "- The verdicts speak about the methods as each study ran them, whatever differs between the two: read the "
    "settings before naming a cause.\n"
    "- Equivalent does not say identical, and inconclusive does not say equal.\n"
    "- Only complete runs enter; no value is put in the place of one that lacks."
)


def build(first: StudyRecord, second: StudyRecord, names: tuple[str, str]) -> Document:
    """Return two studies side by side, a pure function of their records and of the names they go by.

    Raises:
        UsageError: they differ in benchmark, budget, fidelity, metrics or analysis; the fields are named.
    """
    frames = read(first), read(second)
    tracks = common_tracks(*frames, names)
    rows = beside(*frames, tracks)
    figures = tuple(figure for pair in tracks for figure in _figure(frames[0], pair[0], rows, names))
    sections = (
        Section("Result", _result(rows, tracks)),
        Section("Differences", _designs(rows), (_table(frames[0], rows, names),), figures),
        Section("Settings", _left_out(frames, tracks, names), tuple(_settings(frames, names))),
        Section("Limits of this comparison", _LIMITS),
    )
    return Document(COMPARISON, f"{names[0]} and {names[1]}, side by side", sections)


def _result(rows: Sequence[Beside], tracks: Sequence[tuple[TrackFrame, TrackFrame]]) -> str:
    primary = [row for row in rows if row.metric == row.track.metrics[0]]
    counts = Counter(row.verdict.partition(":")[0] for row in primary)
    said = [f"{counts[verdict]} {verdict}" for verdict in (*_VERDICTS, "not tested") if counts[verdict]]
    different = [f"{row.label} on {row.track.id} ({_change(row)})" for row in primary if row.verdict == "different"]
    return (
        f"Of {len(primary)} rows on {listed(pair[0].id for pair in tracks)}, on the first metric of each track: "
        f"{listed(said)}. " + (f"Different: {listed(different)}." if different else "No row is shown to differ.")
    )


def _change(row: Beside) -> str:
    reading = scale(row.track, row.metric)
    return f"{signed(row.difference, reading.digits)} {reading.points} {interval(row.low, row.high, reading.digits)}"


def _designs(rows: Sequence[Beside]) -> str:
    found = {design: dict.fromkeys(row.track.id for row in rows if row.design == design) for design in _DESIGNS}
    return " ".join(text.format(tracks=listed(found[design])) for design, text in _DESIGNS.items() if found[design])


def _table(frame: Frame, rows: Sequence[Beside], names: tuple[str, str]) -> Table:
    plan = plan_of(frame)
    columns = (
        "track",
        "method",
        "metric",
        "n",
        names[0],
        names[1],
        "difference",
        "95 % interval",
        "Cliff's delta",
        "p (equivalence)",
        "p (difference)",
        "verdict",
    )
    family = f"{plan['correction'].capitalize()} over all tested rows" if plan["correction"] != "none" else "none"
    note = (
        f"mean ± sd [interval] over n independent runs. {INTERVALS} Difference: {names[1]} minus {names[0]}, in points "
        "or in the unit of the metric; its interval is Welch's t of two samples, or that of the mean of the pairs. "
        f"Equivalence: two one-sided t tests, margin {plan['equivalence_margin']:g}, alpha {plan['alpha']:g}. "
        f"Difference: two-sided t test; correction: {family}. Both are Welch's for independent samples, paired for "
        f"pairs; nothing is tested below {SMALLEST_SAMPLE} runs. Identical: the two runs of every pair end in the same "
        f"value. Cliff's delta: +1 where every run of {names[1]} is larger."
    )
    data = tuple(_data(row) for row in rows)
    return Table(COMPARISON, "Method by method", columns, tuple(_cells(row) for row in rows), note, data)


def _cells(row: Beside) -> tuple[str, ...]:
    digits = scale(row.track, row.metric).digits
    return (
        row.track.id,
        row.label,
        row.metric,
        " / ".join(runs_of(one.n, planned) for one, planned in zip(row.samples, row.planned, strict=True)),
        *(spread(sample, digits) for sample in row.samples),
        signed(row.difference, digits),
        interval(row.low, row.high, digits),
        signed(row.delta),
        probability(row.p_equivalence),
        probability(row.p_difference),
        row.verdict,
    )


def _data(row: Beside) -> dict[str, Json]:
    track, method, variant = row.key
    sides = {
        f"{side}_{name}": value
        for side, sample, planned in zip(("first", "second"), row.samples, row.planned, strict=True)
        for name, value in {"n": sample.n, "planned": planned, **facts(sample)}.items()
    }
    return {
        "track": track,
        "method": method,
        "variant": variant,
        "metric": row.metric,
        "design": row.design,
        **sides,
        "difference": row.difference,
        "low": row.low,
        "high": row.high,
        "cliffs_delta": row.delta,
        "p_equivalence": row.p_equivalence,
        "p_difference_adjusted": row.p_difference,
        "verdict": row.verdict,
    }


def _figure(frame: Frame, track: TrackFrame, rows: Sequence[Beside], names: tuple[str, str]) -> Iterator[Figure]:
    """Yield the differences on the first metric of a track with their intervals, against the margin."""
    shown = [row for row in rows if row.track is track and row.metric == track.metrics[0] and isfinite(row.difference)]
    if not shown:
        return
    places = tuple(float(place) for place in range(len(shown)))
    middle = tuple(row.difference for row in shown)
    low, high = (
        tuple(getattr(row, end) if isfinite(getattr(row, end)) else row.difference for row in shown)
        for end in ("low", "high")
    )
    margin, reading = plan_of(frame)["equivalence_margin"], scale(track, track.metrics[0])
    yield Figure(
        name=f"differences-{track.id}",
        title=f"Differences on {track.id}",
        x_label="method",
        y_label=f"{names[1]} minus {names[0]}, in {reading.points}\n{track.metrics[0]}",
        series=(Series("difference of means", places, middle, low, high, style="points"),),
        note=(
            "Point: difference of means; whiskers: its 95 % interval, none where all pairs differ by the same. Dashed: "
            f"no difference, and the margin of equivalence ({margin:g})."
        ),
        x_log="linear",
        lines={"no difference": 0.0, "margin, above": margin, "margin, below": -margin},
        names={row.label: place for row, place in zip(shown, places, strict=True)},
    )


def _left_out(
    frames: tuple[Frame, Frame], tracks: Sequence[tuple[TrackFrame, TrackFrame]], names: Sequence[str]
) -> str:
    common = {pair[0].id for pair in tracks}
    lines = [
        f"Not compared, of {name}: track {track.id} ({track.record.skipped or _ELSEWHERE})."
        for frame, name in zip(frames, names, strict=True)
        for track in frame.tracks
        if track.id not in common
    ]
    return " ".join(lines) or "Every track of both studies is compared."


def _settings(frames: tuple[Frame, Frame], names: tuple[str, str]) -> Iterator[Table]:
    columns = ("item", *names)
    described = [_identity(frame) for frame in frames]
    identity = tuple((item, described[0][item], described[1][item]) for item in described[0])
    yield _side_by_side("compare-studies", "The studies", columns, identity, "")
    protocols = tuple(differing_settings(*frames))
    yield _side_by_side(
        "compare-protocols", "Fields of the protocols that differ", columns, protocols, _none_differ(protocols)
    )
    machines = tuple(differing_machines(*frames))
    yield _side_by_side(
        "compare-machines", "Machines and software that differ", columns, machines, _none_differ(machines)
    )


def _none_differ(rows: Sequence[tuple[str, ...]]) -> str:
    return "" if rows else "Nothing differs."


def _side_by_side(
    name: str, title: str, columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...], note: str
) -> Table:
    data: tuple[dict[str, Json], ...] = tuple(
        {"item": item, "first": one, "second": other} for item, one, other in rows
    )
    return Table(name, title, columns if rows else (), rows, note, data)


def _identity(frame: Frame) -> dict[str, str]:
    protocol = frame.study.protocol
    traces = [trace for track in frame.tracks for cell in track.cells for trace in cell.traces]
    return {
        "protocol": f"{protocol['protocol']} {protocol['version']}",
        "protocol hash": frame.study.protocol_hash,
        "journals, SHA-256": journals_hash(frame),
        "complete runs": runs_of(sum(1 for trace in traces if trace.status == "done"), len(traces)),
        "environments": listed(name[:12] for name in frame.study.environments) or ABSENT,
        "seeds": "; ".join(f"{track.id}: {_seeds(track)}" for track in frame.tracks),
        "margin of equivalence": number(plan_of(frame)["equivalence_margin"]),
    }


def _seeds(track: TrackFrame) -> str:
    seeds = sorted({trace.spec.seed for cell in track.cells for trace in cell.traces})
    return f"{len(seeds)}, {seeds[0]} to {seeds[-1]}, root {track.plan['seeds']['root']}" if seeds else "none"
