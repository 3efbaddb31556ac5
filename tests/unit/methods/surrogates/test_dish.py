"""A fitted dish: what it learns, what leaves it unchanged, its file, and what it does when it diverges."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.core.errors import DataCorrupt, DataMissing, UsageError
from methods.surrogates.spd import artefact as artefacts
from methods.surrogates.spd.artefact import Artefact, load, restart
from methods.surrogates.spd.dish import Dish, normal_scores
from methods.surrogates.spd.inner import Inner
from methods.surrogates.spd.motif import SigmoidMotif
from methods.surrogates.spd.settings import (
    DishSettings,
    Phase,
    prediction_multiply_adds,
    training_multiply_adds,
)

SLOPES = np.linspace(0.3, 1.5, 6)
TRUTH = 95 - 4 * np.log(SLOPES / 0.25) ** 2
UNSEEN = np.linspace(0.05, 2.0, 9)
QUICK = DishSettings(Inner(steps=30, rate=0.05), phases=(Phase(12, 0.05), Phase(6, 0.02, 0.01)), restarts=2)


def fit(settings: DishSettings = QUICK, truth: Any = TRUTH, seed: int = 3) -> Artefact:
    return Dish(SigmoidMotif(), settings).fit(list(SLOPES), truth, seed)


@pytest.fixture(scope="module")
def fitted() -> Artefact:
    return fit()


def test_training_lowers_the_error(fitted: Artefact) -> None:
    untrained = fit(replace(QUICK, phases=()))
    assert (fitted.reading.error < 0.2 * untrained.reading.error).all()
    assert (fitted.reading.error < 0.2).all()


def test_predictions_of_the_training_motifs_are_standardised(fitted: Artefact) -> None:
    predicted = fitted.predict(list(SLOPES))
    assert predicted.mean(axis=1) == pytest.approx(np.zeros(2), abs=1e-9)
    assert predicted.std(axis=1) == pytest.approx(np.ones(2), abs=1e-9)
    goal = (TRUTH - TRUTH.mean()) / TRUTH.std()
    assert np.square(predicted - goal).mean(axis=1) == pytest.approx(fitted.reading.error, rel=1e-6)


def test_a_prediction_does_not_depend_on_its_company(fitted: Artefact) -> None:
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(UNSEEN))
    together = fitted.predict(list(UNSEEN))
    np.testing.assert_allclose(fitted.predict(list(UNSEEN[order])), together[:, order], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(fitted.predict([UNSEEN[4]])[:, 0], together[:, 4], rtol=1e-10, atol=1e-10)


def test_long_lists_are_predicted_in_pieces(fitted: Artefact, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fitted.predict(list(UNSEEN))
    monkeypatch.setattr(artefacts, "AT_ONCE", 4)
    np.testing.assert_allclose(fitted.predict(list(UNSEEN)), whole, rtol=1e-10, atol=1e-10)


def test_an_affine_change_of_the_truth_changes_nothing(fitted: Artefact) -> None:
    other = fit(truth=0.01 * TRUTH + 7)
    np.testing.assert_allclose(other.predict(list(UNSEEN)), fitted.predict(list(UNSEEN)), rtol=1e-5, atol=1e-6)


def test_the_order_of_the_training_motifs_changes_nothing(fitted: Artefact) -> None:
    turned = Dish(SigmoidMotif(), QUICK).fit(list(SLOPES[::-1]), TRUTH[::-1].copy(), 3)
    np.testing.assert_allclose(turned.predict(list(UNSEEN)), fitted.predict(list(UNSEEN)), rtol=1e-5, atol=1e-6)


def test_normal_scores_make_any_rising_change_of_the_truth_alike() -> None:
    ranked = replace(QUICK, transform="normal")
    one, other = fit(ranked), fit(ranked, truth=np.exp(TRUTH - 90))
    assert (one.predict(list(UNSEEN)) == other.predict(list(UNSEEN))).all()
    scores = normal_scores(np.array([[3.0, 1.0, 1.0, 2.0]]))
    assert scores[0, 1] == scores[0, 2] < scores[0, 3] < scores[0, 0]


def test_a_restart_is_the_same_alone_and_beside_others(fitted: Artefact) -> None:
    alone = fit(replace(QUICK, restarts=1))
    np.testing.assert_allclose(alone.predict(list(UNSEEN))[0], fitted.predict(list(UNSEEN))[0], rtol=1e-6, atol=1e-7)
    one = restart(fitted, 1)
    np.testing.assert_allclose(one.predict(list(UNSEEN))[0], fitted.predict(list(UNSEEN))[1], rtol=1e-10, atol=1e-10)


def test_restarts_may_have_motifs_of_their_own() -> None:
    rows = [list(SLOPES), list(SLOPES + 0.05)]
    settings = replace(QUICK, phases=(Phase(4, 0.05),))
    both = Dish(SigmoidMotif(), settings).fit(rows, np.stack([TRUTH, TRUTH - 1]), 3)
    first = Dish(SigmoidMotif(), replace(settings, restarts=1)).fit(rows[0], TRUTH, 3)
    np.testing.assert_allclose(both.predict(list(UNSEEN))[0], first.predict(list(UNSEEN))[0], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "changes",
    [
        {"learn_labels": True},
        {"learn_weights": True},
        {"validation": "inputs"},
        {"validation": "own"},
        {"batch": 4, "watch": 2},
        {"emphasis": 1.0},
        {"precision": "float32"},
        {"inner": Inner(steps=30, rate=0.05, block=10)},
        {"inner": Inner("sgd", steps=30, rate=1.0)},
    ],
    ids=str,
)
def test_every_option_trains_and_survives_its_file(changes: dict[str, Any], tmp_path: Path) -> None:
    settings = replace(QUICK, phases=(Phase(6, 0.05),), attempts=0, **changes)
    artefact = fit(settings)
    untrained = fit(replace(settings, phases=()))
    if not settings.emphasis:  # which lowers a tilted error, not this one
        assert (artefact.reading.error <= untrained.reading.error + 1e-12).all()
    assert not np.array_equal(artefact.data.inputs, untrained.data.inputs)
    changed = {
        name for name in artefact.data.tensors()
        if not torch.equal(artefact.data.tensors()[name], untrained.data.tensors()[name])
    }  # fmt: skip
    learned = {"inputs"} | ({"labels"} if settings.learn_labels else set())
    assert learned <= changed
    assert changed <= learned | (set(artefact.data.tensors()) - {"labels"} if settings.learn_weights else set())
    artefact.save(tmp_path / "dish.npz")
    again = load(tmp_path / "dish.npz")
    assert again.settings == settings
    assert (again.predict(list(UNSEEN)) == artefact.predict(list(UNSEEN))).all()


def test_the_file_gives_the_same_bits_in_another_process(fitted: Artefact, tmp_path: Path) -> None:
    path = tmp_path / "dish.npz"
    fitted.save(path)
    program = (
        "import sys, numpy as np\nfrom pathlib import Path\nfrom methods.surrogates.spd.artefact import load\n"
        f"found = load(Path({str(path)!r})).predict({UNSEEN.tolist()!r})\nsys.stdout.write(found.tobytes().hex())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert bytes.fromhex(done.stdout) == fitted.predict(list(UNSEEN)).tobytes()


def test_fitting_is_a_function_of_the_seed() -> None:
    settings = replace(QUICK, phases=(Phase(4, 0.05),), batch=4)
    one, two, other = fit(settings), fit(settings), fit(settings, seed=4)
    assert (one.predict(list(UNSEEN)) == two.predict(list(UNSEEN))).all()
    assert not np.allclose(one.predict(list(UNSEEN)), other.predict(list(UNSEEN)))


def test_the_best_data_are_kept_where_the_last_are_worse() -> None:
    wild = replace(QUICK, phases=(Phase(8, 0.05), Phase(3, 5.0)))
    artefact = fit(wild)
    good = fit(replace(wild, phases=(Phase(8, 0.05),)))
    assert (artefact.reading.error <= good.reading.error + 1e-9).all()


def test_a_restart_that_diverges_is_begun_again_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    wild = replace(QUICK, phases=(Phase(4, 50.0),), attempts=2, clip=1e9)
    with caplog.at_level(logging.WARNING):
        artefact = fit(wild)
    told = [record.facts for record in caplog.records if record.getMessage() == "dish diverged"]  # type: ignore[attr-defined]
    assert sum(artefact.redrawn) > 0
    assert len(told) == sum(artefact.redrawn) + sum(artefact.diverged)
    assert np.isfinite(artefact.predict(list(UNSEEN))).all()
    assert artefact.redrawn[0] == max([fact["attempt"] for fact in told if fact["restart"] == 0], default=-1) + (
        0 if artefact.diverged[0] else 1
    )


@pytest.mark.parametrize(
    ("truth", "told"), [(TRUTH[:3], "3"), (np.ones(6), "all equal"), ([*TRUTH[:5], float("nan")], "not finite")]
)
def test_truth_that_cannot_be_learned_is_refused(truth: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        fit(truth=truth)


def test_descriptions_of_another_kind_are_refused(fitted: Artefact) -> None:
    with pytest.raises(UsageError, match="numbers"):
        fitted.predict(["|nor_conv_3x3~0|"])


def test_a_file_that_is_no_artefact_is_refused(fitted: Artefact, tmp_path: Path) -> None:
    path = tmp_path / "dish.npz"
    with pytest.raises(DataMissing, match="fit one"):
        load(path)
    path.write_bytes(b"no zip")
    with pytest.raises(DataCorrupt, match="anew"):
        load(path)
    np.savez(path, about=np.array({"format": 1}, dtype=object))
    with pytest.raises(DataCorrupt, match="anew"):
        load(path)
    fitted.save(path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    about = json.loads(str(arrays["about"]))
    for wrong in ({"format": 2}, {"motif": {"name": "sigmoid-slop", "settings": {}}}):
        np.savez(path, **(arrays | {"about": np.array(json.dumps(about | wrong))}))
        with pytest.raises(DataCorrupt, match="anew"):
            load(path)


def test_global_state_of_torch_is_left_alone() -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.random.get_rng_state().sum()
    fit(replace(QUICK, phases=(Phase(1, 0.05),)))
    after = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.random.get_rng_state().sum()
    assert before == after


def test_multiply_adds_are_counted_by_passes() -> None:
    motif = SigmoidMotif()
    forward = 10 * (10 * 1 + 1 * 1 + 1 * 10)
    settings = DishSettings(Inner(steps=4), phases=(Phase(3, 0.1),), samples=10, restarts=2)
    assert motif.multiply_adds(10) == forward
    assert prediction_multiply_adds(motif, settings, 5) == 2 * 5 * (3 * 4 + 1) * forward
    assert training_multiply_adds(motif, settings, 5) == 2 * 3 * 5 * (9 * 4 + 3) * forward + 2 * 5 * 13 * forward
    blocks = replace(settings, inner=replace(settings.inner, block=2))
    assert training_multiply_adds(motif, blocks, 5) > training_multiply_adds(motif, settings, 5)
