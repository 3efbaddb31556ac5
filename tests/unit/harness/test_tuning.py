from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar, cast

import pytest

from harness import checkup
from harness.campaign import Settings, conduct, open_tuning, survey
from harness.core.derivation import seeds_of
from harness.core.errors import DriftRefused, ProtocolError, RulesBroken, Unsupported, UsageError
from harness.core.interfaces import Place, Query
from harness.core.records import TrialRecord
from harness.core.registry import registry
from harness.core.schema import ProtocolModel, Tuning
from harness.core.types import Arch, Capability, Cost, Evaluate, Failure, Measurement, RunSpec, Trial
from harness.plan import CATALOGUE, expand
from harness.protocol import Loaded, load
from harness.replay import finished, replay
from harness.store import Study
from harness.testing.toy import ERROR, FULL, TEST, VALID, Toy
from harness.testing.world import temp_protocol, tiny_protocol
from harness.tuning import all_tuning_runs, ledger, outcome, settings, track_of, tuned, tuning_runs
from harness.verify import verify

KILLED = Path(__file__).parents[2] / "fixtures" / "killed_study.py"
METHOD = "regularized_evolution"
ELSEWHERE: dict[str, Any] = {
    "method": METHOD,
    "source": "tuned",
    "benchmark": {"name": "toy", "options": {"noise": 2.0}},
    "fidelity": {"search": FULL, "final": FULL},
    "objective": {"metric": VALID},
    "budget": {"unit": "epochs", "limit": 20 * FULL},
    "space": {"population": [4, 12], "sample": [2, 4]},
    "replicates": 3,
}
ASKED: list[Query] = []


class Curious(Toy):
    """A toy that remembers what it was asked for."""

    def __init__(self, config: Toy.Config, place: Place, query: Query) -> None:
        super().__init__(config, place, query)
        ASKED.append(query)


class Narrow(Toy):
    """A toy without partial trainings."""

    offers = Toy.offers - {Capability.PARTIAL}


class Picky:
    """A method whose options are sound one by one and not together."""

    @dataclass(frozen=True)
    class Config:
        """Two numbers."""

        first: int = 1
        second: int = 1

        def __post_init__(self) -> None:
            if self.first + self.second > 5:
                raise ValueError("together they exceed 5")


class Silent:
    """Nobody watches, but somebody counts."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def planned(self, specs: Sequence[RunSpec], left: Sequence[RunSpec]) -> None: ...

    def advanced(self, spec: RunSpec, share: float) -> None: ...

    def ended(self, spec: RunSpec) -> None:
        self.done.append(spec.id)


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toys, registered."""
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Curious.__module__])
    names = cast("dict[str, str]", registry("benchmarks"))
    mine = {
        "toy": "harness.testing.toy:Toy",
        "toy-again": "harness.testing.toy:Toy",
        "toy-curious": f"{__name__}:Curious",
        "toy-narrow": f"{__name__}:Narrow",
        "toy-durable": "harness.testing.toy:Toy",
    }
    for name, target in mine.items():
        monkeypatch.setitem(names, name, target)


def protocol(folder: Path, *, methods: Sequence[Any] = ("random_search", METHOD), **entry: Any) -> Path:
    """Write a protocol whose second row is tuned elsewhere; `entry` changes the tuning."""
    return temp_protocol(folder, methods=list(methods), tuning=[{**ELSEWHERE, **entry}])


def conducted(path: Path, folder: Path) -> tuple[Study, Loaded, list[str]]:
    loaded, study, watcher = load(str(path), CATALOGUE), Study(folder), Silent()
    conduct(loaded.model, loaded.resolved, study, Settings(Place(None, folder.parent / "cache"), 0), watcher)
    return study, loaded, watcher.done


def entry_of(**changes: Any) -> Tuning:
    return Tuning.model_validate({**ELSEWHERE, "budget": {"unit": "epochs", "limit": 100.0}, **changes})


def told(arch: str, value: float | None, spent: float, recommended: str | None, *, counted: bool = True) -> TrialRecord:
    """One line of a journal; without a value the trial failed."""
    trial = Trial(0, Evaluate(Arch(arch), FULL), 0)
    cost = Cost(FULL)
    result = Failure("planted", cost) if value is None else Measurement(value, {VALID: value}, cost)
    # The sealed value says the opposite of the open one: a choice by it would be another choice.
    return TrialRecord(trial, result, spent, counted, recommended, {TEST: -(value or 0.0)})


