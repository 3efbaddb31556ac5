"""Report how surrogates of cells rank and search: acceptance, every measure against the number of known cells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from harness.core.records import Document, Figure, Section, Series, Table
from reports.slope_acceptance import MET, MISSED, REPORTED
from reports.wording import number

Row = Mapping[str, str | float]

DISH, UNTRAINED, CHANCE = "spd", "spd_untrained", "random"
REGRESSIONS = ("ridge", "forest", "network")
ENOUGH = 0.58
"""Mean Kendall's tau of the dish that is asked for at 50 known cells."""

MEASURES = {
    "tau": "Kendall's tau-b", "spearman": "Spearman", "tau_top": "tau, best tenth", "mse": "MSE (z)",
    "mse_renorm": "MSE renormalised", "precision": "precision at 10", "regret": "regret of 10 (points)",
    "gap": "tau known - unseen", "iqr": "IQR of restarts' tau", "diverged": "share diverged",
    "fit_seconds": "fit (s)", "predict_ms": "predict a cell (ms)", "fit_multiply_adds": "fit (multiply-adds)",
}  # fmt: skip
DRAWN = ("tau", "tau_top", "precision", "regret")
_READING = (
    "Within a seed all surrogates learn from the same cells and are judged by the same others; fewer known cells are "
    "the first of more. Cells stand for what they computed: normal scores of the ranks are learnt by every surrogate "
    "that learns. `constant_proxy` counts convolutions and needs no evaluation; `oracle` knows the truth and is the "
    "ceiling, not a competitor. Median [smallest, largest] over seeds."
)
_SEARCH = (
    "The same first cells and the same random pool of each round for every surrogate; the best by prediction are "
    "evaluated, and the surrogate is fitted again. `oracle` chooses by the truth: the best that these pools allow. "
    "Regret is the distance to the best cell of the whole table, in points of validation accuracy."
)


def cells_report(
    rows: Sequence[Row], searches: Sequence[Row], setting: Mapping[str, str], *, reduced: bool
) -> Document:
    """Return the report of an assessment.

    Args:
        rows: one for each fit, as the assessment measured it.
        searches: one for each end of a round.
        setting: what the reader must know of the run, by name.
        reduced: whether the run is too small for verdicts.
    """
    full = [_with_derived(row) for row in rows]
    conditions = Table("setting", "How this was run", ("setting", "value"), tuple(setting.items()))
    sections = (
        Section("Acceptance", tables=(_acceptance(full, searches, reduced=reduced),)),
        Section("Ranking unseen cells", _READING, tuple(_by_size(full)), tuple(_curves(full))),
        *([Section("Search", _SEARCH, (_rounds(searches),), tuple(_regrets(searches)))] if searches else []),
        Section("Setting", tables=(conditions, Table("fits", "Every fit", (), (), data=tuple(full)))),
    )
    return Document("check-surrogate-cells", "Surrogates of NAS-Bench-201 cells", sections)


def _with_derived(row: Row) -> dict[str, str | float]:
    value = partial(_number, row)
    return {
        **row,
        "gap": value("tau_known") - value("tau"),
        "iqr": value("tau_high") - value("tau_low"),
        "predict_ms": 1000 * value("predict_seconds"),
    }


def _number(row: Row, key: str) -> float:
    return float(row.get(key, math.nan))


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(str(row["surrogate"]) for row in rows))


def _values(rows: Sequence[Row], name: str, key: str, **where: float) -> NDArray[np.float64]:
    """Return a measure of a surrogate in the order of the seeds."""
    kept = [row for row in rows if row["surrogate"] == name and all(row[field] == at for field, at in where.items())]
    return np.array([_number(row, key) for row in kept])


def spread(values: NDArray[np.float64], digits: int = 3) -> str:
    """Return the median with the smallest and the largest value; a dash where nothing was measured."""
    if not len(values) or np.isnan(values).any():
        return "-"
    if values.max() >= 1e5:  # noqa: PLR2004 - counts of operations
        return f"{np.median(values):.2g}"
    ends = f" [{values.min():.{digits}f}, {values.max():.{digits}f}]" if len(values) > 1 else ""
    return f"{np.median(values):.{digits}f}{ends}"


def _acceptance(rows: Sequence[Row], searches: Sequence[Row], *, reduced: bool) -> Table:
    lines = [
        *_ahead(rows, "C1", 50, (UNTRAINED, *REGRESSIONS), ENOUGH),
        *_ahead(rows, "C2", 20, REGRESSIONS, None),
        _searched(searches),
    ]
    note = "Shares are of seeds; tau is Kendall's tau-b on cells that were not learnt from."
    if reduced:
        note = f"REDUCED RUN, too small for these verdicts: it shows that everything runs. {note}"
    return Table(
        "acceptance", "What it should show", ("row", "quantity", "required", "measured", "verdict"), tuple(lines), note
    )


