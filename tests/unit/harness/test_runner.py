from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from harness.core.errors import ReplayDiverged, RulesBroken
from harness.core.hull import lower_hull
from harness.core.interfaces import Task
from harness.core.types import (
    Arch,
    Capability,
    Cost,
    Evaluate,
    Failure,
    Grow,
    Measurement,
    Outcome,
    RunSpec,
    Trial,
    Work,
)
from harness.runner import obstacle
from harness.testing import World, Wrapped, play
from harness.testing.growing import MULTIPLY_ADDS
from harness.testing.toy import FULL, TEST
from harness.testing.world import GROWING

HERE = f"{__name__}:Scripted"
SCRIPT: list[Work] = []
TOLD: list[tuple[int, object]] = []


class Scripted:
    """Ask for what SCRIPT says; recommend the last architecture that was told."""

    @dataclass(frozen=True)
    class Config:
        pass

    requires: ClassVar[frozenset[Capability]] = frozenset({Capability.EVALUATE})

    def __init__(self, task: Task, rng: np.random.Generator, config: Config) -> None:
        self.left = list(SCRIPT)
        self.last: Arch | None = None
        TOLD.clear()

    def ask(self) -> Work | None:
        return self.left.pop(0) if self.left else None

    def tell(self, trial: Trial, result: Measurement | Failure) -> None:
        TOLD.append((trial.id, result))
        assert isinstance(trial.work, Evaluate)
        self.last = trial.work.arch

    def recommend(self) -> Arch | None:
        return self.last


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the registry find this file by its name, as it finds a method's."""
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Scripted.__module__])
    SCRIPT.clear()


def words(*archs: str, epochs: int = FULL, start: int = 0) -> list[Work]:
    return [Evaluate(Arch(arch), epochs, start) for arch in archs]


def world(limit: float, **changes: object) -> World:
    return World().changed(budget={"unit": "epochs", "limit": limit}, **changes)


def test_the_trial_that_crosses_the_budget_is_discarded() -> None:
    SCRIPT[:] = words("aaaaa", "bbbbb", "ccccc")
    book = play(HERE, world(2.5 * FULL))
    assert [entry.counted for entry in book.trials] == [True, True, False]
    assert [number for number, _ in TOLD] == [0, 1], "the method never learns what it could not pay for"
    assert [entry.spent for entry in book.trials] == [FULL, 2 * FULL, 2 * FULL]
    assert book.reason == "budget"
    assert list(book.finals) == [("bbbbb", 0)]


def test_a_kept_overrun_is_told_but_does_not_count() -> None:
    SCRIPT[:] = words("aaaaa", "bbbbb", "ccccc", "ddddd")
    book = play(HERE, world(2.5 * FULL).changed(budget={"overrun": "keep"}))
    assert [number for number, _ in TOLD] == [0, 1, 2]
    assert book.trials[-1].spent == 3 * FULL
    assert list(book.finals) == [("bbbbb", 0)], "what is known after the limit does not count"


def test_a_trial_that_ends_at_the_limit_counts() -> None:
    SCRIPT[:] = words("aaaaa", "bbbbb", "ccccc")
    book = play(HERE, world(2 * FULL))
    assert [entry.counted for entry in book.trials] == [True, True]
    assert list(book.finals) == [("bbbbb", 0)]


@pytest.mark.parametrize(("repeats", "spent"), [("charge", [9, 18, 27]), ("free", [9, 9, 18])])
def test_the_same_work_has_the_same_outcome_and_its_declared_price(repeats: str, spent: list[float]) -> None:
    SCRIPT[:] = words("aaaaa", "aaaaa", "bbbbb")
    book = play(HERE, world(100).changed(budget={"repeats": repeats}))
    assert [entry.spent for entry in book.trials] == spent
    assert book.trials[0].result == book.trials[1].result
    assert book.trials[0].trial.seed == book.trials[1].trial.seed


def test_methods_share_the_noise_of_a_replicate_and_replicates_do_not() -> None:
    SCRIPT[:] = words("ddddd", "abcda")
    mine = {entry.trial.work: entry for entry in play(HERE, world(100)).trials}
    SCRIPT[:] = words("abcda", "aaaaa")
    other = {entry.trial.work: entry for entry in play(HERE, world(100)).trials}
    shared = Evaluate(Arch("abcda"), FULL)
    assert mine[shared].result == other[shared].result
    assert mine[shared].trial.id != other[shared].trial.id
    assert play(HERE, world(100), seed=1).trials[0].result != other[shared].result


def test_epochs_on_the_way_belong_to_the_same_network() -> None:
    SCRIPT[:] = [*words("abcda", epochs=3), *words("abcda", epochs=9, start=3)]
    book = play(HERE, world(100))
    assert book.trials[0].trial.seed == book.trials[1].trial.seed
    assert [entry.spent for entry in book.trials] == [3, 9]


def test_free_epochs_are_refused() -> None:
    SCRIPT[:] = words("abcda", epochs=9, start=3)
    with pytest.raises(RulesBroken, match="has paid for 0 epochs"):
        play(HERE, world(100))