def runs_of(entry: Tuning, values: dict[str, list[float | None]]) -> Iterator[tuple[RunSpec, list[TrialRecord]]]:
    whole = ProtocolModel.model_validate(json.loads(json.dumps(_plain(entry))))
    for spec in tuning_runs(whole, entry):
        value = values[spec.variant][spec.replicate]
        yield spec, [told("a", value, 9.0, None if value is None else "a")]


def _plain(entry: Tuning) -> dict[str, Any]:
    return tiny_protocol(methods=["random_search", METHOD], tuning=[entry.model_dump(mode="json")])


class TestTheGrid:
    def test_every_combination_once_in_a_fixed_order(self) -> None:
        found = settings(entry_of(space={"population": [4, 8], "kill": ["oldest", "worst"]}))
        assert list(found) == [
            "population=4,kill=oldest",
            "population=4,kill=worst",
            "population=8,kill=oldest",
            "population=8,kill=worst",
        ]
        assert found["population=8,kill=oldest"] == {"population": 8, "kill": "oldest"}

    def test_long_names_are_cut_and_stay_distinct(self) -> None:
        space = {f"option-number-{number}-of-the-method": [0, 1] for number in range(6)}
        names = list(settings(entry_of(space=space)))
        assert len(set(names)) == 2**6
        assert max(map(len, names)) <= 96

    def test_runs_stand_apart_from_reported_ones(self, tmp_path: Path) -> None:
        model = load(str(protocol(tmp_path)), CATALOGUE).model
        runs = all_tuning_runs(model)
        study = Study(tmp_path)
        folders = {str(study.run_folder(spec).relative_to(tmp_path)) for spec in runs}
        assert len(runs) == len(folders) == 4 * 3
        assert f"tuning/{METHOD}/population=4,sample=2/r0002" in folders
        assert all(spec.options["kill"] == "oldest" for spec in runs), "what is not tuned stays as the row has it"
        reported = seeds_of(expand(model)[0], model.tracks[0])
        assert seeds_of(runs[0], track_of(model, runs[0].track)).seed() != reported.seed()

    def test_settings_share_the_noise_of_a_replicate(self, tmp_path: Path) -> None:
        study, loaded, _ = conducted(protocol(tmp_path), tmp_path / "study")
        seen: dict[tuple[int, str], set[float]] = {}
        for spec in all_tuning_runs(loaded.model):
            for record in study.run(spec).trials:
                assert isinstance(record.trial.work, Evaluate)
                assert isinstance(record.result, Measurement)
                seen.setdefault((spec.replicate, record.trial.work.arch), set()).add(record.result.value)
        assert all(len(values) == 1 for values in seen.values())


class TestTheChoice:
    SPACE: ClassVar = {"space": {"population": [4, 8]}, "replicates": 2}

    def found(self, values: dict[str, list[float | None]], **changes: Any) -> dict[str, Any]:
        entry = entry_of(**{**self.SPACE, **changes})
        return ledger(entry, {"population": 10, "sample": 3}, runs_of(entry, values))

    def test_the_best_mean_objective_wins_whatever_is_sealed(self) -> None:
        found = self.found({"population=4": [80.0, 90.0], "population=8": [86.0, 86.0]})
        assert (found["chosen"], found["options"]) == ("population=8", {"population": 8, "sample": 3})
        assert [row["mean"] for row in found["settings"]] == [85.0, 86.0]
        assert (found["charged"], found["settings"][0]["charged"]) == (36.0, 18.0)

    def test_less_is_better_where_the_objective_says_so(self) -> None:
        objective = {"metric": ERROR, "direction": "minimize"}
        found = self.found({"population=4": [20.0, 10.0], "population=8": [14.0, 14.0]}, objective=objective)
        assert found["chosen"] == "population=8"

    def test_of_equal_means_the_first_wins(self) -> None:
        assert self.found({"population=4": [80.0, 82.0], "population=8": [82.0, 80.0]})["chosen"] == "population=4"

    def test_a_setting_that_fails_once_is_no_candidate(self) -> None:
        found = self.found({"population=4": [99.0, None], "population=8": [50.0, 50.0]})
        assert found["chosen"] == "population=8"
        assert found["settings"][0] | {"mean": None, "values": [99.0, None]} == found["settings"][0]

    def test_no_candidate_is_an_error(self) -> None:
        with pytest.raises(RulesBroken, match=r"tuning of 'regularized_evolution': no setting .*budget\.limit"):
            self.found({"population=4": [None, 1.0], "population=8": [1.0, None]})

    def test_what_comes_after_the_budget_does_not_count(self, tmp_path: Path) -> None:
        track = track_of(load(str(protocol(tmp_path)), CATALOGUE).model, f"tuning:{METHOD}")
        within = told("a", 80.0, 9.0, "a")
        over = told("b", 99.0, track.budget.limit + 1, "b")
        assert outcome([within, over], track) == 80.0
        assert outcome([within, told("b", 99.0, 9.0, "b", counted=False)], track) == 80.0
        assert outcome([within, told("b", 70.0, 18.0, "c")], track) is None, "c was never measured"
        assert outcome([], track) is None


