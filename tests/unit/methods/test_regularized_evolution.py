from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

from harness.core.interfaces import Task
from harness.core.types import Arch, Cost, Evaluate, Failure, Measurement, Trial
from harness.testing import ToySpace
from methods.regularized_evolution import RegularizedEvolution

SPACE = ToySpace()
ALL = 400  # so large a tournament holds every member, up to one chance in 10^8


class Breeder:
    """Ask and tell by hand."""

    def __init__(self, **options: Any) -> None:
        task = Task(SPACE, "toy/valid@9ep", "maximize", 9, (9,), frozenset(), "epochs", 9.0)
        config = RegularizedEvolution.Config(**options)
        self.method = RegularizedEvolution(task, np.random.default_rng(3), config)
        self.births = 0

    def ask(self) -> Arch:
        work = self.method.ask()
        assert isinstance(work, Evaluate)
        assert work.epochs == 9
        return work.arch

    def tell(self, arch: Arch, value: float | None) -> None:
        cost = Cost(9)
        result = Failure("planted", cost) if value is None else Measurement(value, {}, cost)
        self.method.tell(Trial(self.births, Evaluate(arch, 9), 0), result)
        self.births += 1

    def bear(self, value: float | None) -> Arch:
        arch = self.ask()
        self.tell(arch, value)
        return arch


def parents(breeder: Breeder, candidates: list[Arch], times: int = 30) -> set[Arch]:
    """Return the candidates that are neighbours of everything that is asked for next."""
    children = [breeder.ask() for _ in range(times)]
    return {arch for arch in candidates if all(child in SPACE.neighbours(arch) for child in children)}


def test_the_winner_of_the_tournament_is_mutated() -> None:
    breeder = Breeder(population=5, sample=ALL)
    founders = [breeder.bear(value) for value in (1.0, 5.0, 2.0, 3.0, 4.0)]
    assert parents(breeder, founders) == {founders[1]}


def test_the_oldest_dies_even_if_it_is_the_best() -> None:
    breeder = Breeder(population=3, sample=ALL)
    founders = [breeder.bear(value) for value in (9.0, 5.0, 2.0)]
    child = breeder.bear(1.0)
    assert child in SPACE.neighbours(founders[0])
    assert parents(breeder, founders) == {founders[1]}
    assert breeder.method.recommend() == founders[0]


def test_killing_the_worst_keeps_the_best() -> None:
    breeder = Breeder(population=3, sample=ALL, kill="worst")
    founders = [breeder.bear(value) for value in (9.0, 5.0, 2.0)]
    for value in (1.0, 3.0, 4.0, 0.5):
        assert breeder.bear(value) in SPACE.neighbours(founders[0])
    assert parents(breeder, founders) == {founders[0]}


def test_mutations_are_uniform_over_neighbours() -> None:
    breeder = Breeder(population=1, sample=1)
    parent = breeder.bear(1.0)
    counts = Counter(breeder.ask() for _ in range(3000))
    assert set(counts) == set(SPACE.neighbours(parent))
    assert chisquare(list(counts.values())).pvalue > 1e-3


def test_tournaments_draw_with_replacement() -> None:
    """With two members and a sample of two, the weaker wins when it is drawn twice: one time in four."""
    breeder = Breeder(population=2, sample=2)
    founders = [breeder.bear(value) for value in (1.0, 2.0)]
    only = [set(SPACE.neighbours(arch)) for arch in founders]
    children = [breeder.ask() for _ in range(4000)]
    weak = sum(child in only[0] - only[1] for child in children)
    strong = sum(child in only[1] - only[0] for child in children)
    assert weak / (weak + strong) == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 4000))


def test_a_failure_is_the_worst_member_and_ages_out() -> None:
    breeder = Breeder(population=2, sample=ALL)
    founders = [breeder.bear(None), breeder.bear(-5.0)]
    assert parents(breeder, founders) == {founders[1]}
    breeder.bear(None)  # the first failure dies
    child = breeder.bear(7.0)  # and then the second founder
    assert parents(breeder, [*founders, child]) == {child}


def test_a_population_of_failures_goes_on() -> None:
    breeder = Breeder(population=2, sample=1)
    for _ in range(20):
        breeder.bear(None)
    assert breeder.method.recommend() is None


def test_founders_are_random_until_there_are_enough_even_before_answers() -> None:
    breeder = Breeder(population=4, sample=ALL)
    waiting = [breeder.ask() for _ in range(6)]  # six workers, none has answered: two founders more
    for value, arch in enumerate(waiting):
        breeder.tell(arch, float(value))
    assert parents(breeder, waiting) == {waiting[-1]}


def test_where_nothing_has_neighbours_it_draws_at_random(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ToySpace, "neighbours", lambda self, arch: [])
    breeder = Breeder(population=2, sample=2)
    assert len({breeder.bear(1.0) for _ in range(20)}) > 10
