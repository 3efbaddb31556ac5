from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from harness.core.records import Document, Figure, RunRecord, StudyRecord, Table, TrialRecord
from harness.core.types import Arch, Cost, Evaluate, Failure
from reports.render import render
from reports.summary import build

Make = Callable[..., StudyRecord]
VALID = "toy/valid@12ep(1k) mean-of-trials"
TEST = "toy/test@200ep(2k) mean-of-trials"
ABSENT = "other/test@200ep(2k) mean-of-trials"


def tables(document: Document) -> dict[str, Table]:
    return {table.name: table for section in document.sections for table in section.tables}


def figures(document: Document) -> dict[str, Figure]:
    return {figure.name: figure for section in document.sections for figure in section.figures}


def cell(table: Table, row: str, column: str) -> str:
    line = next(line for line in table.rows if row in line)
    return line[table.columns.index(column)]


def fact(table: Table, **wanted: Any) -> dict[str, Any]:
    return dict(next(row for row in table.data if all(row.get(key) == value for key, value in wanted.items())))


def text_of(document: Document) -> str:
    return render(document)["report.md"].decode()


def published(mean: float, n: int = 500, **changes: Any) -> dict[str, Any]:
    entry = {"method": "random_search", "track": "toy", "metric": TEST, "mean": mean, "std": 0.5, "n": n}
    return {**entry, "source": "A paper", "provenance": "secondary", **changes}


def change_of(method: str, replicate: int, **changes: Any) -> Callable[[RunRecord], RunRecord]:
    def change(run: RunRecord) -> RunRecord:
        mine = (run.spec.method, run.spec.replicate) == (method, replicate)
        return replace(run, **changes) if mine else run

    return change


def test_a_number_in_the_final_table_is_the_mean_of_the_runs(make_study: Make) -> None:
    study = make_study(replicates=5)
    sealed = [run.trials[-1] for run in study.runs() if run.spec.method == "random_search"]
    known = {
        record.trial.work.arch: record.sealed[TEST]  # type: ignore[union-attr]
        for run in study.runs()
        for record in run.trials
    }
    finals = [known[record.recommended] for record in sealed]  # type: ignore[index]
    row = fact(tables(build(study))["final-toy"], row="random_search")
    assert row["mean"] == pytest.approx(sum(finals) / 5)
    assert (row["n"], row["planned"], row["interval"]) == (5, 5, "Student's t")


def test_references_stand_beside_the_methods(make_study: Make) -> None:
    study = make_study()
    final = tables(build(study))["final-toy"]
    facts: Any = study.tracks["toy"].references
    assert fact(final, row="optimum of the space")["mean"] == facts["optimum"][TEST]["value"]
    sampling = fact(final, row="random sampling (exact over 300 architectures)")
    assert sampling["mean"] == facts["random_sampling"][TEST]["mean"]
    names = [row[0] for row in final.rows]
    assert names.index("random search, exact expectation") == names.index("random_search") + 1


def test_a_study_without_references_has_no_rows_for_them(make_study: Make) -> None:
    document = build(make_study(references=False))
    assert [row[0] for row in tables(document)["final-toy"].rows] == ["random_search", "regularized_evolution"]
    assert "space-toy" not in tables(document)
    figure = figures(document)["anytime-toy"]
    assert (figure.y_log, figure.lines) == ("linear", {})
    assert figure.y_label.startswith("reached, in %")


def test_only_what_a_test_separates_is_emphasised(make_study: Make) -> None:
    clear, unclear = (build(make_study(replicates=n)) for n in (30, 3))
    assert tables(clear)["comparisons-toy"].rows[0][-1] == "separated"
    assert tables(clear)["final-toy"].strong == {2}
    assert tables(clear)["final-toy"].rows[2][0] == "regularized_evolution"
    assert tables(unclear)["comparisons-toy"].rows[0][-1] == "too few runs to test"
    assert tables(unclear)["final-toy"].strong == frozenset()
    assert "**random_search**" not in text_of(clear)


def test_equal_methods_are_not_separated(make_study: Make) -> None:
    document = build(make_study(methods=("local_search", "regularized_evolution"), replicates=30))
    table = tables(document)["comparisons-toy"]
    assert table.rows[0][-1] == "not separated"
    assert tables(document)["final-toy"].strong == frozenset()


