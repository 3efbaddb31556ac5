"""Trials that are evaluated side by side land as they end, are charged then, and land the same way again."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core.canonical import canonical_json
from harness.core.codec import work_to_json
from harness.core.errors import ReplayDiverged, RulesBroken
from harness.core.interfaces import Benchmark, Task
from harness.core.records import TrialRecord
from harness.core.types import Arch, Capability, Evaluate, Failure, Measurement, Outcome, Think, Trial, Work
from harness.testing import World, play
from harness.testing.toy import FULL, Wrapped
from harness.testing.world import Notebook
from harness.verify.course import Course, Step, follow

HERE = f"{__name__}:Scripted"
EVOLUTION = "methods.regularized_evolution:RegularizedEvolution"
SCRIPT: list[Work] = []
TOLD: list[int] = []


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
        TOLD.append(trial.id)
        self.last = getattr(trial.work, "arch", self.last)

    def recommend(self) -> Arch | None:
        return self.last


@dataclass
class Pretended:
    """A crew whose trials end in an order that is drawn: the newest first, the oldest first, or any."""

    benchmark: Benchmark
    rule: str
    flying: list[Trial] = field(default_factory=list)
    most: int = 0
    evaluated: list[int] = field(default_factory=list)
    dismissed: bool = False

    def __post_init__(self) -> None:
        self.rng = random.Random(self.rule)

    def give(self, trial: Trial) -> None:
        self.flying.append(trial)
        self.most = max(self.most, len(self.flying))

    def hear(self) -> tuple[int, Outcome, float]:
        places = {"newest": len(self.flying) - 1, "oldest": 0}
        trial = self.flying.pop(places.get(self.rule, self.rng.randrange(len(self.flying))))
        self.evaluated.append(trial.id)
        return trial.id, self.benchmark.evaluate(trial), 0.5

    def dismiss(self) -> None:
        assert not self.flying
        self.dismissed = True


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the registry find this file by its name, as it finds a method's."""
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Scripted.__module__])
    SCRIPT.clear()


def words(*archs: str, epochs: int = FULL) -> list[Work]:
    return [Evaluate(Arch(arch), epochs) for arch in archs]


def world(limit: float, workers: int = 2, unit: str = "epochs", **budget: object) -> World:
    return World().changed(
        budget={"unit": unit, "limit": limit, **budget}, workers=workers, schedule="recorded", selection={}
    )


def flown(
    tiny: World,
    rule: str = "newest",
    method: str = HERE,
    notebook: Notebook | None = None,
    order: Sequence[int] = (),
) -> Notebook:
    benchmark = tiny.open()
    return play(method, tiny, notebook=notebook, benchmark=benchmark, crew=Pretended(benchmark, rule), order=order)


def landed(book: Notebook) -> list[int]:
    return [entry.trial.id for entry in book.trials]


def test_trials_land_as_they_end_and_the_next_is_asked_for_then() -> None:
    SCRIPT[:] = words("aaaaa", "bbbbb", "ccccc", "ddddd")
    book = flown(world(100))
    assert landed(book) == TOLD == [1, 2, 3, 0]
    assert [entry.spent for entry in book.trials] == [9, 18, 27, 36], "what is charged has ended"
    assert book.reason == "exhausted"
    assert list(book.finals) == [("aaaaa", 0)]


def test_the_crew_is_let_go_before_the_final_trainings() -> None:
    class Watched(Wrapped):
        def final(self, arch: Arch, seed: int) -> Mapping[str, float]:
            assert crew.dismissed
            return super().final(arch, seed)

    SCRIPT[:] = words("aaaaa", "bbbbb")
    tiny = world(100)
    crew = Pretended(tiny.open(), "oldest")
    assert play(HERE, tiny, benchmark=Watched(tiny.open()), crew=crew).finals


def test_as_many_are_in_the_air_as_there_are_workers() -> None:
    SCRIPT[:] = words(*("abcd"[n % 4] * 5 for n in range(3)), "abcda", "abcdb", "abcdc")
    tiny = world(1000, workers=3)
    crew = Pretended(tiny.open(), "oldest")
    play(HERE, tiny, crew=crew)
    assert crew.most == 3