class TestAStudy:
    def test_reported_rows_use_the_chosen_options(self, tmp_path: Path) -> None:
        study, loaded, done = conducted(protocol(tmp_path), tmp_path / "study")
        found = study.tuning()[METHOD]
        means = {}
        for setting in found["settings"]:
            specs = [spec for spec in all_tuning_runs(loaded.model) if spec.variant == setting["setting"]]
            means[setting["setting"]] = fmean(_best_of(study.run(spec).trials) for spec in specs)
            assert setting["mean"] == means[setting["setting"]]
            assert setting["charged"] == 3 * 20 * FULL
        assert len(set(means.values())) > 1, "all settings are equal: this test shows nothing"
        assert found["chosen"] == max(means, key=means.__getitem__)
        assert found["charged"] == 4 * 3 * 20 * FULL
        assert found["seconds"] > 0
        specs = expand(loaded.model, study.choices())
        mine = [study.run(spec) for spec in specs if spec.method == METHOD]
        assert all(run.status == "done" and run.spec.options == found["options"] for run in mine)
        assert {name: found["options"][name] for name in ("population", "sample")} == settings(tuned(loaded.model)[0])[
            found["chosen"]
        ]
        assert done.index(mine[0].spec.id) >= len(all_tuning_runs(loaded.model)), "tuning comes first"

    def test_verify_accepts_it_and_replay_repeats_it(self, tmp_path: Path) -> None:
        study, loaded, _ = conducted(protocol(tmp_path), tmp_path / "study")
        verdict = verify(study.folder)
        assert verdict.findings == ()
        assert verdict.runs == 12 + 4
        runs = finished(study, loaded.model)
        assert len(runs) == 12 + 4
        answers = replay(study, loaded.model, runs, Place(None, tmp_path), 0, lambda _answer: None)
        assert {answer.answer for answer in answers} == {"exact"}

    def test_no_sealed_metric_is_ever_asked_for(self, tmp_path: Path) -> None:
        ASKED.clear()
        benchmark = {"name": "toy-curious", "options": {"noise": 2.0}}
        study, loaded, _ = conducted(protocol(tmp_path, benchmark=benchmark), tmp_path / "study")
        assert ASKED
        assert all(query.sealed == () for query in ASKED)
        assert all(not study.run(spec).final for spec in all_tuning_runs(loaded.model))

    def test_what_is_tuned_is_not_tuned_again(self, tmp_path: Path) -> None:
        path = protocol(tmp_path)
        study, loaded, _ = conducted(path, tmp_path / "study")
        before = (study.folder / "study.json").read_bytes()
        for spec in all_tuning_runs(loaded.model)[:3]:
            shutil.rmtree(study.run_folder(spec))
        shutil.rmtree(study.run_folder(expand(loaded.model, study.choices())[0]))
        _, _, done = conducted(path, study.folder)
        assert len(done) == 1
        assert (study.folder / "study.json").read_bytes() == before

    def test_ablations_vary_the_chosen_options(self, tmp_path: Path) -> None:
        path = temp_protocol(
            tmp_path,
            methods=["random_search", METHOD],
            tuning=[ELSEWHERE],
            ablations=[{"method": METHOD, "vary": {"population": [4, 12]}}],
        )
        study, loaded, _ = conducted(path, tmp_path / "study")
        chosen = study.choices()[METHOD]
        variants = {
            spec.variant: spec.options for spec in expand(loaded.model, study.choices()) if spec.method == METHOD
        }
        other = 4 if chosen["population"] == 12 else 12
        assert variants == {"base": chosen, f"population={other}": {**chosen, "population": other}}
        assert verify(study.folder).findings == ()

    def test_a_row_that_cannot_run_there_is_refused_before_anything_runs(self, tmp_path: Path) -> None:
        path = protocol(
            tmp_path,
            methods=["random_search", "hyperband"],
            method="hyperband",
            benchmark={"name": "toy-narrow", "options": {"noise": 2.0}},
            space={"eta": [3, 9]},
        )
        with pytest.raises(Unsupported, match=r"tuning of 'hyperband': .*partial"):
            conducted(path, tmp_path / "study")
        assert not list((tmp_path / "study").glob("runs/**/done.json"))

    def test_other_data_on_resume_are_refused(self, tmp_path: Path) -> None:
        path = protocol(tmp_path)
        study, loaded, _ = conducted(path, tmp_path / "study")
        data = json.loads((study.folder / "study.json").read_text())
        del data["tuning"]
        (study.folder / "study.json").write_text(json.dumps(data))
        study.note_tuning_benchmark(METHOD, {"fingerprint": "0" * 64, "manifest": {}})
        with pytest.raises(DriftRefused, match="the benchmark that 'regularized_evolution' is tuned on changed"):
            conducted(path, study.folder)
        settings_ = Settings(Place(None, tmp_path / "cache"), 0, allow_drift=True)
        conduct(loaded.model, loaded.resolved, study, settings_, Silent())
        assert METHOD in study.tuning()

    def test_check_shows_what_tuning_takes(self, tmp_path: Path) -> None:
        model = load(str(protocol(tmp_path)), CATALOGUE).model
        place = Place(None, tmp_path)
        reported = survey(model, Settings(place, 0))
        opened = open_tuning(model, tuned(model)[0], place, reported)
        benchmarks = {f"tuning:{METHOD}": opened, **reported}
        plan = checkup.rows(model, benchmarks)
        assert [(row.track, row.variant, row.runs) for row in plan if row.track != "tiny"] == [
            (f"tuning:{METHOD}", name, 3) for name in settings(tuned(model)[0])
        ]
        assert [row.track for row in checkup.forecasts(model, benchmarks, 2)] == [f"tuning:{METHOD}", "tiny"]

    def test_a_reported_benchmark_under_another_name_is_refused(self, tmp_path: Path) -> None:
        path = protocol(tmp_path, benchmark={"name": "toy-again", "options": {}})
        with pytest.raises(UsageError, match=r"its benchmark is that of track 'tiny' under another name"):
            conducted(path, tmp_path / "study")


