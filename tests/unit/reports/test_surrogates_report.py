"""The report on cell surrogates: verdicts follow from the rows, misses are called misses, everything is drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.render import write
from reports.surrogates import cells_report

NAMES = ("random", "ridge", "forest", "network", "gaussian_process", "constant_proxy", "spd_untrained", "spd")


def fit(name: str, size: int, seed: int, tau: float) -> dict[str, str | float]:
    keys = ("spearman", "tau_top", "mse_renorm", "precision", "regret")
    extra = {"tau_low": tau - 0.1, "tau_high": tau + 0.1} if name.startswith("spd") else {}
    return {
        "surrogate": name, "train": size, "seed": seed, "tau": tau, "tau_known": tau + 0.2, "diverged": 0.0,
        "restarts": 1, "mse": float("nan") if name == "random" else 1.0, **dict.fromkeys(keys, tau), **extra,
        "fit_seconds": 1.0, "predict_seconds": 0.002, "fit_multiply_adds": 2e9, "predict_multiply_adds": 1e6,
    }  # fmt: skip


def fits(taus: dict[str, float], seeds: int = 5) -> list[dict[str, str | float]]:
    return [
        fit(name, size, seed, taus.get(name, 0.3) + seed / 100)
        for size in (20, 50)
        for seed in range(seeds)
        for name in NAMES
    ]


def searches() -> list[dict[str, str | float]]:
    return [
        {"surrogate": name, "seed": seed, "queries": queries, "best": 70.0, "regret": 5 - place - queries / 100,
         "charged_seconds": 100.0 * queries, "real_seconds": 0.5}
        for place, name in enumerate(("random", "ridge", "spd"))
        for seed in range(2)
        for queries in (20, 25)
    ]  # fmt: skip


def verdicts(taus: dict[str, float]) -> dict[str, str]:
    document = cells_report(fits(taus), searches(), {}, reduced=False)
    return {row[1]: row[4] for row in document.sections[0].tables[0].rows}


def test_a_dish_ahead_of_all_meets_every_demand() -> None:
    found = verdicts({"spd": 0.6})
    assert set(found.values()) == {"met", "reported"}
    assert found["50 known cells: mean tau of the dish"] == "met"
    assert found["50 known cells: tau of the dish above that of constant_proxy"] == "reported"


def test_a_dish_behind_one_rival_is_a_miss_there_alone() -> None:
    found = verdicts({"spd": 0.5, "ridge": 0.7})
    assert found["20 known cells: tau of the dish above that of ridge"] == "missed"
    assert found["20 known cells: tau of the dish above that of forest"] == "met"
    assert found["50 known cells: mean tau of the dish"] == "missed"


def test_searches_are_listed_with_the_least_regret_first() -> None:
    rows = cells_report(fits({}), searches(), {}, reduced=False).sections[0].tables[0].rows
    assert rows[-1][:2] == ("C2b", "mean regret after 25 evaluations (points), best first")
    assert rows[-1][3] == "spd 2.750, ridge 3.750, random 4.750"


@pytest.mark.parametrize("sought", [searches(), []], ids=["search", "no search"])
def test_everything_is_written(tmp_path: Path, sought: list[dict[str, str | float]]) -> None:
    names = {path.name for path in write(cells_report(fits({}), sought, {"a": "b"}, reduced=True), tmp_path)}
    assert {"report.md", "known-20.csv", "known-50.csv", "fits.csv", "tau-by-known.svg"} <= names
    assert ("search.csv" in names) == bool(sought)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "REDUCED RUN" in text
    assert "gap" not in (tmp_path / "known-20.csv").read_text(encoding="utf-8").splitlines()[0]
