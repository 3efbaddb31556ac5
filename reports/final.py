"""Tabulate what each method reaches at the full budget, against the other methods and against the whole space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from harness.core.canonical import Json
from harness.core.records import Table
from reports.analysis import SEPARATED, Pair, TrackAnalysis, node_of, plan_of, random_search_cell
from reports.curves import Step, area
from reports.frame import Cell, Frame, TrackFrame
from reports.stats import Summary, gap_closed, relative_improvement, summarise
from reports.wording import (
    ABSENT,
    INTERVALS,
    NOT_AVAILABLE,
    amount,
    budget_unit,
    interval,
    interval_name,
    number,
    probability,
    quartiles,
    reference,
    runs_of,
    scale,
    signed,
    spread,
)

AREA_FROM = 0.01
"""The share of the budget from which the area under a curve is taken; fixed, so that no other row can move it."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of the final table: its texts, and its facts per metric for the CSV."""

    cells: tuple[str, ...]
    data: tuple[Mapping[str, Json], ...]


def final_table(analysis: TrackAnalysis) -> Table:
    """Return methods x final metrics at the full budget, with the exact references of the space."""
    track = analysis.track
    rows: list[_Row] = []
    strong: set[int] = set()
    for cell in track.base:
        if cell.key in analysis.leaders:
            strong.add(len(rows))
        rows.append(_method_row(analysis, cell))
        if cell is random_search_cell(track.base):
            rows += _expectation_row(track)
    rows += [row for row in (_sampling_row(track), _optimum_row(track)) if row]
    return Table(
        name=f"final-{track.id}",
        title=f"Final performance on {track.id} at {amount(track.limit)} {budget_unit(track)}",
        columns=("method", "n", *(f"{metric}{_in_unit(track, metric)}" for metric in track.metrics)),
        rows=tuple(row.cells for row in rows),
        note=_final_note(analysis),
        data=tuple(line for row in rows for line in row.data),
        strong=frozenset(strong),
    )


def _in_unit(track: TrackFrame, metric: str) -> str:
    unit = scale(track, metric).unit
    return f", {unit}" if unit else ""


def _final_note(analysis: TrackAnalysis) -> str:
    track = analysis.track
    rule = "recommended by the method" if track.plan["selection"]["rule"] == "recommended" else "best validated"
    shown = (
        f"The architecture {rule} at or before the budget, chosen on {track.plan['objective']['metric']} alone and "
        f"shown at its sealed metrics ({track.plan['splits']['final']}); mean ± sd [interval] over n independent runs."
    )
    exact = "References are exact: random sampling is one uniform draw (its ± is the spread over the whole space)."
    parts = [shown, INTERVALS, exact] if track.record.references else [shown, INTERVALS]
    parts += [f"{metric}: {NOT_AVAILABLE} ({reason})." for metric, reason in sorted(track.record.unavailable.items())]
    parts.append(_strong_note(analysis))
    return " ".join(parts)


def _strong_note(analysis: TrackAnalysis) -> str:
    if analysis.track.descriptive:
        return "This track is descriptive: too few replicates to test anything, so nothing is emphasised."
    if not analysis.leaders:
        return "No test separates any method from the best mean, so nothing is emphasised."
    return (
        "Emphasised: the methods that no test separates from the best mean of the first metric (see the comparisons)."
    )


def _method_row(analysis: TrackAnalysis, cell: Cell) -> _Row:
    track = analysis.track
    planned = len(cell.traces)
    found = [analysis.summaries[cell.key, index] for index in range(len(track.metrics))]
    texts = [_shown(track, cell, metric, summary) for metric, summary in zip(track.metrics, found, strict=True)]
    data = tuple(
        {"row": cell.label, "kind": "method", "metric": metric, "n": summary.n, "planned": planned, **facts(summary)}
        for metric, summary in zip(track.metrics, found, strict=True)
    )
    return _Row((cell.label, runs_of(found[0].n, planned), *texts), data)


def _shown(track: TrackFrame, cell: Cell, metric: str, summary: Summary) -> str:
    if metric in track.record.unavailable:
        return NOT_AVAILABLE
    states = {trace.status for trace in cell.traces}
    if summary.n == 0 and len(states) == 1 and states != {"done"}:
        return states.pop()
    return spread(summary, scale(track, metric).digits)


def facts(summary: Summary) -> dict[str, Json]:
    """Return a summary as columns of a CSV."""
    return {
        "mean": summary.mean,
        "sd": summary.sd,
        "low": summary.low,
        "high": summary.high,
        "interval": interval_name(summary.method),
        "median": summary.median,
        "first_quartile": summary.quartiles[0],
        "third_quartile": summary.quartiles[1],
    }


