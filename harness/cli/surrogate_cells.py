"""Assess surrogates on the cells of NAS-Bench-201: `check-surrogate cells`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from typing import Any

from rich.console import Console
from threadpoolctl import threadpool_limits

from benchmarks.tabular.nb201 import NB201Table
from harness.cli.parser import place_of, workers_of
from harness.cli.progress import Steps
from harness.core.errors import UsageError, nearest
from harness.core.interfaces import Place, Query
from harness.core.records import Document
from harness.core.types import Arch, Evaluate, Measurement, Trial
from methods.surrogates.assessment import Quest, Question, questions, task_of
from methods.surrogates.surrogate import ORACLE
from reports.surrogates import cells_report

EPOCHS = 200
CONTROLS = ("random", "constant_proxy", "ridge", "forest", "gaussian_process", "network", "spd_untrained")
VARIANTS = ("spd_averaged", "spd_emphatic", "spd_forest")
SCARCE = (20, 50)
"""How many known cells the variants of the dish are tried with: they take most of the time."""

IMAGES = {"cifar10": "25k", "cifar100": "50k"}
"""The training images behind a validation accuracy, as metric names write them."""


@dataclass(frozen=True)
class Extent:
    """How much is run.

    Attributes:
        sizes: known cells.
        seeds: draws of cells.
        unseen: cells that surrogates are judged by.
        rounds: of a search; 0: none.
        ranked: who is fitted and judged; the variants of the dish with few known cells only.
        searchers: who searches.
    """

    sizes: tuple[int, ...]
    seeds: int
    unseen: int
    rounds: int
    ranked: tuple[str, ...]
    searchers: tuple[str, ...]

    def names(self) -> dict[str, Sequence[int]]:
        """Return who is tried with how many known cells."""
        scarce = [size for size in self.sizes if size in SCARCE]
        return {name: scarce if name in VARIANTS else self.sizes for name in self.ranked}

    def quests(self) -> list[tuple[str, int]]:
        """Return who searches with which seed."""
        return [(name, seed) for seed in range(self.seeds) for name in self.searchers if self.rounds]


FULL = Extent(
    (10, 20, 50, 100, 200), 5, 400, 4, (ORACLE, *CONTROLS, "spd", *VARIANTS), (ORACLE, *CONTROLS, "spd", "spd_forest")
)
REDUCED = Extent(
    (20,), 1, 60, 2, (ORACLE, *CONTROLS, "spd"), (ORACLE, "random", "constant_proxy", "ridge", "forest")
)  # fmt: skip


def assess(options: argparse.Namespace) -> Document:
    """Fit every surrogate on validation accuracies after 200 epochs, and report how it ranks and searches.

    Raises:
        UsageError: an option makes no sense.
        DataMissing: there is no table.
    """
    extent = _extent(options)
    table = _open(options.dataset, place_of(options))
    truth, seconds = _values(table)
    fits = questions(extent.names(), extent.seeds, extent.unseen, table.space, truth, options.seed)
    task = task_of(table.space, _objective(options.dataset), EPOCHS)
    paid = table.think_cost(1.0).train_seconds
    assert paid is not None
    quests = [
        Quest(name, options.seed, seed, task, extent.rounds, truth, seconds, paid) for name, seed in extent.quests()
    ]
    work: list[Question | Quest] = [*fits, *quests]
    with Steps("fits", Console(stderr=True)) as steps:
        answers = _all(work, workers_of(options), partial(_told, steps, len(work)))
    rows, searches = answers[: len(fits)], [row for rows in answers[len(fits) :] for row in rows]
    return cells_report(rows, searches, _setting(options, extent, table), reduced=options.reduced)


def _told(steps: Steps, total: int, done: int) -> None:
    steps(done, total)


def _extent(options: argparse.Namespace) -> Extent:
    if options.reduced:
        return REDUCED
    sizes = tuple(sorted(set(options.train or FULL.sizes)))
    seeds = FULL.seeds if options.seeds is None else options.seeds
    rounds = FULL.rounds if options.rounds is None else options.rounds
    if min(sizes) < 4 or seeds < 1 or rounds < 0:  # noqa: PLR2004 - fewer cells have hardly an order
        raise UsageError(
            f"--train, --seeds, --rounds: {min(sizes)} cells, {seeds} seeds, {rounds} rounds; give at least 4 cells, "
            "1 seed and 0 rounds"
        )
    chosen = tuple(options.surrogate or FULL.ranked)
    for name in chosen:
        if name not in FULL.ranked:
            raise UsageError(
                f"--surrogate: {name!r} given{nearest(name, FULL.ranked)}; choose from {', '.join(FULL.ranked)}"
            )
    searchers = tuple(name for name in FULL.searchers if name in chosen)
    return replace(FULL, sizes=sizes, seeds=seeds, rounds=rounds, ranked=chosen, searchers=searchers)


def _objective(dataset: str) -> str:
    return f"{dataset}/valid@{EPOCHS}ep({IMAGES[dataset]}) mean-of-trials"


def _open(dataset: str, place: Place) -> NB201Table:
    query = Query(_objective(dataset), (), (), EPOCHS, EPOCHS)
    return NB201Table(NB201Table.Config(table="nb201-v1.1", dataset=dataset), place, query)  # type: ignore[arg-type]


def _values(table: NB201Table) -> tuple[dict[Arch, float], dict[Arch, float]]:
    """Return the true value of every cell, and the recorded seconds of its training."""
    truth, seconds = {}, {}
    for number, arch in enumerate(table.table.archs):
        result = table.evaluate(Trial(number, Evaluate(Arch(arch), EPOCHS), 0)).result
        if isinstance(result, Measurement):
            assert result.cost.train_seconds is not None
            truth[Arch(arch)], seconds[Arch(arch)] = result.value, result.cost.train_seconds
    return truth, seconds


def _all(work: Sequence[Question | Quest], workers: int, told: Callable[[int], None]) -> list[Any]:
    """Answer every piece of work, in worker processes where there are any."""
    if workers == 0:
        return [_answered(piece, told, number) for number, piece in enumerate(work, 1)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_alone) as pool:
        return [_noted(answer, told, number) for number, answer in enumerate(pool.map(_answer, work), 1)]


def _alone() -> None:
    """Let a worker process use one thread: there is one for each core."""
    threadpool_limits(1)


def _answer(piece: Question | Quest) -> Any:
    return piece.answer()


def _answered(piece: Question | Quest, told: Callable[[int], None], number: int) -> Any:
    return _noted(piece.answer(), told, number)


def _noted(answer: Any, told: Callable[[int], None], number: int) -> Any:
    told(number)
    return answer


def _setting(options: argparse.Namespace, extent: Extent, table: NB201Table) -> Mapping[str, str]:
    from methods.surrogates.dishes import settings_of  # noqa: PLC0415 - loads torch

    dish = settings_of({})
    return {
        "truth": f"`{_objective(options.dataset)}`, table {table.table.name}; no test accuracy is read",
        "fits": f"{extent.seeds} draws; {', '.join(map(str, extent.sizes))} known cells, {extent.unseen} unseen",
        "search": f"{extent.seeds} seeds, 20 first cells, {extent.rounds} rounds of 5 from a pool of 500",
        "dish": f"inner loop {dish.inner.steps} steps of Adam at {dish.inner.rate:g}, {dish.outer_steps} outer steps "
        f"over {dish.batch} cells, {dish.samples} images to train on and as many to validate, {dish.precision}",
        "seconds": "of this machine, one thread for a fit; they differ between machines and with its load",
        "seed": str(options.seed),
    }
