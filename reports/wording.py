"""Say numbers, units and sizes the same way in every table and figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from harness.core.canonical import Json
from reports.frame import TrackFrame
from reports.stats import BCA, BOOTSTRAP_FROM, CONSTANT, NONE, RESAMPLES, Summary, T

_HUNDRED = 100.0
NOT_AVAILABLE = "not available"
ABSENT = "-"
UNKNOWN = "unknown"

_BUDGET = {
    "train_seconds": ("training seconds", "s"),
    "epochs": ("training epochs", "epochs"),
    "multiply_adds": ("multiply-adds of training", "multiply-adds"),
    "evaluations": ("architectures evaluated", "evaluations"),
}
_SIMULATED = ("simulated (benchmark-table) GPU-seconds", "simulated GPU-seconds")

INTERVALS = (
    f"95 % intervals of the mean: Student's t below {BOOTSTRAP_FROM} runs, BCa bootstrap with {RESAMPLES:,} resamples "
    f"from {BOOTSTRAP_FROM} runs on (its generator is named by the table cell); sd has n - 1 in the denominator."
)


@dataclass(frozen=True, slots=True)
class Scale:
    """How a metric is read.

    Attributes:
        unit: '%' for accuracies and errors in percent, or an empty string.
        points: the unit of a difference of two values.
        higher: whether more is better.
        digits: decimals that are shown.
    """

    unit: str
    points: str
    higher: bool
    digits: int


def scale(track: TrackFrame, metric: str) -> Scale:
    """Return how to read a metric of a track.

    The direction is the one in which the benchmark's own optimum lies from random sampling; where the benchmark
    knows no optimum of this metric, the direction of the track's objective.
    """
    percent = is_percent(metric)
    optimum, sampling = (
        reference(track, "optimum", metric, "value"),
        reference(track, "random_sampling", metric, "mean"),
    )
    higher = bool(track.plan["objective"]["direction"] == "maximize")
    if optimum is not None and sampling is not None and optimum != sampling:
        higher = optimum > sampling
    return Scale("%", "points", higher, 2) if percent else Scale("", "units of the metric", higher, 4)


def is_percent(metric: str) -> bool:
    """Tell whether a qualified name is that of an accuracy, which benchmarks give in %: `data/split@...`."""
    split = metric.rpartition("/")[2].partition("@")[0]
    return split in {"train", "valid", "test", "valid+test"}


def reference(track: TrackFrame, kind: str, metric: str, field: str) -> float | None:
    """Return an exact fact of the space, or None where the benchmark knows none."""
    facts = track.record.references.get(kind)
    known = facts.get(metric) if isinstance(facts, dict) else None
    value = known.get(field) if isinstance(known, dict) else None
    return float(value) if isinstance(value, int | float) else None


def tabular(track: TrackFrame) -> bool:
    """Tell whether the track's results are looked up in a table, so that its costs are simulated."""
    return looked_up(track.record.manifest)


def looked_up(manifest: Mapping[str, Json]) -> bool:
    """Tell whether the results of a benchmark are looked up in a table."""
    return manifest.get("kind") == "tabular"


def trains_hull(plan: Mapping[str, Any]) -> bool:
    """Tell whether a track trains not only what is recommended finally, but the hull of each run."""
    return bool(plan["final"].get("models") == "hull")


def budget_axis(track: TrackFrame) -> str:
    """Return the label of a budget axis, saying what is simulated."""
    unit = track.plan["budget"]["unit"]
    if not tabular(track):
        return _BUDGET[unit][0]
    return _SIMULATED[0] if unit == "train_seconds" else f"{_BUDGET[unit][0]} (simulated from the benchmark table)"


def budget_unit(track: TrackFrame) -> str:
    """Return the short unit of the budget."""
    unit = track.plan["budget"]["unit"]
    return _SIMULATED[1] if unit == "train_seconds" and tabular(track) else _BUDGET[unit][1]


def cost_unit(track: TrackFrame, unit: str) -> str:
    """Return the short name of any unit of cost on a track, saying what is simulated."""
    return unit_name(unit, simulated=tabular(track))


def unit_name(unit: str, *, simulated: bool) -> str:
    """Return the short name of a unit of cost."""
    if not simulated:
        return _BUDGET[unit][1]
    return _SIMULATED[1] if unit == "train_seconds" else f"simulated {_BUDGET[unit][1]}"


def amount(value: float) -> str:
    """Return a budget or cost with three significant digits or more, and thousands separators."""
    if not isfinite(value):
        return ABSENT
    size = abs(value)
    if size >= 1000 or value == int(value):  # noqa: PLR2004 - digits shown
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.3g}"  # noqa: PLR2004 - digits shown


def number(value: float, digits: int = 2) -> str:
    """Return a rounded number, or a dash where there is none; a rounded zero carries no sign."""
    if not isfinite(value):
        return ABSENT
    return f"{value + 0.0:.{digits}f}".replace("-0." + "0" * digits, "0." + "0" * digits)


def signed(value: float, digits: int = 2) -> str:
    """Return a difference with its sign."""
    return f"{value:+.{digits}f}" if isfinite(value) else ABSENT


def probability(p: float) -> str:
    """Return a p-value: two significant digits, four decimals at most, never '0'."""
    if not isfinite(p):
        return ABSENT
    return "< 0.0001" if p < 0.0001 else f"{p:.2g}" if p >= 0.001 else f"{p:.4f}"  # noqa: PLR2004 - digits shown


def p_equals(p: float) -> str:
    """Return 'p = 0.012' or 'p < 0.0001', for running text."""
    shown = probability(p)
    return f"p {shown}" if shown.startswith("<") else f"p = {shown}"


def interval(low: float, high: float, digits: int = 2) -> str:
    """Return an interval in brackets, or a dash where there is none."""
    return f"[{number(low, digits)}, {number(high, digits)}]" if isfinite(low) and isfinite(high) else ABSENT


def spread(summary: Summary, digits: int = 2) -> str:
    """Return 'mean ± sd [low, high]' of a sample, as much of it as there is."""
    if summary.n == 0:
        return ABSENT
    if summary.n == 1:
        return f"{number(summary.mean, digits)} (one run)"
    known = isfinite(summary.low) and isfinite(summary.high)
    ends = interval(summary.low, summary.high, digits) if known else "(all runs equal)"
    return f"{number(summary.mean, digits)} ± {number(summary.sd, digits)} {ends}"


def beyond_bounds(found: Iterable[tuple[Summary, Scale]]) -> list[str]:
    """Return the sentence that a table needs where an interval of a percentage leaves 0 to 100, or nothing."""
    passes = any(reading.unit == "%" and (summary.low < 0 or summary.high > _HUNDRED) for summary, reading in found)
    return ["Intervals here pass the bounds of a percentage: Student's t knows none."] if passes else []


def quartiles(summary: Summary, digits: int = 2) -> str:
    """Return 'median [first quartile, third quartile]'."""
    if summary.n == 0:
        return ABSENT
    return f"{number(summary.median, digits)} {interval(*summary.quartiles, digits)}"


def runs_of(n: int, planned: int) -> str:
    """Return '30', or '29 of 30' where runs lack."""
    return str(n) if n == planned else f"{n} of {planned}"


def interval_name(method: str) -> str:
    """Return how an interval was made, in words."""
    names = {
        T: "Student's t",
        BCA: f"BCa bootstrap, {RESAMPLES:,} resamples",
        CONSTANT: "none, all runs equal",
        NONE: "none",
    }
    return names[method]


def listed(items: Iterable[str]) -> str:
    """Return 'a, b and c'."""
    words = list(items)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""
