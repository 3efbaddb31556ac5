"""Compare the methods of a track pair by pair, with effect sizes before p-values."""

from __future__ import annotations

from collections.abc import Mapping

from harness.core.canonical import Json
from harness.core.records import Table
from reports.analysis import SEPARATED, Pair, TrackAnalysis, plan_of
from reports.frame import Frame
from reports.wording import interval, number, probability, scale, signed


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
            "P(first better) [95 % interval]",
            "p",
            "p adjusted",
            "verdict",
        ),
        rows=tuple(_pair_row(pair, reading.digits) for pair in analysis.pairs),
        note=(
            f"Difference of means, first minus second; interval: {ends}. Two-sided {test}; correction: {correction}; "
            f"alpha {plan['alpha']:g}. A pair whose smallest attainable p-value cannot pass is not tested. "
            "Cliff's delta: +1 where every run of the first is larger, 0 where neither tends to be. P(first better): "
            "of one run each, equal ones counted as half; interval of Newcombe (2006, method 5)."
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
        f"{number(pair.better.value)} {interval(pair.better.low, pair.better.high)}",
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
        "p_first_better": pair.better.value,
        "p_first_better_low": pair.better.low,
        "p_first_better_high": pair.better.high,
        "p": outcome.p,
        "p_adjusted": pair.adjusted,
        "smallest_attainable_p": outcome.attainable,
        "separated": pair.verdict == SEPARATED,
        "verdict": pair.verdict,
    }