def _reference_row(
    track: TrackFrame, label: str, values: Mapping[str, tuple[float, float | None]], size: str = ABSENT
) -> _Row:
    cells, data = [], []
    for metric in track.metrics:
        digits = scale(track, metric).digits
        mean, sd = values.get(metric, (None, None))
        missing = NOT_AVAILABLE if metric in track.record.unavailable else ABSENT
        text = missing if mean is None else number(mean, digits)
        cells.append(text if sd is None else f"{text} ± {number(sd, digits)}")
        data.append({"row": label, "kind": "reference", "metric": metric, "mean": mean, "sd": sd, "interval": "exact"})
    return _Row((label, size, *cells), tuple(data))


def _sampling_row(track: TrackFrame) -> _Row | None:
    facts_of = {
        metric: (mean, reference(track, "random_sampling", metric, "std"))
        for metric in track.metrics
        if (mean := reference(track, "random_sampling", metric, "mean")) is not None
    }
    sizes = {reference(track, "random_sampling", metric, "n") for metric in facts_of}
    size = next(iter(sizes), None)
    label = f"random sampling (exact over {size:,.0f} architectures)" if size else "random sampling (exact)"
    return _reference_row(track, label, facts_of) if facts_of else None


def _optimum_row(track: TrackFrame) -> _Row | None:
    found = {
        metric: (value, None)
        for metric in track.metrics
        if (value := reference(track, "optimum", metric, "value")) is not None
    }
    return _reference_row(track, "optimum of the space", found) if found else None


def expected_random_search(track: TrackFrame) -> tuple[str, float, str] | None:
    """Return (metric, expectation at the full budget, how it was computed), or None where it is not known."""
    known = track.record.references.get("random_search")
    if not isinstance(known, dict) or not isinstance(known.get("expected"), int | float):
        return None
    return str(known["metric"]), float(known["expected"]), str(known.get("basis", ""))


def _expectation_row(track: TrackFrame) -> list[_Row]:
    expected = expected_random_search(track)
    if expected is None or expected[0] not in track.metrics:
        return []
    return [_reference_row(track, "random search, exact expectation", {expected[0]: (expected[1], None)})]


def comparison_table(frame: Frame, analysis: TrackAnalysis) -> Table | None:
    """Return all pairs of methods on the primary metric with effect sizes; None where the plan tests nothing."""
    if not analysis.pairs:
        return None
    track, plan = analysis.track, plan_of(frame)
    reading = scale(track, track.metrics[0])
    test = "Mann-Whitney U" if plan["tests"] == "mann-whitney" else "Wilcoxon signed-rank, paired by replicate, Pratt"
    ends = "Welch's t" if plan["tests"] == "mann-whitney" else "of the paired differences"
    correction = f"Holm over the {len(analysis.pairs)} pairs of this track" if plan["correction"] == "holm" else "none"
    return Table(
        name=f"comparisons-{track.id}",
        title=f"Pairwise comparisons on {track.id}, {track.metrics[0]}",
        columns=(
            "pair",
            "n",
            f"difference, {reading.points}",
            "95 % interval",
            "Cliff's delta",
            "p",
            "p adjusted",
            "verdict",
        ),
        rows=tuple(_pair_row(pair, reading.digits) for pair in analysis.pairs),
        note=(
            f"Difference of means, first minus second; interval: {ends}. Two-sided {test}; correction: {correction}; "
            f"alpha {plan['alpha']:g}. A pair whose smallest attainable p-value cannot pass is not tested. "
            "Cliff's delta: +1 where every run of the first is larger, 0 where neither tends to be."
        ),
        data=tuple(_pair_data(pair) for pair in analysis.pairs),
    )


def _pair_row(pair: Pair, digits: int) -> tuple[str, ...]:
    outcome = pair.outcome
    return (
        f"{pair.first.label} vs {pair.second.label}",
        f"{pair.sizes[0]} / {pair.sizes[1]}",
        signed(outcome.difference, digits),
        interval(outcome.low, outcome.high, digits),
        signed(outcome.delta),
        probability(outcome.p),
        probability(pair.adjusted),
        pair.verdict,
    )