def test_too_few_runs_show_no_p_value(make_study: Make) -> None:
    row = fact(tables(build(make_study(replicates=3)))["comparisons-toy"])
    assert row["p"] != row["p"]
    assert row["smallest_attainable_p"] == pytest.approx(0.1)
    text = build(make_study(replicates=3)).sections[0].text
    assert "too few runs to test." in text
    assert "adjusted p" not in text


def test_a_descriptive_track_is_marked_and_never_tested(make_study: Make) -> None:
    document = build(make_study(replicates=30, purpose="descriptive", published=(published(93.0),)))
    assert "comparisons-toy" not in tables(document)
    assert tables(document)["final-toy"].strong == frozenset()
    assert tables(document)["reproduction"].rows[0][-2] == "not tested: the track is descriptive"
    text = text_of(document)
    assert "Descriptive: the protocol declares too few replicates" in text
    assert "adjusted p" not in text


def test_wilcoxon_pairs_the_replicates(make_study: Make) -> None:
    broken = change_of("random_search", 4, status="partial")
    document = build(make_study(replicates=12, tests="wilcoxon", spoil=broken))
    table = tables(document)["comparisons-toy"]
    assert cell(table, "random_search vs regularized_evolution", "n") == "11 / 11"
    assert "paired by replicate" in table.note


def test_no_test_is_made_where_the_plan_names_none(make_study: Make) -> None:
    assert "comparisons-toy" not in tables(build(make_study(replicates=30, tests="none")))


@pytest.mark.parametrize("status", ["partial", "missing", "skipped"])
def test_incomplete_runs_are_counted_and_shown(make_study: Make, status: str) -> None:
    broken = change_of("random_search", 1, status=status, reason="the reason" if status == "skipped" else "")
    document = build(make_study(spoil=broken))
    row = fact(tables(document)["runs"], method="random_search")
    assert (row["planned"], row["done"], row[status]) == (5, 4, 1)
    assert cell(tables(document)["final-toy"], "random_search", "n") == "4 of 5"
    assert "9 of 10 planned runs are complete; runs lack in random_search." in document.sections[0].text
    figure = figures(document)["anytime-toy"]
    assert figure.series[0].label == "random_search (n = 4 of 5)"
    assert ("skipped: the reason (1)" in str(row["reasons"])) == (status == "skipped")


def test_a_study_that_never_started_still_reports(make_study: Make) -> None:
    document = build(make_study(spoil=lambda run: replace(run, status="missing", trials=(), reason="")))
    assert "0 of 10 planned runs are complete" in document.sections[0].text
    assert "no run has a result yet" in document.sections[0].text
    assert cell(tables(document)["final-toy"], "random_search", "n") == "0 of 5"
    assert "missing" in tables(document)["final-toy"].rows[0]
    assert not [figure for section in document.sections for figure in section.figures]
    assert render(document)


def test_failures_are_counted_with_their_reasons(make_study: Make) -> None:
    def failing(run: RunRecord) -> RunRecord:
        return replace(run, trials=(*(failed(record) for record in run.trials[:3]), *run.trials[3:]))

    def failed(record: TrialRecord) -> TrialRecord:
        return replace(record, result=Failure("NaN in the loss", Cost(3, 10.0)), recommended=None)

    row = fact(tables(build(make_study(spoil=failing)))["runs"], method="random_search")
    assert row["failed_trials"] == 15
    assert "failed: NaN in the loss (15)" in row["reasons"]


def test_a_run_that_never_recommended_anything_is_told(make_study: Make) -> None:
    def mute(run: RunRecord) -> RunRecord:
        lost = (run.spec.method, run.spec.replicate) == ("random_search", 2)
        return replace(run, trials=tuple(replace(record, recommended=None) for record in run.trials)) if lost else run

    row = fact(tables(build(make_study(spoil=mute)))["runs"], method="random_search")
    assert (row["done"], row["without_a_result"]) == (5, 1)