def _best_of(trials: Sequence[TrialRecord]) -> float:
    """The objective of the last recommendation, found by another way than the harness does."""
    last = [record for record in trials if record.counted][-1].recommended
    for record in trials:
        if isinstance(record.trial.work, Evaluate) and record.trial.work.arch == last:
            assert isinstance(record.result, Measurement)
            return record.result.value
    raise AssertionError


class TestMistakes:
    @pytest.mark.parametrize(
        ("entry", "key", "words"),
        [
            (
                {"benchmark": {"name": "toy", "options": {}}},
                "tuning[0].benchmark",
                "shares the same benchmark with track 'tiny'",
            ),
            ({"benchmark": {"name": "toy", "options": {"noise": 0.5}}}, "tuning[0].benchmark", "the same benchmark"),
            ({"objective": None}, "tuning[0].objective", "is missing, although the source is 'tuned'"),
            ({"fidelity": None}, "tuning[0].fidelity", "is missing, although the source is 'tuned'"),
            ({"space": {"population": [4, 4]}}, "tuning[0].space.population[1]", "repeats the value 4"),
            ({"space": {"population": list(range(10, 1011))}}, "tuning[0].space", "1,001 settings"),
        ],
    )
    def test_a_mistake_names_its_key(self, tmp_path: Path, entry: dict[str, Any], key: str, words: str) -> None:
        path = protocol(tmp_path, **entry)
        with pytest.raises(ProtocolError) as caught:
            load(str(path), CATALOGUE)
        assert [(mistake.key, words in mistake.message) for mistake in caught.value.mistakes] == [(key, True)]

    def test_a_combination_that_the_method_refuses_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(cast("dict[str, str]", registry("methods")), "picky", f"{__name__}:Picky")
        path = protocol(tmp_path, methods=["picky"], method="picky", space={"first": [1, 4], "second": [1, 4]})
        with pytest.raises(ProtocolError) as caught:
            load(str(path), CATALOGUE)
        said = [(mistake.key, mistake.message) for mistake in caught.value.mistakes]
        assert said == [("tuning[0].space", 'the setting {"first":4,"second":4} is refused: together they exceed 5')]

    def test_a_row_has_one_entry(self, tmp_path: Path) -> None:
        path = temp_protocol(
            tmp_path, methods=["random_search", METHOD], tuning=[ELSEWHERE, {"method": METHOD, "source": "defaults"}]
        )
        with pytest.raises(ProtocolError, match="'regularized_evolution' has an entry already"):
            load(str(path), CATALOGUE)

    def test_a_data_set_that_is_reported_through_a_metric_is_reported(self, tmp_path: Path) -> None:
        track = {
            "benchmark": {"name": "nb201", "options": {"table": "nb201-v1.1", "dataset": "cifar10"}},
            "fidelity": {"search": 12, "final": 200},
            "objective": {"metric": "cifar10/valid@12ep(25k) mean-of-trials"},
            "final": {"metrics": ["cifar10/test@200ep(50k) mean-of-trials", "cifar100/test@200ep(50k) mean-of-trials"]},
        }
        tuning = {**ELSEWHERE, "benchmark": {"name": "nb201", "options": {"table": "nats-tss", "dataset": "cifar100"}}}
        path = temp_protocol(tmp_path, methods=["random_search", METHOD], track=track, tuning=[tuning])
        with pytest.raises(ProtocolError, match="shares the data set 'cifar100' with track 'tiny'"):
            load(str(path), CATALOGUE)
        track["final"]["metrics"].pop()
        path = temp_protocol(tmp_path, methods=["random_search", METHOD], track=track, tuning=[tuning])
        assert [entry.method for entry in tuned(load(str(path), CATALOGUE).model)] == [METHOD]

    def test_a_track_that_the_row_does_not_run_on_is_no_matter(self, tmp_path: Path) -> None:
        rows = ["random_search", {"name": METHOD, "tracks": ["tiny"]}]
        path = protocol(tmp_path, methods=rows)
        plain = json.loads(path.read_text())
        noisy = {**plain["tracks"][0], "id": "noisy", "benchmark": {"name": "toy", "options": {"noise": 2.0}}}
        plain["tracks"].append(noisy)
        path.write_text(json.dumps(plain))
        assert load(str(path), CATALOGUE).model.tracks[1].id == "noisy"

    def test_protocols_without_tuned_rows_keep_their_hash(self, tmp_path: Path) -> None:
        path = temp_protocol(tmp_path, methods=[METHOD], tuning=[{"method": METHOD, "source": "defaults"}])
        entry = load(str(path), CATALOGUE).resolved["tuning"][0]
        assert sorted(entry) == ["benchmark", "budget", "citation", "method", "replicates", "source", "space"]


