"""Hold the study's figures against published ones, and say whether they agree within a margin fixed beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.core.canonical import Json
from harness.core.records import Table
from reports.analysis import TrackAnalysis
from reports.frame import Cell
from reports.stats import Equivalence, Moments, Summary, equivalence
from reports.wording import ABSENT, number, probability, scale, signed

SMALLEST_SAMPLE = 10
"""Below this many runs on either side an equivalence test is not made: its interval would be wider than any claim."""


@dataclass(frozen=True, slots=True)
class Reproduction:
    """One published figure beside ours.

    Attributes:
        published: the entry of the analysis plan.
        analysis: the track it belongs to.
        ours: the same cell of this study, or None where it has none.
        outcome: the equivalence test, or None where it was not made.
        verdict: 'equivalent', 'different', 'inconclusive', or 'not tested' with the reason.
    """

    published: Mapping[str, Any]
    analysis: TrackAnalysis
    ours: Summary | None
    outcome: Equivalence | None
    verdict: str

    @property
    def primary(self) -> bool:
        """Tell whether this is about the track's primary metric."""
        return bool(self.published["metric"] == self.analysis.track.metrics[0])


def reproductions(plan: Mapping[str, Any], analyses: Mapping[str, TrackAnalysis]) -> list[Reproduction]:
    """Return every published figure of the analysis plan beside ours, in the order of the plan."""
    return [_reproduction(entry, analyses[entry["track"]], plan) for entry in plan["published"]]


def _reproduction(entry: Mapping[str, Any], analysis: TrackAnalysis, plan: Mapping[str, Any]) -> Reproduction:
    ours = _ours(entry, analysis)
    obstacle = _obstacle(entry, analysis, ours)
    if obstacle or ours is None:
        return Reproduction(entry, analysis, ours, None, f"not tested: {obstacle}")
    theirs = Moments(entry["mean"], entry["std"], entry["n"])
    mine = Moments(ours.mean, ours.sd, ours.n)
    outcome = equivalence(mine, theirs, plan["equivalence_margin"], plan["alpha"])
    return Reproduction(entry, analysis, ours, outcome, outcome.verdict)


def _ours(entry: Mapping[str, Any], analysis: TrackAnalysis) -> Summary | None:
    cell = _cell(entry, analysis)
    metrics = analysis.track.metrics
    if cell is None or entry["metric"] not in metrics:
        return None
    return analysis.summaries[cell.key, metrics.index(entry["metric"])]


def _cell(entry: Mapping[str, Any], analysis: TrackAnalysis) -> Cell | None:
    return next((cell for cell in analysis.track.base if cell.key[1] == entry["method"]), None)


def _obstacle(entry: Mapping[str, Any], analysis: TrackAnalysis, ours: Summary | None) -> str:
    """Return why the test cannot be made, or an empty string."""
    track = analysis.track
    if entry["metric"] in track.record.unavailable:
        return track.record.unavailable[entry["metric"]]
    if ours is None:
        known = entry["metric"] in track.metrics
        return "this study has no such method on this track" if known else "not a final metric of this track"
    if ours.n == 0:
        return "no complete run"
    if track.descriptive:
        return "the track is descriptive"
    return _too_few(entry["n"], ours.n)


def _too_few(theirs: int | None, ours: int) -> str:
    if theirs is None:
        return "how many runs are behind the published figure is not known"
    return f"fewer than {SMALLEST_SAMPLE} runs" if min(ours, theirs) < SMALLEST_SAMPLE else ""


def reproduction_table(found: list[Reproduction], plan: Mapping[str, Any]) -> Table | None:
    """Return ours, published, difference and verdict; None where the plan names no published figure."""
    if not found:
        return None
    margin = plan["equivalence_margin"]
    return Table(
        name="reproduction",
        title="Reproduction of published figures",
        columns=(
            "track",
            "method",
            "metric",
            "ours",
            "n, ours",
            "published",
            "n, published",
            "difference",
            "p (equivalence)",
            "verdict",
            "source",
        ),
        rows=tuple(_row(entry) for entry in found),
        note=(
            f"mean ± sd over independent runs; difference ours minus published. Two one-sided Welch tests on the "
            f"summary statistics, margin {margin:g} in the unit of the metric, alpha {plan['alpha']:g}, not corrected "
            "for several rows. Equivalent: shown to differ by less than the margin. Different: not shown so, and shown "
            "to differ. Inconclusive: neither. Published figures are for comparison only; 'secondary' was read in "
            "another paper that quotes it, 'recalled' was not found again in print."
        ),
        data=tuple(_data(entry, margin) for entry in found),
    )


def _row(entry: Reproduction) -> tuple[str, ...]:
    published, ours, outcome = entry.published, entry.ours, entry.outcome
    digits = scale(entry.analysis.track, published["metric"]).digits
    shown = ours is not None and ours.n > 0
    return (
        published["track"],
        published["method"],
        published["metric"],
        f"{number(ours.mean, digits)} ± {number(ours.sd, digits)}" if ours and shown else ABSENT,
        str(ours.n) if ours else ABSENT,
        f"{number(published['mean'], digits)} ± {number(published['std'], digits)}",
        ABSENT if published["n"] is None else str(published["n"]),
        signed(ours.mean - published["mean"], digits) if ours and shown else ABSENT,
        probability(outcome.p) if outcome else ABSENT,
        entry.verdict,
        f"{published['source']} ({published['provenance']})",
    )


def _data(entry: Reproduction, margin: float) -> Mapping[str, Json]:
    published, ours, outcome = entry.published, entry.ours, entry.outcome
    return {
        "track": published["track"],
        "method": published["method"],
        "metric": published["metric"],
        "mean": ours.mean if ours else None,
        "sd": ours.sd if ours else None,
        "n": ours.n if ours else None,
        "published_mean": published["mean"],
        "published_sd": published["std"],
        "published_n": published["n"],
        "difference": ours.mean - published["mean"] if ours else None,
        "margin": margin,
        "p_equivalence": outcome.p if outcome else None,
        "p_difference": outcome.p_difference if outcome else None,
        "verdict": entry.verdict,
        "source": published["source"],
        "provenance": published["provenance"],
    }
