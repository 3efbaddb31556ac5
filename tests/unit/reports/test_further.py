"""What goes beyond the first tables: present where the runs and the references allow it, absent where not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from harness.core.records import Document, Figure, RunRecord, Section, StudyRecord, Table
from reports.across import Across, across
from reports.analysis import analyse
from reports.frame import read
from reports.standing import diagram, without_diagram
from reports.summary import build

Make = Callable[..., StudyRecord]
TEST = "toy/test@200ep(2k) mean-of-trials"
WORK = "toy/multiply-adds"
ALL = ("random_search", "regularized_evolution", "local_search")


def titles(document: Document) -> list[str]:
    return [section.title for section in document.sections]


def section(document: Document, title: str) -> Section:
    return next(found for found in document.sections if found.title == title)


def tables(document: Document) -> dict[str, Table]:
    return {table.name: table for part in document.sections for table in part.tables}


def figures(document: Document) -> dict[str, Figure]:
    return {figure.name: figure for part in document.sections for figure in part.figures}


def rich(make_study: Make, **changes: Any) -> StudyRecord:
    return make_study(**{"facts": True, "replicates": 12, "tracks": ("toy", "twin"), **changes})


def test_a_study_with_few_runs_stays_short(make_study: Make) -> None:
    document = build(make_study(replicates=3, facts=True, purpose="descriptive"))
    assert "Across tracks" not in titles(document)
    assert not [title for title in titles(document) if title.startswith("Further")]
    assert {name for name in figures(document) if not name.startswith("cost")} == {"anytime-toy"}


def test_a_study_without_references_has_what_needs_none(make_study: Make) -> None:
    document = build(make_study(references=False, replicates=12, tracks=("toy", "twin")))
    names = set(figures(document))
    assert {"distribution-toy", "agreement-toy", "expected-toy"} <= names
    assert not {"profile-toy", "reached-toy", "space-histogram-toy", "hypervolume-toy", "ranks"} & names
    assert "Across tracks" not in titles(document)


def test_a_full_study_has_everything_once(make_study: Make) -> None:
    document = build(rich(make_study))
    files = Counter([*tables(document), *figures(document)])
    parts = sum(len(part.tables) + len(part.figures) for part in document.sections)
    assert sum(files.values()) == parts
    assert files.most_common(1)[0][1] == 1, "a table and a figure write one CSV"
    for figure in figures(document).values():
        assert figure.note, figure.name
        for one in figure.series:
            assert len(one.x) == len(one.middle) == len(one.low) == len(one.high) > 0
            assert np.isfinite([*one.x, *one.middle, *one.low, *one.high]).all(), (figure.name, one.label)


def test_every_curve_of_a_method_names_its_runs(make_study: Make) -> None:
    for name, figure in figures(build(rich(make_study))).items():
        for one in figure.series:
            if one.role == "method" and name != "improvement" and not name.startswith("cost"):
                assert "(n = " in one.label, (name, one.label)


def test_intervals_say_how_they_were_made(make_study: Make) -> None:
    document = build(rich(make_study))
    notes = {name: part.note for name, part in (*tables(document).items(), *figures(document).items())}
    for name, method in {
        "across": "bootstrap resamples",
        "improvement": "bootstrap resamples",
        "score-profile": "bootstrap resamples",
        "ranks": "Student's t",
        "profile-toy": "Wilson",
        "reached-toy": "bootstrap over the runs",
        "expected-toy": "Student's t",
        "comparisons-toy": "Newcombe",
    }.items():
        assert method in notes[name], name


def test_a_method_has_one_colour_in_every_figure(make_study: Make) -> None:
    places: dict[str, set[int]] = {}
    for name, figure in figures(build(rich(make_study, methods=ALL))).items():
        for one in figure.series:
            if one.role == "method" and name != "improvement" and not name.startswith("cost"):
                places.setdefault(one.label.partition(" (n")[0].partition(",")[0], set()).add(one.place)
    assert places == {name: {place} for place, name in enumerate(ALL)}


def test_adding_a_method_changes_no_number_of_another(make_study: Make) -> None:
    two, three = (build(rich(make_study, methods=methods)) for methods in (ALL[:2], ALL))
    for name in ("across", "tradeoffs-toy", "space-toy", "targets-toy"):
        before = {row["row"]: row for row in tables(two)[name].data}
        after = {row["row"]: row for row in tables(three)[name].data}
        for row, facts in before.items():
            assert _own(after[row]) == _own(facts)


def _own(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the facts as texts, so that NaN equals NaN; a mean rank is among all methods and no one's own."""
    return {key: repr(value) for key, value in facts.items() if key != "mean_rank"}