@dataclass
class Lying(Wrapped):
    """A benchmark whose measurements are altered."""

    def __init__(self, **changes: object) -> None:
        super().__init__(World().open())
        self.changes = changes

    def evaluate(self, trial: Trial) -> Outcome:
        outcome = super().evaluate(trial)
        assert isinstance(outcome.result, Measurement)
        return replace(outcome, result=replace(outcome.result, **self.changes))


def test_a_sealed_metric_never_reaches_a_method() -> None:
    SCRIPT[:] = words("aaaaa")
    with pytest.raises(RulesBroken, match="no method may learn"):
        play(HERE, world(100), benchmark=Lying(metrics={TEST: 99.0}))
    assert not TOLD


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_number_is_a_failure_that_costs(value: float) -> None:
    SCRIPT[:] = words("aaaaa")
    book = play(HERE, world(100), benchmark=Lying(value=value))
    assert isinstance(book.trials[0].result, Failure)
    assert book.trials[0].spent == FULL


def test_a_score_that_is_no_number_is_a_failure_too_for_no_record_could_hold_it() -> None:
    SCRIPT[:] = words("aaaaa")
    book = play(HERE, world(100), benchmark=Lying(scores={"a": 1.0, "b": float("nan")}))
    assert isinstance(book.trials[0].result, Failure)
    assert book.trials[0].spent == FULL


def test_a_cost_that_is_no_amount_is_refused() -> None:
    SCRIPT[:] = words("aaaaa")
    with pytest.raises(RulesBroken, match="epochs"):
        play(HERE, world(100), benchmark=Lying(cost=Cost(float("nan"))))


def test_nothing_left_ends_the_run() -> None:
    SCRIPT[:] = words("aaaaa")
    assert play(HERE, world(100)).reason == "exhausted"
    SCRIPT[:] = words("aaaaa", "bbbbb")
    assert play(HERE, world(100).changed(budget={"max_trials": 1})).reason == "max_trials"


def test_the_best_validated_may_be_reported_instead_of_the_recommended() -> None:
    SCRIPT[:] = words("abcda", "bbbbb", "dcbad", "aaaaa")
    book = play(HERE, world(100, selection={"rule": "best-validated"}))
    best = max(book.succeeded, key=lambda entry: entry.result.value)
    assert {arch for arch, _ in book.finals} == {best.trial.work.arch}
    assert {arch for arch, _ in play(HERE, world(100)).finals} == {"aaaaa"}


def test_a_failed_trial_is_never_the_best_validated() -> None:
    SCRIPT[:] = words("abcda", "bbbbb")
    book = play(HERE, world(100, selection={"rule": "best-validated"}).changed(failures=1.0))
    assert not book.finals


def test_workers_land_in_the_order_of_their_virtual_time() -> None:
    SCRIPT[:] = [*words("aaaaa", epochs=9), *words("bbbbb", epochs=1), *words("ccccc", epochs=3)]
    book = play(HERE, world(100, workers=2))
    assert [entry.trial.id for entry in book.trials] == [1, 2, 0], "1 ends at 1, 2 at 1 + 3, 0 at 9"
    spent = [entry.spent for entry in book.trials]
    assert spent == sorted(spent)
    assert spent[-1] == 13


@pytest.mark.parametrize("workers", [1, 3])
def test_a_resumed_run_replays_to_the_same_lines(workers: int) -> None:
    tiny = world(20 * FULL, workers=workers)
    whole = play("methods.regularized_evolution:RegularizedEvolution", tiny)
    for count in range(0, len(whole.trials), 3):
        resumed = play("methods.regularized_evolution:RegularizedEvolution", tiny, notebook=whole.torn(count))
        assert resumed.lines == whole.lines


class Ticking:
    """A stopwatch on a clock that advances by 0.75 seconds whenever it is read."""

    ticks: ClassVar[Iterator[int]] = itertools.count()

    def __init__(self) -> None:
        self.started = next(self.ticks)

    def reading(self) -> float:
        return 0.75 * (next(self.ticks) - self.started)

    def lap(self) -> float:
        lapped = next(self.ticks)
        seconds, self.started = 0.75 * (lapped - self.started), lapped
        return seconds


def clock_and_parts(seconds: Sequence[tuple[str, float]]) -> tuple[float, float]:
    clock = sum(value for name, value in seconds if name == "wall")
    return clock, sum(value for name, value in seconds if name != "wall")


def test_the_clock_of_a_resumed_run_is_that_of_all_its_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.runner.Stopwatch", Ticking)
    SCRIPT[:] = words("aaaaa", "bbbbb", "ccccc", "ddddd")
    whole = play(HERE, world(100, final={"seeds": [0, 1]}))
    for kill in range(1, len(whole.seconds) + 1):
        clock, parts = clock_and_parts(whole.seconds[:kill])
        assert clock >= parts, f"the clock is behind what it covers after {whole.seconds[kill - 1]}"
    attempt = whole.seconds[: [name for name, _ in whole.seconds].index("trial 2")]
    resumed = play(HERE, world(100, final={"seeds": [0, 1]}), notebook=whole.torn(2))
    clock, parts = clock_and_parts([*attempt, *resumed.seconds])
    assert clock >= parts
    assert clock > clock_and_parts(resumed.seconds)[0]


