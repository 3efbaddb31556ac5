"""Break a sound record in ways that several rules guard: all of them see it, and no other does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.core.records import RunRecord
from harness.core.types import Cost, Failure
from reports.checklist.model import Item
from reports.checklist.summary import mark

TEST = "toy/test@9ep"
Draft = Any
Judge = Callable[[Draft], dict[str, Item]]
Mutation = Callable[[Draft], None]


def dirty_tree(draft: Draft) -> None:
    draft.environments[0]["code"]["repository"]["dirty"] = True


def installed_wheel(draft: Draft) -> None:
    draft.environments[0]["code"]["repository"] = None


def leak(draft: Draft) -> None:
    def change(run: RunRecord) -> RunRecord:
        first, *rest = run.trials
        told = replace(first.result, metrics={**first.result.metrics, TEST: 1.0})  # type: ignore[union-attr, arg-type]
        return replace(run, trials=(replace(first, result=told), *rest))

    draft.change_runs(change, method="random_search", replicate=4, track="tiny")


def lost_run(draft: Draft) -> None:
    draft.change_runs(
        lambda run: replace(run, status="missing"), method="regularized_evolution", variant="kill=worst", replicate=9
    )


def unpaid_trial(draft: Draft) -> None:
    def change(run: RunRecord) -> RunRecord:
        trials = tuple(replace(e, spent=e.spent - 9 * (e.trial.id > 5)) for e in run.trials)
        return replace(run, trials=trials)

    draft.change_runs(change, method="random_search", replicate=4, track="tiny")


def free_failure(draft: Draft) -> None:
    def change(run: RunRecord) -> RunRecord:
        trials = list(run.trials)
        trials[3] = replace(trials[3], result=Failure("NaN in the loss", Cost(0.0)))
        back = 9.0
        trials[3:] = [replace(entry, spent=entry.spent - back) for entry in trials[3:]]
        return replace(run, trials=tuple(trials))

    draft.change_runs(change, method="random_search", replicate=4, track="tiny")


def no_random_search(draft: Draft) -> None:
    draft.protocol["methods"] = draft.protocol["methods"][1:]
    draft.protocol["analysis"]["published"][0]["method"] = "regularized_evolution"
    draft.runs = [run for run in draft.runs if run.spec.method != "random_search"]


def three_seeds(draft: Draft) -> None:
    for index in range(2):
        draft.track(index)["replicates"] = 3
    draft.runs = [run for run in draft.runs if run.spec.replicate < 3]


def two_seeds(draft: Draft) -> None:
    for index in range(2):
        draft.track(index)["replicates"] = 2
    draft.runs = [run for run in draft.runs if run.spec.replicate < 2]


def nothing_new(draft: Draft) -> None:
    draft.protocol["ablations"] = []
    draft.runs = [run for run in draft.runs if run.spec.variant == "base"]
    draft.protocol["study"]["proposes_new_method"] = False


def tuned_on_what_is_reported(draft: Draft) -> None:
    track = draft.track(0)
    draft.protocol["tuning"][1] |= {
        "source": "tuned",
        "benchmark": track["benchmark"],
        "budget": track["budget"],
        "space": {"sample": [2, 3]},
    }


def tuned_elsewhere(draft: Draft) -> None:
    tuned_on_what_is_reported(draft)
    draft.protocol["tuning"][1]["benchmark"] = {"name": "toy", "options": {"noise": 7.0}, "fingerprint": None}


def a_machine_that_no_start_recorded(draft: Draft) -> None:
    draft.change_runs(lambda run: replace(run, manifest={**run.manifest, "environment": "f" * 16}), replicate=7)


@pytest.mark.parametrize(
    ("mutation", "expected"),
    [
        (dirty_tree, {"A1": "no", "A2": "no", "A4": "no"}),
        (installed_wheel, {"A1": "no?", "A2": "no?", "A4": "no?"}),
        (
            a_machine_that_no_start_recorded,
            {"A1": "no?", "A2": "no?", "A4": "no?", "B2": "no", "C3": "no", "X4": "no"},
        ),
        (leak, {"B4": "no", "X1": "no"}),
        (lost_run, {"B3": "no", "B7": "no", "B8": "no", "X5": "no"}),
        (unpaid_trial, {"B5": "no", "C2": "no"}),
        (no_random_search, {"B6": "no"}),
        (three_seeds, {"B7": "yes~", "B8": "no", "X7": "no", "X8": "no"}),
        (two_seeds, {"B7": "no", "B8": "no", "X7": "no", "X8": "no"}),
        (nothing_new, {"B3": "n/a"}),
        (tuned_on_what_is_reported, {"C1": "no"}),
        (tuned_elsewhere, {"C1": "no?"}),
    ],
)
def test_a_fault_that_several_rules_guard_flips_just_these(
    mutation: Mutation, expected: dict[str, str], draft: Draft, judge: Judge, untouched: dict[str, Item]
) -> None:
    mutation(draft)
    found = judge(draft)
    after = {key: mark(item) for key, item in found.items() if mark(item) != mark(untouched[key])}
    assert after == expected, {key: [f.text for _, f in found[key].found] for key in after.keys() ^ expected.keys()}


def test_a_failure_that_cost_nothing_is_not_accounted_for(draft: Draft, judge: Judge) -> None:
    free_failure(draft)
    assert judge(draft)["X5"].verdict == "no"
