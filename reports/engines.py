"""Report whether an engine trains as the reference does: the same accuracies on average, the same ranking of cells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import nan

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from harness.core.canonical import Json
from harness.core.records import Document, Section, Table
from harness.core.seeds import SeedTree
from reports.stats import mean_interval
from reports.wording import INTERVALS, interval, number, signed

Floats = NDArray[np.float64]

MARGIN = 0.2  # points
RESAMPLES = 500  # of the cells, for the interval of the difference of two taus
EQUIVALENT, DIFFERENT, INCONCLUSIVE = "equivalent", "different", "inconclusive"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How two engines compare on the same cells and seeds.

    Attributes:
        difference: mean accuracy of the engine minus that of the reference, in points.
        low: lower end of its 95 % interval over the cells, each with its mean over seeds; `high` the upper one.
        tau: Kendall's tau-b between the engines with the same seed, mean over the seeds.
        tau_seeds: between two seeds of the reference, mean over the pairs.
        tau_high: upper end of the 95 % interval of `tau` minus `tau_seeds`, over resampled cells.
        unlike: networks that failed under one engine only.
        cells: how many cells it would take to conclude, at the mean and the spread that were seen; 0 where the mean is
            outside the margin.
        word: 'equivalent', 'different' or 'inconclusive'.
    """

    difference: float
    low: float
    high: float
    tau: float
    tau_seeds: float
    tau_high: float
    unlike: int
    cells: int
    word: str


def judge(reference: Floats, engine: Floats) -> Verdict:
    """Compare accuracies in percent, NaN where a network failed, (cells, seeds) each, at least two of both."""
    unlike = int((np.isnan(reference) != np.isnan(engine)).sum())
    both = ~(np.isnan(reference) | np.isnan(engine)).any(axis=1)
    gaps = (engine - reference)[both].mean(axis=1)
    if len(gaps) < 2:  # noqa: PLR2004 - no spread, no interval
        return Verdict(nan, nan, nan, nan, nan, nan, unlike, 0, DIFFERENT if unlike else INCONCLUSIVE)
    node = SeedTree.root("check-engine", 0)
    low, high, _ = mean_interval(gaps, node.child("interval"))
    if not math.isfinite(low):  # every cell differs by the same amount
        low = high = float(gaps[0])
    tau, tau_seeds = _taus(reference[both], engine[both])
    tau_high = _highest_gain(reference[both], engine[both], node.child("ranking").generator())
    word = _word(low, high, unlike, tau - tau_seeds, tau_high)
    return Verdict(float(gaps.mean()), low, high, tau, tau_seeds, tau_high, unlike, _needed(gaps, low, high), word)


def _word(low: float, high: float, unlike: int, gain: float, gain_high: float) -> str:
    if unlike or low > MARGIN or high < -MARGIN or gain_high < 0:
        return DIFFERENT
    return EQUIVALENT if low >= -MARGIN and high <= MARGIN and gain >= 0 else INCONCLUSIVE


def _taus(reference: Floats, engine: Floats) -> tuple[float, float]:
    seeds = range(reference.shape[1])
    return (
        _mean([_tau(reference[:, seed], engine[:, seed]) for seed in seeds]),
        _mean([_tau(reference[:, one], reference[:, other]) for one, other in combinations(seeds, 2)]),
    )


def _highest_gain(reference: Floats, engine: Floats, generator: np.random.Generator) -> float:
    """Return the upper end of the 95 % percentile interval of the difference of the taus, over resampled cells."""
    draws = generator.integers(len(reference), size=(RESAMPLES, len(reference)))
    pairs = [_taus(reference[rows], engine[rows]) for rows in draws]
    gains = [tau - tau_seeds for tau, tau_seeds in pairs if not math.isnan(tau - tau_seeds)]
    return float(np.quantile(gains, 0.975)) if gains else nan


def _needed(gaps: Floats, low: float, high: float) -> int:
    """Return how many cells would fit the interval into the margin where its middle is; 0 where none would."""
    room = MARGIN - abs(float(gaps.mean()))
    return math.ceil(len(gaps) * ((high - low) / 2 / room) ** 2) if room > 0 else 0


def _tau(one: Floats, other: Floats) -> float:
    return float(kendalltau(one, other).statistic)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else nan


def engine_report(
    names: tuple[str, str], archs: Sequence[str], accuracies: tuple[Floats, Floats], setting: Mapping[str, str]
) -> Document:
    """Return the report of a comparison.

    Args:
        names: of the reference and of the engine.
        archs: the cells.
        accuracies: of the reference and of the engine, (cells, seeds) each.
        setting: what the reader must know of how they were trained, by name.
    """
    verdict = judge(*accuracies)
    text = f"`{names[1]}` against `{names[0]}`: **{verdict.word}**. {_reason(verdict)}".strip()
    conditions = Table(
        "setting", "How the networks were trained", ("setting", "value"), tuple(setting.items()),
    )  # fmt: skip
    sections = (
        Section("Verdict", text, (_measures(verdict),)),
        Section("Setting", tables=(conditions, _networks(names, archs, accuracies))),
    )
    return Document("engine-check", f"Engine {names[1]} against {names[0]}", sections)


def _reason(verdict: Verdict) -> str:
    if verdict.unlike:
        return f"{verdict.unlike} networks failed under one engine only."
    if verdict.word == DIFFERENT and verdict.tau_high < 0:
        return "The engines agree less on the ranking of the cells than two seeds of the reference do."
    if verdict.word == INCONCLUSIVE and verdict.tau < verdict.tau_seeds:
        return "The ranking agrees less than between seeds of the reference, though not beyond chance; try more cells."
    if verdict.word == INCONCLUSIVE:
        size = f"about {verdict.cells:,} cells" if verdict.cells else "more cells"
        return f"The interval does not lie within the margin; {size} would tell."
    return ""


def _measures(verdict: Verdict) -> Table:
    inside = verdict.low >= -MARGIN and verdict.high <= MARGIN
    rows = (
        (
            "mean difference of accuracies (points)",
            f"{signed(verdict.difference, 3)} {interval(verdict.low, verdict.high, 3)}",
            f"95 % interval within +-{MARGIN}",
            "yes" if inside else "no",
        ),
        (
            "Kendall's tau between the engines, same seed",
            number(verdict.tau, 3),
            f"no lower than {number(verdict.tau_seeds, 3)}, between two seeds of the reference",
            "yes" if verdict.tau >= verdict.tau_seeds else "no",
        ),
        ("networks that failed under one engine only", str(verdict.unlike), "0", "no" if verdict.unlike else "yes"),
    )
    names = ("difference", "low", "high", "tau", "tau_seeds", "tau_high", "unlike", "word")
    data: dict[str, Json] = {name: getattr(verdict, name) for name in names}
    note = f"Differences are paired by cell and seed; a cell counts with its mean over seeds. {INTERVALS}"
    return Table("verdict", "Equivalence", ("measure", "value", "demanded", "holds"), rows, note, (data,))


def _networks(names: tuple[str, str], archs: Sequence[str], accuracies: tuple[Floats, Floats]) -> Table:
    data: tuple[Mapping[str, Json], ...] = tuple(
        {"cell": arch, "seed": seed, **{n: float(a[row, seed]) for n, a in zip(names, accuracies, strict=True)}}
        for row, arch in enumerate(archs)
        for seed in range(accuracies[0].shape[1])
    )
    return Table("networks", "Every network: validation accuracy under both engines (%)", (), (), data=data)