def test_fast_trials_have_no_lines_of_the_clock() -> None:
    SCRIPT[:] = words("aaaaa", "bbbbb", "ccccc", "ddddd")
    assert [name for name, _ in play(HERE, world(100)).seconds].count("wall") == 1


def test_a_method_that_changed_its_mind_is_found_on_resume() -> None:
    SCRIPT[:] = words("aaaaa", "bbbbb")
    whole = play(HERE, world(100))
    SCRIPT[:] = words("aaaaa", "ccccc")
    with pytest.raises(ReplayDiverged):
        play(HERE, world(100), notebook=whole.torn(2))


def test_every_final_seed_is_evaluated_once() -> None:
    SCRIPT[:] = words("aaaaa")
    book = play(HERE, world(100, final={"seeds": [0, 1, 2]}))
    assert sorted(book.finals) == [("aaaaa", 0), ("aaaaa", 1), ("aaaaa", 2)]


class Growing(Wrapped):
    """The growing toy, which keeps a list of what it is asked to train finally."""

    def __init__(self, tiny: World) -> None:
        super().__init__(tiny.open())
        self.trained: list[tuple[Arch, int]] = []

    def final(self, arch: Arch, seed: int) -> Mapping[str, float]:
        self.trained.append((arch, seed))
        return super().final(arch, seed)


def hull_world(limit: float = 20 * FULL, seeds: Sequence[int] = (0, 1)) -> World:
    tiny = World(kind=GROWING).changed(budget={"unit": "epochs", "limit": limit})
    return tiny.changed(objective={"secondary": [MULTIPLY_ADDS]}, final={"models": "hull", "seeds": list(seeds)})


def test_the_hull_is_trained_finally_after_what_is_recommended() -> None:
    tiny = hull_world()
    book = play("methods.petridish:Petridish", tiny, options={"keep": 1})
    archs = list(dict.fromkeys(arch for arch, _ in book.finals))
    learnt = [(entry.trial.work, entry.result) for entry in book.succeeded]
    points = [
        (result.metrics[MULTIPLY_ADDS], 100 - result.value)
        for work, result in learnt
        if isinstance(work, Evaluate | Grow) and isinstance(result, Measurement)
    ]
    members = [work.arch for work, _ in learnt if isinstance(work, Evaluate | Grow)]
    hull = [members[index] for index in lower_hull(points)]
    assert archs[0] == book.trials[-1].recommended
    assert archs[1:] == [arch for arch in hull if arch != archs[0]]
    assert len(archs) > 1
    assert list(book.finals) == [(arch, seed) for arch in archs for seed in (0, 1)]
    benchmark = tiny.open()
    assert book.final_costs == [benchmark.final_cost(arch) for arch in archs for _ in (0, 1)]


def test_the_hull_is_that_of_the_budget() -> None:
    tiny, larger = (hull_world(limit * FULL).changed(budget={"overrun": "keep"}) for limit in (2.5, 4.5))
    SCRIPT[:] = words("aaaaa", "baaaa", "abcda", "aaaaa")
    book = play(HERE, tiny)
    assert len(book.told) == 3
    assert "abcda" not in {arch for arch, _ in book.finals}, "what is known after the limit does not count"
    assert "abcda" in {arch for arch, _ in play(HERE, larger).finals}, "it is on the hull of what counts"
    SCRIPT[:] = []
    assert not play(HERE, tiny).finals


def test_what_was_trained_finally_before_a_kill_is_not_trained_again() -> None:
    tiny = hull_world()
    options = {"keep": 1}
    whole = play("methods.petridish:Petridish", tiny, options=options)
    done = dict(list(whole.finals.items())[:3])
    torn = whole.torn(len(whole.trials))
    torn.finals = dict(done)
    benchmark = Growing(tiny)
    resumed = play("methods.petridish:Petridish", tiny, options=options, notebook=torn, benchmark=benchmark)
    assert resumed.finals == whole.finals
    assert len(benchmark.trained) == len(whole.finals) - len(done)
    assert not {arch for arch, _ in benchmark.trained} & {next(iter(done))[0]}


def test_what_a_benchmark_cannot_do_is_told_before_the_run() -> None:
    spec = RunSpec("tiny", "1.0.0", "tiny", "hyperband", "hyperband", "base", {}, 0, 0)
    tiny = World()
    benchmark = Wrapped(tiny.open())
    assert obstacle(spec, tiny.track, benchmark) == ""
    benchmark.offers = frozenset({Capability.EVALUATE, Capability.FINITE})
    assert obstacle(spec, tiny.track, benchmark) == "hyperband needs partial, which toy does not offer"
