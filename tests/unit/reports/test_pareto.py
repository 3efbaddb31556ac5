"""Archives against brute force, and their measures against naive definitions and moocore."""

from __future__ import annotations

from typing import Any

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.records import TrialRecord
from harness.core.types import Arch, Cost, Evaluate, Failure, Measurement, Trial
from reports.pareto import (
    Archive,
    Normal,
    archives_of,
    attainment,
    attainment_difference,
    distances,
    hypervolume,
    points_at,
    volume_curve,
)

PLAN: dict[str, Any] = {
    "objective": {"metric": "valid", "direction": "maximize", "secondary": ["work"]},
    "fidelity": {"search": 12},
}
RANGES = {"work": {"low": 0, "high": 10, "better": "lower"}}
UNIT = Normal((0.0, 1.0), (0.0, 1.0))

evaluations = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=14)
unit_points = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=7).map(
    lambda pairs: np.array(pairs, dtype=float) / 10
)


def record(number: int, valid: float, work: float, sealed: float | None = None, epochs: int = 12) -> TrialRecord:
    told = Measurement(valid, {"valid": valid, "work": work}, Cost(epochs))
    test = {"test": 100.0 + number if sealed is None else sealed}
    return TrialRecord(Trial(number, Evaluate(Arch(f"a{number}"), epochs), 0), told, number + 1.0, True, None, test)


def archive(*given: tuple[float, float], plan: dict[str, Any] = PLAN) -> Archive:
    trials = [record(number, valid, work) for number, (valid, work) in enumerate(given)]
    (found,) = archives_of(trials, plan, RANGES, "test")
    return found


@given(evaluations)
def test_an_archive_holds_at_every_moment_what_nothing_so_far_beats(given_: list[tuple[int, int]]) -> None:
    found = archive(*given_)
    for moment in range(1, len(given_) + 1):
        so_far = list(enumerate(given_[:moment]))
        free = set()
        for number, (valid, work) in so_far:
            beaten = any(v >= valid and w <= work and (v, w) != (valid, work) for _, (v, w) in so_far)
            earlier_equal = any((v, w) == (valid, work) for n, (v, w) in so_far if n < number)
            if not beaten and not earlier_equal:
                free.add(100.0 + number)
        held = (found.entered <= moment) & (moment < found.left)
        assert set(found.value[held]) == free


def test_a_cost_that_should_be_high_and_an_objective_that_should_be_low_turn() -> None:
    plan = PLAN | {"objective": PLAN["objective"] | {"direction": "minimize"}}
    trials = [record(0, -3, -1), record(1, -5, -4), record(2, -2, -2)]
    (turned,) = archives_of(trials, plan, {"work": {"low": 0, "high": 1, "better": "higher"}}, "test")
    plain = archive((3, 1), (5, 4), (2, 2))
    assert turned.value.tolist() == plain.value.tolist()
    assert turned.left.tolist() == plain.left.tolist()


def test_failures_short_trainings_and_unknown_costs_never_enter() -> None:
    good = record(0, 5, 5)
    failed = record(1, 9, 1)
    failed = TrialRecord(failed.trial, Failure("NaN", Cost(1)), 2.0, True, None, {"test": 1.0})
    short = record(2, 9, 1, epochs=3)
    unknown = TrialRecord(good.trial, Measurement(9.0, {"valid": 9.0}, Cost(12)), 4.0, True, None, {"test": 1.0})
    (found,) = archives_of([good, failed, short, unknown], PLAN, RANGES, "test")
    assert found.value.tolist() == [100.0]
    assert archives_of([good], PLAN, {}, "test") == ()


@given(unit_points)
def test_hypervolume_is_the_area_of_the_dominated_squares(points: np.ndarray) -> None:
    """All coordinates are tenths, so the area is a count of small squares."""
    corners = (np.arange(10) + 0.5) / 10
    dominated = [any((point <= (x, y)).all() for point in points) for x in corners for y in corners]
    assert hypervolume(points) == pytest.approx(sum(dominated) / 100)
    assert hypervolume(points) == pytest.approx(float(moocore.hypervolume(points, ref=[1.0, 1.0])))


def test_what_lies_beyond_the_reference_point_adds_nothing() -> None:
    inside = np.array([[0.5, 0.5]])
    assert hypervolume(inside) == 0.25
    assert hypervolume(np.vstack([inside, [[0.1, 1.2]], [[-0.5, 2.0]]])) == 0.25
    assert hypervolume(np.empty((0, 2))) == 0.0


@given(evaluations)
def test_the_volume_curve_is_the_volume_of_the_archive_at_each_place(given_: list[tuple[int, int]]) -> None:
    found, normal = archive(*given_), Normal((120.0, 100.0), (0.0, 6.0))
    places = [0.5, 1.0, 2.5, float(len(given_)), 99.0]
    curve = volume_curve(found, normal, places)
    for place in places[1:]:
        assert curve(np.array([place]))[0] == pytest.approx(hypervolume(points_at(found, place, normal)))
    assert np.isnan(curve(np.array([0.5]))[0])


def test_normalised_points_run_from_ideal_to_reference() -> None:
    normal = Normal((94.0, 86.0), (10.0, 30.0))
    assert normal(np.array([94.0, 86.0, 90.0]), np.array([10.0, 30.0, 20.0])).tolist() == [[0, 0], [1, 1], [0.5, 0.5]]


def test_distances_vanish_on_the_front_and_follow_their_definitions() -> None:
    front = np.array([[0.0, 0.8], [0.4, 0.4], [0.8, 0.0]])
    assert distances(front, front) == (0.0, 0.0)
    points = np.array([[0.1, 0.9], [0.5, 0.45]])
    gaps = np.maximum(points[None, :, :] - front[:, None, :], 0.0)
    igd_plus = np.sqrt((gaps**2).sum(axis=2)).min(axis=1).mean()
    epsilon = (points[None, :, :] - front[:, None, :]).max(axis=2).min(axis=1).max()
    assert distances(points, front) == pytest.approx((igd_plus, epsilon))


def test_attainment_surfaces_are_what_a_share_of_the_runs_dominates() -> None:
    rng = np.random.default_rng(2)
    sets = [rng.random((5, 2)).round(2) for _ in range(8)]
    for percentile, surface in zip((25.0, 50.0, 75.0), attainment(sets, (25.0, 50.0, 75.0)), strict=True):
        needed = int(np.ceil(percentile / 100 * len(sets)))
        for x, y in rng.random((300, 2)):
            attained = sum(any((point <= (x, y)).all() for point in points) for points in sets)
            on_surface = any((point <= (x, y)).all() for point in surface)
            assert on_surface == (attained >= needed)
        assert (np.diff(surface[:, 1]) > 0).all()
        assert (np.diff(surface[:, 0]) < 0).all()


def test_differences_of_attainment_are_shares_of_the_runs() -> None:
    rng = np.random.default_rng(3)
    first = [rng.random((4, 2)).round(2) * 0.6 for _ in range(20)]
    second = [rng.random((4, 2)).round(2) for _ in range(20)]
    areas = attainment_difference(first, second)
    assert (areas[:, 4] > 0.5).any()
    for quality, cost in rng.random((500, 2)):
        attained = [
            sum(any((point <= (quality, cost)).all() for point in points) for points in sets)
            for sets in (first, second)
        ]
        inside = (areas[:, 0] <= quality) & (quality < areas[:, 1]) & (areas[:, 2] <= cost) & (cost < areas[:, 3])
        assert (attained[0] - attained[1]) / 20 == pytest.approx(areas[inside, 4][0] if inside.any() else 0.0)