def test_gap_closed_and_improvement_carry_the_interval_of_the_mean(make_study: Make) -> None:
    study = rich(make_study)
    facts: Any = study.tracks["toy"].references
    best, sampling = facts["optimum"][TEST]["value"], facts["random_sampling"][TEST]["mean"]
    final = next(row for row in tables(build(study))["final-toy"].data if row["row"] == "random_search")
    found = next(row for row in tables(build(study))["space-toy"].data if row["row"] == "random_search")
    for end in ("", "_low", "_high"):
        value: Any = final[end.lstrip("_") or "mean"]
        assert found[f"gap_closed{end}"] == pytest.approx(100 * (value - sampling) / (best - sampling))
        assert found[f"relative_improvement{end}"] == pytest.approx(100 * (value - sampling) / sampling)


def test_a_percentile_is_the_share_of_the_space_that_is_worse(make_study: Make) -> None:
    study = rich(make_study)
    quantiles: Any = study.tracks["toy"].references["quantiles"]
    rows = [row for row in tables(build(study))["per-run"].data if (row["track"], row["method"]) == ("toy", ALL[0])]
    values = [float(str(row[TEST])) for row in rows]
    shares = [
        100 * np.mean([(other < value) + 0.5 * (other == value) for other in quantiles[TEST]]) for value in values
    ]
    found = next(row for row in tables(build(study))["space-toy"].data if row["row"] == ALL[0])
    assert found["percentile_median"] == pytest.approx(np.median(shares))


def test_compromises_are_chosen_on_the_objective_and_judged_on_the_sealed_metric(make_study: Make) -> None:
    """Sealed metrics that turn the order around leave the archive as it is, and its hypervolume nearly empty."""
    study = rich(make_study, tracks=("toy",))

    def turned(run: RunRecord) -> RunRecord:
        trials = tuple(replace(record, sealed={TEST: 154 - record.sealed[TEST]}) for record in run.trials)
        return replace(run, trials=trials)

    def runs() -> Iterator[RunRecord]:
        return (turned(run) for run in study.runs())

    straight, mirrored = build(study), build(replace(study, runs=runs))
    before = tables(straight)["tradeoffs-toy"].data[0]
    after = tables(mirrored)["tradeoffs-toy"].data[0]
    assert before["hypervolume_median"] > 0.5  # type: ignore[operator]
    assert after["hypervolume_median"] < 0.2  # type: ignore[operator]


def test_no_hypervolume_exceeds_that_of_the_space(make_study: Make) -> None:
    table = tables(build(rich(make_study)))["tradeoffs-toy"]
    *methods, space = table.data
    assert space["row"] == "front of the space"
    for row in methods:
        assert 0 < row["hypervolume_third_quartile"] <= space["hypervolume_median"]  # type: ignore[operator]
        assert row["igd_plus_median"] >= 0  # type: ignore[operator]
    assert WORK in table.rows[0]
    assert "reference point (1, 1)" in table.note


def test_the_exact_expectation_stands_beside_the_draws(make_study: Make) -> None:
    study = rich(make_study)
    figure = figures(build(study))["expected-toy"]
    drawn, exact = figure.series
    facts: Any = study.tracks["toy"].references
    best = facts["optimum"][TEST]["value"]
    assert exact.middle == pytest.approx([best - value for value in facts["best_of_draws"]["expected"]])
    assert drawn.x[0] == 1.0
    assert drawn.low[0] < best - facts["random_sampling"][TEST]["mean"] < drawn.high[0]
    assert drawn.middle[-1] < drawn.middle[0] / 3


