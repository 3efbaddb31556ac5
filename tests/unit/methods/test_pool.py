"""The rules by which parents are drawn, and who may be one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import chisquare

from harness.core.types import Arch, Evaluate, Move
from methods.hull import walk_probabilities
from methods.pool import _PROBABILITIES, Member, ParentRule, Pool

MOVES = (Move("m1"), Move("m2"))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def member(name: str, cost: float, error: float, uses: int = 0) -> Member:
    return Member(Evaluate(Arch(name), 1), cost, error, MOVES, uses=uses)


def pool(rule: ParentRule, *members: Member, eps: float = 0.025) -> Pool:
    made = Pool(rule, eps)
    for one in members:
        made.add(one)
    return made


def drawn(made: Pool, times: int = 200) -> dict[str, int]:
    generator = rng()
    names = [str(found.arch) for _ in range(times) if (found := made.draw(generator))]
    return {name: names.count(name) for name in sorted(set(names))}


def test_the_hull_rule_takes_the_most_expensive_that_was_no_parent() -> None:
    cheap, dear, above = member("cheap", 1, 10), member("dear", 5, 4), member("above", 3, 9.5)
    made = pool("hull", cheap, above, dear)
    assert drawn(made) == {"dear": 200}
    dear.uses = 1
    found = drawn(made)
    assert set(found) == {"cheap", "dear"}
    assert 60 < found["dear"] < 140  # a half: 100 +- 7.1


def level(members: Sequence[Member]) -> list[float]:
    return [1 / len(members)] * len(members)


def cheapest_first(members: Sequence[Member]) -> list[float]:
    return walk_probabilities([member.uses for member in members[::-1]])[::-1]


def used_once_more(members: Sequence[Member]) -> list[float]:
    return walk_probabilities([member.uses + 1 for member in members])


@pytest.mark.parametrize("fault", [None, level, cheapest_first, used_once_more])
def test_parents_are_drawn_as_by_the_published_walk(fault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three on the hull, parents 3, 1 and 2 times from the most expensive on: drawn by a third, a half and a sixth."""
    if fault:
        monkeypatch.setitem(_PROBABILITIES, "hull", fault)
    found = drawn(pool("hull", member("a", 1, 9, uses=2), member("b", 2, 5, uses=1), member("c", 3, 4, uses=3)), 3000)
    assert (chisquare([found["c"], found["b"], found["a"]], [1000, 1500, 500]).pvalue > 0.001) == (fault is None)


def test_greedy_takes_the_lowest_error_then_the_cheaper() -> None:
    made = pool("greedy", member("a", 1, 5), member("c", 3, 4), member("b", 2, 4))
    assert drawn(made) == {"b": 200}


@pytest.mark.parametrize(("rule", "names"), [("uniform-band", {"a", "b"}), ("uniform-pool", {"a", "b", "far"})])
def test_uniform_rules(rule: ParentRule, names: set[str]) -> None:
    found = drawn(pool(rule, member("a", 1, 10), member("b", 2, 5), member("far", 1.5, 20)))
    assert set(found) == names
    assert min(found.values()) > 200 / len(names) / 2


def test_archai_never_prefers_one_more_than_twofold() -> None:
    busy, fresh = member("busy", 9, 5, uses=7), member("fresh", 1, 10)
    found = drawn(pool("archai", busy, fresh), times=3000)
    assert found["fresh"] / found["busy"] == pytest.approx(2, rel=0.15)


def test_who_is_busy_barren_or_fully_grown_is_no_parent() -> None:
    busy, barren, grown = member("busy", 1, 9), member("barren", 2, 8), member("grown", 3, 7)
    busy.busy = barren.barren = True
    grown.grown.update(MOVES)
    made = pool("hull", busy, barren, grown)
    assert made.draw(rng()) is None
    busy.busy = False
    found = made.draw(rng())
    assert found is busy


def test_where_the_band_is_taken_the_band_of_the_others_is_drawn_from() -> None:
    best, second, poor = member("best", 1, 5), member("second", 1, 8), member("poor", 1, 20)
    best.busy = True
    assert drawn(pool("uniform-band", best, second, poor)) == {"second": 200}


def test_no_draw_no_random_number() -> None:
    generator = rng()
    assert pool("hull").draw(generator) is None
    assert generator.random() == rng().random()
