"""Publish the contract tests of search methods."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, ClassVar, Literal, NoReturn, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from harness.core.errors import UsageError
from harness.core.seeds import SeedTree
from harness.core.types import Attach, Evaluate, Grow
from harness.testing.toy import ERROR, VALID
from harness.testing.world import GROWING, TOY, Notebook, World, attribute, fresh_process, lines_of, play, world_for

Options = Mapping[str, Any]
RANDOM_SEARCH = "methods.random_search:RandomSearch"
ALPHA = 0.01
MARK = 6_202_831_417
NONSENSE: tuple[object, ...] = ("no such value", float("nan"), -(10**9), object())
"""Values that no option allows."""


def settings_of(config: type[Any]) -> list[Options]:
    """Return the defaults, and each other word of each option that is a Literal, one change at a time."""
    hints = get_type_hints(config, vars(sys.modules[config.__module__]))
    words = {name: get_args(hint) for name, hint in hints.items() if get_origin(hint) is Literal}
    default = config()
    others = [{name: word} for name, allowed in words.items() for word in allowed if word != getattr(default, name)]
    return [{}, *others]


@contextmanager
def without_global_randomness() -> Iterator[None]:
    """Make the functions of random's and numpy's global generators raise, and check that torch's was left alone."""
    with pytest.MonkeyPatch.context() as patch:
        for module, function in ((random, random.random), (np.random, np.random.random)):
            owner = getattr(function, "__self__", None)  # the hidden generator
            for name in dir(module):
                if name == "seed" or getattr(getattr(module, name), "__self__", None) is owner:
                    patch.setattr(module, name, _refuse(f"{module.__name__}.{name}"))
        with _untouched(sys.modules.get("torch")):
            yield


@contextmanager
def _untouched(torch: Any) -> Iterator[None]:
    """Check that nothing draws from torch's global generator; forking it is allowed, and leaves no trace."""
    if torch is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(MARK)  # a state that nobody else leaves behind
        before = torch.get_rng_state()
        yield
        touched = not torch.equal(torch.get_rng_state(), before)
    if touched:
        pytest.fail("torch's global generator was drawn from; use a torch.Generator, or torch.random.fork_rng")


def _refuse(name: str) -> Callable[..., NoReturn]:
    def refuse(*_args: object, **_kwargs: object) -> NoReturn:
        pytest.fail(f"{name} draws from a global generator; draw from the `rng` that the method was given")

    return refuse


