from __future__ import annotations

import copy
import csv
import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

from harness.core.errors import UsageError
from harness.core.records import Document, StudyRecord
from reports.compare import build
from reports.frame import read
from reports.render import render
from reports.stats import holm

Make = Callable[..., StudyRecord]


def changed(study: StudyRecord, path: str, value: Any) -> StudyRecord:
    """Return the study with one field of its protocol changed."""
    protocol: Any = copy.deepcopy(dict(study.protocol))
    at = protocol
    *keys, last = path.split(".")
    for key in keys:
        at = at[int(key) if key.isdecimal() else key]
    at[last] = value
    return replace(study, protocol=protocol)


def compare(first: StudyRecord, second: StudyRecord) -> Document:
    return build(first, second, ("old", "new"))


def rows(document: Document) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render(document)["compare.csv"].decode())))


def finals(study: StudyRecord, method: str) -> np.ndarray:
    (track,) = read(study).tracks
    return next(cell for cell in track.cells if cell.key[1] == method).finals(0)


def lowered(study: StudyRecord, points: float) -> StudyRecord:
    """Return the study with every sealed value lower by some points, more in every second replicate."""

    def runs() -> Any:
        for run in study.runs():
            off = points * (1 + 0.2 * (run.spec.replicate % 2))
            trials = tuple(
                replace(trial, sealed={name: value - off for name, value in trial.sealed.items()})
                for trial in run.trials
            )
            yield replace(run, trials=trials)

    return replace(study, runs=runs)


def test_a_study_beside_itself_is_identical_row_by_row(make_study: Make) -> None:
    study = make_study(replicates=12)
    found = rows(compare(study, study))
    assert {row["verdict"] for row in found} == {"identical"}
    assert {row["design"] for row in found} == {"paired by seed"}
    assert all(float(row["difference"]) == 0 for row in found)


def test_identity_is_a_fact_that_needs_neither_test_nor_ten_runs(make_study: Make) -> None:
    study = make_study(replicates=3, tests="none", purpose="descriptive")
    assert {row["verdict"] for row in rows(compare(study, study))} == {"identical"}


def test_pairs_are_tested_as_pairs(make_study: Make) -> None:
    first = make_study(replicates=14)
    second = lowered(first, 1.0)
    found = rows(compare(first, second))
    assert [row["verdict"] for row in found] == ["different", "different"]
    p_values = []
    for row in found:
        old, new = finals(first, row["method"]), finals(second, row["method"])
        reference = scipy_stats.ttest_rel(new, old)
        assert float(row["difference"]) == pytest.approx(np.mean(new - old), rel=1e-9)
        p_values.append(float(reference.pvalue))
        greater = scipy_stats.ttest_1samp(new - old, -0.1, alternative="greater").pvalue
        less = scipy_stats.ttest_1samp(new - old, 0.1, alternative="less").pvalue
        assert float(row["p_equivalence"]) == pytest.approx(max(greater, less), rel=1e-6)
    assert [float(row["p_difference_adjusted"]) for row in found] == pytest.approx(holm(p_values), rel=1e-6)


def test_a_difference_within_the_margin_is_equivalent(make_study: Make) -> None:
    first = make_study(replicates=14)
    assert [row["verdict"] for row in rows(compare(first, lowered(first, 0.02)))] == ["equivalent", "equivalent"]


def test_studies_of_other_seeds_are_independent_samples(make_study: Make) -> None:
    first, second = (make_study(replicates=size, methods=("random_search",)) for size in (14, 12))
    second = lowered(changed(second, "protocol", "toy-again"), 1.0)
    (row,) = rows(compare(first, second))
    reference = scipy_stats.ttest_ind(finals(second, "random_search"), finals(first, "random_search"), equal_var=False)
    assert row["design"] == "independent"
    assert (float(row["low"]), float(row["high"])) == pytest.approx(reference.confidence_interval(), rel=1e-6)
    assert float(row["p_difference_adjusted"]) == pytest.approx(reference.pvalue, rel=1e-6)