def test_all_that_end_beyond_the_limit_are_discarded() -> None:
    SCRIPT[:] = words("aaaaa", "bbbbb", "ccccc", "ddddd", "abcda")
    book = flown(world(2.5 * FULL, workers=3), "oldest")
    assert [(entry.trial.id, entry.counted, entry.spent) for entry in book.trials] == [
        (0, True, 9),
        (1, True, 18),
        (2, False, 18),
        (3, False, 18),
        (4, False, 18),
    ]
    assert TOLD == [0, 1]
    assert book.reason == "budget"


def test_one_that_still_fits_counts_after_one_that_did_not() -> None:
    SCRIPT[:] = [*words("aaaaa"), *words("bbbbb", epochs=3), *words("ccccc")]
    book = flown(world(FULL + 4, workers=3), "newest")
    assert [(entry.trial.id, entry.counted) for entry in book.trials] == [(2, True), (1, True), (0, False)]
    book = flown(world(2 * FULL - 1, workers=3), "newest")
    assert [(entry.trial.id, entry.counted) for entry in book.trials] == [(2, True), (1, True), (0, False)]
    book = flown(world(FULL - 1, workers=3), "newest")
    assert [(entry.trial.id, entry.counted) for entry in book.trials] == [(2, False), (1, True), (0, False)]
    assert (book.reason, TOLD) == ("budget", [1])


def test_kept_overruns_are_told_and_do_not_count() -> None:
    SCRIPT[:] = words("aaaaa", "bbbbb", "ccccc", "ddddd")
    book = flown(world(1.5 * FULL, workers=3, overrun="keep"), "oldest")
    assert [entry.spent for entry in book.trials] == [9, 18, 27, 36]
    assert list(book.finals) == [("aaaaa", 0)]


def test_no_evaluation_starts_that_could_not_be_charged() -> None:
    SCRIPT[:] = words("aaaaa", "bbbbb", "ccccc", "ddddd", "abcda")
    book = flown(world(3, workers=2, unit="evaluations"))
    assert landed(book) == [1, 2, 0]
    assert all(entry.counted for entry in book.trials)
    assert book.reason == "budget"


@pytest.mark.parametrize(("repeats", "spent"), [("charge", [9, 18, 27]), ("free", [9, 18, 18])])
def test_the_same_work_twice_in_the_air_has_one_outcome_and_its_declared_price(repeats: str, spent: list[int]) -> None:
    SCRIPT[:] = words("aaaaa", "aaaaa", "bbbbb")
    book = flown(world(100, repeats=repeats))
    assert landed(book) == [1, 2, 0]
    assert [entry.spent for entry in book.trials] == spent
    assert book.trials[0].result == book.trials[2].result


def test_work_that_was_discarded_does_not_pay_for_the_same_work() -> None:
    SCRIPT[:] = words("aaaaa", "aaaaa")
    book = flown(world(FULL - 1, repeats="free"))
    assert [entry.counted for entry in book.trials] == [False, False]


def test_what_takes_no_evaluation_lands_at_once() -> None:
    SCRIPT[:] = [*words("aaaaa"), Think("a model", 4e9), *words("bbbbb")]
    tiny = world(100)
    crew = Pretended(tiny.open(), "oldest")
    book = play(HERE, tiny, crew=crew)
    assert landed(book) == [1, 0, 2]
    assert crew.evaluated == [0, 2]
    assert book.trials[0].spent == 2


def test_training_that_has_not_ended_is_not_paid_for() -> None:
    SCRIPT[:] = [*words("abcda", epochs=3), Evaluate(Arch("abcda"), 9, 3)]
    with pytest.raises(RulesBroken, match="has paid for 0 epochs"):
        flown(world(100))


def test_the_stop_for_methods_that_never_tire_counts_what_was_asked() -> None:
    SCRIPT[:] = words("aaaaa", "bbbbb", "ccccc", "ddddd")
    book = flown(world(100, max_trials=3))
    assert (landed(book), book.reason) == ([1, 2, 0], "max_trials")


@pytest.mark.parametrize("rule", ["newest", "any"])
def test_a_killed_run_replays_what_landed_and_launches_again_what_was_in_the_air(rule: str) -> None:
    tiny = world(14 * FULL, workers=3)
    whole = flown(tiny, rule, EVOLUTION)
    for count in range(len(whole.trials) + 1):
        torn = whole.torn(count)
        benchmark = tiny.open()
        crew = Pretended(benchmark, "oldest")
        resumed = play(EVOLUTION, tiny, notebook=torn, benchmark=benchmark, crew=crew)
        assert resumed.lines[:count] == whole.lines[:count]
        assert not set(crew.evaluated) & set(landed(whole)[:count]), "nothing is evaluated twice"
        assert check(resumed, tiny).steps == steps(resumed)


