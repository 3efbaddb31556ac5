"""Break a sound record in the way each rule guards, with every hash recomputed: that verdict flips, and no other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.core.records import RunRecord, TrialRecord
from harness.core.types import Evaluate
from reports.checklist.model import Item
from reports.checklist.rules import RULES
from reports.checklist.summary import mark

SECOND = "toy/test-error@9ep"
TEST = "toy/test@9ep"
Draft = Any
Judge = Callable[[Draft], dict[str, Item]]
Mutation = Callable[[Draft], None]


def no_importer(draft: Draft) -> None:
    draft.change_manifests(importer=None)


def nameless_space(draft: Draft) -> None:
    draft.change_manifests(space=None)


def unknown_trials(draft: Draft) -> None:
    draft.change_manifests(trials=None)


def methods_without_hash(draft: Draft) -> None:
    del draft.environments[0]["code"]["content"]["methods"]


def seedless_manifests(draft: Draft) -> None:
    draft.change_runs(lambda run: replace(run, manifest=without(run.manifest, "seeds")), method="random_search")


def without(mapping: Any, key: str) -> dict[str, Any]:
    return {name: value for name, value in mapping.items() if name != key}


def another_table_for_one_method(draft: Draft) -> None:
    """Its answers are another table's: the same work, in the same replicate, with another test accuracy."""

    def moved(entry: TrialRecord) -> TrialRecord:
        return replace(entry, sealed={**entry.sealed, TEST: entry.sealed[TEST] + 0.25})

    def change(run: RunRecord) -> RunRecord:
        return replace(run, trials=tuple(moved(entry) for entry in run.trials))

    draft.change_runs(change, method="regularized_evolution", variant="base", track="tiny")


def another_numpy_for_one_method(draft: Draft) -> None:
    other = json.loads(json.dumps(draft.environments[0]))
    listed = other["software"]["distributions"]
    other["software"]["distributions"] = [
        entry if not entry.startswith("numpy==") else "numpy==1.0" for entry in listed
    ]
    draft.environments.append(other)
    draft.segments.append((1, {**draft.segments[0][1], "drift": ["software.distributions.numpy"]}))
    draft.change_runs(
        lambda run: replace(run, manifest={**run.manifest, "environment": 1}), method="regularized_evolution"
    )


def no_ablation(draft: Draft) -> None:
    draft.protocol["ablations"] = []
    draft.runs = [run for run in draft.runs if run.spec.variant == "base"]


def one_run_under_another_protocol(draft: Draft) -> None:
    draft.change_runs(
        lambda run: replace(run, manifest={**run.manifest, "protocol_hash": "0" * 64}),
        method="random_search",
        replicate=3,
        track="tiny",
    )


def one_run_without_an_end(draft: Draft) -> None:
    draft.change_runs(
        lambda run: replace(run, reason="stopped"), method="regularized_evolution", replicate=2, variant="base"
    )


def lopsided_random_search(draft: Draft) -> None:
    """It never draws anything but 'a' in the first place."""

    def change(run: RunRecord) -> RunRecord:
        trials = tuple(
            replace(entry, trial=replace(entry.trial, work=Evaluate("a" + entry.trial.work.arch[1:], 9)))
            for entry in run.trials
        )
        return replace(run, trials=trials)

    draft.change_runs(change, method="random_search")


def a_seed_that_changes_nothing(draft: Draft) -> None:
    first = {
        run.spec.track: run for run in draft.runs if run.spec.method == "random_search" and run.spec.replicate == 0
    }

    def change(run: RunRecord) -> RunRecord:
        return replace(run, trials=first[run.spec.track].trials, final=first[run.spec.track].final)

    draft.change_runs(change, method="random_search", replicate=1)


def nothing_but_training(draft: Draft) -> None:
    draft.change_manifests(kind="training")
    draft.final_seconds = True


def no_word_on_tuning(draft: Draft) -> None:
    draft.protocol["tuning"] = draft.protocol["tuning"][:1]


def no_seconds(draft: Draft) -> None:
    draft.change_runs(lambda run: replace(run, seconds={}), method="random_search", replicate=0)


def unknown_memory(draft: Draft) -> None:
    del draft.environments[0]["hardware"]["memory_bytes"]


def a_search_on_the_test_split(draft: Draft) -> None:
    draft.track(1)["splits"]["search"] = draft.track(1)["splits"]["final"]


def no_mean_of_the_space(draft: Draft) -> None:
    for name, track in draft.tracks.items():
        draft.tracks[name] = replace(track, references=without(track.references, "random_sampling"))


def several_final_candidates(draft: Draft) -> None:
    def change(run: RunRecord) -> RunRecord:
        (arch, metrics), *_ = run.final.items()
        other = next(e.trial.work.arch for e in run.trials if e.trial.work.arch != arch)  # type: ignore[union-attr]
        return replace(run, final={**run.final, other: metrics})

    draft.change_runs(change, method="random_search", replicate=0, track="tiny")


