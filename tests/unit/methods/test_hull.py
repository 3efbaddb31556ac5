"""The hull, its band and the closed form of the draw, against hand-made sets and the walk itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from operator import ge, gt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from harness.core import hull as core_hull
from methods.hull import Point, band, height, lower_hull, pick, shares, walk_probabilities

Turns = Callable[..., bool]


def points(*pairs: tuple[float, float]) -> list[Point]:
    return [Point(cost, error, str(index)) for index, (cost, error) in enumerate(pairs)]


def at(hull: list[Point]) -> list[tuple[float, float]]:
    return [(point.cost, point.error) for point in hull]


def test_a_single_point_is_its_own_hull() -> None:
    assert at(lower_hull(points((3, 7)))) == [(3, 7)]
    assert band(points((3, 7)), 0.0) == [0]


def test_points_above_the_segments_are_no_vertices() -> None:
    assert at(lower_hull(points((1, 10), (2, 9), (3, 2), (5, 1)))) == [(1, 10), (3, 2), (5, 1)]


def test_points_on_a_segment_are_no_vertices_but_in_the_narrowest_band() -> None:
    line = points((1, 10), (2, 8), (3, 6))
    assert at(lower_hull(line)) == [(1, 10), (3, 6)]
    assert band(line, 0.0) == [0, 1, 2]


def hull_by(worse: Callable[[float, float], bool]) -> Callable[[list[tuple[float, float]]], list[int]]:
    """Return the hull in which a costlier point is no vertex where its error is worse than the last in this sense."""

    def vertices(pairs: list[tuple[float, float]]) -> list[int]:
        hull: list[int] = []
        for index in sorted(range(len(pairs)), key=lambda place: pairs[place]):
            if hull and worse(pairs[index][1], pairs[hull[-1]][1]):
                continue
            while len(hull) > 1 and not core_hull._turns_left(pairs[hull[-2]], pairs[hull[-1]], pairs[index]):
                hull.pop()
            hull.append(index)
        return hull

    return vertices


def cuts_the_tail() -> bool:
    rising, level_first = points((1, 5), (2, 3), (8, 4)), points((1, 5), (2, 3), (4, 3), (8, 4))
    cut = all(at(lower_hull(cloud)) == [(1, 5), (2, 3)] for cloud in (rising, level_first))
    return cut and height(lower_hull(rising), 100) == 3


def test_a_rising_or_level_tail_is_cut_off() -> None:
    assert cuts_the_tail()


@pytest.mark.parametrize(("worse", "sound"), [(ge, True), (gt, False), (lambda *_: False, False)])
def test_a_tail_that_is_kept_is_seen(
    worse: Callable[[float, float], bool],
    sound: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("methods.hull.vertices", hull_by(worse))
    assert cuts_the_tail() == sound


def by_arrival(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("methods.hull.sorted", list, raising=False)


def by_last_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("methods.hull.sorted", lambda tied: sorted(tied)[::-1], raising=False)


def by_highest_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(places: Iterable[int], key: Callable[[int], tuple[float, float]]) -> list[int]:
        return sorted(places, key=lambda place: (key(place)[0], -key(place)[1]))

    monkeypatch.setattr(core_hull, "sorted", wrong, raising=False)


@pytest.mark.parametrize("fault", [None, by_arrival, by_last_name, by_highest_error])
def test_of_one_cost_the_lowest_error_stands_then_the_first_name(
    fault: Callable[[pytest.MonkeyPatch], None] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault:
        fault(monkeypatch)
    tied = [Point(1, 4, "b"), Point(1, 3, "z"), Point(1, 3, "a"), Point(2, 2, "y")]
    whole = [Point(1, 3, "a"), Point(2, 2, "y")]
    assert (lower_hull(tied) == lower_hull(tied[::-1]) == whole) == (fault is None)


def test_equal_points_are_in_the_band_together() -> None:
    tied = [Point(1, 4, "b"), Point(1, 3, "z"), Point(1, 3, "a"), Point(2, 2, "y")]
    assert band(tied, 0.0) == [1, 2, 3]


def test_the_hull_is_linear_between_vertices() -> None:
    hull = lower_hull(points((1, 10), (3, 4)))
    assert [height(hull, cost) for cost in (1, 2, 3, 9)] == [10, 7, 4, 4]


coordinates = st.integers(0, 40).map(float)
clouds = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=30).map(lambda pairs: points(*pairs))


def is_lower_hull(hull: list[Point], cloud: list[Point]) -> bool:
    """Tell whether no point lies below a chain that falls ever more slowly through points of the cloud."""
    slopes = [(right.error - left.error) / (right.cost - left.cost) for left, right in pairwise(hull)]
    falling = all(slope < 0 for slope in slopes) and all(first < second for first, second in pairwise(slopes))
    below = any(point.error < height(hull, point.cost) - 1e-9 for point in cloud)
    return falling and not below and set(hull) <= set(cloud)


@given(clouds)
def test_no_point_lies_below_the_hull_and_the_hull_is_convex(cloud: list[Point]) -> None:
    assert is_lower_hull(lower_hull(cloud), cloud)


def the_other_way(turns: Turns) -> Turns:
    return lambda *chain: not turns(*chain)


def never(_: Turns) -> Turns:
    """Keep every point that is better than all that cost less: a staircase."""
    return lambda *_: True


@pytest.mark.parametrize("fault", [None, the_other_way, never])
def test_a_wrong_turn_is_seen(fault: Callable[[Turns], Turns] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if fault:
        monkeypatch.setattr(core_hull, "_turns_left", fault(core_hull._turns_left))
    for cloud in (points((1, 10), (2, 9), (3, 2), (5, 1)), points((0, 9), (1, 8), (2, 3), (3, 2.5), (9, 0))):
        assert is_lower_hull(lower_hull(cloud), cloud) == (fault is None)


def widens(cloud: list[Point], narrow: float, wide: float) -> bool:
    """Tell whether a band holds all vertices, and a wider one all that a narrow one holds."""
    found = [{cloud[index] for index in band(cloud, eps)} for eps in (0.0, narrow, wide)]
    return set(lower_hull(cloud)) <= found[0] and found[1] <= found[2]


@given(clouds, st.floats(0, 1), st.floats(0, 1))
def test_the_band_only_widens_with_eps(cloud: list[Point], first: float, second: float) -> None:
    assert widens(cloud, *sorted((first, second)))


def test_a_band_around_another_hull_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = points((1, 10), (2, 9), (3, 2), (5, 1))
    assert widens(cloud, 0.1, 0.2)
    monkeypatch.setattr("methods.hull.height", lambda vertices, cost: vertices[-1].error)  # level, at the least error
    assert not widens(cloud, 0.1, 0.2)


def walk(uses: list[int], rng: np.random.Generator) -> int:
    """The draw of the published program, pass by pass."""
    while True:
        for index, count in enumerate(uses):
            if rng.random() < 1 / (count + 1):
                return index


def agrees(probabilities: list[float], uses: list[int]) -> bool:
    """Tell whether the walk may well draw with these probabilities, by the chi-square test."""
    rng = np.random.Generator(np.random.PCG64(17))
    seen = np.bincount([walk(uses, rng) for _ in range(6000)], minlength=len(uses))
    expected = 6000 * np.array(probabilities)
    return bool(chisquare(seen, expected).pvalue > 0.001)


@pytest.mark.parametrize("uses", [[3, 1, 2], [5, 5, 5, 5], [9, 1, 30, 2, 4]])
def test_closed_form_agrees_with_the_walk(uses: list[int]) -> None:
    assert agrees(walk_probabilities(uses), uses)


def test_one_point_is_drawn_for_sure() -> None:
    assert walk([1], np.random.Generator(np.random.PCG64(17))) == 0
    assert walk_probabilities([1]) == [1]


def acceptances(uses: list[int]) -> list[float]:
    """Forget that the walk comes to a point only past those before it."""
    return shares([1 / (count + 1) for count in uses])


def one_pass(uses: list[int]) -> list[float]:
    """Let the last point take what is left, in place of a walk that starts again."""
    left, found = 1.0, []
    for count in uses[:-1]:
        found.append(left / (count + 1))
        left -= found[-1]
    return [*found, left]


def uses_halved(uses: list[int]) -> list[float]:
    return walk_probabilities([count // 2 + 1 for count in uses])


def cheapest_first(uses: list[int]) -> list[float]:
    return walk_probabilities(uses[::-1])[::-1]


@pytest.mark.parametrize("wrong", [acceptances, one_pass, uses_halved, cheapest_first])
@pytest.mark.parametrize("uses", [[3, 1, 2], [9, 1, 30, 2, 4]])
def test_wrong_probabilities_are_seen(wrong: Callable[[list[int]], list[float]], uses: list[int]) -> None:
    assert sum(wrong(uses)) == pytest.approx(1)
    assert not agrees(wrong(uses), uses)


@pytest.mark.parametrize("uses", [[3, 1, 2], [0, 4], [4, 0, 2]])
def test_one_number_draws_from_the_closed_form(uses: list[int]) -> None:
    probabilities = walk_probabilities(uses)
    grid = (np.arange(3000) + 0.5) / 3000
    shares = np.bincount([pick(probabilities, number) for number in grid], minlength=len(uses)) / 3000
    assert shares == pytest.approx(probabilities, abs=1 / 3000)


def test_the_walk_ends_at_the_first_point_that_was_no_parent() -> None:
    assert walk_probabilities([0, 0, 3]) == [1, 0, 0]
    assert walk_probabilities([1, 0, 3]) == [0.5, 0.5, 0]
    assert walk_probabilities([10**6, 10**6]) == pytest.approx([0.5, 0.5], abs=1e-6)
