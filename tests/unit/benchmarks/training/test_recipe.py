from __future__ import annotations

import math
from dataclasses import asdict

import pytest

from benchmarks.training.recipe import PRESETS, Recipe
from harness.core.errors import UsageError


def test_the_official_cosine_changes_once_an_epoch() -> None:
    recipe = PRESETS["nb201-12"]
    rates = [recipe.rate(epoch, step, 98) for epoch in range(12) for step in (0, 97)]
    assert rates[::2] == rates[1::2] == [0.1 * (1 + math.cos(math.pi * epoch / 12)) / 2 for epoch in range(12)]
    assert rates[0] == 0.1


def test_the_cosine_by_steps_is_continuous_and_ends_near_zero() -> None:
    recipe = Recipe(cosine="step", epochs=3)
    rates = [recipe.rate(epoch, step, 10) for epoch in range(3) for step in range(10)]
    assert rates == sorted(rates, reverse=True)
    assert len(set(rates)) == 30
    assert rates[-1] == pytest.approx(0.1 * (1 + math.cos(math.pi * 29 / 30)) / 2)


def test_the_presets_are_the_published_recipe() -> None:
    for name, epochs in (("nb201-12", 12), ("nb201-200", 200)):
        size = {"epochs": epochs, "channels": 16, "cells": 5, "batch_size": 256}
        descent = {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 5e-4, "cosine": "epoch", "precision": "fp32"}
        assert asdict(PRESETS[name]) == {**size, **descent, "flip": True, "crop_padding": 4}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("channels", 0),
        ("cells", -1),
        ("batch_size", 0),
        ("crop_padding", -1),
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("weight_decay", -1e-4),
        ("momentum", 1.0),
        ("momentum", 0.0),
        ("cosine", "linear"),
        ("precision", "fp16"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"recipe: {field} is"):
        Recipe(**{field: value})