def test_an_unavailable_metric_is_shown_with_its_reason(make_study: Make) -> None:
    document = build(make_study(metrics=(TEST, ABSENT), unavailable={ABSENT: "this table has no such data set"}))
    final = tables(document)["final-toy"]
    assert {row[-1] for row in final.rows} == {"not available"}
    assert f"{ABSENT}: not available (this table has no such data set)" in final.note


def test_a_skipped_track_says_why(make_study: Make) -> None:
    document = build(
        make_study(
            skipped="needs a GPU", spoil=lambda run: replace(run, status="skipped", trials=(), reason="needs a GPU")
        )
    )
    assert "Track toy was skipped: needs a GPU." in document.sections[0].text
    assert "skipped" in tables(document)["final-toy"].rows[0]


@pytest.mark.parametrize(
    ("mean", "n", "verdict"),
    [
        (93.0, 5, "not tested: fewer than 10 runs"),
        (80.0, 500, "different"),
    ],
)
def test_published_figures_get_their_verdict(make_study: Make, mean: float, n: int, verdict: str) -> None:
    table = tables(build(make_study(replicates=30, published=(published(mean, n),))))["reproduction"]
    row = fact(table)
    assert row["verdict"] == verdict
    assert row["difference"] == pytest.approx(row["mean"] - mean)
    assert (row["source"], row["provenance"], row["margin"]) == ("A paper", "secondary", 0.1)


def test_an_equal_published_figure_with_little_spread_is_equivalent(make_study: Make) -> None:
    own = fact(tables(build(make_study(replicates=30)))["final-toy"], row="regularized_evolution")
    entry = published(own["mean"], method="regularized_evolution", std=0.1)
    document = build(make_study(replicates=30, published=(entry,)))
    assert fact(tables(document)["reproduction"])["verdict"] == "equivalent"
    assert "Of 1 published figures, 1 equivalent." in document.sections[0].text


def test_a_published_figure_of_an_unknown_number_of_runs_stands_beside_ours_untested(make_study: Make) -> None:
    table = tables(build(make_study(replicates=30, published=({**published(93.0), "n": None},))))["reproduction"]
    row = fact(table)
    assert row["verdict"] == "not tested: how many runs are behind the published figure is not known"
    assert row["difference"] == pytest.approx(row["mean"] - 93.0)
    assert table.rows[0][table.columns.index("n, published")] == "-"


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"metric": "toy/other"}, "not tested: not a final metric of this track"),
        ({"method": "darts"}, "not tested: this study has no such method on this track"),
        ({"metric": ABSENT}, "not tested: no ImageNet here"),
    ],
)
def test_a_published_figure_without_a_counterpart_says_so(
    make_study: Make, changes: dict[str, str], verdict: str
) -> None:
    study = make_study(
        replicates=30,
        metrics=(TEST, ABSENT),
        unavailable={ABSENT: "no ImageNet here"},
        published=(published(93.0, **changes),),
    )
    assert fact(tables(build(study))["reproduction"])["verdict"] == verdict


def test_an_ablation_is_paired_over_the_common_replicates(make_study: Make) -> None:
    def broken(run: RunRecord) -> RunRecord:
        lost = (run.spec.variant, run.spec.replicate) in {("greed=1", 0), ("base", 3)}
        worse = 2.0 if run.spec.variant == "greed=1" else 0.0
        trials = tuple(replace(record, sealed={TEST: record.sealed[TEST] - worse}) for record in run.trials)
        return replace(run, trials=trials, status="partial" if lost else "done")

    study = make_study(replicates=8, ablation={"greed": [1, 2]}, spoil=broken)
    table = tables(build(study))["ablation-toy"]
    assert [row[0] for row in table.rows] == [
        "regularized_evolution",
        "regularized_evolution [greed=1]",
        "regularized_evolution [greed=2]",
    ]
    assert [row[3] for row in table.rows] == ["-", "6", "7"]
    runs = tables(build(study))["per-run"].data
    values = {
        (row["variant"], row["replicate"]): float(str(row[TEST]))
        for row in runs
        if row["method"] == "regularized_evolution" and row["status"] == "done"
    }
    gaps = [values["greed=1", index] - values["base", index] for index in (1, 2, 4, 5, 6, 7)]
    assert fact(table, row="regularized_evolution [greed=1]")["difference"] == pytest.approx(sum(gaps) / 6)
    assert sum(gaps) / 6 < -1