def test_studies_that_share_some_seeds_are_not_tested(make_study: Make) -> None:
    found = rows(compare(make_study(replicates=14), make_study(replicates=12)))
    assert {row["design"] for row in found} == {"some seeds in common"}
    assert all(row["verdict"].startswith("not tested: the studies share some seeds") for row in found)
    assert all(row["p_difference_adjusted"] == row["p_equivalence"] == "" for row in found)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"replicates": 4}, "not tested: fewer than 10"),
        ({"replicates": 12, "purpose": "descriptive"}, "not tested: descriptive track"),
        ({"replicates": 12, "tests": "none"}, "not tested: the plan names no test"),
    ],
)
def test_what_cannot_be_tested_says_why_and_keeps_its_difference(
    make_study: Make, changes: dict[str, Any], reason: str
) -> None:
    study = make_study(**changes)
    for row in rows(compare(study, lowered(study, 1.0))):
        assert row["verdict"].startswith(reason)
        assert float(row["difference"]) < -0.9
        assert row["p_difference_adjusted"] == ""


def test_a_row_of_one_study_alone_stands_in_the_table(make_study: Make) -> None:
    first = make_study(replicates=12, methods=("random_search", "regularized_evolution"))
    second = make_study(replicates=12, methods=("random_search",))
    found = {row["method"]: row["verdict"] for row in rows(compare(first, second))}
    assert found == {"random_search": "identical", "regularized_evolution": "not tested: only in the first study"}


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("tracks.0.budget.limit", 3000.0, "tracks.toy.budget.limit (2000.0 against 3000.0)"),
        ("tracks.0.budget.unit", "epochs", "tracks.toy.budget.unit (train_seconds against epochs)"),
        ("tracks.0.fidelity.search", 25, "tracks.toy.fidelity"),
        ("tracks.0.final.metrics", ["toy/valid@12ep(1k) mean-of-trials"], "tracks.toy.final.metrics"),
        ("tracks.0.objective.direction", "minimize", "tracks.toy.objective.direction (maximize against minimize)"),
        ("analysis.equivalence_margin", 0.5, "analysis.equivalence_margin (0.1 against 0.5)"),
        ("accounting", "automl", "accounting (architecture-identification against automl)"),
    ],
)
def test_studies_that_may_not_be_compared_are_refused_by_the_field(
    make_study: Make, path: str, value: Any, named: str
) -> None:
    study = make_study()
    with pytest.raises(UsageError, match="old and new cannot be compared") as caught:
        compare(study, changed(study, path, value))
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_benchmark_under_the_same_name_is_refused(make_study: Make) -> None:
    study = make_study()
    tracks = {"toy": replace(study.tracks["toy"], fingerprint="0" * 64)}
    with pytest.raises(UsageError, match=r"tracks\.toy\.fingerprint \([0-9a-f]{64} against 0{64}\)"):
        compare(study, replace(study, tracks=tracks))


def test_every_differing_field_is_named_at_once(make_study: Make) -> None:
    study = make_study()
    other = changed(changed(study, "tracks.0.budget.limit", 1.0), "analysis.alpha", 0.01)
    with pytest.raises(UsageError, match=r"analysis\.alpha .*; in tracks\.toy\.budget\.limit"):
        compare(study, other)


def test_studies_without_a_common_track_are_refused(make_study: Make) -> None:
    study = make_study()
    with pytest.raises(UsageError, match=r"share no track that both ran \(tracks: toy; toy\)"):
        compare(study, make_study(skipped="no table here"))


def test_other_settings_are_listed_beside_each_other(make_study: Make) -> None:
    study = make_study()
    (table,) = [
        table
        for section in compare(study, changed(study, "methods.1.options", {"population": 7})).sections
        for table in section.tables
        if table.name == "compare-protocols"
    ]
    assert ("methods.regularized_evolution.options.population", "absent", "7") in table.rows


def test_the_files_of_a_comparison_bear_its_name_and_are_the_same_again(make_study: Make) -> None:
    first = make_study(replicates=12)
    made = render(compare(first, lowered(first, 1.0)))
    assert {"compare.md", "compare.html", "compare.csv", "tables.tex", "differences-toy.svg"} <= made.keys()
    assert not [name for name in made if name.startswith("report")]
    assert made == render(compare(first, lowered(first, 1.0)))
    assert b"2 different" in made["compare.md"]
