from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.curves import GRID_POINTS, Step, area, common_start, log_grid, on_grid

places = st.floats(0.5, 1e4, allow_nan=False)
heights = st.floats(-100, 100, allow_nan=False)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    at = sorted(draw(st.lists(places, min_size=1, max_size=12)))
    values = draw(st.lists(heights, min_size=len(at), max_size=len(at)))
    return Step(np.array(at), np.array(values))


@given(steps(), places)
def test_a_curve_shows_the_last_incumbent_and_nothing_else(step: Step, place: float) -> None:
    past = [value for at, value in zip(step.at, step.values, strict=True) if at <= place]
    shown = step(np.array([place]))[0]
    assert np.isnan(shown) if not past else shown == past[-1]


@given(steps())
def test_a_curve_never_exceeds_the_best_incumbent_so_far(step: Step) -> None:
    grid = log_grid(step.start, 2e4)
    seen = np.array([step.values[step.at <= place].max() for place in grid])
    assert (step(grid) <= seen).all()
    assert set(step(grid)) <= set(step.values)


@given(steps())
def test_a_curve_is_right_continuous(step: Step) -> None:
    alone = np.array([at for at in step.at if np.nextafter(at, np.inf) not in step.at])
    assert np.array_equal(step(alone), step(np.nextafter(alone, np.inf)))


def test_a_step_counts_from_its_own_place_and_not_before() -> None:
    step = Step(np.array([1.0, 10.0]), np.array([5.0, 7.0]))
    shown = step(np.array([0.999, 1.0, np.nextafter(10.0, 0), 10.0, 1e9]))
    assert np.isnan(shown[0])
    assert shown[1:].tolist() == [5.0, 5.0, 7.0, 7.0]


def test_of_several_steps_at_one_place_the_last_counts() -> None:
    assert Step(np.array([1.0, 2.0, 2.0]), np.array([5.0, 6.0, 4.0]))(np.array([2.0]))[0] == 4.0


def test_curves_begin_where_all_of_them_have_a_value() -> None:
    early, late = Step(np.array([1.0]), np.array([1.0])), Step(np.array([30.0]), np.array([1.0]))
    assert common_start([early, late]) == 30.0
    assert common_start([early, Step(np.array([]), np.array([]))]) == float("inf")
    assert common_start([]) == float("inf")


def test_the_grid_is_logarithmic_with_exact_ends() -> None:
    grid = log_grid(87.3, 12_000.0)
    assert len(grid) == GRID_POINTS
    assert (grid[0], grid[-1]) == (87.3, 12_000.0)
    assert np.diff(np.log10(grid)) == pytest.approx(np.log10(12_000 / 87.3) / (GRID_POINTS - 1))


def test_rows_of_the_grid_are_runs() -> None:
    shown = on_grid(
        [Step(np.array([1.0]), np.array([3.0])), Step(np.array([5.0]), np.array([4.0]))], np.array([1, 6.0])
    )
    assert shown.shape == (2, 2)
    assert shown[0].tolist() == [3.0, 3.0]
    assert np.isnan(shown[1, 0])


def test_the_area_is_exact_over_the_logarithm() -> None:
    # One decade at 4, one at 2, half a decade at 1: (4 + 2 + 0.5) / 2.5.
    step = Step(np.array([1.0, 10.0, 100.0]), np.array([4.0, 2.0, 1.0]))
    assert area(step, 1.0, 10**2.5) == pytest.approx(2.6, abs=1e-12)
    assert area(step, 10.0, 100.0) == pytest.approx(2.0, abs=1e-12)


@given(steps())
def test_the_area_lies_within_the_values(step: Step) -> None:
    found = area(step, step.start, 2e4)
    assert step.values.min() - 1e-9 <= found <= step.values.max() + 1e-9


@given(steps(), st.floats(2.1e4, 1e6))
def test_the_area_is_what_a_fine_grid_would_sum_to(step: Step, end: float) -> None:
    fine = np.geomspace(step.start, end, 200_001)
    assert area(step, step.start, end) == pytest.approx(step(fine[:-1]).mean(), abs=0.02)