class TestForgedLedgers:
    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("charged", 1.0),
            ("objective", ERROR),
            ("replicates", 4),
            ("unit", "evaluations"),
        ],
    )
    def test_a_changed_ledger_is_found(self, tmp_path: Path, key: str, value: Any) -> None:
        study, _, _ = conducted(protocol(tmp_path), tmp_path / "study")
        data = json.loads((study.folder / "study.json").read_text())
        assert data["tuning"][METHOD][key] != value
        data["tuning"][METHOD][key] = value
        (study.folder / "study.json").write_text(json.dumps(data))
        assert verify(study.folder).violated == ("tuning-ledger",)

    def test_other_options_than_the_chosen_ones_are_found(self, tmp_path: Path) -> None:
        study, _, _ = conducted(protocol(tmp_path), tmp_path / "study")
        data = json.loads((study.folder / "study.json").read_text())
        data["tuning"][METHOD]["options"]["population"] += 1
        (study.folder / "study.json").write_text(json.dumps(data))
        assert {"tuning-ledger", "manifest-spec"} <= set(verify(study.folder).violated)

    def test_another_choice_is_found(self, tmp_path: Path) -> None:
        study, _, _ = conducted(protocol(tmp_path), tmp_path / "study")
        data = json.loads((study.folder / "study.json").read_text())
        found = data["tuning"][METHOD]
        found["chosen"] = next(row["setting"] for row in found["settings"] if row["setting"] != found["chosen"])
        (study.folder / "study.json").write_text(json.dumps(data))
        assert verify(study.folder).violated == ("tuning-ledger",)

    def test_a_better_setting_that_was_passed_over_is_found(self, tmp_path: Path) -> None:
        study, _, _ = conducted(protocol(tmp_path), tmp_path / "study")
        data = json.loads((study.folder / "study.json").read_text())
        worst = min(data["tuning"][METHOD]["settings"], key=lambda row: row["mean"])
        worst["mean"], worst["values"] = 99.0, [99.0] * 3
        (study.folder / "study.json").write_text(json.dumps(data))
        assert "tuning-ledger" in verify(study.folder).violated

    def test_a_ledger_that_is_missing_is_found(self, tmp_path: Path) -> None:
        study, _, _ = conducted(protocol(tmp_path), tmp_path / "study")
        data = json.loads((study.folder / "study.json").read_text())
        del data["tuning"]
        (study.folder / "study.json").write_text(json.dumps(data))
        assert "tuning-ledger" in verify(study.folder).violated

    def test_a_tuning_run_that_is_missing_is_found(self, tmp_path: Path) -> None:
        study, loaded, _ = conducted(protocol(tmp_path), tmp_path / "study")
        folder = study.run_folder(all_tuning_runs(loaded.model)[5])
        folder.rename(folder.with_name("r0009"))
        assert {"plan-complete", "plan-only", "tuning-ledger"} <= set(verify(study.folder).violated)


