"""The account of the cost: what is added to what, what is unknown, what is simulated, what tuning took."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import isnan
from statistics import fmean, stdev
from typing import Any

import pytest

from harness.core.records import Document, Figure, RunRecord, StudyRecord, Table
from harness.core.types import Cost
from reports.summary import build

Make = Callable[..., StudyRecord]
METHODS = ("random_search", "regularized_evolution")
LEDGER: dict[str, Any] = {
    "benchmark": {"name": "elsewhere", "options": {"dataset": "other"}, "fingerprint": None},
    "fingerprint": "ab" * 32,
    "manifest": {"kind": "tabular"},
    "objective": "other/valid@12ep(1k)",
    "direction": "maximize",
    "unit": "epochs",
    "limit": 1200.0,
    "replicates": 2,
    "settings": [
        {"setting": "greed=1", "options": {"greed": 1}, "values": [80.0, 82.0], "mean": 81.0, "charged": 2400.0},
        {"setting": "greed=2", "options": {"greed": 2}, "values": [90.0, None], "mean": None, "charged": 2300.0},
    ],
    "chosen": "greed=1",
    "options": {"greed": 1},
    "charged": 4700.0,
    "seconds": 12.5,
}


def table(study: StudyRecord, name: str) -> Table:
    return next(table for section in build(study).sections for table in section.tables if table.name == name)


def figure(document: Document, name: str) -> Figure | None:
    found = (figure for section in document.sections for figure in section.figures if figure.name == name)
    return next(found, None)


def row_of(found: Table, row: str, **wanted: Any) -> dict[str, Any]:
    wanted |= {"row": row}
    return dict(next(line for line in found.data if all(line.get(key) == value for key, value in wanted.items())))


def runs_of(study: StudyRecord, method: str) -> list[RunRecord]:
    return [run for run in study.runs() if run.spec.method == method]


def with_protocol(study: StudyRecord, **changes: Any) -> StudyRecord:
    return replace(study, protocol={**study.protocol, **changes})


def tuned(study: StudyRecord, ledger: Mapping[str, Any] = LEDGER) -> StudyRecord:
    entry = {"method": METHODS[1], "source": "tuned", "citation": ""}
    return replace(with_protocol(study, tuning=[entry]), tuning={METHODS[1]: ledger} if ledger else {})


def only(replicate: int, **changes: Any) -> Callable[[RunRecord], RunRecord]:
    def change(run: RunRecord) -> RunRecord:
        mine = (run.spec.method, run.spec.replicate) == ("random_search", replicate)
        return replace(run, **changes) if mine else run

    return change


class TestCharged:
    @pytest.mark.parametrize("method", METHODS)
    def test_definitions_add_up_run_by_run(self, make_study: Make, method: str) -> None:
        study = make_study()
        runs = runs_of(study, method)
        search = [max(trial.spent for trial in run.trials) for run in runs]
        final = [run.final_cost.train_seconds or 0.0 for run in runs if run.final_cost]
        totals = [first + second for first, second in zip(search, final, strict=True)]
        found = row_of(table(study, "cost"), method)
        assert found["charged_mean"] == found["definition_7_mean"] == pytest.approx(fmean(search))
        assert found["final_training_mean"] == pytest.approx(fmean(final))
        assert found["definition_8_mean"] == pytest.approx(fmean(totals))
        assert found["definition_8_sd"] == pytest.approx(stdev(totals)), "not the sum of two deviations"
        assert (found["searches"], found["selection"], found["final_trainings"]) == (1, 0.0, 1)

    @pytest.mark.parametrize(
        ("accounting", "primary"), [("architecture-identification", "Definition 7"), ("automl", "Definition 8")]
    )
    def test_the_primary_definition_is_the_protocols(self, make_study: Make, accounting: str, primary: str) -> None:
        study = with_protocol(make_study(), accounting=accounting)
        for name in ("cost", "cost-units", "cost-real"):
            marked = [column for column in table(study, name).columns if "(primary)" in column]
            assert [column.partition(":")[0] for column in marked] == [primary]

    def test_one_run_without_a_final_cost_makes_the_mean_unknown(self, make_study: Make) -> None:
        study = make_study(spoil=only(2, final_cost=None))
        shown = dict(zip(table(study, "cost").columns, table(study, "cost").rows[0], strict=True))
        assert shown["method"] == "random_search"
        assert shown["final training"] == shown["Definition 8: Definition 7 + final training"] == "unknown"
        assert shown["Definition 7: 1 x (search + selection) (primary)"] != "unknown"

    def test_what_a_table_did_not_time_is_unknown_in_seconds_and_known_in_epochs(self, make_study: Make) -> None:
        study = make_study(spoil=lambda run: replace(run, final_cost=Cost(200)))
        assert table(study, "cost").rows[0][-2] == "unknown"
        found = row_of(table(study, "cost-units"), "random_search", unit="simulated epochs")
        trials = [sum(trial.counted for trial in run.trials) for run in runs_of(study, "random_search")]
        assert found["charged_mean"] == pytest.approx(12 * fmean(trials))
        assert found["definition_8_mean"] == pytest.approx(12 * fmean(trials) + 200)

    def test_several_final_seeds_are_written_out(self, make_study: Make) -> None:
        study = make_study(unit="epochs", kind="training", spoil=lambda run: replace(run, final_cost=Cost(600)))
        track = dict(study.protocol["tracks"][0])  # type: ignore[index, call-overload, arg-type]
        track["final"] = {**track["final"], "seeds": [0, 1, 2]}
        found = table(with_protocol(study, tracks=[track]), "cost")
        assert dict(zip(found.columns, found.rows[0], strict=True))["final training"] == "3 x 200 ± 0"

    def test_units_say_what_is_simulated(self, make_study: Make) -> None:
        looked_up, trained = make_study(), make_study(kind="training", unit="epochs")
        assert {row[3] for row in table(looked_up, "cost").rows} == {"simulated GPU-seconds"}
        assert {row[3] for row in table(looked_up, "cost-units").rows} == {"simulated epochs"}
        assert {row[3] for row in table(trained, "cost").rows} == {"epochs"}

    def test_long_amounts_are_written_with_a_power_of_ten(self, make_study: Make) -> None:
        study = make_study(spoil=lambda run: replace(run, final_cost=Cost(200, 2.5e15)))
        assert table(study, "cost").rows[0][-4] == "1 x 2.5e+15 ± 0"

    def test_free_repeats_cost_nothing_in_any_unit(self, make_study: Make) -> None:
        study = make_study()
        track = dict(study.protocol["tracks"][0])  # type: ignore[index, call-overload, arg-type]
        track["budget"] = {**track["budget"], "repeats": "free"}
        distinct = [
            len({trial.trial.work for trial in run.trials if trial.counted}) for run in runs_of(study, "random_search")
        ]
        assert fmean(distinct) < fmean(len(run.trials) for run in runs_of(study, "random_search")) - 1
        found = row_of(table(with_protocol(study, tracks=[track]), "cost-units"), "random_search")
        assert found["charged_mean"] == pytest.approx(12 * fmean(distinct))


class TestReal:
    def test_phases_and_totals(self, make_study: Make) -> None:
        found = row_of(table(make_study(), "cost-real"), "random_search")
        parts = {"searcher": 0.1875, "evaluation": 0.5, "selection": 0.25, "final_training": 4.0}
        assert {part: found[f"{part}_seconds_mean"] for part in parts} == parts
        assert found["recording_and_the_rest_seconds_mean"] == pytest.approx(5 - sum(parts.values()))
        assert found["definition_7_seconds_mean"] == 0.9375
        assert found["definition_8_seconds_mean"] == 4.9375
        assert found["all_runs_and_tuning_seconds"] == 5 * 5.0

    def test_where_trials_run_side_by_side_the_definitions_are_of_the_clock(self, make_study: Make) -> None:
        study = make_study()
        track = {**study.protocol["tracks"][0], "schedule": "recorded"}  # type: ignore[index, call-overload, dict-item]
        beside = table(with_protocol(study, tracks=[track]), "cost-real")
        found = row_of(beside, "random_search")
        assert found["evaluation_seconds_mean"] == 0.5
        assert found["definition_7_seconds_mean"] == 5.0 - 4.0
        assert found["definition_8_seconds_mean"] == 5.0
        assert isnan(float(str(found["recording_and_the_rest_seconds_mean"])))
        assert "side by side" in beside.note
        assert "side by side" not in table(study, "cost-real").note

    def test_a_clock_of_a_last_attempt_alone_says_nothing_of_the_rest(self, make_study: Make) -> None:
        seconds = {"ask": 0.1, "evaluate": 900.0, "tell": 0.1, "selection": 0.1, "final": 4.0, "wall": 500.0}
        found = row_of(table(make_study(spoil=only(2, seconds=seconds)), "cost-real"), "random_search")
        assert isnan(float(str(found["recording_and_the_rest_seconds_mean"])))
        assert isnan(float(str(found["all_runs_and_tuning_seconds"])))
        assert found["definition_8_seconds_mean"] == pytest.approx((4 * 4.9375 + 904.3) / 5)

    def test_older_records_say_unknown(self, make_study: Make) -> None:
        seconds = {"ask": 0.1, "evaluate": 0.2, "tell": 0.1}
        study = make_study(spoil=lambda run: replace(run, seconds=seconds, final_cost=None))
        shown = table(study, "cost-real").rows[0]
        assert (shown[3], shown[5], shown[-1]) == ("0.2 ± 0", "unknown", "unknown")


class TestTheFigure:
    def test_the_parts_of_a_bar_follow_one_another_and_end_at_the_whole(self, make_study: Make) -> None:
        study = make_study()
        found = figure(build(study), "cost-toy")
        assert found is not None
        assert list(found.names) == list(METHODS)
        search, final = found.series
        rows = [row_of(table(study, "cost"), method) for method in METHODS]
        assert search.low == (0.0, 0.0)
        assert search.high == final.low == pytest.approx(tuple(row["definition_7_mean"] for row in rows))
        assert final.high == pytest.approx(tuple(row["definition_8_mean"] for row in rows))
        assert final.middle == pytest.approx(tuple(row["final_training_mean"] for row in rows))
        assert found.y_label.startswith("simulated GPU-seconds")

    def test_epochs_are_drawn_where_seconds_are_unknown(self, make_study: Make) -> None:
        found = figure(build(make_study(spoil=lambda run: replace(run, final_cost=Cost(200)))), "cost-toy")
        assert found is not None
        assert found.y_label.startswith("simulated epochs")
        assert found.series[1].middle == (200.0, 200.0)

    def test_nothing_is_drawn_where_no_final_training_has_a_cost(self, make_study: Make) -> None:
        study = make_study(spoil=lambda run: replace(run, final_cost=None))
        assert figure(build(study), "cost-toy") is None

    def test_no_real_second_is_in_a_figure(self, make_study: Make) -> None:
        slow = make_study(spoil=lambda run: replace(run, seconds=dict.fromkeys(run.seconds, 1e3)))
        assert figure(build(slow), "cost-toy") == figure(build(make_study()), "cost-toy")


class TestTuning:
    def test_the_ledger_stands_in_every_table_that_it_is_about(self, make_study: Make) -> None:
        study = tuned(make_study())
        methods = {str(row["method"]): row for row in table(study, "methods").data}
        assert methods[METHODS[1]]["origin of the options"] == (
            'tuned on elsewhere {"dataset":"other"}: 2 settings x 2 runs'
        )
        assert methods[METHODS[1]]["tuning, charged"] == "4,700 simulated epochs"
        assert methods[METHODS[1]]["tuning, real s"] == "12.5"
        assert (methods["random_search"]["origin of the options"], methods["random_search"]["tuning, real s"]) == (
            "not declared",
            "-",
        )
        costs = {row[1]: row[-1] for row in table(study, "cost").rows}
        assert costs == {"random_search": "-", METHODS[1]: "4,700 simulated epochs"}
        real = row_of(table(study, "cost-real"), METHODS[1])
        assert (real["tuning_seconds"], real["all_runs_and_tuning_seconds"]) == (12.5, 5 * 5.0 + 12.5)

    def test_every_setting_is_shown_with_the_one_that_was_chosen(self, make_study: Make) -> None:
        rows = table(tuned(make_study()), "tuning").rows
        assert [(row[1], row[4], row[5], row[-1]) for row in rows] == [
            ("greed=1", "2", "81", "yes"),
            ("greed=2", "2", "-", ""),
        ]

    def test_tuning_is_in_no_total_of_a_run(self, make_study: Make) -> None:
        plain, with_tuning = make_study(), tuned(make_study())
        for key in ("definition_7_mean", "definition_8_mean"):
            first, second = (row_of(table(study, "cost"), METHODS[1])[key] for study in (plain, with_tuning))
            assert first == second

    def test_a_tuning_that_is_not_done_is_said_to_be_so(self, make_study: Make) -> None:
        study = tuned(make_study(), {})
        methods = {row[0]: row[3] for row in table(study, "methods").rows}
        assert methods[METHODS[1]] == "to be tuned: the tuning is not done yet"
        with pytest.raises(StopIteration):
            table(study, "tuning")


class TestEnergy:
    def segments(self, study: StudyRecord, *ends: Mapping[str, Any]) -> list[tuple[str, ...]]:
        first = study.segments[0]
        return list(table(replace(study, segments=tuple({**first, **end} for end in ends)), "segments").rows)

    def test_joules_become_watt_hours_with_what_they_cover(self, make_study: Make) -> None:
        energy = {"joules": 9000.0, "covers": "1 GPU(s), nothing else", "method": "NVML counter"}
        (row,) = self.segments(make_study(), {"ended": "2025-01-02T04:00:00Z", "seconds": 90.5, "energy": energy})
        assert row[2] == "2025-01-02T04:00:00Z"
        assert row[4:] == ("90.5", "2.5", "1 GPU(s), nothing else", "NVML counter")

    def test_what_was_not_measured_is_said_so(self, make_study: Make) -> None:
        ended, killed = self.segments(make_study(), {"ended": "x", "seconds": 1.0, "energy": None}, {})
        assert ended[4:] == ("1", "not measured", "-", "-")
        assert killed[2:] == ("not recorded", killed[3], "-", "not measured", "-", "-")

    def test_the_energy_behind_a_table_is_unknown(self, make_study: Make) -> None:
        assert "behind the tables of toy used is unknown" in table(make_study(), "segments").note
        assert "unknown" not in table(make_study(kind="training", unit="epochs"), "segments").note