def _pair_data(pair: Pair) -> Mapping[str, Json]:
    outcome = pair.outcome
    return {
        "first": pair.first.label,
        "second": pair.second.label,
        "n_first": pair.sizes[0],
        "n_second": pair.sizes[1],
        "difference": outcome.difference,
        "low": outcome.low,
        "high": outcome.high,
        "cliffs_delta": outcome.delta,
        "p": outcome.p,
        "p_adjusted": pair.adjusted,
        "smallest_attainable_p": outcome.attainable,
        "separated": pair.verdict == SEPARATED,
        "verdict": pair.verdict,
    }


def space_table(frame: Frame, analysis: TrackAnalysis) -> Table | None:
    """Return each method against random sampling and the optimum; None where the space's optimum is unknown."""
    track = analysis.track
    metric = track.metrics[0]
    best, sampling = reference(track, "optimum", metric, "value"), reference(track, "random_sampling", metric, "mean")
    cells = [cell for cell in track.cells if analysis.primary(cell).n]
    if best is None or sampling is None or not cells:
        return None
    reading = scale(track, metric)
    lines = [_space_line(frame, analysis, cell, best, sampling) for cell in cells]
    return Table(
        name=f"space-{track.id}",
        title=f"Against the whole space of {track.id}, {metric}",
        columns=(
            "method",
            "n",
            f"regret, {reading.points}: median [quartiles]",
            f"area under the regret curve, {reading.points}: mean ± sd [interval]",
            "gap closed, %",
            "relative improvement over random sampling, %",
        ),
        rows=tuple(text for text, _ in lines),
        note=(
            f"Regret is the distance to the optimum of the space ({number(best, reading.digits)}). The area is the "
            f"mean regret of the incumbent over log10(budget) from {amount(track.limit * AREA_FROM)} to "
            f"{amount(track.limit)} {budget_unit(track)}, exact sums over the steps; before its first incumbent a run "
            "counts as random sampling. Lower is better in both. Gap closed: 0 is "
            "random sampling, 100 the optimum. Relative improvement as in Yang et al. (2020), with the exact mean of "
            f"the space. {INTERVALS}"
        ),
        data=tuple(data for _, data in lines),
    )


def _space_line(
    frame: Frame, analysis: TrackAnalysis, cell: Cell, best: float, sampling: float
) -> tuple[tuple[str, ...], Mapping[str, Json]]:
    track = analysis.track
    reading = scale(track, track.metrics[0])
    regret = regret_of(analysis.primary(cell), best, higher=reading.higher)
    areas = summarise(_areas(track, cell, best, sampling), node_of(frame, *cell.key, "area"))
    mean = analysis.primary(cell).mean
    closed = gap_closed(mean, sampling, best)
    improvement = relative_improvement(mean, sampling) * (1 if reading.higher else -1)
    text = (
        cell.label,
        runs_of(regret.n, len(cell.traces)),
        quartiles(regret, reading.digits),
        spread(areas, reading.digits),
        number(closed, 1),
        signed(improvement),
    )
    data: dict[str, Json] = {"row": cell.label, "n": regret.n, "planned": len(cell.traces)}
    data |= {f"regret_{name}": value for name, value in facts(regret).items()}
    data |= {f"area_{name}": value for name, value in facts(areas).items()}
    return text, data | {"gap_closed": closed, "relative_improvement": improvement}


def regret_of(summary: Summary, best: float, *, higher: bool) -> Summary:
    """Return the summary of the regrets of a summarised sample: shifted, and mirrored where more is better."""
    if not higher:
        ends = summary.low - best, summary.high - best
        first, third = (quartile - best for quartile in summary.quartiles)
    else:
        ends = best - summary.high, best - summary.low
        third, first = (best - quartile for quartile in summary.quartiles)
    sign = -1 if higher else 1
    mean, median = sign * (summary.mean - best), sign * (summary.median - best)
    return replace(summary, mean=mean, low=ends[0], high=ends[1], median=median, quartiles=(first, third))


def regrets(values: np.ndarray, best: float, *, higher: bool) -> np.ndarray:
    """Return the distance of values to the optimum, positive where they fall short of it."""
    return best - values if higher else values - best


def _areas(track: TrackFrame, cell: Cell, best: float, sampling: float) -> np.ndarray:
    """Return each run's area; before its first incumbent a run counts as random sampling."""
    higher = scale(track, track.metrics[0]).higher
    steps = [trace.step(0) for trace in cell.valued]
    whole = [Step(np.append(0.0, step.at), np.append(sampling, step.values)) for step in steps]
    heights = np.array([area(step, track.limit * AREA_FROM, track.limit) for step in whole])
    return regrets(heights[np.isfinite(heights)], best, higher=higher)
