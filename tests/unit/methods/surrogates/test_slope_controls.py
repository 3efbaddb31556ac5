"""The controls on a scalar slope, the splits that all methods share, and the search that they drive."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.sigmoid.curve import CURVES
from benchmarks.sigmoid.table import Slopes
from benchmarks.spaces.nb201 import NasBench201
from harness.core.errors import UsageError
from harness.core.types import Arch
from methods.surrogates import slope_controls
from methods.surrogates.slope_dish import SlopeDish
from methods.surrogates.slopes import (
    CONTROLS,
    DISH,
    PROCESS,
    RELU,
    TANH,
    UNTRAINED,
    Plan,
    drawn_splits,
    one_shot,
    sequential,
    standardised,
)
from methods.surrogates.spd.inner import Inner
from methods.surrogates.spd.settings import DishSettings, Phase

GRID = np.linspace(0.01, 2.01, 40)
TRUTH = 97 - 3 * np.log(GRID / 0.25) ** 2 * np.where(GRID < 0.25, 0.3, 0.5)
QUICK = Plan(
    DishSettings(Inner(steps=10, rate=0.1), phases=(Phase(4, 0.05),), restarts=2),
    points=10, sgd_rates=(1.0,), seeds=2, rounds=2,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slope_controls, "STEPS", 300)


def test_every_control_fits_the_band_and_gives_the_same_again() -> None:
    splits = drawn_splits(GRID, QUICK, 0)
    goals = standardised(TRUTH[splits])
    for name, control in CONTROLS.items():
        values = control(GRID[splits], goals, GRID, 0)
        assert values.shape == (2, 40), name
        error = np.square(np.take_along_axis(values, splits, axis=1) - goals).mean()
        assert error < (0.3 if name == RELU else 0.05), name
        assert (control(GRID[splits], goals, GRID, 0) == values).all(), name


def test_smooth_regression_sees_no_fall_at_the_left() -> None:
    splits = drawn_splits(GRID, QUICK, 0)
    for name in (TANH, PROCESS):
        values = CONTROLS[name](GRID[splits], standardised(TRUTH[splits]), GRID, 0)
        assert (values[:, 0] > values[:, 8] - 0.5).all(), name


def test_splits_lie_in_the_band_and_belong_to_the_restart() -> None:
    splits = drawn_splits(GRID, QUICK, 0)
    assert ((GRID[splits] >= 0.41) & (GRID[splits] <= 1.5)).all()
    assert all(len(set(row)) == 10 for row in splits.tolist())
    assert (splits[0] != splits[1]).any()
    more = drawn_splits(GRID, replace(QUICK, dish=replace(QUICK.dish, restarts=4)), 0)
    assert (more[:2] == splits).all()


def test_every_method_is_run_on_the_same_splits() -> None:
    found = one_shot(GRID, TRUTH, drawn_splits(GRID, QUICK, 0), QUICK, 0, lambda _done, _all: None)
    assert set(found) == {DISH, UNTRAINED, *CONTROLS, "dish, inner SGD at 1"}
    assert all(one.values.shape == (2, 40) and np.isfinite(one.values).all() for one in found.values())
    assert (found[DISH].train_error < found[UNTRAINED].train_error).all()


def test_the_search_never_asks_twice_and_keeps_the_best() -> None:
    splits = drawn_splits(GRID, QUICK, 0)
    best = sequential(GRID, TRUTH, splits, QUICK, 0)
    for name, known in best.items():
        assert known.shape == (2, 3), name
        assert (known[:, 0] == TRUTH[splits].max(axis=1)).all(), name
        assert (np.diff(known, axis=1) >= 0).all(), name


def test_the_slope_dish_ranks_slopes_and_tells_its_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("methods.surrogates.slope_dish.STEPS", 5)
    monkeypatch.setattr("methods.surrogates.slope_dish.RESTARTS", 1)
    dish = SlopeDish(Slopes(CURVES["mnist"].grid))
    slopes = [Arch("0.5000"), Arch("1.0000"), Arch("1.5000")]
    dish.fit(slopes, np.array([3.0, 2.0, float("-inf")]), np.random.Generator(np.random.PCG64(0)))
    assert dish.predict(slopes).shape == (3,)
    forward = 10 * 21
    assert dish.cost().prediction == (3 * 5 + 1) * forward
    assert dish.cost().fit == 80 * 3 * (9 * 5 + 3) * forward + 3 * 16 * forward
    with pytest.raises(UsageError, match="sigmoid-slope"):
        SlopeDish(NasBench201())
