"""The assessment: what is learnt from stays apart from what is judged, and measures say what they claim."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.spaces.nb201 import NasBench201, parse
from harness.core.types import Arch
from methods.surrogates.assessment import Quest, questions, task_of
from methods.surrogates.measures import measures
from methods.surrogates.surrogate import ORACLE, normal_scores

SPACE = NasBench201()
TRUTH: dict[Arch, float] = {}
for _index in range(len(SPACE)):
    _cell = SPACE.arch(_index)
    TRUTH[_cell] = sum((5 * edge + 3) * operation for edge, operation in enumerate(parse(_cell))) + _index / 1e5
SECONDS = dict.fromkeys(TRUTH, 100.0)


def test_surrogates_share_cells_and_unseen_cells_stay_unseen() -> None:
    found = questions({"ridge": [5, 10], "forest": [10]}, 2, 30, SPACE, TRUTH, 7)
    small, large, other, *_ = found
    assert large.known[:5] == small.known
    assert other.known == large.known
    assert other.unseen == small.unseen
    assert not set(large.known) & set(large.unseen)
    assert found[3].known != small.known
    assert [TRUTH[cell] for cell in small.unseen] == small.unseen_values.tolist()


def test_the_oracle_is_the_ceiling_and_the_same_question_has_the_same_answer() -> None:
    oracle, ridge = questions({ORACLE: [20], "ridge": [20]}, 1, 100, SPACE, TRUTH, 7)
    top = oracle.answer()
    assert [top[key] for key in ("tau", "tau_top", "precision", "regret")] == pytest.approx([1.0, 1.0, 1.0, 0.0])
    first, again = ridge.answer(), ridge.answer()
    timed = {"fit_seconds", "predict_seconds"}
    assert {key: value for key, value in first.items() if key not in timed} == {
        key: value for key, value in again.items() if key not in timed
    }
    assert 0.3 < float(first["tau"]) < 1.0
    assert "mse" in first
    assert "mse" not in top, "the units of a ranking are its own"


def test_measures_of_predictions_that_are_right_wrong_and_shifted() -> None:
    values = np.linspace(0, 1, 100) ** 2
    right = measures(values, values, normal_scores(values), values)
    assert [right[key] for key in ("tau", "spearman", "precision")] == pytest.approx([1.0, 1.0, 1.0])
    assert right["mse"] == pytest.approx(0.0, abs=1e-20)
    wrong = measures(values, values, -normal_scores(values), values)
    assert wrong["tau"] == pytest.approx(-1.0)
    assert wrong["regret"] == pytest.approx(1 - values[9])
    assert wrong["mse"] == pytest.approx(4.0)
    shifted = measures(values, values, normal_scores(values) + 3, values)
    assert shifted["tau"] == pytest.approx(1.0)
    assert shifted["mse"] == pytest.approx(9 / normal_scores(values).std() ** 2)
    assert shifted["mse_renorm"] == pytest.approx(0.0, abs=1e-20)


def test_the_top_tenth_is_measured_by_itself() -> None:
    values = np.arange(100.0)
    predicted = values.copy()
    predicted[90:] = predicted[90:][::-1]
    found = measures(values, values, predicted, values)
    assert found["tau_top"] == pytest.approx(-1.0)
    assert found["tau"] > 0.95


def search(name: str, rounds: int = 3) -> list[dict[str, str | float]]:
    task = task_of(SPACE, "valid", 200)
    return Quest(name, 1, 0, task, rounds, TRUTH, SECONDS, 1e-6).answer()


def test_a_search_is_charged_for_evaluations_and_thought() -> None:
    rows = search("ridge")
    assert [row["queries"] for row in rows] == [20, 25, 30, 35]
    assert rows[0]["charged_seconds"] == 2000.0
    assert 0.0 < float(rows[-1]["charged_seconds"]) - 3500.0 < 1.0
    assert float(rows[-1]["best"]) + float(rows[-1]["regret"]) == pytest.approx(max(TRUTH.values()))


def test_nobody_beats_the_oracle_on_the_same_pools() -> None:
    best = {name: float(search(name)[-1]["best"]) for name in (ORACLE, "ridge", "random")}
    assert best[ORACLE] >= best["ridge"] > best["random"]
    assert search(ORACLE)[0]["best"] == search("random")[0]["best"]