def test_a_metric_that_should_be_small_is_read_so(make_study: Make) -> None:
    """An error instead of an accuracy: the optimum lies below random sampling, and every reading turns."""
    study = make_study(replicates=30)

    def flipped() -> Iterator[RunRecord]:
        for run in study.runs():
            sealed = (replace(record, sealed={TEST: 100 - record.sealed[TEST]}) for record in run.trials)
            yield replace(run, trials=tuple(sealed))

    record = study.tracks["toy"]
    facts: Any = record.references
    sampling, best = facts["random_sampling"][TEST], facts["optimum"][TEST]
    turned = {
        "random_sampling": {TEST: {**sampling, "mean": 100 - sampling["mean"]}},
        "optimum": {TEST: {**best, "value": 100 - best["value"]}},
    }
    errors = replace(study, runs=flipped, tracks={"toy": replace(record, references=turned)})
    straight, mirrored = build(study), build(errors)
    assert tables(mirrored)["final-toy"].strong == {1}
    for name in ("regret_median", "regret_first_quartile", "regret_third_quartile", "area_mean", "gap_closed"):
        expected = fact(tables(straight)["space-toy"], row="random_search")[name]
        assert fact(tables(mirrored)["space-toy"], row="random_search")[name] == pytest.approx(expected)
    assert fact(tables(mirrored)["space-toy"], row="random_search")["relative_improvement"] > 0


def test_the_curve_starts_where_all_runs_have_an_incumbent(make_study: Make) -> None:
    study = make_study(replicates=6)
    firsts = [run.trials[0].spent for run in study.runs() if run.spec.method == "random_search"]
    figure = figures(build(study))["anytime-toy"]
    first = figure.series[0]
    assert min(x for x in first.x) >= max(firsts)
    assert first.x[-1] == 2000.0
    assert all(low <= middle <= high for low, middle, high in zip(first.low, first.middle, first.high, strict=True))
    assert figure.x_label == "simulated (benchmark-table) GPU-seconds"


@pytest.mark.parametrize(
    ("unit", "kind", "label"),
    [
        ("epochs", "training", "training epochs"),
        ("epochs", "tabular", "training epochs (simulated from the benchmark table)"),
        ("train_seconds", "training", "training seconds"),
    ],
)
def test_the_axis_says_what_is_simulated(make_study: Make, unit: str, kind: str, label: str) -> None:
    figure = figures(build(make_study(unit=unit, kind=kind)))["anytime-toy"]
    assert figure.x_label == label


def test_setup_names_hashes_seeds_machine_and_drift(make_study: Make) -> None:
    study = make_study(drift=("software.torch",))
    found = tables(build(study))
    assert cell(found["study"], "protocol hash", "value") == study.protocol_hash
    assert "changed on the way: software.torch" in cell(found["study"], "segments", "value")
    assert cell(found["tracks"], "seeds", "toy") == "search 0 to 4; final 0; root 0"
    assert cell(found["tracks"], "data, SHA-256", "toy") == f"toy.npz {'ab' * 32}"
    machine = found["machines"]
    column = machine.columns[1]
    assert cell(machine, "memory", column) == "8.0 GiB"
    assert cell(machine, "libraries", column) == "numpy 2.4"
    assert "hardware, cpu, flags" not in {row["item"] for row in machine.data}


def test_the_journals_hash_moves_with_any_journal(make_study: Make) -> None:
    one = cell(tables(build(make_study()))["study"], "journals", "value")
    spoiled = change_of("random_search", 0, journal="0" * 64)
    assert cell(tables(build(make_study(spoil=spoiled)))["study"], "journals", "value") != one


def test_searcher_seconds_stand_beside_the_charge(make_study: Make) -> None:
    found = tables(build(make_study()))
    real = fact(found["cost-real"], row="random_search")
    assert real["searcher_seconds_mean"] == 0.1875
    assert real["evaluation_seconds_mean"] == 0.5
    row = fact(found["cost"], row="random_search")
    assert 1900 < row["charged_mean"] <= 2000
    assert row["share_of_budget"] == pytest.approx(row["charged_mean"] / 20)