def _ahead(
    rows: Sequence[Row], name: str, size: int, rivals: Sequence[str], enough: float | None
) -> list[tuple[str, str, str, str, str]]:
    """Return one line for each rival, one for the mean, and the proxy that needs no evaluation, for information."""
    dish = _values(rows, DISH, "tau", train=size)
    if not len(dish):
        return [(name, f"{size} known cells", "", "not run: choose this size with --train", REPORTED)]
    lines = []
    demanded = math.ceil(0.8 * len(dish))
    for rival in (*rivals, "gaussian_process", "constant_proxy"):
        theirs = _values(rows, rival, "tau", train=size)
        wins = int((dish > theirs).sum()) if len(theirs) else 0
        judged = rival in rivals
        lines.append(
            (
                name,
                f"{size} known cells: tau of the dish above that of {rival}",
                f"{demanded} of {len(dish)} seeds" if judged else "report only",
                f"{wins} of {len(theirs)}; means {number(float(dish.mean()), 3)} and {_mean(theirs)}",
                _verdict(wins >= demanded) if judged else REPORTED,
            )
        )
    if enough is not None:
        mean = float(dish.mean())
        lines.append(
            (name, f"{size} known cells: mean tau of the dish", f"{enough} or more", number(mean, 3),
             _verdict(mean >= enough))
        )  # fmt: skip
    return lines


def _verdict(holds: bool) -> str:  # noqa: FBT001 - one condition in, one word out
    return MET if holds else MISSED


def _mean(values: NDArray[np.float64]) -> str:
    return number(float(values.mean()), 3) if len(values) else "-"


def _searched(searches: Sequence[Row]) -> tuple[str, str, str, str, str]:
    if not searches:
        return ("C2b", "search loop", "report only", "not run: choose rounds with --rounds", REPORTED)
    last = max(_number(row, "queries") for row in searches)
    regrets = {name: _values(searches, name, "regret", queries=last) for name in _names(searches)}
    order = sorted(regrets, key=lambda name: float(regrets[name].mean()))
    text = ", ".join(f"{name} {_mean(regrets[name])}" for name in order)
    return ("C2b", f"mean regret after {last:.0f} evaluations (points), best first", "report only", text, REPORTED)


def _by_size(rows: Sequence[Row]) -> list[Table]:
    tables = []
    for size in sorted({int(_number(row, "train")) for row in rows}):
        names = [name for name in _names(rows) if len(_values(rows, name, "tau", train=size))]
        lines = tuple((name, *(spread(_values(rows, name, key, train=size)) for key in MEASURES)) for name in names)
        tables.append(Table(f"known-{size}", f"{size} known cells", ("surrogate", *MEASURES.values()), lines))
    return tables


def _curves(rows: Sequence[Row]) -> list[Figure]:
    if len({_number(row, "train") for row in rows}) == 1:  # one size makes no curve
        return []
    return [
        Figure(
            f"{key}-by-known",
            f"{MEASURES[key]} on unseen cells",
            "known cells",
            MEASURES[key],
            tuple(_series(rows, name, "train", key, place) for place, name in enumerate(_names(rows))),
            "Median and range over seeds.",
        )
        for key in DRAWN
    ]


def _series(rows: Sequence[Row], name: str, along: str, key: str, place: int) -> Series:
    at = sorted({_number(row, along) for row in rows if row["surrogate"] == name})
    columns = [_values(rows, name, key, **{along: x}) for x in at]
    middle, low, high = (tuple(float(take(column)) for column in columns) for take in (np.median, np.min, np.max))
    return Series(name, tuple(at), middle, low, high, style="line", place=place)


def _rounds(searches: Sequence[Row]) -> Table:
    queries = sorted({_number(row, "queries") for row in searches})
    lines = tuple(
        (
            name,
            *(spread(_values(searches, name, "regret", queries=at), 2) for at in queries),
            spread(_values(searches, name, "charged_seconds", queries=queries[-1]), 0),
            spread(_total(searches, name), 1),
        )
        for name in _names(searches)
    )
    columns = (
        "surrogate", *(f"regret at {at:.0f}" for at in queries), "charged seconds", "seconds of this machine",
    )  # fmt: skip
    return Table("search", "Regret after each round (points)", columns, lines, data=tuple(searches))


def _total(searches: Sequence[Row], name: str) -> NDArray[np.float64]:
    seeds = sorted({_number(row, "seed") for row in searches})
    return np.array([_values(searches, name, "real_seconds", seed=seed).sum() for seed in seeds])


def _regrets(searches: Sequence[Row]) -> list[Figure]:
    names = _names(searches)
    by_queries = tuple(_series(searches, name, "queries", "regret", place) for place, name in enumerate(names))
    by_seconds = tuple(_over_seconds(searches, name, place) for place, name in enumerate(names))
    note = "Median and range over seeds."
    return [
        Figure("regret-by-queries", "Regret over evaluations", "evaluations", "regret (points)", by_queries, note,
               x_log="linear"),
        Figure("regret-by-seconds", "Regret over charged seconds", "simulated GPU-seconds charged", "regret (points)",
               by_seconds, note, x_log="linear"),
    ]  # fmt: skip


def _over_seconds(searches: Sequence[Row], name: str, place: int) -> Series:
    """Return the regret after each round at the mean seconds that it was charged."""
    series = _series(searches, name, "queries", "regret", place)
    at = tuple(float(_values(searches, name, "charged_seconds", queries=x).mean()) for x in series.x)
    return Series(name, at, series.middle, series.low, series.high, style=series.style, place=place)
