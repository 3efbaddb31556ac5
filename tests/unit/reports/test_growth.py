"""The report of growth: pool, hull, tree, drawings and diagnostics, from records alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import isnan
from typing import Any

import pytest

from harness.campaign import Settings, conduct
from harness.core.interfaces import Place
from harness.core.records import Document, StudyRecord
from harness.core.registry import registry
from harness.core.types import Grow, RunSpec
from harness.plan import CATALOGUE, expand
from harness.protocol import load
from harness.store import Study
from harness.testing import temp_protocol
from harness.testing.growing import MULTIPLY_ADDS, PARAMETERS
from harness.testing.toy import FULL, TEST
from harness.testing.world import GROWING, Silent
from harness.verify import verify
from reports.checklist.facts import read
from reports.checklist.predicates.comparing import one_candidate
from reports.checklist.predicates.reporting import both_accounts
from reports.drawings import arcs, graphs
from reports.gallery import Retraining, gallery_figure, gallery_table, hull_figure, on_hull, tree_figure
from reports.growth import build
from reports.lineages import Attachment, Lineages, Member, read_lineages
from reports.render import render
from reports.selections import diagnose, margin
from reports.summary import build as build_summary

SPEC = RunSpec("p", "1.0.0", "t", "petridish", "petridish", "base", {}, 0, 0)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudyRecord]:
    """Petridish and its random control in three replicates, and a method that grows nothing."""
    names: Any = registry("benchmarks")
    folder = tmp_path_factory.mktemp("growth")
    path = temp_protocol(
        folder,
        methods=[{"name": "petridish", "options": {"keep": 1}}, "random_search"],
        track={
            "replicates": 3,
            "budget": {"limit": 20 * FULL},
            "objective": {"secondary": [MULTIPLY_ADDS, PARAMETERS]},
        },
        ablations=[{"method": "petridish", "vary": {"selection": ["random"]}}],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(names, "toy", GROWING)
        loaded = load(path, CATALOGUE)
        made = Study(folder / "study")
        conduct(loaded.model, loaded.resolved, made, Settings(Place(None, folder), workers=0), Silent())
        assert verify(made.folder).findings == ()
        yield made.record(expand(loaded.model))


@pytest.fixture(scope="module")
def document(study: StudyRecord) -> Document:
    return build(study)


def test_the_pool_is_what_was_trained(study: StudyRecord) -> None:
    plans: Any = study.protocol["tracks"]
    found = read_lineages(study, plans)
    assert [(one.spec.method, one.spec.variant) for one in found].count(("random_search", "base")) == 0
    assert len(found) == 6
    runs = {run.spec.id: run for run in study.runs()}
    for one in found:
        trials = [record for record in runs[one.spec.id].trials if record.counted]
        growths = [record.trial.work for record in trials if isinstance(record.trial.work, Grow)]
        assert sum(member.parent >= 0 for member in one.members) == len(growths)
        for growth, member in zip(growths, [m for m in one.members if m.parent >= 0], strict=True):
            assert (member.arch, member.moves) == (growth.arch, growth.moves)
            assert one.members[member.parent].arch == growth.after.arch


def test_the_report_has_gallery_pictures_and_diagnostics(document: Document) -> None:
    titles = [section.title for section in document.sections]
    assert titles == ["About", "Gallery of petridish on tiny, replicate 0", "Selection on tiny"]
    assert [figure.name for figure in document.sections[1].figures] == ["hull-tiny-petridish", "tree-tiny-petridish"]
    (table,) = document.sections[2].tables
    assert [row[0] for row in table.rows] == ["petridish", "petridish [selection=random]"]
    trained, random_ = table.data
    assert trained["margin"] > 0 > random_["margin"]  # type: ignore[operator]
    assert trained["runs"] == random_["runs"] == 3


def test_what_a_table_recorded_is_called_simulated(study: StudyRecord, document: Document) -> None:
    (pool,), (_, tree) = document.sections[1].tables, document.sections[1].figures
    assert "Spent: simulated epochs." in pool.note
    assert tree.x_label == "spent, simulated epochs"
    trained = replace(study.tracks["tiny"], manifest={**study.tracks["tiny"].manifest, "kind": "training"})
    section = build(replace(study, tracks={"tiny": trained})).sections[1]
    assert "Spent: epochs." in section.tables[0].note
    assert section.figures[1].x_label == "spent, epochs"


def test_same_records_same_bytes(study: StudyRecord, document: Document) -> None:
    files = render(document)
    assert files == render(build(study))
    assert {"report.md", "report.html", "pool-tiny-petridish.csv", "selection-tiny.csv"} <= files.keys()


def test_the_summary_takes_grown_networks_for_results(study: StudyRecord) -> None:
    text = render(build_summary(study))["report.md"].decode()
    assert "petridish" in text
    assert "no run has a result" not in text


def members(*points: tuple[float, float, int]) -> tuple[Member, ...]:
    archs = [
        "cell normal[] reduction[]",
        "cell normal[cat(c2.max3x3+c1.sep3x3)] reduction[]",
        "cell normal[] reduction[]",
    ]
    return tuple(
        Member(archs[min(i, 2)], parent, ("normal:c1.sep3x3",) * (parent >= 0), cost, 1.0, error, 10.0 * (i + 1))
        for i, (cost, error, parent) in enumerate(points)
    )


POOL = Lineages(SPEC, members((1, 10, -1), (3, 4, 0), (5, 6, 1)), ())


def test_hull_and_tree() -> None:
    assert on_hull(POOL) == [0, 1]
    assert [member.error for member in POOL.chain(2)] == [10, 4, 6]
    hull = hull_figure(POOL, "h", "", ("cost, millions", "error, %"), limit=40.0)
    assert (hull.x_label, hull.y_label) == ("cost, millions", "error, %")
    assert {one.label: one.x for one in hull.series if one.style == "line"} == {
        "hull at 25% of the budget": (1,),
        "hull at 50% of the budget": (1, 3),
        "hull at 75% of the budget": (1, 3),
        "hull at 100% of the budget": (1, 3),
    }
    tree = tree_figure(POOL, "t", "", ("spent, epochs", "error, %"))
    assert (tree.x_label, tree.y_label) == ("spent, epochs", "error, %")
    edges = [one for one in tree.series if one.style == "line"]
    assert [(one.x, one.middle) for one in edges] == [((10, 20), (10, 4)), ((20, 30), (4, 6))]


def test_cells_are_drawn_edge_by_edge() -> None:
    figure = gallery_figure(POOL, "g", "")
    assert figure is not None
    drawn = [one.label for one in figure.series if one.style == "line"]
    assert sorted(drawn) == sorted([*["sep3x3", "identity"] * 4, "max3x3", "sep3x3", "added"])
    assert len([words for _, _, words in figure.texts if "\n" in words]) == 4


def test_architectures_are_read_as_graphs() -> None:
    (cell,) = graphs("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|")
    assert cell.edges == (
        (0, 1, "nor_conv_3x3"),
        (1, 2, "skip_connect"),
        (0, 3, "avg_pool_3x3"),
        (2, 3, "nor_conv_1x1"),
    )
    normal, reduction = graphs("cell normal[sum(c1.sep5x5) cat(l1.identity+c2.avg3x3)] reduction[]")
    assert normal.nodes == ("c2", "c1", "l1", "l2", "x")
    assert (2, 3, "identity") in normal.edges
    assert len(reduction.edges) == 2
    assert graphs("abcda") == ()
    for _, xs, ys in arcs(normal):
        assert ys[0] == ys[-1] == 0 < max(ys)
        assert xs == tuple(sorted(xs))


def attachment(chosen: tuple[str, ...], gain: float = float("nan"), **weights: float) -> Attachment:
    return Attachment("parent", weights, chosen, -1.0, 0.5, gain)


def test_margin_is_between_the_last_chosen_and_the_first_not_chosen() -> None:
    assert margin(attachment(("a", "b"), a=1.0, b=0.8, c=0.6, d=0.1)) == pytest.approx(0.25)
    assert margin(attachment(("c",), a=1.0, c=0.5)) == pytest.approx(-1.0)
    split = {"normal:a": 0.5, "normal:b": 0.4, "reduction:a": 9.0}
    assert margin(Attachment("p", split, ("normal:a",), 0.0, 0.0, 0.0)) == pytest.approx(0.2)


def test_overlap_and_chance() -> None:
    weights = dict.fromkeys("abcd", 1.0)
    runs = [Lineages(SPEC, (), (attachment(chosen, **weights),)) for chosen in (("a", "b"), ("a", "c"), ("a", "b"))]
    found = diagnose(runs)
    assert found.pairs == 3
    assert found.overlap == pytest.approx((1 / 3 + 1 + 1 / 3) / 3)
    # two of four twice: none, one or two in common with 1, 4 and 1 of 6 outcomes
    assert found.chance == pytest.approx((4 / 6) * (1 / 3) + (1 / 6) * 1)
    assert (found.changed, found.drift) == (-1.0, 0.5)


def test_a_parent_with_candidates_is_told_apart_from_the_parent_alone() -> None:
    alone = attachment(("a",), a=1.0)
    assert isnan(diagnose([Lineages(SPEC, (), (alone,))]).joined)
    joined = tuple(replace(alone, joined=value) for value in (1.0, 2.0, float("nan")))
    assert diagnose([Lineages(SPEC, (), joined)]).joined == 1.5


def test_correlation_of_weight_and_gain() -> None:
    rising = [attachment(("a",), gain=float(i), a=1.0 + i, b=1.0) for i in range(5)]
    assert diagnose([Lineages(SPEC, (), tuple(rising))]).correlation == pytest.approx(1.0)
    falling = [attachment(("a",), gain=-float(i), a=1.0 + i, b=1.0) for i in range(5)]
    assert diagnose([Lineages(SPEC, (), tuple(falling))]).correlation == pytest.approx(-1.0)


def test_parents_are_ordered_at_both_scales_once_in_each_run() -> None:
    def parent(arch: str, before: float, error: float) -> Attachment:
        return Attachment(arch, {}, (), 0.0, 0.0, 0.0, before, error)

    alike = [parent("a", 50.0, 20.0), parent("b", 55.0, 10.0), parent("c", 60.0, 5.0)]
    assert diagnose([Lineages(SPEC, (), tuple(alike))]).scale == pytest.approx(1.0)
    again = [*alike, parent("c", 10.0, 5.0)]
    assert diagnose([Lineages(SPEC, (), tuple(again))]).scale == pytest.approx(1.0)
    turned = [parent("a", 60.0, 20.0), parent("b", 55.0, 10.0), parent("c", 50.0, 5.0)]
    assert diagnose([Lineages(SPEC, (), tuple(turned))]).scale == pytest.approx(-1.0)
    assert isnan(
        diagnose([Lineages(SPEC, (), tuple(parent(arch, 90.0 + i, 10.0 - i) for i, arch in enumerate("abc")))]).scale
    )


@pytest.fixture(scope="module")
def retrained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudyRecord]:
    """Petridish in two replicates whose hulls are trained finally under three seeds each."""
    names: Any = registry("benchmarks")
    folder = tmp_path_factory.mktemp("retrained")
    path = temp_protocol(
        folder,
        methods=[{"name": "petridish", "options": {"keep": 1}}, "random_search"],
        track={
            "budget": {"limit": 20 * FULL},
            "objective": {"secondary": [MULTIPLY_ADDS]},
            "final": {"models": "hull", "seeds": [0, 1, 2]},
        },
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(names, "toy", GROWING)
        loaded = load(path, CATALOGUE)
        made = Study(folder / "study")
        conduct(loaded.model, loaded.resolved, made, Settings(Place(None, folder), workers=0), Silent())
        assert verify(made.folder).findings == ()
        yield made.record(expand(loaded.model))


def test_the_gallery_says_what_each_member_was_tested_at(retrained: StudyRecord) -> None:
    (table,) = build(retrained).sections[1].tables
    run = next(run for run in retrained.runs() if run.spec.method == "petridish")
    hull = [row for row in table.data if row["on_hull"]]
    assert table.columns[4] == "test (seeds)"
    for row, shown in zip(hull, table.rows, strict=True):
        values = [metrics[TEST] for metrics in run.retrained[str(row["arch"])]]
        assert row["test_mean"] == pytest.approx(sum(values) / 3)
        assert (row["test_sd"], row["test_seeds"]) == (pytest.approx(0.0), 3)
        assert shown[4] == f"{sum(values) / 3:.2f} ± 0.00 (3)"
    beside = next(row for row in table.data if row["arch"] not in run.retrained)
    assert (beside["test_mean"], beside["test_sd"], beside["test_seeds"]) == (None, None, 0)
    assert "A dash: not on the hull over toy/multiply-adds" in table.note


def test_without_retraining_the_gallery_has_no_test_column(document: Document) -> None:
    (table,) = document.sections[1].tables
    assert "test (seeds)" not in table.columns
    assert "test_mean" not in table.data[0]
    assert "Test:" not in table.note


def test_spread_and_number_of_seeds() -> None:
    arch = POOL.members[0].arch
    tested = {
        (): "-",
        (70.0,): "70.00 (1 of 3)",
        (70.0, 72.0): "71.00 ± 1.41 (2 of 3)",
        (70.0, 71.0, 72.0): "71.00 ± 1.00 (3)",
    }
    for values, text in tested.items():
        pool = replace(POOL, tested={arch: values})
        table = gallery_table(pool, "g", "", "epochs", Retraining("d/test", 3, "d/multiply-adds"))
        assert table.rows[0][4] == text


def test_methods_are_compared_on_what_they_recommend_and_pay_for_their_hulls(retrained: StudyRecord) -> None:
    tables = {table.name: table for section in build_summary(retrained).sections for table in section.tables}
    runs = [run for run in retrained.runs() if run.spec.method == "petridish"]
    final = next(row for row in tables["per-run"].data if row["method"] == "petridish")
    assert float(str(final[TEST])) == pytest.approx(runs[0].final[next(iter(runs[0].retrained))][TEST])
    cost = next(row for row in tables["cost"].data if row["row"] == "petridish")
    charged = [run.final_cost.epochs for run in runs if run.final_cost]
    assert cost["final_training_mean"] == pytest.approx(sum(charged) / 2)
    assert charged[0] == 3 * FULL * len(runs[0].retrained)
    assert " x " not in dict(zip(tables["cost"].columns, tables["cost"].rows[0], strict=True))["final training"]
    assert "the final training is the sum over its networks" in tables["cost"].note
    seeds = next(row for row in tables["tracks"].rows if row[0] == "seeds")
    assert "final 0, 1, 2 of each network on the hull" in seeds[1]


def test_the_checklist_takes_a_declared_hull_for_no_choice_by_sealed_metrics(retrained: StudyRecord) -> None:
    facts = read(retrained)
    assert {run.finalists > 1 for run in facts.done} == {True}
    assert one_candidate(facts).ok
    assert both_accounts(facts).ok


def test_a_study_without_growth_says_so(study: StudyRecord) -> None:
    bare = replace(study, runs=lambda: iter(()))
    (section,) = build(bare).sections
    assert section.text == "No complete run of this study grew a network."
    assert "report.md" in render(build(bare))
