"""The course of the search: phases, draws of their own for each purpose, options that change what they say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.core.errors import UsageError
from harness.core.interfaces import Task
from harness.core.types import (
    Arch,
    Attach,
    Capability,
    Cost,
    Evaluate,
    Failure,
    Grow,
    Measurement,
    Trial,
    Work,
)
from harness.testing import GrowingSpace, Notebook, World, play, world_for
from harness.testing.growing import MULTIPLY_ADDS, PARAMETERS
from harness.testing.toy import FULL, VALID
from methods.petridish import Petridish

METHOD = "methods.petridish:Petridish"
WORLD = world_for(METHOD)
OFFERS = frozenset({Capability.EVALUATE, Capability.ATTACH, Capability.GROW})
TASK = Task(GrowingSpace(), VALID, "maximize", FULL, (FULL,), OFFERS, "epochs", 360.0)


def search(task: Task = TASK, seed: int = 0, **options: Any) -> Petridish:
    return Petridish(task, np.random.Generator(np.random.PCG64(seed)), Petridish.Config(**options))


def measured(value: float = 80.0, cost: float = 10.0, **scores: float) -> Measurement:
    return Measurement(value, {VALID: value, MULTIPLY_ADDS: cost, PARAMETERS: 1.0}, Cost(9), scores=scores)


def asked(method: Petridish) -> Work:
    work = method.ask()
    assert work is not None
    return work


def answer(method: Petridish, work: Work, result: Measurement | Failure) -> None:
    method.tell(Trial(0, work, 0), result)


def attached(method: Petridish) -> Attach:
    """Train both seeds, and return the first attachment."""
    for _ in range(2):
        answer(method, asked(method), measured())
    work = asked(method)
    assert isinstance(work, Attach)
    return work


def scored(work: Attach, score: Callable[[int], float]) -> Measurement:
    return replace(measured(), scores={move: score(index) for index, move in enumerate(work.moves)})


def kinds(book: Notebook) -> list[str]:
    return [type(entry.trial.work).__name__ for entry in sorted(book.trials, key=lambda entry: entry.trial.id)]


def test_seeds_first_then_attachment_and_growth_in_turn() -> None:
    book = play(METHOD, WORLD)
    assert kinds(book)[:8] == ["Evaluate", "Evaluate", *["Attach", "Grow"] * 3]
    assert [entry.trial.work.arch for entry in book.trials[:2]] == list(GrowingSpace().seeds())  # type: ignore[union-attr]


def test_a_lineage_stands_whole_in_each_work() -> None:
    paid: list[Work] = []
    for entry in play(METHOD, WORLD).trials:
        work = entry.trial.work
        assert not isinstance(work, Attach | Grow) or work.after in paid
        assert not isinstance(work, Grow) or GrowingSpace().grow(work.after.arch, work.moves) == work.arch
        paid.append(work)


OWN = ("_parents", "_groups", "_choices", "_founders")


def drawing_from(monkeypatch: pytest.MonkeyPatch, purpose: str, source: Callable[[], np.random.Generator]) -> None:
    """Let a search draw for one purpose from a source that its seed has no part in."""
    init = Petridish.__init__

    def wrong(method: Petridish, *given: Any) -> None:
        init(method, *given)
        setattr(method, purpose, source())

    monkeypatch.setattr(Petridish, "__init__", wrong)


def traced(workers: int, seed: int) -> Notebook:
    """Play a search in which every generator of the method has something to draw."""
    return play(METHOD, WORLD.changed(workers=workers), seed=seed, options={"selection": "random", "eps": 1.0})


@pytest.mark.parametrize("unseeded", [None, *OWN])
@pytest.mark.parametrize("workers", [1, 3])
def test_same_seed_same_trace(workers: int, unseeded: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    process = np.random.Generator(np.random.PCG64(0))  # of all searches together
    if unseeded:
        drawing_from(monkeypatch, unseeded, lambda: process)
    first, again = (traced(workers, seed=1) for _ in range(2))
    further = workers > 1  # only then is a founder drawn: a single worker finds a parent
    assert (first.lines == again.lines) == (unseeded is None or (unseeded == "_founders" and not further))
    assert first.lines != traced(workers, seed=2).lines
    assert set(kinds(first)) == {"Evaluate", "Attach", "Grow"}


@pytest.mark.parametrize("ignored", [False, True])
def test_another_seed_draws_otherwise(ignored: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    """On the same answers: those of another seed differ by themselves."""
    for purpose in OWN if ignored else ():
        drawing_from(monkeypatch, purpose, lambda: np.random.Generator(np.random.PCG64(0)))
    chosen = set()
    for seed in range(5):
        method = search(seed=seed, selection="random")
        work = attached(method)
        answer(method, work, measured())
        growth = asked(method)
        assert isinstance(growth, Grow)
        chosen.add(growth.moves)
    assert (len(chosen) == 1) == ignored


def test_three_workers_found_one_more_line_and_never_repeat_a_work() -> None:
    for seed in range(5):
        book = play(METHOD, WORLD.changed(workers=3), seed=seed)
        works = [entry.trial.work for entry in book.trials]
        assert sum(isinstance(work, Evaluate) for work in works[:6]) >= 3
        grown = [work for work in works if isinstance(work, Attach | Grow)]
        assert len(set(grown)) == len(grown)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("kill", [1, 3, 4, 5, 9])
def test_resumes_in_every_phase(workers: int, kill: int) -> None:
    world = WORLD.changed(workers=workers)
    whole = play(METHOD, world, seed=6)
    assert play(METHOD, world, seed=6, notebook=whole.torn(kill)).lines == whole.lines


def test_top_takes_the_largest_weights_of_one_group_ties_in_order() -> None:
    method = search(grow="one", keep=2)
    work = attached(method)
    places = [move[0] for move in work.moves]
    answer(method, work, scored(work, lambda index: 2.0 if work.moves[index][2] == "b" else 1.0))
    growth = asked(method)
    assert isinstance(growth, Grow)
    space = GrowingSpace()
    (group,) = {space.group(move) for move in growth.moves}
    rivals = [move for move in work.moves if space.group(move) == group and move[2] == "b"]
    assert growth.moves == tuple(rivals[:2])
    assert places == sorted(places)


def test_moves_that_exclude_each_other_are_passed_over() -> None:
    method = search(grow="both", keep=2)
    work = attached(method)
    answer(method, work, scored(work, lambda index: 100.0 - index))  # the best rivals raise the same letter
    growth = asked(method)
    assert isinstance(growth, Grow)
    assert len({move[0] for move in growth.moves}) == len(growth.moves) == 4


def test_both_groups_grow_where_asked() -> None:
    method = search(grow="both", keep=1)
    work = attached(method)
    answer(method, work, scored(work, lambda index: 1.0 + index))
    growth = asked(method)
    assert isinstance(growth, Grow)
    assert [GrowingSpace().group(move) for move in growth.moves] == ["left", "right"]


@pytest.mark.parametrize(
    ("selection", "suffix", "sign"), [("top", "", 1.0), ("cosine", "|-cos", 1.0), ("taylor", "|<g,c>", -1.0)]
)
def test_each_selection_reads_its_own_score(selection: str, suffix: str, sign: float) -> None:
    method = search(grow="both", keep=1, selection=selection)
    work = attached(method)
    best = {GrowingSpace().group(move): move for move in work.moves}  # the last of each group
    scores = {f"{move}{end}": 0.5 for move in work.moves for end in ("", "|-cos", "|<g,c>")}
    scores |= {f"{move}{suffix}": sign * 0.9 for move in best.values()}
    answer(method, work, measured(**scores))
    growth = asked(method)
    assert isinstance(growth, Grow)
    assert set(growth.moves) == set(best.values())


def test_weights_at_zero_are_not_chosen_and_end_the_line() -> None:
    method = search()
    work = attached(method)
    answer(method, work, scored(work, lambda _: 0.0))
    following = asked(method)
    assert isinstance(following, Attach)
    assert following.after != work.after


def test_random_selection_needs_no_scores() -> None:
    method = search(selection="random", keep=1)
    work = attached(method)
    answer(method, work, measured())
    assert isinstance(asked(method), Grow)


def test_a_growth_is_not_offered_twice() -> None:
    method = search(keep=1, parents="greedy")
    work = attached(method)
    answer(method, work, scored(work, lambda index: 1.0 + index))
    growth = asked(method)
    assert isinstance(growth, Grow)
    answer(method, growth, measured(value=1.0, cost=99.0))  # the child is no rival
    again = asked(method)
    assert isinstance(again, Attach)
    assert again.after == work.after
    assert again.moves == tuple(move for move in work.moves if move not in growth.moves)


def test_failures_end_lines_and_not_the_search() -> None:
    method = search()
    for _ in range(2):
        answer(method, asked(method), Failure("planted", Cost(9)))
    founder = asked(method)  # no seed stands: a further founder
    assert isinstance(founder, Evaluate)
    answer(method, founder, measured())
    work = asked(method)
    assert isinstance(work, Attach)
    assert work.arch == founder.arch
    answer(method, work, Failure("planted", Cost(9)))
    assert isinstance(asked(method), Evaluate)
    assert method.recommend() == founder.arch


def test_recommends_the_best_validated_member() -> None:
    method = search()
    work = attached(method)
    answer(method, work, scored(work, lambda index: 1.0 + index))
    growth = asked(method)
    assert isinstance(growth, Grow)
    answer(method, growth, measured(value=91.0, cost=20.0))
    assert method.recommend() == growth.arch


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_hull_is_of_errors_whatever_the_direction(direction: Any) -> None:
    method = search(replace(TASK, direction=direction), parents="greedy")
    good, bad = (90.0, 70.0) if direction == "maximize" else (10.0, 30.0)
    first = asked(method)
    answer(method, first, measured(bad))
    second = asked(method)
    answer(method, second, measured(good))
    work = asked(method)
    assert isinstance(work, Attach)
    assert work.after == second


def test_lines_end_at_the_greatest_growth_and_cost() -> None:
    book = play(METHOD, WORLD, options={"max_growths": 1})
    assert all(isinstance(e.trial.work.after, Evaluate) for e in book.trials if isinstance(e.trial.work, Attach))
    costly = play(METHOD, WORLD, options={"max_cost": 12.0})
    sizes = {e.trial.work: e.result.metrics[MULTIPLY_ADDS] for e in costly.succeeded}  # type: ignore[union-attr]
    parents = [e.trial.work.after for e in costly.trials if isinstance(e.trial.work, Attach)]
    assert parents
    assert max(sizes[parent] for parent in parents) <= 12.0
    assert max(sizes.values()) > 12.0


def test_the_phases_have_lengths_of_their_own() -> None:
    book = play(METHOD, WORLD, options={"attach_epochs": 1, "grow_epochs": 3})
    lengths = {type(entry.trial.work).__name__: entry.trial.work.epochs for entry in book.trials}  # type: ignore[union-attr]
    assert lengths == {"Evaluate": 9, "Attach": 1, "Grow": 3}


def test_candidates_may_be_chosen_without_ever_being_trained() -> None:
    book = play(METHOD, WORLD, options={"attach_epochs": 0, "selection": "cosine"})
    assert {entry.trial.work.epochs for entry in book.trials if isinstance(entry.trial.work, Attach)} == {0}
    assert any(isinstance(entry.trial.work, Grow) for entry in book.trials)


VARIED: dict[str, dict[str, Any]] = {
    "arm": {"arm": "joint"},
    "penalty": {"penalty": 0.01},
    "merge": {"merge": "sum"},
    "keep": {"keep": 2},
    "selection": {"selection": "random"},
    "grow": {"grow": "both"},
}


def draws(**options: Any) -> tuple[list[list[Arch]], list[set[str]]]:
    """Return the parents and the groups that five seeds draw, each in four rounds on one pool: its children fail."""
    parents, groups = [], []
    for seed in range(5):
        method = search(seed=seed, **{"keep": 1, **options})
        work = attached(method)
        of_seed = [work.arch]
        for _ in range(4):
            answer(method, work, scored(work, lambda index: 1.0 + index))
            growth = asked(method)
            assert isinstance(growth, Grow)
            groups.append({GrowingSpace().group(move) for move in growth.moves})
            answer(method, growth, Failure("planted", Cost(9)))
            following = asked(method)
            assert isinstance(following, Attach)
            work = following
            of_seed.append(work.arch)
        parents.append(of_seed)
    return parents, groups


def one_generator(method: Petridish) -> None:
    """Draw for all purposes from one generator, so that who draws first shifts the others."""
    for purpose in OWN:
        setattr(method, purpose, method._parents)


def options_in_the_seed(method: Petridish) -> None:
    """Begin every generator anew, by what the options are too."""
    for purpose in OWN:
        entropy = [int(getattr(method, purpose).integers(1 << 30)), *repr(method._config).encode()]
        setattr(method, purpose, np.random.Generator(np.random.PCG64(entropy)))


@pytest.mark.parametrize(
    ("fault", "shifting"), [(None, set()), (one_generator, {"selection", "grow"}), (options_in_the_seed, {*VARIED})]
)
def test_an_option_shifts_no_draw_but_its_own(
    fault: Callable[[Petridish], None] | None, shifting: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On one pool it draws the same parents and, where one group grows, the same groups."""
    init = Petridish.__init__

    def begun(method: Petridish, *given: Any) -> None:
        init(method, *given)
        if fault:
            fault(method)

    monkeypatch.setattr(Petridish, "__init__", begun)
    parents, groups = draws()
    assert len(set(map(tuple, parents))) > 1, "parents that were used are drawn at random"
    found = {option: draws(**change) for option, change in VARIED.items()}
    assert {option for option, (others, _) in found.items() if others != parents} == shifting
    assert {option for option, (_, others) in found.items() if others != groups} - {"grow"} == shifting - {"grow"}


def test_a_track_without_the_cost_axis_is_an_error_that_says_so() -> None:
    method = search()
    work = asked(method)
    bare = Measurement(80.0, {VALID: 80.0}, Cost(9))
    with pytest.raises(UsageError, match=r"'cost'.*multiply-adds.*objective.secondary"):
        answer(method, work, bare)
    with pytest.raises(UsageError, match="is the end of 2 of the metrics"):
        answer(method, work, replace(bare, metrics={"a/multiply-adds": 1.0, "b/multiply-adds": 1.0}))


def test_the_cost_axis_may_be_another() -> None:
    assert play(METHOD, WORLD, options={"cost": "parameters"}).trials


def test_a_space_that_does_not_grow_is_refused() -> None:
    space = World().open().space
    with pytest.raises(UsageError, match="no moves to grow by"):
        search(replace(TASK, space=space))
