"""Assess surrogates of cells against a table of true values: how they rank cells they have not seen, and search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.core.clock import Stopwatch
from harness.core.interfaces import SearchSpace, Task
from harness.core.seeds import SeedTree
from harness.core.types import Arch, Capability, Cost, Evaluate, Measurement, Think, Trial
from methods.surrogate_search import SurrogateSearch
from methods.surrogates.measures import measures, spread
from methods.surrogates.surrogate import ORACLE, Effort, Floats, Ranking, Surrogate, surrogate

Row = dict[str, str | float]


@dataclass(frozen=True)
class Question:
    """One fit and what is asked of it.

    Attributes:
        surrogate: its name, or 'oracle'.
        root: the seed of the assessment; `seed` counts its draws.
        known: the cells that it may learn from; `unseen` are those that it is judged by.
    """

    surrogate: str
    root: int
    seed: int
    space: SearchSpace
    known: tuple[Arch, ...]
    unseen: tuple[Arch, ...]
    known_values: Floats
    unseen_values: Floats

    def answer(self) -> Row:
        """Fit, predict, measure."""
        watch = Stopwatch()
        fitted = self._fitted()
        fit_seconds = watch.lap()
        predicted = fitted.predict(self.unseen)
        predict_seconds = watch.lap() / len(self.unseen)
        effort = fitted.cost()
        return {
            "surrogate": self.surrogate,
            "train": len(self.known),
            "seed": self.seed,
            **self._measured(fitted, predicted),
            **spread(fitted, self.unseen, self.unseen_values),
            "fit_seconds": fit_seconds,
            "predict_seconds": predict_seconds,
            "fit_multiply_adds": effort.fit,
            "predict_multiply_adds": effort.prediction,
        }

    def _measured(self, fitted: Surrogate, predicted: Floats) -> dict[str, float]:
        found = measures(fitted.predict(self.known), self.known_values, predicted, self.unseen_values)
        if isinstance(fitted, Ranking):
            del found["mse"]
        return found

    def _fitted(self) -> Surrogate:
        if self.surrogate == ORACLE:
            cells, values = (*self.known, *self.unseen), (*self.known_values, *self.unseen_values)
            return Oracle(dict(zip(cells, values, strict=True)))
        fresh = surrogate(self.surrogate, self.space)
        # The same draws whatever the surrogate is called, so that variants of one differ by their settings alone.
        fresh.fit(self.known, self.known_values, SeedTree.root("fit", self.root).child(self.seed).generator())
        return fresh


class Oracle(Ranking):
    """Rank by the true values: the ceiling."""

    def __init__(self, truth: Mapping[Arch, float]) -> None:
        self._truth = truth

    def fit(self, cells: Sequence[Arch], values: Floats, rng: np.random.Generator) -> None:
        """Do nothing."""

    def predict(self, cells: Sequence[Arch]) -> Floats:
        """Return the true values."""
        return np.array([self._truth[cell] for cell in cells])

    def cost(self) -> Effort:
        """Return nothing."""
        return Effort(0.0, 0.0)


def questions(
    names: Mapping[str, Sequence[int]],
    seeds: int,
    unseen: int,
    space: SearchSpace,
    truth: Mapping[Arch, float],
    root: int,
) -> list[Question]:
    """Return every fit of an assessment.

    In one seed all surrogates learn from the same cells, fewer ones being the first of more, and are judged by the
    same others.

    Args:
        names: how many known cells each surrogate is tried with.
        seeds: how many draws of cells.
        unseen: how many cells it is judged by.
        space: of the cells.
        truth: the true values.
        root: the seed of all draws.
    """
    most = max(size for sizes in names.values() for size in sizes)
    found = []
    for seed in range(seeds):
        drawn = _drawn(space, most + unseen, SeedTree.root("cells", root).child(seed).generator())
        values = np.array([truth[cell] for cell in drawn])
        others = tuple(drawn[most:]), values[most:]
        found += [
            Question(name, root, seed, space, tuple(drawn[:size]), others[0], values[:size], others[1])
            for name, sizes in names.items()
            for size in sizes
        ]
    return found


def _drawn(space: SearchSpace, count: int, rng: np.random.Generator) -> list[Arch]:
    drawn: dict[Arch, None] = {}
    while len(drawn) < count:
        drawn[space.sample(rng)] = None
    return list(drawn)


@dataclass(frozen=True)
class Quest:
    """One search, with what its evaluations and its own computation are charged.

    Attributes:
        seconds: recorded seconds of an evaluation, by cell.
        pace: seconds for a multiply-add of the method's own.
    """

    surrogate: str
    root: int
    seed: int
    task: Task
    rounds: int
    truth: Mapping[Arch, float]
    seconds: Mapping[Arch, float]
    pace: float

    def answer(self) -> list[Row]:
        """Search, and return the best true value after the initial cells and after each round."""
        search = self._method()
        settings = SurrogateSearch.Config()
        ends = {settings.initial + number * settings.top for number in range(self.rounds + 1)}
        best, charged, queries, rows = float("-inf"), 0.0, 0, []
        watch = Stopwatch()
        while queries < max(ends):
            work = search.ask()
            assert isinstance(work, Evaluate | Think)
            value = 0.0
            if isinstance(work, Think):
                charged += work.multiply_adds * self.pace
            else:
                value, queries = self.truth[work.arch], queries + 1
                best, charged = max(best, value), charged + self.seconds[work.arch]
            search.tell(Trial(queries, work, 0), Measurement(value, {}, Cost(0.0)))
            if isinstance(work, Evaluate) and queries in ends:
                regret = max(self.truth.values()) - best
                rows.append(self._row(queries, best, regret, charged, watch))
        return rows

    def _row(self, queries: int, best: float, regret: float, charged: float, watch: Stopwatch) -> Row:
        return {
            "surrogate": self.surrogate,
            "seed": self.seed,
            "queries": queries,
            "best": best,
            "regret": regret,
            "charged_seconds": charged,
            "real_seconds": watch.lap(),
        }

    def _method(self) -> SurrogateSearch:
        rng = SeedTree.root("search", self.root).child(self.seed).generator()
        if self.surrogate == ORACLE:
            return _Informed(self.task, rng, SurrogateSearch.Config(surrogate="random"), self.truth)
        return SurrogateSearch(self.task, rng, SurrogateSearch.Config(surrogate=self.surrogate))


class _Informed(SurrogateSearch):
    """The same loop with the true order: the best that these pools allow."""

    def __init__(
        self, task: Task, rng: np.random.Generator, config: SurrogateSearch.Config, truth: Mapping[Arch, float]
    ) -> None:
        super().__init__(task, rng, config)
        self._truth = truth

    def _scores(self, pool: Sequence[Arch]) -> Floats:
        return np.array([self._truth[cell] for cell in pool])


def task_of(space: SearchSpace, objective: str, epochs: int) -> Task:
    """Return the task of a search for the highest true value."""
    offers = frozenset({Capability.EVALUATE, Capability.ENCODABLE, Capability.THINK})
    return Task(space, objective, "maximize", epochs, (epochs,), offers, "evaluations", float("inf"))
