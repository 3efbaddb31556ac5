"""Report a study: what was found, under which conditions, at which cost, and what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from math import isfinite, isnan
from typing import Any

from harness.core.records import Document, Section, StudyRecord, Table
from reports.ablation import ablation_table
from reports.accounts import run_rows, runs_table
from reports.analysis import SEPARATED, Pair, TrackAnalysis, analyse, plan_of, random_search_cell
from reports.anytime import anytime_figure
from reports.breakdown import breakdown_figure
from reports.comparisons import comparison_table
from reports.cost import cost_tables
from reports.distribution import distribution_figure
from reports.energy import segments_table
from reports.final import expected_random_search, final_table
from reports.frame import Cell, Frame, TrackFrame, read
from reports.further import across_section, further_sections
from reports.machines import machines_table
from reports.reproduction import Reproduction, reproduction_table, reproductions
from reports.seconds import seconds_table
from reports.setting import methods_table, study_table, tracks_table, tuning_table
from reports.space import space_table
from reports.wording import (
    NOT_AVAILABLE,
    amount,
    budget_unit,
    interval,
    interval_name,
    listed,
    number,
    p_equals,
    runs_of,
    scale,
    signed,
    tabular,
)

_COMPLETE_ONLY = (
    "Only complete runs enter tables and curves. No value is imputed for a run that is missing, failed or without a "
    "result; every n says how many of the planned runs stand behind a number."
)
_ABOUT_SEEDS = (
    "Intervals and tests speak about new seeds of the same method on the same benchmark, and about nothing else: not "
    "about other data sets, spaces or training recipes."
)
_SIMULATED = "Costs and results come from a benchmark table: nothing was trained, and seconds are simulated."
_HYBRID = (
    "Results come from a benchmark table: candidates alone were trained on this machine, and charged at the pace of "
    "the table; seconds are simulated."
)


def build(study: StudyRecord) -> Document:
    """Return the summary report of a study, a pure function of its records."""
    frame = read(study)
    analyses = {track.id: analyse(frame, track) for track in frame.tracks}
    found = reproductions(plan_of(frame), analyses)
    protocol: Mapping[str, Any] = study.protocol
    sections = [
        Section("Result", _result(frame, analyses, found)),
        Section(
            "Setup",
            str(protocol["description"]).strip(),
            tuple(table for table in _setup(frame) if table),
        ),
        *(_track_section(frame, analysis) for analysis in analyses.values()),
        *across_section(frame, analyses),
        *_reproduction_section(frame, found),
        _cost_section(frame),
        *further_sections(frame, analyses),
        Section("Limits of this report", _limits(frame)),
    ]
    title = protocol["title"] or protocol["protocol"]
    return Document("summary", f"{title} ({protocol['protocol']} {protocol['version']})", tuple(sections))


def _setup(frame: Frame) -> tuple[Table | None, ...]:
    about = (study_table(frame), tracks_table(frame), methods_table(frame))
    return (*about, tuning_table(frame), machines_table(frame))


def _cost_section(frame: Frame) -> Section:
    tables = (runs_table(frame), *cost_tables(frame), seconds_table(frame), segments_table(frame), run_rows(frame))
    figures = (breakdown_figure(track) for track in frame.tracks)
    return Section("Runs and cost", tables=tables, figures=tuple(figure for figure in figures if figure))


def _track_section(frame: Frame, analysis: TrackAnalysis) -> Section:
    track = analysis.track
    if track.record.skipped:
        return Section(f"Track {track.id}", f"Skipped: {track.record.skipped}", (final_table(analysis),))
    optional = (comparison_table(frame, analysis), space_table(frame, analysis), ablation_table(frame, analysis))
    tables: tuple[Table, ...] = (final_table(analysis), *(table for table in optional if table))
    figures = (anytime_figure(analysis), distribution_figure(analysis))
    return Section(f"Track {track.id}", _track_text(analysis), tables, tuple(figure for figure in figures if figure))


def _track_text(analysis: TrackAnalysis) -> str:
    track = analysis.track
    marks = []
    if track.descriptive:
        marks.append("Descriptive: the protocol declares too few replicates to test anything; nothing is tested.")
    if tabular(track):
        marks.append(_HYBRID if "local" in track.record.manifest else _SIMULATED)
    marks += _expectation_text(analysis)
    return " ".join(marks)


def _expectation_text(analysis: TrackAnalysis) -> Iterator[str]:
    track = analysis.track
    expected, cell = expected_random_search(track), random_search_cell(track.base)
    if expected is None or cell is None or expected[0] not in track.metrics:
        return
    metric, mean, basis = expected
    measured = analysis.summaries[cell.key, track.metrics.index(metric)]
    if not measured.n:
        return
    digits = scale(track, metric).digits + 1
    inside = "covers it" if measured.low <= mean <= measured.high else "does not cover it"
    yield (
        f"Calibration: random search measured {number(measured.mean, digits)} over {measured.n} runs; its exact "
        f"expectation is {number(mean, digits)}{f' ({basis})' if basis else ''}; "
        + (f"the 95 % interval of the measured mean {inside}." if isfinite(measured.low) else "there is no interval.")
    )


def _result(frame: Frame, analyses: Mapping[str, TrackAnalysis], found: list[Reproduction]) -> str:
    sentences = [_completeness(frame)]
    sentences += [_track_result(analysis) for analysis in analyses.values()]
    sentences += [_reproduction_result(entry) for entry in found if entry.outcome and entry.primary]
    sentences += [_reproduction_count(found)]
    return " ".join(sentence for sentence in sentences if sentence)


def _completeness(frame: Frame) -> str:
    cells = [cell for track in frame.tracks for cell in track.cells]
    planned = sum(len(cell.traces) for cell in cells)
    complete = sum(1 for cell in cells for trace in cell.traces if trace.status == "done")
    if complete == planned:
        return f"All {planned:,} planned runs are complete."
    lacking = [cell.label for cell in cells if any(trace.status != "done" for trace in cell.traces)]
    return f"{complete:,} of {planned:,} planned runs are complete; runs lack in {listed(dict.fromkeys(lacking))}."


def _track_result(analysis: TrackAnalysis) -> str:
    track = analysis.track
    if track.record.skipped:
        return f"Track {track.id} was skipped: {track.record.skipped}."
    cells = [cell for cell in track.base if analysis.primary(cell).n]
    metric = track.metrics[0]
    if not cells:
        reason = track.record.unavailable.get(metric)
        return (
            f"On {track.id} there is no result: {metric} is {NOT_AVAILABLE} ({reason})."
            if reason
            else (f"On {track.id} no run has a result yet.")
        )
    reached = listed(_reached(analysis, cell) for cell in cells)
    baseline = random_search_cell(cells) or cells[0]
    compared = [text for cell in cells if cell is not baseline for text in _against(analysis, cell, baseline)]
    note = "; descriptive, nothing tested" if track.descriptive else ""
    return f"On {track.id}, after {amount(track.limit)} {budget_unit(track)}, {metric} is {reached}{note}." + (
        f" {' '.join(compared)}" if compared else ""
    )


def _reached(analysis: TrackAnalysis, cell: Cell) -> str:
    summary, reading = analysis.primary(cell), scale(analysis.track, analysis.track.metrics[0])
    unit = f" {reading.unit}" if reading.unit else ""
    size = f"n = {runs_of(summary.n, len(cell.traces))}"
    ends = interval(summary.low, summary.high, reading.digits)
    known = f"95 % interval {ends}, {interval_name(summary.method)}, {size}" if isfinite(summary.low) else size
    return f"{number(summary.mean, reading.digits)}{unit} with {cell.label} ({known})"


def _against(analysis: TrackAnalysis, cell: Cell, baseline: Cell) -> Iterator[str]:
    pair = analysis.pair(cell, baseline)
    if pair is None:
        return
    sign = 1 if pair.first is cell else -1
    reading, outcome = scale(analysis.track, analysis.track.metrics[0]), pair.outcome
    ends = sorted((sign * outcome.low, sign * outcome.high))
    yield (
        f"{cell.label} against {baseline.label}: {signed(sign * outcome.difference, reading.digits)} {reading.points} "
        f"{interval(ends[0], ends[1], reading.digits)}, Cliff's delta {signed(sign * outcome.delta)}, {_verdict(pair)}."
    )


def _verdict(pair: Pair) -> str:
    if isnan(pair.adjusted):
        return pair.verdict
    return f"adjusted {p_equals(pair.adjusted)}{'' if pair.verdict == SEPARATED else ', ' + pair.verdict}"


def _reproduction_result(entry: Reproduction) -> str:
    assert entry.ours is not None
    assert entry.outcome is not None
    published, ours = entry.published, entry.ours
    digits = scale(entry.analysis.track, published["metric"]).digits
    return (
        f"Reproduction of {published['method']} on {published['metric']}: {number(ours.mean, digits)} ± "
        f"{number(ours.sd, digits)} (n = {ours.n}) here, {number(published['mean'], digits)} ± "
        f"{number(published['std'], digits)} (n = {published['n']}) published; {entry.verdict} "
        f"({p_equals(entry.outcome.p)})."
    )


def _reproduction_count(found: list[Reproduction]) -> str:
    if not found:
        return ""
    verdicts = Counter(entry.verdict.partition(":")[0] for entry in found)
    return f"Of {len(found)} published figures, {listed(f'{count} {name}' for name, count in verdicts.items())}."


def _reproduction_section(frame: Frame, found: list[Reproduction]) -> Iterator[Section]:
    table = reproduction_table(found, plan_of(frame))
    if table:
        yield Section("Reproduction of published figures", tables=(table,))


def _limits(frame: Frame) -> str:
    points = [
        _COMPLETE_ONLY,
        _ABOUT_SEEDS,
    ]
    simulated = [track.id for track in frame.tracks if tabular(track) and not track.record.skipped]
    if simulated:
        points.append(f"Costs are simulated on {listed(simulated)}: they are what the benchmark table recorded.")
    descriptive = [track.id for track in frame.tracks if track.descriptive]
    if descriptive:
        points.append(f"Nothing is tested on {listed(descriptive)}: too few replicates.")
    points += [_unavailable(track) for track in frame.tracks if track.record.unavailable]
    return "\n".join(f"- {point}" for point in points)


def _unavailable(track: TrackFrame) -> str:
    metrics = "; ".join(f"{metric} ({reason})" for metric, reason in sorted(track.record.unavailable.items()))
    return f"{NOT_AVAILABLE.capitalize()} on {track.id}: {metrics}."