@pytest.mark.parametrize("rule", ["oldest", "any"])
def test_the_recorded_order_gives_the_same_lines_whoever_is_first_now(rule: str) -> None:
    tiny = world(14 * FULL, workers=3)
    whole = flown(tiny, "newest", EVOLUTION)
    assert landed(whole) != sorted(landed(whole))
    assert flown(tiny, rule, EVOLUTION, order=landed(whole)).lines == whole.lines
    assert flown(tiny, rule, EVOLUTION).lines != whole.lines


def test_a_method_that_changed_its_mind_is_found_on_resume() -> None:
    SCRIPT[:] = words("aaaaa", "bbbbb", "ccccc")
    whole = flown(world(100))
    SCRIPT[:] = words("aaaaa", "bbbbb", "ddddd")
    with pytest.raises(ReplayDiverged):
        flown(world(100), notebook=whole.torn(2))


def test_an_order_that_the_run_cannot_follow_is_let_go() -> None:
    SCRIPT[:] = words("aaaaa", "bbbbb", "ccccc")
    assert landed(flown(world(100), "oldest", order=[1, 7, 0])) == [1, 0, 2]
    whole = flown(world(100))
    SCRIPT[:] = words("aaaaa")
    with pytest.raises(ReplayDiverged):
        flown(world(100), notebook=whole.torn(3))


def keyed(book: Notebook) -> list[tuple[TrialRecord, str]]:
    return [(entry, canonical_json(work_to_json(entry.trial.work))) for entry in book.trials]


def check(book: Notebook, tiny: World, *, ended: bool = True) -> Course:
    return follow(keyed(book), tiny.track, ended=ended)


def steps(book: Notebook) -> list[Step]:
    return [Step(entry.trial.id, entry.counted, entry.spent) for entry in book.trials]


@settings(max_examples=60, deadline=None)
@given(
    rule=st.text("abc", max_size=3),
    workers=st.integers(2, 4),
    unit=st.sampled_from(["epochs", "train_seconds", "evaluations"]),
    limit=st.floats(1, 60),
    budget=st.fixed_dictionaries(
        {
            "overrun": st.sampled_from(["discard", "keep"]),
            "repeats": st.sampled_from(["charge", "free"]),
            "max_trials": st.sampled_from([4, 1000]),
        }
    ),
)
def test_a_verifier_finds_the_course_of_every_run(
    rule: str, workers: int, unit: str, limit: float, budget: dict[str, object]
) -> None:
    tiny = world(limit, workers, unit, **budget)
    book = flown(tiny, rule, "methods.hyperband:Hyperband")
    assert check(book, tiny) == Course(steps(book), book.reason, book.trials[-1].spent if book.trials else 0.0)
    for count in range(len(book.trials)):
        cut = Notebook(trials=book.trials[:count])
        assert check(cut, tiny, ended=False).steps == steps(cut)


def differs(book: Notebook, tiny: World) -> bool:
    return check(book, tiny).steps != steps(book)


def test_a_verifier_refuses_a_trial_that_lands_before_it_could_be_asked_for() -> None:
    SCRIPT[:] = words("aaaaa", "bbbbb", "ccccc", "ddddd")
    two, three = world(100), world(100, workers=3)
    book = flown(three, "newest")
    assert landed(book) == [2, 3, 1, 0]
    assert not differs(book, three)
    assert differs(book, two), "three were in the air"
    book.trials.reverse()
    assert landed(book) == [0, 1, 3, 2]
    assert differs(book, two), "spent falls"


@pytest.mark.parametrize(
    ("ids", "reason", "steps_told"),
    [([0, 0, 1], "exhausted", [0, 1]), ([0, 2], "exhausted", [0]), ([1, 0], "exhausted", [1, 0])],
)
def test_a_verifier_refuses_ids_that_repeat_or_are_left_out(ids: list[int], reason: str, steps_told: list[int]) -> None:
    SCRIPT[:] = words("aaaaa", "bbbbb", "ccccc")
    tiny = world(100)
    by_id = {entry.trial.id: entry for entry in flown(tiny).trials}
    course = check(Notebook(trials=[by_id[number] for number in ids]), tiny)
    assert [step.id for step in course.steps] == steps_told
    assert course.reason == reason
