"""Look-ups: what a method sees, what stays sealed, what it costs, and what the exact references are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.tabular.nb201 import NB201Table
from benchmarks.tabular.user import UserTable
from harness.core.budget import Budget
from harness.core.errors import DataMissing, HarnessError, Unsupported, UsageError
from harness.core.interfaces import Place, Query
from harness.core.seeds import SeedTree
from harness.core.types import Arch, Capability, Evaluate, Failure, Measurement, Outcome, Trial
from harness.testing import BenchmarkContract, Opening

Write = Callable[..., Path]

VALID, TRIAL = "toys/valid@9ep(25k) mean-of-trials", "toys/valid@9ep(25k) trial"
TEST, SIZE = "toys/test@9ep(25k) mean-of-trials", "toys/multiply-adds"
QUERY = Query(VALID, (SIZE,), (TEST,), 9, 9)

NB_VALID, NB_TEST = "cifar10/valid@12ep(25k) mean-of-trials", "cifar10/test@200ep(50k) mean-of-trials"
NB_QUERY = Query(NB_VALID, (), (NB_TEST, "imagenet16-120/test@200ep(151.7k) mean-of-trials"), 12, 200)


def user_opening(folder: Path, write: Write, kind: str, query: Query = QUERY) -> Opening:
    config = UserTable.Config(str(write(folder, kind)))
    return Opening("benchmarks.tabular.user:UserTable", config, Place(None, folder / "cache"), query)


class UserContract(BenchmarkContract):
    kind = "chain"
    query = QUERY

    @pytest.fixture(scope="class")
    @classmethod
    def opening(cls, tmp_path_factory: pytest.TempPathFactory, write_table_files: Write) -> Opening:
        return user_opening(tmp_path_factory.mktemp(cls.kind), write_table_files, cls.kind, cls.query)


class TestChain(UserContract):
    pass


class TestGraph(UserContract):
    kind = "graph"


class TestIds(UserContract):
    kind = "ids"


class TestSingleTrials(UserContract):
    query = replace(QUERY, objective=TRIAL)


class TestNasBench201(BenchmarkContract):
    @pytest.fixture(scope="class", params=["nb201-v1.1", "nats-tss"])
    @classmethod
    def opening(cls, request: pytest.FixtureRequest, data_dir: Path, cache_dir: Path) -> Opening:
        config = NB201Table.Config(table=request.param)
        return Opening("benchmarks.tabular.nb201:NB201Table", config, Place(data_dir, cache_dir), NB_QUERY)


class TestNasBench201Trials(BenchmarkContract):
    @pytest.fixture(scope="class")
    @classmethod
    def opening(cls, data_dir: Path, cache_dir: Path) -> Opening:
        query = Query("cifar100/valid@200ep(50k) trial", (), ("cifar100/valid+test@200ep(50k) trial",), 200, 200)
        config = NB201Table.Config(table="nats-tss", dataset="cifar100")
        return Opening("benchmarks.tabular.nb201:NB201Table", config, Place(data_dir, cache_dir), query)


@pytest.fixture
def frame(tmp_path: Path, write_table_files: Write) -> pd.DataFrame:
    write_table_files(tmp_path)
    return pd.read_csv(tmp_path / "results.csv").set_index("net")


@pytest.fixture
def open_chain(tmp_path: Path, write_table_files: Write) -> Callable[..., UserTable]:
    def opened(query: Query = QUERY, **changes: Any) -> UserTable:
        path = write_table_files(tmp_path, **changes)
        return UserTable(UserTable.Config(str(path)), Place(None, tmp_path / "cache"), query)

    return opened


NET = Arch("conv3,pool,skip,conv3,pool")


def ask(benchmark: UserTable | NB201Table, arch: str = NET, epochs: int = 9, seed: int = 0, start: int = 0) -> Outcome:
    return benchmark.evaluate(Trial(0, Evaluate(Arch(arch), epochs, start), seed))


def measured(outcome: Outcome) -> Measurement:
    assert isinstance(outcome.result, Measurement)
    return outcome.result


class TestLookUp:
    def test_answers_the_row(self, open_chain: Callable[..., UserTable], frame: pd.DataFrame) -> None:
        outcome, row = ask(open_chain()), frame.loc[NET]
        result = measured(outcome)
        assert result.value == row.valid_9
        assert result.metrics == {VALID: row.valid_9, SIZE: row["size"]}
        assert outcome.sealed == {TEST: row.test}
        assert result.cost.epochs == 9
        assert result.cost.train_seconds == pytest.approx(9 * row.time + 0.5)
        assert result.cost.multiply_adds == pytest.approx(3 * 9 * 25_000 * row["size"] * 1e6)

    def test_answers_within_a_schedule(self, open_chain: Callable[..., UserTable], frame: pd.DataFrame) -> None:
        benchmark, row = open_chain(), frame.loc[NET]
        outcome = ask(benchmark, epochs=3)
        result = measured(outcome)
        assert benchmark.fidelities == (1, 3, 9)
        assert Capability.PARTIAL in benchmark.offers
        assert result.value == row.valid_3
        assert result.metrics == {"toys/valid@3of9ep(25k) mean-of-trials": row.valid_3, SIZE: row["size"]}
        assert result.cost.train_seconds == pytest.approx(3 * row.time + 0.5)
        assert outcome.sealed == {TEST: row.test}
        assert set(result.metrics) <= benchmark.metrics.open

    def test_going_on_costs_the_rest_and_its_own_validation(
        self, open_chain: Callable[..., UserTable], frame: pd.DataFrame
    ) -> None:
        result = measured(ask(open_chain(), epochs=9, start=3))
        assert result.value == frame.loc[NET].valid_9
        assert result.cost.epochs == 6
        assert result.cost.train_seconds == pytest.approx(6 * frame.loc[NET].time + 0.5)

    def test_draws_each_trial_as_often(self, open_chain: Callable[..., UserTable], frame: pd.DataFrame) -> None:
        benchmark, row = open_chain(replace(QUERY, objective=TRIAL)), frame.loc[NET]
        seeds = [SeedTree(("seed", str(number))).seed() for number in range(400)]
        values = Counter(measured(ask(benchmark, seed=seed)).value for seed in seeds)
        assert set(values) == {row.valid_1_9, row.valid_2_9}
        assert 150 < values[row.valid_1_9] < 250

    def test_a_trial_is_the_same_network_at_every_epoch(
        self, open_chain: Callable[..., UserTable], frame: pd.DataFrame
    ) -> None:
        benchmark, row = open_chain(replace(QUERY, objective=TRIAL)), frame.loc[NET]
        for seed in range(4):
            values = [measured(ask(benchmark, epochs=epochs, seed=seed)).value for epochs in (1, 3, 9)]
            assert values in (
                [row.valid_1_1, row.valid_1_3, row.valid_1_9],
                [row.valid_2_1, row.valid_2_3, row.valid_2_9],
            )

    def test_what_is_sealed_never_changes_what_is_seen(self, open_chain: Callable[..., UserTable]) -> None:
        plain, asking = (open_chain(replace(QUERY, objective=TRIAL, sealed=sealed)) for sealed in ((), (TEST,)))
        for seed in range(20):
            assert ask(plain, seed=seed).result == ask(asking, seed=seed).result

    def test_a_gap_is_a_failure_that_costs(self, open_chain: Callable[..., UserTable], frame: pd.DataFrame) -> None:
        def change_rows(rows: list[dict[str, Any]]) -> None:
            row = next(row for row in rows if row["net"] == NET)
            row |= dict.fromkeys(("valid_9", "time"), "")

        outcome = ask(open_chain(change_rows=change_rows))
        assert isinstance(outcome.result, Failure)
        assert "not recorded" in outcome.result.reason
        assert outcome.result.cost.epochs == 9
        others = frame.time.drop(NET)
        assert outcome.result.cost.train_seconds == pytest.approx(9 * others.mean() + 0.5)

    def test_a_missing_cost_of_the_network_is_left_out(self, open_chain: Callable[..., UserTable]) -> None:
        def change_rows(rows: list[dict[str, Any]]) -> None:
            next(row for row in rows if row["net"] == NET)["size"] = ""

        assert set(measured(ask(open_chain(change_rows=change_rows))).metrics) == {VALID}

    def test_a_curve_at_every_epoch_is_handed_over(
        self, tmp_path: Path, write_table_files: Write, frame: pd.DataFrame
    ) -> None:
        def change(manifest: dict[str, Any]) -> None:
            manifest["fidelities"] = [1, 2, 3]
            manifest["metrics"] = [manifest["metrics"][0] | {"epochs": 3}]
            manifest["metrics"][0] |= {"column": "valid_9", "curve": {"columns": "curve_{epoch}"}}

        def change_rows(rows: list[dict[str, Any]]) -> None:
            for row in rows:
                row |= {"curve_1": row["valid_1"], "curve_2": row["valid_3"], "curve_3": row["valid_9"]}

        path = write_table_files(tmp_path, change=change, change_rows=change_rows)
        query = Query("toys/valid@3ep(25k) mean-of-trials", (), (), 3, 3)
        benchmark, row = UserTable(UserTable.Config(str(path)), Place(None, tmp_path), query), frame.loc[NET]
        assert measured(ask(benchmark, epochs=3)).curve == (row.valid_1, row.valid_3, row.valid_9)
        assert measured(ask(benchmark, epochs=3, start=1)).curve == (row.valid_3, row.valid_9)
        assert measured(ask(benchmark, epochs=2)).curve == (row.valid_1, row.valid_3)

    @pytest.mark.parametrize(
        "work",
        [
            Evaluate(NET, 4),
            Evaluate(NET, 10),
            Evaluate(NET, 9, start=2),
            Evaluate(NET, 3, start=9),
            Evaluate(NET, 9, start=9),
            Evaluate(NET, 9, parent=NET),
            Evaluate(Arch("conv3"), 9),
        ],
    )
    def test_refuses_what_was_not_recorded(self, open_chain: Callable[..., UserTable], work: Evaluate) -> None:
        with pytest.raises(Unsupported) as refusal:
            open_chain().evaluate(Trial(0, work, 0))
        assert "\n" not in str(refusal.value)


QUERIES: dict[str, tuple[Query, type[HarnessError], str]] = {
    "incomplete": (replace(QUERY, objective="toys/valid"), UsageError, "could mean: .*mean-of-trials; .*trial"),
    "unknown": (replace(QUERY, objective=VALID.replace("9", "8")), UsageError, "did you mean"),
    "sealed objective": (replace(QUERY, objective=TEST), UsageError, "sealed test metric and cannot be searched for"),
    "cost as objective": (replace(QUERY, objective=SIZE), UsageError, "does not come from a training of 9 epochs"),
    "other fidelity": (replace(QUERY, search_epochs=3), UsageError, "training of 3 epochs"),
    "sealed secondary": (replace(QUERY, secondary=(TEST,)), UsageError, "final.metrics is its place"),
    "open final": (replace(QUERY, sealed=(SIZE,)), UsageError, "objective.secondary is its place"),
    "unknown final": (replace(QUERY, sealed=("toys/test",)), UsageError, "^final.metrics: .*could mean"),
}


@pytest.mark.parametrize("case", QUERIES)
def test_a_query_that_does_not_fit_is_refused(open_chain: Callable[..., UserTable], case: str) -> None:
    query, kind, message = QUERIES[case]
    with pytest.raises(kind, match=message) as refusal:
        open_chain(query)
    assert "\n" not in str(refusal.value)


class TestReferences:
    def test_come_from_the_table(self, open_chain: Callable[..., UserTable], frame: pd.DataFrame) -> None:
        facts = open_chain().references(Budget("evaluations", 5.0, "discard"))
        sampling, optimum = facts["random_sampling"], facts["optimum"]
        assert sampling[TEST]["mean"] == pytest.approx(frame.test.mean())
        assert sampling[TEST]["std"] == pytest.approx(frame.test.std(ddof=1))
        assert sampling[TEST]["n"] == len(frame)
        assert optimum[TEST] == {"value": frame.test.max(), "arch": frame.test.idxmax()}
        assert optimum[VALID] == {"value": frame.valid_9.max(), "arch": frame.valid_9.idxmax()}

    @pytest.mark.parametrize("unit", ["evaluations", "epochs"])
    def test_random_search_equals_its_simulation(self, open_chain: Callable[..., UserTable], unit: Any) -> None:
        """Five draws cost the same in both units; 20,000 simulated searches agree within 4 standard errors."""
        benchmark = open_chain()
        limit = 5.0 if unit == "evaluations" else 47.0
        expected = benchmark.references(Budget(unit, limit, "discard"))["random_search"]
        valid, test = (benchmark.table.series[f"toys/{split}@9ep(25k)"].mean for split in ("valid", "test"))
        assert valid is not None
        assert test is not None
        draws = np.random.default_rng(1).integers(len(valid), size=(20_000, 5))
        found = np.asarray(test)[draws[np.arange(20_000), np.asarray(valid)[draws].argmax(axis=1)]]
        assert expected["metric"] == TEST
        assert expected["expected"] == pytest.approx(found.mean(), abs=4 * found.std() / np.sqrt(20_000))

    def test_losses_are_best_at_their_lowest(self, open_chain: Callable[..., UserTable], frame: pd.DataFrame) -> None:
        def change(manifest: dict[str, Any]) -> None:
            for number in (0, 1, 2):
                manifest["metrics"][number]["quantity"] += "-loss"

        names = {name: name.replace("@", "-loss@") for name in (VALID, TEST)}
        query = replace(QUERY, objective=names[VALID], sealed=(names[TEST],))
        facts = open_chain(query, change=change).references(Budget("evaluations", 5.0, "discard"))
        assert facts["optimum"][names[TEST]] == {"value": frame.test.min(), "arch": frame.test.idxmin()}
        assert facts["random_search"]["expected"] < frame.test.mean()

    def test_gaps_leave_no_exact_expectation(self, small_place: Place) -> None:
        benchmark = NB201Table(NB201Table.Config(), small_place, NB_QUERY)
        facts = benchmark.references(Budget("train_seconds", 12_000.0, "discard"))
        assert facts["random_sampling"][NB_TEST]["n"] == 60
        assert "random_search" not in facts

    def test_of_the_whole_table_are_the_published_optima(self, real_place: Place) -> None:
        query = replace(NB_QUERY, sealed=(NB_TEST, "cifar10/valid@200ep(25k) mean-of-trials"))
        facts = NB201Table(NB201Table.Config(), real_place, query).references(Budget("evaluations", 0.5, "discard"))
        assert round(facts["optimum"][NB_TEST]["value"], 2) == 94.37
        assert round(facts["optimum"][query.sealed[1]]["value"], 2) == 91.61


class TestNasBench201Table:
    def test_imports_on_first_use_and_reuses(self, small_place: Place) -> None:
        first = NB201Table(NB201Table.Config(), small_place, NB_QUERY)
        made = first.table.folder.stat().st_ino
        again = NB201Table(NB201Table.Config(), small_place, NB_QUERY)
        assert again.table.folder.stat().st_ino == made
        assert again.manifest() == first.manifest()
        later = NB201Table(NB201Table.Config(), Place(None, small_place.cache), NB_QUERY)
        assert later.manifest() == first.manifest()

    def test_names_of_the_release_that_are_not_here_are_not_available(self, small_place: Place) -> None:
        benchmark = NB201Table(NB201Table.Config(), small_place, NB_QUERY)
        assert set(benchmark.metrics.unavailable) == {NB_QUERY.sealed[1]}
        outcome = ask(benchmark, benchmark.table.archs[0], 12)
        assert set(outcome.sealed) == {NB_TEST} == set(benchmark.final(Arch(benchmark.table.archs[0]), 0))
        assert measured(outcome).cost.train_seconds == pytest.approx(89.20, abs=0.005)

    def test_an_objective_that_is_not_here_is_missing_data(self, small_place: Place) -> None:
        query = replace(NB_QUERY, objective="imagenet16-120/valid@12ep(151.7k) mean-of-trials")
        with pytest.raises(DataMissing, match="the complete official release has it"):
            NB201Table(NB201Table.Config(dataset="imagenet16-120"), small_place, query)

    def test_the_data_set_and_the_objective_agree(self, small_place: Place) -> None:
        with pytest.raises(UsageError, match="make the two agree"):
            NB201Table(NB201Table.Config(dataset="cifar100"), small_place, NB_QUERY)

    def test_a_cell_that_a_partial_table_lacks_is_a_gap(self, small_place: Place) -> None:
        benchmark = NB201Table(NB201Table.Config(), small_place, NB_QUERY)
        absent = next(benchmark.space.arch(n) for n in range(20) if benchmark.space.arch(n) not in benchmark.table.rows)
        outcome = ask(benchmark, absent, 12)
        assert isinstance(outcome.result, Failure)
        assert not outcome.sealed
        assert outcome.result.cost.train_seconds > 0
        assert benchmark.final(absent, 0) == {}
        assert benchmark.manifest()["cells"] == {"recorded": 60, "in_space": 15_625}

    def test_only_exact_trials_answer(self, small_place: Place) -> None:
        """Cell 0 has one exact trial on all 50,000 images: 86.18; the two others were re-evaluated by others."""
        sealed = "cifar10/test@200ep(50k) trial"
        query = Query("cifar10/valid@200ep(25k) trial", (), (sealed,), 200, 200)
        benchmark = NB201Table(NB201Table.Config(table="nats-tss"), small_place, query)
        cell = benchmark.space.arch(0)
        outcomes = [ask(benchmark, cell, 200, seed) for seed in range(30)]
        assert {measured(outcome).value for outcome in outcomes} == {82.092, 81.616, 82.24}
        assert {outcome.sealed[sealed] for outcome in outcomes} == {86.18}

    def test_partial_official_records_offer_curves(self, real_place: Place) -> None:
        query = Query("cifar10/valid@12ep(25k) trial", ("cifar10/train@12ep(25k) trial",), (NB_TEST,), 12, 200)
        benchmark = NB201Table(NB201Table.Config(table="nats-tss", source="official"), real_place, query)
        assert benchmark.fidelities == tuple(range(1, 13))
        result = measured(ask(benchmark, benchmark.space.arch(0), 12, seed=1))
        assert result.curve[-1] == result.value
        assert len(result.curve) == 12
        partial = measured(ask(benchmark, benchmark.space.arch(0), 5, seed=1))
        assert partial.value == result.curve[4]
        assert set(partial.metrics) == {"cifar10/valid@5of12ep(25k) trial", "cifar10/train@5of12ep(25k) trial"}
