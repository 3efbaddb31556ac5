"""The hull over cost, and who is on it when a run ends."""

from __future__ import annotations

from math import nan

import pytest
from pydantic import ValidationError

from harness.core.hull import error_of, finalists, lower_hull
from harness.core.types import Arch, Attach, Cost, Evaluate, Grow, Measurement, Move, Work
from harness.testing.toy import FULL
from harness.testing.world import tiny_track

SIZE = "toy/multiply-adds"
HULL = {"objective": {"secondary": [SIZE, "toy/parameters"]}, "final": {"models": "hull"}}


def known(arch: str, value: float, size: float | None, epochs: int = FULL) -> tuple[Work, Measurement]:
    metrics = {"toy/parameters": 1.0} if size is None else {SIZE: size, "toy/parameters": -value}
    return Evaluate(Arch(arch), epochs), Measurement(value, metrics, Cost(epochs))


def test_vertices_fall_and_turn_left() -> None:
    assert lower_hull([]) == []
    assert lower_hull([(3, 7)]) == [0]
    assert lower_hull([(5, 1), (2, 9), (3, 2), (1, 10)]) == [3, 2, 0]
    assert lower_hull([(1, 10), (2, 8), (3, 6)]) == [0, 2], "on a segment is no vertex"
    assert lower_hull([(1, 5), (2, 3), (4, 3), (8, 4)]) == [0, 1], "a level and a rising tail are cut"
    assert lower_hull([(1, 5), (1, 4), (1, 4)]) == [1], "of one cost the lowest, then the first"


@pytest.mark.parametrize("place", range(4))
def test_what_was_not_measured_is_on_no_hull_and_moves_nothing(place: int) -> None:
    points = [(3.0, 2.0), (1.0, 9.0), (2.0, 3.0)]
    with_gaps = [*points[:place], (nan, 0.0), (0.0, nan), *points[place:]]
    assert [with_gaps[index] for index in lower_hull(with_gaps)] == [points[index] for index in lower_hull(points)]


def test_an_error_is_what_an_accuracy_lacks() -> None:
    assert error_of(91.5, "maximize") == 8.5
    assert error_of(8.5, "minimize") == 8.5


def test_only_the_recommended_is_final_unless_the_hull_is_asked_for() -> None:
    learnt = [known("aaaaa", 60, 1.0), known("bbbbb", 90, 2.0)]
    assert finalists(Arch("aaaaa"), learnt, tiny_track()) == ["aaaaa"]
    assert finalists(Arch("aaaaa"), learnt, tiny_track(**HULL)) == ["aaaaa", "bbbbb"]
    assert finalists(None, learnt, tiny_track(**HULL)) == []


def test_the_hull_is_over_the_first_secondary_metric_and_follows_the_recommended() -> None:
    learnt = [
        known("dominated", 50, 3.0),
        known("best", 95, 4.0),
        known("small", 60, 1.0),
        known("middle", 90, 2.0),
        known("unsized", 99, None),
        known("short", 99, 0.5, epochs=1),
    ]
    assert finalists(Arch("best"), learnt, tiny_track(**HULL)) == ["best", "small", "middle"]
    assert finalists(Arch("dominated"), learnt, tiny_track(**HULL)) == ["dominated", "small", "middle", "best"]


def test_less_is_better_where_the_track_says_so() -> None:
    learnt = [known("low", 5, 1.0), known("high", 50, 2.0)]
    falling = {**HULL, "objective": {**HULL["objective"], "direction": "minimize"}}
    assert finalists(Arch("low"), learnt, tiny_track(**falling)) == ["low"]
    assert finalists(Arch("low"), learnt, tiny_track(**HULL)) == ["low", "high"]


def test_what_has_grown_is_a_member_and_an_attachment_is_none() -> None:
    founder = Evaluate(Arch("aaaaa"), FULL)
    attach = Attach(founder, (Move("0:b"),), "sg+sf", 1, 0.0, 1.0)
    result = Measurement(80.0, {SIZE: 2.0}, Cost(1))
    learnt = [known("aaaaa", 60, 1.0), (attach, result), (Grow(attach, (Move("0:b"),), Arch("baaaa"), 1), result)]
    assert finalists(Arch("aaaaa"), learnt, tiny_track(**HULL)) == ["aaaaa", "baaaa"]


def test_a_hull_needs_a_cost_and_the_usual_leaves_no_trace() -> None:
    with pytest.raises(ValidationError, match="names no cost"):
        tiny_track(final={"models": "hull"})
    assert "models" not in tiny_track().model_dump()["final"]
    assert "models" not in tiny_track(final={"models": "recommended"}).model_dump()["final"]
    assert tiny_track(**HULL).model_dump()["final"]["models"] == "hull"
