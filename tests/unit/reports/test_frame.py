from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from harness.core.records import RunRecord, StudyRecord, TrialRecord
from harness.core.types import Arch, Attach, Cost, Evaluate, Failure, Grow, Measurement, RunSpec, Trial
from reports.frame import read, tidy
from reports.trace import incumbents, trace_of

SPEC = RunSpec("toy", "1.2.3", "toy", "m", "m", "base", {}, 0, 0)
PLAN = {
    "budget": {"limit": 10.0},
    "selection": {"rule": "recommended"},
    "objective": {"direction": "maximize"},
    "fidelity": {"search": 12},
    "final": {"metrics": ["test", "other"]},
}


def trial(
    number: int,
    arch: str,
    spent: float,
    value: float,
    recommended: str | None,
    *,
    counted: bool = True,
    epochs: int = 12,
) -> TrialRecord:
    result = Measurement(value, {}, Cost(epochs))
    work = Evaluate(Arch(arch), epochs)
    return TrialRecord(Trial(number, work, 0), result, spent, counted, recommended, {"test": value + 1})


def run(*trials: TrialRecord, **changes: object) -> RunRecord:
    return replace(RunRecord(SPEC, "done", "budget", trials, "00"), **changes)  # type: ignore[arg-type]


def test_the_step_function_holds_the_sealed_value_of_what_was_recommended() -> None:
    found = trace_of(run(trial(0, "a", 2, 5, "a"), trial(1, "b", 4, 3, "a"), trial(2, "c", 7, 6, "c")), PLAN, "")
    assert found.at.tolist() == [2, 7]
    assert found.final[:, 0].tolist() == [6, 7]
    assert np.isnan(found.final[:, 1]).all()
    assert found.objective.tolist() == [5, 6]
    assert (found.arch, found.spent, found.trials, found.discarded) == ("c", 7, 3, 0)


def test_a_method_may_recommend_what_it_measured_long_ago_or_later() -> None:
    found = trace_of(run(trial(0, "a", 2, 5, "b"), trial(1, "b", 4, 3, "a"), trial(2, "c", 7, 6, "a")), PLAN, "")
    assert found.at.tolist() == [2, 4]
    assert found.final[:, 0].tolist() == [4, 6]


def test_a_discarded_trial_is_not_part_of_the_curve() -> None:
    kept = (trial(0, "a", 9, 5, "a"),)
    found = trace_of(run(*kept, trial(1, "b", 9, 8, "b", counted=False)), PLAN, "")
    assert found.at.tolist() == [9]
    assert (found.arch, found.trials, found.discarded) == ("a", 1, 1)


def test_a_kept_overrun_is_counted_and_not_reported() -> None:
    found = trace_of(run(trial(0, "a", 9, 5, "a"), trial(1, "b", 11, 8, "b")), PLAN, "")
    assert found.at.tolist() == [9]
    assert (found.arch, found.trials, found.spent) == ("a", 2, 11)


def test_a_trial_that_ends_exactly_at_the_limit_is_reported() -> None:
    assert trace_of(run(trial(0, "a", 10.0, 5, "a")), PLAN, "").arch == "a"


def test_the_final_evaluation_takes_precedence_over_the_search_trial() -> None:
    trained = {"a": {"test": 91.5, "other": 2.0}}
    found = trace_of(run(trial(0, "a", 2, 5, "a"), final=trained), PLAN, "")
    assert found.final.tolist() == [[91.5, 2.0]]


def test_an_architecture_that_only_grew_has_its_final_evaluation() -> None:
    grown = TrialRecord(
        Trial(0, Grow(Attach(Evaluate(Arch("a"), 3), (), "sg+sf", 3), (), Arch("b"), 3), 0),
        Measurement(4, {}, Cost(3)),
        3,
        True,
        "a+",
        {"test": 1.0},
    )
    assert trace_of(run(grown, final={"a+": {"test": 88.0}}), PLAN, "").final[0, 0] == 88.0
    assert np.isnan(trace_of(run(grown), PLAN, "").final[0, 0])


