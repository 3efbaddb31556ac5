"""Facts of a table agree with one another; a fact that was changed alone does not go with the rest."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.testing.toy import VALID
from harness.testing.world import tiny_track
from harness.verify.references import contradictions

SEALED = "toy/test@200ep"
PARAMETERS = "parameters"
CELLS = 3125
Facts = dict[str, Any]


def of_column(values: Any) -> tuple[Facts, Facts, list[float]]:
    best = int(np.argmax(values))
    sampling = {"mean": float(values.mean()), "std": float(values.std(ddof=1)), "n": CELLS}
    spread = np.quantile(values, np.linspace(0, 1, 1001)).tolist()
    return sampling, {"value": float(values[best]), "arch": str(best)}, spread


def best_of(draws: int, objective: Any, shown: Any) -> float:
    """Return the mean of what is shown of the best objective of so many draws with replacement, by its definition."""
    order = np.argsort(objective)
    ends = (np.arange(CELLS + 1) / CELLS) ** draws
    return float(np.diff(ends) @ shown[order])


@pytest.fixture(scope="module")
def sound() -> Facts:
    rng = np.random.default_rng(0)
    seen = 90 - 10 * rng.gamma(1.0, 1.0, CELLS)
    sealed = seen + rng.normal(0, 1, CELLS)
    size = np.round(np.exp(rng.normal(0, 1, CELLS)) + (sealed - sealed.min()) / 40, 6)
    columns = {VALID: of_column(seen), SEALED: of_column(sealed)}
    draws = [1, 2, 3, 4, 5, 7, 10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640, 1000]
    rows = np.lexsort((-sealed, size))
    front = [row for place, row in enumerate(rows) if sealed[row] > max(sealed[rows[:place]], default=-np.inf)]
    curve = [best_of(draw, seen, sealed) for draw in (2, 5, 10, 20)]
    return {
        "random_sampling": {name: facts[0] for name, facts in columns.items()},
        "optimum": {name: facts[1] for name, facts in columns.items()},
        "quantiles": {name: facts[2] for name, facts in columns.items()},
        "best_of_draws": {"metric": SEALED, "draws": draws, "expected": [best_of(n, seen, sealed) for n in draws]},
        "agreement": {SEALED: {"objective": VALID, "kendall_tau": 0.7, "n": CELLS}},
        "ranges": {PARAMETERS: {"low": float(size.min()), "high": float(size.max()), "better": "lower"}},
        "fronts": {PARAMETERS: {"metric": SEALED, "cost": size[front].tolist(), "value": sealed[front].tolist()}},
        "random_search": {
            "metric": SEALED,
            "expected": curve[-1],
            "low": curve[-1] - 0.001,
            "high": curve[-1] + 0.001,
            "spent": [45.0, 90.0, 180.0, 360.0],
            "curve": curve,
            "basis": "",
        },
    }


def told(references: Facts) -> list[str]:
    return contradictions(references, tiny_track())


def test_the_facts_of_one_table_agree(sound: Facts) -> None:
    assert tiny_track().budget.limit == sound["random_search"]["spent"][-1]
    assert len(sound["fronts"][PARAMETERS]["cost"]) > 3
    assert told(sound) == []
    assert told({}) == []


def moved(by: float, *keys: Any) -> Callable[[Facts], object]:
    """Move one number of the facts."""

    def forge(facts: Facts) -> None:
        at(facts, keys)[keys[-1]] += by

    return forge


def put(value: Any, *keys: Any) -> Callable[[Facts], object]:
    """Set one of the facts."""

    def forge(facts: Facts) -> None:
        at(facts, keys)[keys[-1]] = value

    return forge


def at(facts: Facts, keys: tuple[Any, ...]) -> Any:
    for key in keys[:-1]:
        facts = facts[key]
    return facts


def flat_middle(facts: Facts) -> None:
    values = facts["quantiles"][SEALED]
    values[200:800] = [values[200]] * 600


def shifted(facts: Facts) -> None:
    facts["quantiles"][SEALED] = [value + 0.2 for value in facts["quantiles"][SEALED]]


def cut_front(facts: Facts) -> None:
    for column in ("value", "cost"):
        facts["fronts"][PARAMETERS][column].pop()


DRAWN = ("best_of_draws", "expected")
FORGERIES: dict[str, tuple[str, Callable[[Facts], object]]] = {
    "quantiles moved": ("neither the first nor the last", shifted),
    "a quantile above the next": ("quantiles of", put(99.0, "quantiles", SEALED, 500)),
    "lower quantiles in the middle": ("where its quantiles put it", flat_middle),
    "another mean": ("the mean of", moved(0.5, "random_sampling", SEALED, "mean")),
    "another spread": ("is not that of values", moved(1.0, "random_sampling", SEALED, "std")),
    "a spread below zero": ("random_sampling of", put(-1.0, "random_sampling", SEALED, "std")),
    "an optimum nobody reaches": ("the optimum of", put(95.0, "optimum", SEALED, "value")),
    "an optimum beyond all spread": ("is further from the mean", put(1e6, "optimum", SEALED, "value")),
    "one draw worth more than the mean": ("one draw is worth", moved(1.0, *DRAWN, 0)),
    "112 draws worth less": ("what 112 draws are worth does not go with", moved(-0.5, *DRAWN, 13)),
    "56 draws worth more": ("draws are worth does not go with", moved(1.0, *DRAWN, 11)),
    "draws worth more than the best": ("outside the values", put(99.9, *DRAWN, 8)),
    "draws that do not rise": ("do not rise", put(3, "best_of_draws", "draws", 3)),
    "random search beyond the optimum": ("not between", put(99.9, "random_search", "expected")),
    "random search outside its bounds": ("its own bounds", moved(-0.1, "random_search", "expected")),
    "a curve that ends elsewhere": ("the curve ends at", moved(-0.5, "random_search", "curve", 3)),
    "a curve above the optimum": ("the curve leaves", put(99.9, "random_search", "curve", 1)),
    "a curve beyond the budget": ("beyond the budget", put(400.0, "random_search", "spent", 3)),
    "a curve that goes back": ("does not rise", put(1.0, "random_search", "spent", 3)),
    "a correlation above one": ("agreement with", put(1.2, "agreement", SEALED, "kendall_tau")),
    "a correlation with something else": ("agreement with", put(SEALED, "agreement", SEALED, "objective")),
    "a correlation over more than all": ("agreement with", moved(1, "agreement", SEALED, "n")),
    "a range upside down": ("ranges of", put(1e9, "ranges", PARAMETERS, "low")),
    "a front with a beaten point": ("is beaten by", put(-99.0, "fronts", PARAMETERS, "value", 1)),
    "a front with costs in disorder": ("costs do not go", lambda f: f["fronts"][PARAMETERS]["cost"].reverse()),
    "a front without its end": ("is not the optimum", cut_front),
    "a front outside the range": ("outside the range", put(0.0, "fronts", PARAMETERS, "cost", 0)),
    "a fact of another form": ("not of the form", put("high", "quantiles", SEALED)),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_fact_that_was_changed_alone_is_found(sound: Facts, name: str) -> None:
    what, forge = FORGERIES[name]
    forged = copy.deepcopy(sound)
    forge(forged)
    assert any(what in found for found in told(forged)), told(forged)


def test_the_objective_of_the_best_only_rises(sound: Facts) -> None:
    forged = copy.deepcopy(sound)
    forged["random_search"] |= {"metric": VALID, "curve": [85.0, 84.0, 86.0, sound["random_search"]["curve"][3]]}
    assert any("falls and rises with the budget" in found for found in told(forged))
    del forged["random_search"]
    forged["best_of_draws"] = {"metric": VALID, "draws": [2, 3, 4], "expected": [85.0, 84.0, 86.0]}
    assert any("falls and rises with the number of draws" in found for found in told(forged))