def test_adding_a_method_changes_no_number_of_the_others(make_study: Make) -> None:
    few = make_study(replicates=25)
    many = make_study(replicates=25, methods=("random_search", "local_search", "regularized_evolution"))
    assert few.protocol_hash != many.protocol_hash
    for table in ("final-toy", "space-toy"):
        for name in ("random_search", "regularized_evolution"):
            few_facts, many_facts = (repr(fact(tables(build(study))[table], row=name)) for study in (few, many))
            assert few_facts == many_facts


def test_the_area_counts_as_random_sampling_before_the_first_incumbent(make_study: Make) -> None:
    """By hand: one trial at a tenth of the budget, so half of the two decades at random sampling, half at its value."""

    def one_trial(run: RunRecord) -> RunRecord:
        return replace(run, trials=(replace(run.trials[0], spent=200.0, sealed={TEST: 90.0}),))

    study = make_study(spoil=one_trial)
    facts: Any = study.tracks["toy"].references
    best, sampling = facts["optimum"][TEST]["value"], facts["random_sampling"][TEST]["mean"]
    row = fact(tables(build(study))["space-toy"], row="random_search")
    assert row["area_mean"] == pytest.approx(best - (sampling + 90.0) / 2)


def test_real_training_shows_the_sealed_metric_of_the_search_trials_on_the_way(make_study: Make) -> None:
    """The final metric is known of the last architecture alone, as after a real training."""
    search = "toy/test@12ep(1k) mean-of-trials"

    def trained(run: RunRecord) -> RunRecord:
        trials = tuple(
            replace(record, sealed={search: record.sealed[TEST] - 5, "toy/test-loss": 0.1}) for record in run.trials
        )
        return replace(run, trials=trials, final={str(run.trials[-1].recommended): {TEST: 91.0}})

    document = build(make_study(replicates=3, spoil=trained, purpose="descriptive"))
    assert fact(tables(document)["final-toy"], row="random_search")["mean"] == 91.0
    figure = figures(document)["anytime-toy"]
    assert [one.label for one in figure.series] == ["random_search (n = 3)", "regularized_evolution (n = 3)"]
    assert (figure.y_label, figure.y_log, figure.lines) == (f"reached, in %\n{search}", "linear", {})
    assert f"{TEST} is not known along the way" in figure.note
    assert all(60 < height < 90 for one in figure.series for height in one.middle)


def test_an_excluded_run_is_counted_and_enters_nothing(make_study: Make) -> None:
    excluded = "toy@1.2.3/toy/random_search/base/r0002"
    document = build(make_study(exclusions=(f"{excluded}: the disk was full", "no-such-run: a slip")))
    row = fact(tables(document)["runs"], method="random_search")
    assert (row["done"], row["excluded"]) == (5, 1)
    assert "excluded: the disk was full (1)" in row["reasons"]
    assert cell(tables(document)["final-toy"], "random_search", "n") == "4 of 5"
    assert "name no run of this study: no-such-run" in tables(document)["runs"].note


def test_a_curve_begins_at_the_first_incumbent_whose_metric_is_known(make_study: Make) -> None:
    """A race through rising fidelities: the first, short trial holds another metric than the full ones."""
    full = "toy/test@12ep(1k) mean-of-trials"

    def raced(run: RunRecord) -> RunRecord:
        first, rest = run.trials[0], run.trials[1:]
        brief = replace(first, trial=replace(first.trial, work=Evaluate(Arch("a-short"), 3)), recommended="a-short")
        trials = (replace(brief, sealed={"toy/test@3of12ep(1k)": 50.0}), *rest)
        known = tuple(replace(record, sealed={full: record.sealed[TEST]}) for record in rest)
        return replace(run, trials=(trials[0], *known), final={str(rest[-1].recommended): {TEST: 91.0}})

    study = make_study(replicates=3, methods=("random_search",), spoil=raced)
    second = [run.trials[1].spent for run in study.runs()]
    figure = figures(build(study))["anytime-toy"]
    assert figure.series[0].label == "random_search (n = 3)"
    assert figure.series[0].x[0] >= max(second)
    assert min(figure.series[0].low) > 50.0