def test_the_search_fidelity_takes_precedence_over_shorter_trainings() -> None:
    short, full = trial(0, "a", 1, 2, "a", epochs=3), trial(1, "a", 4, 5, "a")
    later = trial(2, "a", 5, 3, "a", epochs=3)
    assert trace_of(run(short, full, later), PLAN, "").objective.tolist() == [5]
    assert trace_of(run(short), PLAN, "").final[0, 0] == 3


def test_nothing_recommended_yet_is_no_incumbent() -> None:
    found = trace_of(run(trial(0, "a", 2, 5, None), trial(1, "b", 4, 3, "b")), PLAN, "")
    assert found.at.tolist() == [4]
    assert not trace_of(run(trial(0, "a", 2, 5, None)), PLAN, "").valued


def test_best_validated_ignores_the_recommendation_and_shorter_trainings() -> None:
    plan = {**PLAN, "selection": {"rule": "best-validated"}}
    trials = (
        trial(0, "a", 1, 5, "z"),
        trial(1, "b", 2, 9, "z", epochs=3),
        trial(2, "c", 3, 4, "z"),
        trial(3, "d", 4, 6, "z"),
    )
    at, archs = incumbents(trials, plan)
    assert (at.tolist(), archs) == ([1, 4], ["a", "d"])
    smaller = {**plan, "objective": {"direction": "minimize"}}
    assert incumbents(trials, smaller)[1] == ["a", "c"]


def test_failed_trials_are_counted_by_reason_and_never_valued() -> None:
    failed = replace(trial(1, "b", 4, 0, "b"), result=Failure("NaN", Cost(1)))
    found = trace_of(run(trial(0, "a", 2, 5, "a"), failed), PLAN, "")
    assert found.failures == {"NaN": 1}
    assert np.isnan(found.final[-1, 0])


def test_every_planned_run_is_in_the_frame_whatever_became_of_it(make_study: Callable[..., StudyRecord]) -> None:
    states = {0: "missing", 1: "partial", 2: "skipped"}

    def change(record: RunRecord) -> RunRecord:
        return replace(record, status=states.get(record.spec.replicate, "done"))

    frame = read(make_study(spoil=change))
    cell = frame.tracks[0].cells[0]
    assert [trace.status for trace in cell.traces] == ["missing", "partial", "skipped", "done", "done"]
    assert [trace.spec.replicate for trace in cell.valued] == [3, 4]
    assert len(cell.finals(0)) == 2


def test_a_declared_exclusion_is_left_out_and_one_without_a_run_is_told(make_study: Callable[..., StudyRecord]) -> None:
    name = "toy@1.2.3/toy/random_search/base/r0002"
    frame = read(make_study(exclusions=(f"{name}: the disk was full", "toy@1.2.3/toy/none/base/r0000: a slip")))
    cell = frame.tracks[0].cells[0]
    assert cell.traces[2].excluded == "the disk was full"
    assert len(cell.valued) == 4
    assert frame.idle_exclusions == ("toy@1.2.3/toy/none/base/r0000",)


def test_runs_are_read_once_and_not_held(make_study: Callable[..., StudyRecord]) -> None:
    study = make_study()
    opened = []

    def runs() -> Iterator[RunRecord]:
        opened.append(1)
        return study.runs()

    read(replace(study, runs=runs))
    assert len(opened) == 1


def test_the_tidy_table_has_one_row_per_run_and_no_clock(make_study: Callable[..., StudyRecord]) -> None:
    fast, slow = make_study(), make_study(spoil=lambda record: replace(record, seconds={"ask": 1e3}))
    rows = tidy(read(fast))
    assert len(rows) == 10
    assert rows["track"].unique().tolist() == ["toy"]
    assert rows["toy/test@200ep(2k) mean-of-trials"].between(60, 95).all()
    assert rows.equals(tidy(read(slow)))


def test_the_interim_metric_is_that_of_the_search_trials_and_no_loss() -> None:
    short = replace(trial(0, "a", 1, 2, "a", epochs=3), sealed={"test@3": 50.0})
    full = replace(trial(1, "b", 4, 5, "b"), sealed={"a-loss@12": 0.3, "test@12": 60.0})
    found = trace_of(run(short, full), PLAN, "")
    assert found.interim_metric == "test@12"
    assert np.isnan(found.interim[0])
    assert found.interim[1] == 60.0
    assert trace_of(run(), PLAN, "").interim_metric == ""