class SearcherContract:
    """What the harness demands of a search method.

    Fixtures to supply: `method`, the class as 'module:Class'. To override where neither toy benchmark offers what the
    method requires: `world`. Where the method draws nothing at random, set `stochastic = False`.
    """

    stochastic: ClassVar[bool] = True
    seeds: ClassVar[int] = 20

    @pytest.fixture
    def method(self) -> str:
        """The method under test, as 'module:Class'."""
        raise NotImplementedError("supply the fixture `method`: the method's class as 'module:Class'")

    @pytest.fixture
    def world(self, method: str) -> World:
        """A small study: 40 full trainings of a toy space of 1,024 architectures, which grow if the method needs it."""
        return world_for(method)

    @pytest.fixture(scope="class")
    @classmethod
    def other_process(cls) -> Iterator[ProcessPoolExecutor]:
        """A fresh process with another hash seed."""
        with fresh_process() as pool:
            yield pool

    def test_has_the_form_of_a_method(self, method: str, world: World) -> None:
        """A docstring, a frozen Config with a default for each option, requirements that this world meets."""
        kind = attribute(method)
        assert kind.__doc__, f"{method} needs a docstring: `harness list` shows its first line"
        frozen = getattr(getattr(kind.Config, "__dataclass_params__", None), "frozen", False)
        assert frozen, f"{method}.Config must be a frozen dataclass"
        kind.Config()
        missing = kind.requires - world.open().offers
        assert not missing, (
            f"this world lacks {sorted(missing)}; supply a fixture `world` with a benchmark that offers it"
        )

    def test_refuses_bad_options(self, method: str) -> None:
        """Each option refuses nonsense with a UsageError that names it."""
        config = attribute(method).Config
        for option in fields(config):
            for nonsense in NONSENSE:
                with pytest.raises(UsageError, match=option.name):
                    config(**{option.name: nonsense})

    def test_same_seed_same_bytes(self, method: str, world: World) -> None:
        """Two runs with one seed have equal journals, under every setting."""
        for options in settings_of(attribute(method).Config):
            first = play(method, world, seed=3, options=options)
            assert first.lines == play(method, world, seed=3, options=options).lines, f"options {dict(options)}"

    def test_other_seed_other_bytes(self, method: str, world: World) -> None:
        """The seed steers what is asked for."""
        if not self.stochastic:
            pytest.skip("declared to draw nothing at random")
        books = [play(method, world, seed=seed) for seed in range(5)]
        asked = {tuple(str(entry.trial.work) for entry in book.trials) for book in books}
        assert len(asked) == len(books)

    def test_other_process_same_bytes(self, method: str, world: World, other_process: ProcessPoolExecutor) -> None:
        """Another process with another hash seed records the same bytes, under every setting."""
        for options in settings_of(attribute(method).Config):
            there = other_process.submit(lines_of, method, world, 3, options).result()
            assert there == play(method, world, seed=3, options=options).lines, f"options {dict(options)}"

    def test_resumes_to_the_same_bytes(self, method: str, world: World) -> None:
        """Killed after any trial, told again what is recorded, it asks the same again and goes on the same way."""
        for options in settings_of(attribute(method).Config):
            whole = play(method, world, seed=4, options=options)
            kills = SeedTree(("kills",)).generator().integers(len(whole.trials), size=5).tolist()
            for kill in {0, *kills}:
                again = play(method, world, seed=4, options=options, notebook=whole.torn(kill))
                assert again.lines == whole.lines, f"killed after trial {kill}, options {dict(options)}"

    def test_uses_no_global_generator(self, method: str, world: World) -> None:
        """It passes with the global generators broken, and finds them as they were."""
        play(method, world, seed=5)  # loads what the method loads late
        with without_global_randomness():
            guarded = play(method, world, seed=5)
        assert guarded.lines == play(method, world, seed=5).lines

    @pytest.mark.parametrize("workers", [1, 4])
    @pytest.mark.parametrize("failures", [0.0, 0.3, 1.0])
    def test_keeps_the_rules(self, method: str, world: World, failures: float, workers: int) -> None:
        """Whatever fails, and however many workers there are, it asks for what exists and was paid for."""
        changed = world.changed(failures, workers=workers)
        for options in settings_of(attribute(method).Config):
            for seed in range(3):
                book = play(method, changed, seed=seed, options=options)
                _check_work(book, changed)
                _check_recommended(book, changed)
                assert book.trials, "it asked for nothing"
                assert book.trials[-1].spent <= changed.track.budget.limit

    def test_recommends_nothing_before_it_knows_anything(self, method: str, world: World) -> None:
        """With a budget too small for any trial, the first work is asked for and nothing is told."""
        book = play(method, world.changed(budget={"limit": 1e-9}))
        assert not book.told
        assert book.trials[0].recommended is None

    def test_several_workers_keep_busy(self, method: str, world: World) -> None:
        """Asked four times before it is told anything, it has work: it ends as it does with one worker."""
        alone, four = play(method, world), play(method, world.changed(workers=4))
        assert four.reason == alone.reason
        assert four.told[-1].spent == pytest.approx(alone.told[-1].spent, rel=0.1)

    @pytest.mark.parametrize("metric", [VALID, ERROR])
    def test_is_not_worse_than_random_search(self, method: str, world: World, metric: str) -> None:
        """At what each run spent, one-sided Mann-Whitney on the recommended architecture's test metric, alpha .01.

        Both directions of the objective: an accuracy to maximise, an error to minimise.
        """
        if world.kind not in (TOY, GROWING) and metric == ERROR:
            pytest.skip("this world is no toy: it has one objective")
        if world.kind in (TOY, GROWING):
            direction = "maximize" if metric == VALID else "minimize"
            world = world.changed(objective={"metric": metric, "direction": direction})
        ours = [play(method, world, seed=seed) for seed in range(self.seeds)]
        theirs = [_random_search_at(book.told[-1].spent, world, seed) for seed, book in enumerate(ours)]
        mine, random_ = [_quality(book, world) for book in ours], [_quality(book, world) for book in theirs]
        p = mannwhitneyu(mine, random_, alternative="less").pvalue
        assert p >= ALPHA, f"mean {np.mean(mine):.2f} against {np.mean(random_):.2f} of random search (p = {p:.2g})"


def _check_work(book: Notebook, world: World) -> None:
    space, track = world.open().space, world.track
    allowed = track.fidelity.rungs or world.open().fidelities
    trained: set[tuple[str, int]] = set()
    for entry in sorted(book.trials, key=lambda entry: entry.trial.id) if track.workers == 1 else book.trials:
        work = entry.trial.work
        if isinstance(work, Grow):
            assert work.arch in space, f"{work.arch!r} is not in the space"
        if not isinstance(work, Evaluate):
            continue
        assert work.arch in space, f"{work.arch!r} is not in the space"
        assert work.epochs in allowed, f"{work.epochs} epochs asked for, offered are {allowed}"
        assert work.epochs <= track.fidelity.search, f"{work} goes beyond the search fidelity"
        assert not work.start or (work.arch, work.start) in trained, f"{work} starts from epochs that were not trained"
        if entry in book.succeeded:
            trained.add((work.arch, work.epochs))


def _check_recommended(book: Notebook, world: World) -> None:
    space = world.open().space
    succeeded: set[str] = set()
    for entry in book.told:
        if isinstance(entry.trial.work, Evaluate | Grow) and entry in book.succeeded:
            succeeded.add(entry.trial.work.arch)
        if entry.recommended is not None:
            assert entry.recommended in space, f"{entry.recommended!r} is not in the space"
        if world.failures == 1.0:
            assert entry.recommended is None, "it recommends an architecture although every trial failed"
        elif all(isinstance(told.trial.work, Evaluate | Attach | Grow) for told in book.told):
            assert entry.recommended in succeeded or not succeeded, f"{entry.recommended!r} was never trained"
            assert succeeded or entry.recommended is None


def _random_search_at(spent: float, world: World, seed: int) -> Notebook:
    """Run random search with what the method spent, but with one full training at least."""
    rule = world.track.budget
    limit = max(spent, float(world.track.fidelity.search)) if rule.unit == "epochs" else spent
    replicate = SeedTree(("reference", str(seed))).seed()  # independent of the method's runs: an unpaired test
    return play(RANDOM_SEARCH, world.changed(budget={"limit": limit}), seed=replicate)


def _quality(book: Notebook, world: World) -> float:
    """Return the first sealed metric of the chosen architecture; without one, minus infinity."""
    primary = world.track.final.metrics[0]
    return next((metrics[primary] for metrics in book.finals.values()), float("-inf"))
