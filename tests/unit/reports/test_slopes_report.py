"""The report of the sigmoid experiment: scores against their definitions, verdicts that can go both ways."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from reports.render import render
from reports.slope_acceptance import MISSED, acceptance
from reports.slope_metrics import DISH, PROCESS, SGD, TANH, UNTRAINED, Experiment, noise_of, scores_of
from reports.slopes import slope_report

GRID = np.linspace(0.01, 2.01, 50)
TRUTH = 97 - 3 * np.log(GRID / 0.25) ** 2 * np.where(GRID < 0.25, 0.3, 0.5)
INSIDE = np.flatnonzero((GRID >= 0.41) & (GRID <= 1.5))
SPLITS = np.stack([INSIDE[:15], INSIDE[5:20], INSIDE[-15:]])


def in_z(curve: np.ndarray) -> np.ndarray:
    training = TRUTH[SPLITS]
    return (curve - training.mean(axis=1, keepdims=True)) / training.std(axis=1, keepdims=True)


def falling() -> np.ndarray:
    """What a smooth regression sees in the band: the flatter the better."""
    return in_z(np.tile(98 - 4 * GRID, (3, 1)))


def experiment() -> Experiment:
    right = in_z(np.tile(TRUTH, (3, 1)))
    values = {DISH: right, UNTRAINED: -falling(), TANH: falling(), PROCESS: falling(), f"{SGD} at 1": falling()}
    zeros = dict.fromkeys(values, 0)
    return Experiment(
        slopes=GRID,
        accuracies=TRUTH[:, None] + np.array([-0.1, 0.0, 0.1]),
        default_init=(GRID, 90 + 2 * GRID),
        low=0.41,
        high=1.5,
        splits=SPLITS,
        values=values,
        train_error=dict.fromkeys(values, np.full(3, 1e-4)),
        redrawn=zeros,
        diverged=zeros,
        seconds=dict.fromkeys(values, 1.0),
        best={DISH: np.tile([96.0, 96.5], (2, 1)), TANH: np.tile([96.0, 97.0], (2, 1))},
        setting={"seed": "1"},
        reduced=False,
    )


def verdicts(given: Experiment) -> dict[str, list[str]]:
    table = acceptance(given, {name: scores_of(given, name) for name in given.values})
    found: dict[str, list[str]] = {}
    for row in table.rows:
        found.setdefault(row[0], []).append(row[-1])
    return found


def test_perfect_predictions_meet_every_row() -> None:
    found = verdicts(experiment())
    assert set(found) == {f"A{number}" for number in range(10)}
    assert all(verdict != MISSED for row in found.values() for verdict in row), found


@pytest.mark.parametrize(
    ("row", "changed"),
    [
        ("A0", {"accuracies": (90 + 2 * GRID)[:, None]}),
        ("A0", {"default_init": (GRID, TRUTH)}),
        ("A1", {"train_error": {DISH: np.array([1e-4, 3e-3, 3e-3])}}),
        ("A2", {"values": {DISH: -in_z(np.tile(TRUTH, (3, 1)))}}),
        ("A3", {"values": {DISH: falling()}}),
        ("A3", {"values": {TANH: -falling()}}),
        ("A4", {"values": {DISH: falling()}}),
        ("A5", {"values": {DISH: -falling()}}),
        ("A7", {"values": {UNTRAINED: falling()}}),
    ],
)
def test_a_miss_is_called_a_miss(row: str, changed: dict[str, object]) -> None:
    given = experiment()
    merged = {
        name: {**getattr(given, name), **value} if isinstance(value, dict) else value for name, value in changed.items()
    }
    assert MISSED in verdicts(replace(given, **merged))[row]


def test_scores_are_what_they_are_called() -> None:
    given = replace(experiment(), values={DISH: np.random.Generator(np.random.PCG64(0)).normal(size=(3, 50))})
    found = scores_of(given, DISH)
    goal = in_z(np.tile(TRUTH, (3, 1)))[1]
    values = given.values[DISH][1]
    left = GRID < 0.41
    assert found.mse["left"][1] == pytest.approx(np.mean((values - goal)[left] ** 2))
    assert found.rho["left"][1] == pytest.approx(spearmanr(values[left], goal[left]).statistic)
    held_out = np.setdiff1d(INSIDE, SPLITS[1])
    assert found.mse["inside"][1] == pytest.approx(np.mean((values - goal)[held_out] ** 2))
    assert found.choice[1] == GRID[values.argmax()]
    assert found.regret[1] == pytest.approx(TRUTH.max() - TRUTH[values.argmax()])
    assert found.end[1] == pytest.approx(values[0] - goal[0])
    assert found.renormalised[1] > 0


def test_a_shift_and_a_stretch_leave_the_renormalised_error_and_nothing_else() -> None:
    given = experiment()
    moved = replace(given, values={**given.values, DISH: 3 * given.values[DISH] + 1})
    assert scores_of(moved, DISH).renormalised == pytest.approx(np.zeros(3), abs=1e-9)
    assert (scores_of(moved, DISH).mse["left"] > 1).all()


def test_noise_is_read_off_second_differences() -> None:
    noise = np.random.Generator(np.random.PCG64(1)).normal(scale=0.2, size=2000)
    slopes = np.linspace(0.5, 2, 2000)
    given = replace(experiment(), slopes=slopes, accuracies=(95 - slopes + noise)[:, None])
    assert noise_of(given) == pytest.approx(0.2, rel=0.1)


def test_a_flat_prediction_orders_nothing() -> None:
    given = replace(experiment(), values={DISH: np.zeros((3, 50))})
    assert (scores_of(given, DISH).rho["left"] == 0).all()


def test_the_report_is_whole_and_says_when_it_is_reduced() -> None:
    files = render(slope_report(experiment()))
    report = files["report.md"].decode()
    assert "| A9 |" in report
    assert "REDUCED" not in report
    assert {"acceptance.csv", "restarts.csv", "curve.svg", "regret.svg", "prediction-0.svg"} <= set(files)
    assert len(files["restarts.csv"].splitlines()) == 1 + 5 * 3
    assert "REDUCED RUN" in render(slope_report(replace(experiment(), reduced=True)))["report.md"].decode()
