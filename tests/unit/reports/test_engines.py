"""The verdict on an engine: equivalent, different or inconclusive, each on accuracies made for it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from reports.engines import DIFFERENT, EQUIVALENT, INCONCLUSIVE, MARGIN, engine_report, judge
from reports.markdown import markdown

Floats = NDArray[np.float64]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(8)


@pytest.fixture
def reference(rng: np.random.Generator) -> Floats:
    """Accuracies of 120 cells with 3 seeds: cells differ by 3 points, seeds by 2."""
    return 80 + 3 * rng.standard_normal((120, 1)) + 2 * rng.standard_normal((120, 3))


def test_small_noise_is_equivalent(reference: Floats, rng: np.random.Generator) -> None:
    verdict = judge(reference, reference + 0.5 * rng.standard_normal(reference.shape))
    assert verdict.word == EQUIVALENT
    assert -MARGIN < verdict.low < verdict.difference < verdict.high < MARGIN
    assert verdict.tau > verdict.tau_seeds


def test_the_same_numbers_are_equivalent(reference: Floats) -> None:
    verdict = judge(reference, reference)
    assert (verdict.word, verdict.difference, verdict.low, verdict.high) == (EQUIVALENT, 0, 0, 0)
    assert verdict.tau == pytest.approx(1.0)


@pytest.mark.parametrize("bias", [0.5, -0.5])
def test_a_bias_is_different(reference: Floats, rng: np.random.Generator, bias: float) -> None:
    verdict = judge(reference, reference + bias + 0.5 * rng.standard_normal(reference.shape))
    assert verdict.word == DIFFERENT
    assert verdict.low < bias < verdict.high


def test_another_ranking_is_different_though_the_mean_is_the_same(reference: Floats, rng: np.random.Generator) -> None:
    shuffled = reference[rng.permutation(len(reference))]
    verdict = judge(reference, shuffled)
    assert verdict.word == DIFFERENT
    assert verdict.tau_high < 0
    assert "agree less on the ranking" in markdown(_document(reference, shuffled))


def test_chaos_as_large_as_a_seed_is_not_called_different(reference: Floats, rng: np.random.Generator) -> None:
    truth = reference.mean(axis=1, keepdims=True)
    verdict = judge(truth + 2 * rng.standard_normal(reference.shape), truth + 2 * rng.standard_normal(reference.shape))
    assert verdict.word in (INCONCLUSIVE, EQUIVALENT)
    assert verdict.tau == pytest.approx(verdict.tau_seeds, abs=0.1)


def test_too_few_cells_are_inconclusive_and_told_how_many(reference: Floats) -> None:
    few, noise = reference[:10], np.linspace(-2, 2, 10)[:, None]
    verdict = judge(few, few + noise + 0.1)
    assert verdict.word == INCONCLUSIVE
    half = (verdict.high - verdict.low) / 2
    assert verdict.cells == math.ceil(10 * (half / (MARGIN - 0.1)) ** 2)
    assert f"about {verdict.cells:,} cells would tell" in markdown(_document(few, few + noise + 0.1))
    assert "; more cells would tell" in markdown(_document(few, few + noise + 0.3))


def test_failures_under_one_engine_only_are_different(reference: Floats) -> None:
    failed = reference.copy()
    failed[3, 1] = np.nan
    assert judge(reference, failed).word == DIFFERENT
    assert judge(reference, failed).unlike == 1
    assert judge(failed, failed).word == EQUIVALENT
    nothing = np.full((5, 2), np.nan)
    assert judge(nothing, nothing).word == INCONCLUSIVE


def _document(reference: Floats, engine: Floats):  # type: ignore[no-untyped-def]
    archs = [f"cell {number}" for number in range(len(reference))]
    return engine_report(("reference", "fused"), archs, (reference, engine), {"data": "digits"})


def test_the_report_holds_every_network(reference: Floats, rng: np.random.Generator) -> None:
    document = _document(reference, reference + 0.3 * rng.standard_normal(reference.shape))
    assert "`fused` against `reference`: **equivalent**" in markdown(document)
    networks = document.sections[1].tables[1].data
    assert len(networks) == reference.size
    assert networks[4] == {"cell": "cell 1", "seed": 1, "reference": reference[1, 1], "fused": networks[4]["fused"]}
    assert document.sections[0].tables[0].data[0]["word"] == EQUIVALENT
