"""The dish as a surrogate of cells: variants differ by settings alone, restarts are averaged, ranks are joined."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.spaces.nb201 import NasBench201
from harness.core.errors import UsageError
from harness.core.types import Arch
from harness.testing.toy import ToySpace
from methods.surrogates import SURROGATES, dishes
from methods.surrogates.controls import Forest
from methods.surrogates.dishes import AveragedDishes, DishAndForest, EmphaticDish, SyntheticPetriDish, UntrainedDish
from methods.surrogates.measures import spread
from methods.surrogates.spd.inner import Inner
from methods.surrogates.spd.settings import Phase
from methods.surrogates.surrogate import ranks, surrogate

DISHES = [name for name, entry in SURROGATES.items() if entry.startswith("methods.surrogates.dishes:")]
SPACE = NasBench201()


def cells(count: int, seed: int) -> list[Arch]:
    rng = np.random.Generator(np.random.PCG64(seed))
    return [SPACE.arch(int(index)) for index in rng.choice(len(SPACE), count, replace=False)]


KNOWN, OTHERS = cells(8, 0), cells(12, 1)
VALUES = np.array([-np.inf, 10.0, 10.0, 30.0, 55.0, 60.0, 70.0, 71.0])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten both loops; everything else is as it is."""
    whole = dishes.settings_of

    def short(changes: dict[str, object]) -> object:
        settings = whole(changes)
        phases = (Phase(2, 0.05),) if settings.phases else ()
        return replace(settings, inner=Inner(steps=3, rate=0.05, epsilon=1e-8), phases=phases, attempts=0)

    monkeypatch.setattr(dishes, "settings_of", short)


def fitted(kind: type[Any], seed: int = 3) -> Any:
    one = kind(SPACE)
    one.fit(KNOWN, VALUES, np.random.Generator(np.random.PCG64(seed)))
    return one


def test_the_generator_steers_the_dish_and_failures_break_nothing() -> None:
    first = fitted(SyntheticPetriDish).predict(OTHERS)
    assert np.isfinite(first).all()
    assert first.tobytes() == fitted(SyntheticPetriDish).predict(OTHERS).tobytes()
    assert first.tobytes() != fitted(SyntheticPetriDish, seed=4).predict(OTHERS).tobytes()


def test_variants_start_from_the_same_images_and_differ_by_their_settings() -> None:
    plain, untrained, emphatic = (
        fitted(kind).predict(OTHERS) for kind in (SyntheticPetriDish, UntrainedDish, EmphaticDish)
    )
    assert not np.allclose(plain, untrained)
    assert not np.allclose(plain, emphatic)


def test_restarts_are_averaged_and_their_spread_is_told() -> None:
    dish = fitted(AveragedDishes)
    each = dish.predict_each(OTHERS)
    assert each.shape == (3, 12)
    assert dish.artefact is not None
    kept = each[~np.array(dish.artefact.diverged)] if not all(dish.artefact.diverged) else each
    np.testing.assert_array_equal(dish.predict(OTHERS), kept.mean(axis=0))
    found = spread(dish, OTHERS, np.arange(12.0))
    assert found["restarts"] == 3
    assert found["tau_low"] <= found["tau_high"]


def test_dish_and_forest_join_their_ranks() -> None:
    rng = np.random.Generator(np.random.PCG64(3))
    parts = SyntheticPetriDish(SPACE), Forest(SPACE)
    for part in parts:
        part.fit(KNOWN, VALUES, rng)
    expected = np.mean([ranks(part.predict(OTHERS)) for part in parts], axis=0)
    np.testing.assert_array_equal(fitted(DishAndForest).predict(OTHERS), expected)


def test_three_dishes_cost_three_times_one_and_outer_steps_cost_most() -> None:
    one, three, untrained = (fitted(kind).cost() for kind in (SyntheticPetriDish, AveragedDishes, UntrainedDish))
    assert three.fit == pytest.approx(3 * one.fit)
    assert three.prediction == pytest.approx(3 * one.prediction)
    assert 0 < untrained.fit < one.fit
    assert fitted(DishAndForest).cost().fit > one.fit


@pytest.mark.parametrize("name", DISHES)
def test_other_spaces_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="not of space 'toy'"):
        surrogate(name, ToySpace())