def no_time_of_the_first_start(draft: Draft) -> None:
    place, facts = draft.segments[0]
    draft.segments[0] = (place, without(facts, "started"))


def a_run_left_out_in_silence(draft: Draft) -> None:
    draft.protocol["analysis"]["exclusions"] = [f"{draft.runs[1].spec.id}:"]


def a_metric_of_one_run(draft: Draft) -> None:
    """The second metric is recorded in one run only: a mean without an interval."""

    def change(run: RunRecord) -> RunRecord:
        if run.spec.replicate == 0:
            return run
        trials = tuple(replace(entry, sealed=without(entry.sealed, SECOND)) for entry in run.trials)
        return replace(run, trials=trials, final={arch: without(values, SECOND) for arch, values in run.final.items()})

    draft.change_runs(change, track="tiny")


def no_correction(draft: Draft) -> None:
    """Three methods on a track, and every comparison at the full alpha."""
    draft.protocol["analysis"]["correction"] = "none"
    draft.protocol["methods"].append({**draft.protocol["methods"][0], "id": "again"})
    draft.protocol["tuning"].append({**draft.protocol["tuning"][0], "method": "again"})
    again = [
        replace(run, spec=replace(run.spec, method="again"), manifest=run.manifest)
        for run in draft.runs
        if run.spec.method == "random_search"
    ]
    draft.runs = sorted([*draft.runs, *again], key=lambda run: (run.spec.track != "tiny", run.spec.replicate))
    draft.replays |= {run.spec.id: "exact" for run in again if run.spec.replicate == 0}


def another_figure_than_published(draft: Draft) -> None:
    draft.protocol["analysis"]["published"][0]["mean"] -= 20


def one_benchmark(draft: Draft) -> None:
    del draft.protocol["tracks"][1], draft.tracks["other"]
    draft.runs = [run for run in draft.runs if run.spec.track == "tiny"]


def a_better_number_in_the_report(draft: Draft) -> None:
    """A forger changes a table and its hash in the index."""

    def forge(folder: Path) -> None:
        table, index = folder / "report" / "final-tiny.csv", folder / "report" / "index.json"
        table.write_text(table.read_text().replace("random_search,method", "random_search,Method"))
        content = json.loads(index.read_text())
        content["files"][table.name] = hashlib.sha256(table.read_bytes()).hexdigest()
        index.write_text(json.dumps(content))

    draft.forge = forge


def data_without_checksum(draft: Draft) -> None:
    draft.change_manifests(data={"toy.npz": "a file"})


def one_replay_came_out_otherwise(draft: Draft) -> None:
    name = next(name for name in draft.replays if "regularized_evolution/base" in name)
    draft.replays[name] = "different"


MUTATIONS: dict[str, Mutation] = {
    "A1": no_importer,
    "A2": nameless_space,
    "A3": unknown_trials,
    "A4": methods_without_hash,
    "A5": seedless_manifests,
    "B1": another_table_for_one_method,
    "B2": another_numpy_for_one_method,
    "B3": no_ablation,
    "B4": one_run_under_another_protocol,
    "B5": one_run_without_an_end,
    "B6": lopsided_random_search,
    "B7": a_seed_that_changes_nothing,
    "B8": nothing_but_training,
    "C1": no_word_on_tuning,
    "C2": no_seconds,
    "C3": unknown_memory,
    "X1": a_search_on_the_test_split,
    "X2": no_mean_of_the_space,
    "X3": several_final_candidates,
    "X4": no_time_of_the_first_start,
    "X5": a_run_left_out_in_silence,
    "X6": a_metric_of_one_run,
    "X7": no_correction,
    "X8": another_figure_than_published,
    "X9": one_benchmark,
    "X10": a_better_number_in_the_report,
    "X11": data_without_checksum,
    "X12": one_replay_came_out_otherwise,
}


def test_every_rule_has_a_mutation() -> None:
    assert list(MUTATIONS) == [rule.id for rule in RULES]


def test_the_sound_record_has_yes_everywhere(untouched: dict[str, Item]) -> None:
    assert {rule: mark(item) for rule, item in untouched.items()} == {
        rule.id: "yes°" if rule.id in ("A1", "A2", "A4") else "yes" for rule in RULES
    }


@pytest.mark.parametrize("rule", MUTATIONS)
def test_its_mutation_flips_a_verdict_and_no_other(
    rule: str, draft: Draft, judge: Judge, untouched: dict[str, Item]
) -> None:
    MUTATIONS[rule](draft)
    found = judge(draft)
    before = {key: mark(item) for key, item in untouched.items()}
    after = {key: mark(item) for key, item in found.items()}
    flipped = {key for key in before if before[key] != after[key]}
    assert flipped == {rule}, {key: [f.text for _, f in found[key].found] for key in flipped}
    assert found[rule].verdict == "no"
