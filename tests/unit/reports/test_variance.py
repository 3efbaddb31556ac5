"""Components of variance against a mixed model of statsmodels, and against planted values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import isnan

import numpy as np
import pandas as pd
import pytest
from statsmodels.regression.mixed_linear_model import MixedLM

from harness.core.records import RunRecord, StudyRecord
from reports.frame import read
from reports.variance import components, variance_table

TEST = "toy/test@200ep(2k) mean-of-trials"


def planted(runs: int, trainings: int, search: float, training: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, search**0.5, (runs, 1)) + rng.normal(0, training**0.5, (runs, trainings)) + 93


def test_components_are_those_of_a_mixed_model() -> None:
    """On balanced data the restricted likelihood has the same answer as the analysis of variance."""
    table = planted(40, 4, 0.09, 0.04)
    long = pd.DataFrame({"value": table.ravel(), "run": np.repeat(np.arange(40), 4)})
    model = MixedLM.from_formula("value ~ 1", groups="run", data=long).fit(reml=True)
    found = components(table)
    assert found.search == pytest.approx(float(model.cov_re.iloc[0, 0]), rel=1e-3)
    assert found.training == pytest.approx(model.scale, rel=1e-3)
    assert found.low < found.share < found.high


def test_planted_components_are_found() -> None:
    found = components(planted(4000, 3, 0.09, 0.01))
    assert found.search == pytest.approx(0.09, rel=0.08)
    assert found.training == pytest.approx(0.01, rel=0.08)
    assert found.share == pytest.approx(0.9, abs=0.02)


def test_searches_that_do_not_differ_have_no_component() -> None:
    same = components(planted(300, 3, 0.0, 0.04))
    assert same.share < 0.1
    assert same.low == 0.0
    still = components(np.repeat([[1.0], [2.0], [3.0]], 2, axis=1))
    assert (still.share, still.training) == (1.0, 0.0)
    assert isnan(still.low)


def several(run: RunRecord) -> RunRecord:
    arch = str(run.trials[-1].recommended)
    noise = np.random.default_rng(run.spec.replicate).normal(0, 0.2, 3)
    return replace(run, finals={arch: tuple({TEST: 93.0 + value} for value in noise)})


def test_the_table_needs_several_final_trainings(make_study: Callable[..., StudyRecord]) -> None:
    assert variance_table(read(make_study())) is None
    table = variance_table(read(make_study(spoil=several, replicates=6)))
    assert table is not None
    assert [row[:4] for row in table.rows] == [
        ("toy", "random_search", "6", "3"),
        ("toy", "regularized_evolution", "6", "3"),
    ]
    assert table.data[0]["training"] == pytest.approx(0.04, rel=0.9)
    assert "F distribution" in table.note


def test_trainings_that_are_look_ups_of_one_value_have_no_table(make_study: Callable[..., StudyRecord]) -> None:
    def equal(run: RunRecord) -> RunRecord:
        return replace(run, finals={str(run.trials[-1].recommended): ({TEST: 93.0}, {TEST: 93.0})})

    assert variance_table(read(make_study(spoil=equal))) is None