def test_without_ten_benchmarks_the_report_says_why_no_diagram_is_drawn(make_study: Make) -> None:
    text = section(build(rich(make_study)), "Across tracks").text
    assert text == (
        "No critical-difference diagram is drawn: it needs at least 10 benchmarks and 3 methods, and here are 2 and 2."
    )
    assert "critical-difference" not in figures(build(rich(make_study)))


def many(make_study: Make) -> Across:
    frame = read(make_study(methods=ALL, replicates=5, tracks=tuple(f"t{number}" for number in range(11))))
    found = across(frame, {track.id: analyse(frame, track) for track in frame.tracks})
    assert found is not None
    return found


def test_the_drawn_cliques_are_those_of_the_tests(make_study: Make) -> None:
    from reports.ranks import critical  # noqa: PLC0415 - beside what it is held against

    found = many(make_study)
    assert without_diagram(found) == ""
    figure = diagram(found)
    assert figure is not None
    table = np.array([[np.median(runs) for runs in found.scores(method)] for method in ALL]).T
    result = critical(table, 0.05)
    names = {row: name for name, row in figure.names.items()}
    drawn = {
        frozenset(pair)
        for one in figure.series
        if one.role == "reference"
        for pair in combinations([names[x] for x in one.x], 2)
    }
    free = {frozenset((ALL[i], ALL[j])) for i, j in combinations(range(3), 2) if result.p[i, j] >= 0.05}
    assert drawn == (free if result.friedman < 0.05 else {frozenset(pair) for pair in combinations(ALL, 2)})
    ranks = [one.middle[0] for one in figure.series if one.role == "method"]
    assert ranks == sorted(ranks)
    assert ranks == pytest.approx(sorted(result.ranks))


def test_a_track_without_a_result_of_a_method_is_not_aggregated_over_it(make_study: Make) -> None:
    def lost(run: RunRecord) -> RunRecord:
        gone = (run.spec.track, run.spec.method) == ("twin", "local_search")
        return replace(run, status="missing", trials=()) if gone else run

    table = tables(build(rich(make_study, methods=ALL, spoil=lost)))["across"]
    assert [row[0] for row in table.rows] == ["random_search", "regularized_evolution"]


def test_ranks_add_up_and_rank_over_the_budget_ends_within_its_bounds(make_study: Make) -> None:
    document = build(rich(make_study, methods=ALL))
    assert sum(float(str(row["mean_rank"])) for row in tables(document)["across"].data) == pytest.approx(6.0)
    figure = figures(document)["ranks"]
    for place in range(len(figure.series[0].x)):
        assert sum(one.middle[place] for one in figure.series) == pytest.approx(6.0)
    assert all(1 <= low <= high <= 3 for one in figure.series for low, high in zip(one.low, one.high, strict=True))


def test_intervals_that_pass_a_bound_are_pointed_out(make_study: Make) -> None:
    def near_the_top(run: RunRecord) -> RunRecord:
        value = (99.9, 99.0, 90.0)[run.spec.replicate]
        trials = tuple(replace(record, sealed={TEST: value}) for record in run.trials)
        return replace(run, trials=trials)

    passed = build(make_study(replicates=3, references=False, spoil=near_the_top))
    assert "Intervals here pass the bounds of a percentage" in tables(passed)["final-toy"].note
    assert "pass the bounds" not in tables(build(make_study(replicates=12)))["final-toy"].note


def test_the_difference_of_attainment_is_shaded_for_both_sides(make_study: Make) -> None:
    figure = figures(build(rich(make_study, methods=ALL)))["attainment-difference-toy"]
    for area in figure.series:
        assert area.style == "areas"
        assert len(area.ends) == len(area.x)
        assert all(left < right for left, right in zip(area.x, area.ends, strict=True))
        assert all(low < middle < high for low, middle, high in zip(area.low, area.middle, area.high, strict=True))
    assert len({area.label for area in figure.series}) == len(figure.series)
    assert "random_search and, of the other methods" in figure.note


def test_nothing_differs_where_one_method_is_alone(make_study: Make) -> None:
    assert "attainment-difference-toy" not in figures(build(rich(make_study, methods=ALL[:1])))