def _recorded(study: Path) -> dict[str, Any]:
    """Everything that may not depend on when a study was killed; real seconds may."""
    names = ("trials.jsonl", "sealed.jsonl", "final.jsonl", "done.json")
    files: dict[str, Any] = {
        str(path.relative_to(study)): path.read_bytes() for name in names for path in study.rglob(name)
    }
    facts = json.loads((study / "study.json").read_text())
    facts["tuning"][METHOD].pop("seconds")
    return {**files, "study.json": facts}


def _run(path: Path, folder: Path, evaluations: int) -> int:
    command = [sys.executable, str(KILLED), str(path), str(folder), str(evaluations)]
    return subprocess.run(command, env={**os.environ, "PYTHONWARNINGS": "error"}, check=False, timeout=120).returncode


def test_a_killed_tuning_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    path = protocol(tmp_path, benchmark={"name": "toy-durable", "options": {"noise": 2.0}}, replicates=2)
    assert _run(path, tmp_path / "undisturbed", sys.maxsize) == 0
    killed = tmp_path / "killed"
    # In the first run of the tuning, in the middle of it, and at its very end, before the choice is written.
    for evaluations in (7, 40, 90):
        assert _run(path, killed, evaluations) == -signal.SIGKILL
        assert "tuning" not in json.loads((killed / "study.json").read_text())
    assert _run(path, killed, sys.maxsize) == 0
    assert _recorded(killed) == _recorded(tmp_path / "undisturbed")
    assert verify(killed).findings == ()
    assert len((killed / "segments.jsonl").read_text().splitlines()) == 4
    ends = [json.loads(line) for line in (killed / "segment_ends.jsonl").read_text().splitlines()]
    assert [end["segment"] for end in ends] == [4], "a kill leaves no end"


def test_records_keep_what_a_ledger_is(tmp_path: Path) -> None:
    study, loaded, _ = conducted(protocol(tmp_path), tmp_path / "study")
    record = study.record(expand(loaded.model, study.choices()))
    assert record.tuning == study.tuning()
    assert replace(record, tuning={}) != record
