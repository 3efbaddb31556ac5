from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

from harness.core.errors import UsageError
from harness.core.interfaces import Task
from harness.core.types import Arch, Attach, Cost, Evaluate, Failure, Grow, Measurement, Move, Trial
from harness.testing import ToySpace
from methods.base import BestSoFar, check_choice, check_count, finite_space, random_order

COST = Cost(1)


def task(direction: Any = "maximize", space: Any = None) -> Task:
    return Task(space or ToySpace(), "toy/valid@9ep", direction, 9, (1, 3, 9), frozenset(), "epochs", 9.0)


def told(*results: tuple[str, int, float | None], direction: Any = "maximize") -> Arch | None:
    method = BestSoFar(task(direction))
    for number, (arch, epochs, value) in enumerate(results):
        result = Failure("planted", COST) if value is None else Measurement(value, {}, COST)
        method.tell(Trial(number, Evaluate(Arch(arch), epochs), 0), result)
    return method.recommend()


def test_nothing_is_recommended_before_a_success() -> None:
    assert told() is None
    assert told(("a", 9, None)) is None


def test_the_best_is_recommended_in_either_direction() -> None:
    trials = (("a", 9, 1.0), ("b", 9, 3.0), ("c", 9, 2.0))
    assert told(*trials) == "b"
    assert told(*trials, direction="minimize") == "a"


def test_the_first_of_equals_is_recommended() -> None:
    assert told(("a", 9, 1.0), ("b", 9, 1.0)) == "a"


def test_a_higher_fidelity_outranks_every_value_below_it() -> None:
    assert told(("a", 3, 90.0), ("b", 9, 10.0), ("c", 3, 95.0)) == "b"
    assert told(("a", 3, 90.0), ("b", 9, None)) == "a"


def test_an_objective_below_zero_counts() -> None:
    assert told(("a", 9, 5.0), direction="minimize") == "a"


def test_what_was_trained_is_recommended_and_what_was_attached_is_not() -> None:
    method = BestSoFar(task())
    attached = Attach(Evaluate(Arch("a"), 9), (Move("b"),), "sg+sf", 9)
    method.tell(Trial(0, attached, 0), Measurement(1.0, {}, COST))
    assert method.recommend() is None
    method.tell(Trial(1, Grow(attached, (Move("b"),), Arch("b"), 9), 0), Measurement(1.0, {}, COST))
    assert method.recommend() == "b"


def test_random_order_is_a_permutation() -> None:
    drawn = list(random_order(ToySpace(), np.random.default_rng(1)))
    assert len(drawn) == 1024
    assert set(drawn) == {ToySpace().arch(index) for index in range(1024)}


def test_random_order_is_uniform_over_permutations() -> None:
    space: Any = type("Four", (), {"__len__": lambda self: 4, "arch": lambda self, index: "abcd"[index]})()
    rng = np.random.default_rng(2)
    counts = Counter("".join(random_order(space, rng)) for _ in range(24_000))
    assert len(counts) == 24
    assert chisquare(list(counts.values())).pvalue > 1e-3


def test_a_space_that_cannot_be_listed_is_refused() -> None:
    with pytest.raises(UsageError, match="'endless' cannot be listed"):
        finite_space(task(space=SimpleNamespace(name="endless")))


@pytest.mark.parametrize("given", [0, -1, 1.0, True, "1", None])
def test_counts_are_whole_and_large_enough(given: object) -> None:
    with pytest.raises(UsageError, match=r"'sample': .* allowed: a whole number from 1 up"):
        check_count("sample", given, least=1)


def test_the_nearest_choice_is_named() -> None:
    with pytest.raises(UsageError, match=r"'kill': 'oldst' given \(did you mean 'oldest'\?\); allowed: oldest, worst"):
        check_choice("kill", "oldst", ("oldest", "worst"))


def test_good_options_pass() -> None:
    check_count("sample", 1, least=1)
    check_choice("kill", "worst", ("oldest", "worst"))
