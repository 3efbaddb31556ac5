from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.core.codec import spec_to_json
from harness.core.errors import JournalCorrupt, ReplayDiverged
from harness.core.types import Arch, Cost, Evaluate, Failure, Measurement, Outcome, RunSpec, Trial
from harness.store.reader import read_run
from harness.store.recorder import Recorder

SPEC = RunSpec("p", "1.0.0", "t", "m", "random_search", "base", {}, 0, 0)
JOURNALS = ("trials.jsonl", "sealed.jsonl", "final.jsonl")


def manifest() -> dict[str, object]:
    return {"schema": 1, "spec": spec_to_json(SPEC)}


def outcome(number: int) -> Outcome:
    cost = Cost(12, 90.25)
    if number == 2:
        return Outcome(Failure("the loss is not a number", cost))
    return Outcome(Measurement(80.0 + number, {"valid": 80.0 + number}, cost), {"test": 70.0 + number, "größe": 1.0})


def record(folder: Path, *, durable: bool = True, trials: int = 5, shift: float = 0.0) -> None:
    recorder = Recorder(folder, manifest(), durable=durable)
    for number in range(trials):
        trial = Trial(number, Evaluate(Arch(f"cell-{number}-é"), 12), 1000 + number)
        known = recorder.outcomes.get(number, outcome(number))
        recorder.append(trial, known, 90.25 * (number + 1) + shift, trial.work.arch, counted=True)
        recorder.timing(number, 0.1, 0.2, 0.3)
    recorder.final("cell-4-é", 0, {"test": 74.0})
    recorder.finish("budget", 451.25, "cell-4-é")


def test_every_attempt_leaves_its_start_and_the_first_one_counts(tmp_path: Path) -> None:
    for at in (1700000000.5, 1700000009.25):
        recorder = Recorder(tmp_path / "run", manifest(), durable=True)
        recorder.start(at)
        recorder.phase("selection", 0.5)
        recorder.close()
    run = read_run(tmp_path / "run", SPEC)
    assert run.started == 1700000000.5
    assert run.seconds["selection"] == 1.0
    assert "started" not in run.seconds


def test_the_first_architecture_is_the_reported_one_and_the_others_are_kept_apart(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run", manifest(), durable=True)
    for arch, seed, test in (("z", 0, 70.0), ("z", 1, 72.0), ("a", 0, 90.0), ("a", 1, 92.0)):
        recorder.final(arch, seed, {"test": test}, Cost(12.0))
    recorder.finish("budget", 1.0, "z")
    run = read_run(tmp_path / "run", SPEC)
    assert run.final == {"z": {"test": 71.0}}
    assert run.finals == {"z": ({"test": 70.0}, {"test": 72.0})}
    assert run.retrained == {"z": run.finals["z"], "a": ({"test": 90.0}, {"test": 92.0})}
    assert run.final_cost == Cost(48.0)
    again = Recorder(tmp_path / "run", manifest(), durable=True)
    assert again.finals["a", 1] == {"test": 92.0}
    again.close()


@pytest.mark.parametrize("diverged", [0, 1, 2])
def test_a_final_seed_that_diverged_leaves_no_mean(tmp_path: Path, diverged: int) -> None:
    recorder = Recorder(tmp_path / "run", manifest(), durable=True)
    for seed in range(3):
        recorder.final("z", seed, {} if seed == diverged else {"test": 70.0}, Cost(12.0))
    recorder.finish("budget", 1.0, "z")
    run = read_run(tmp_path / "run", SPEC)
    assert run.final == {"z": {}}
    assert [bool(metrics) for metrics in run.finals["z"]] == [seed != diverged for seed in range(3)]


def journals(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in JOURNALS}


@pytest.fixture
def undisturbed(tmp_path: Path) -> dict[str, bytes]:
    record(tmp_path / "undisturbed")
    return journals(tmp_path / "undisturbed")


def test_durable_and_buffered_runs_write_the_same_bytes(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    record(tmp_path / "buffered", durable=False)
    assert journals(tmp_path / "buffered") == undisturbed


def test_a_run_that_was_cut_at_any_byte_resumes_to_the_same_bytes(
    tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    folder = tmp_path / "cut"
    record(folder)
    whole = undisturbed["trials.jsonl"]
    for size in range(len(whole) + 1):
        (folder / "done.json").unlink()
        (folder / "trials.jsonl").write_bytes(whole[:size])
        # The sealed line of a trial is on disk before the trial's own, perhaps torn.
        lines = whole[:size].count(b"\n")
        sealed = undisturbed["sealed.jsonl"].splitlines(keepends=True)
        torn = sealed[lines][: size % 40] if lines < len(sealed) else b""
        (folder / "sealed.jsonl").write_bytes(b"".join(sealed[:lines]) + torn)
        (folder / "final.jsonl").unlink()
        record(folder)
        assert journals(folder) == undisturbed, f"cut at byte {size}"


def test_what_was_recorded_comes_back(tmp_path: Path) -> None:
    record(tmp_path / "run")
    run = read_run(tmp_path / "run", SPEC)
    assert run.status == "done"
    assert [trial.result for trial in run.trials] == [outcome(number).result for number in range(5)]
    assert run.trials[0].sealed == {"test": 70.0, "größe": 1.0}
    assert run.trials[2].sealed == {}
    assert run.final == {"cell-4-é": {"test": 74.0}}
    assert run.seconds == pytest.approx({"ask": 0.5, "evaluate": 1.0, "tell": 1.5})


def test_replay_refuses_another_course(tmp_path: Path) -> None:
    record(tmp_path / "run")
    (tmp_path / "run" / "done.json").unlink()
    before = journals(tmp_path / "run")
    with pytest.raises(ReplayDiverged, match=r"trials.jsonl:1: .*another course"):
        record(tmp_path / "run", shift=1.0)
    assert journals(tmp_path / "run") == before


@pytest.mark.parametrize("name", ["trials.jsonl", "sealed.jsonl"])
@pytest.mark.parametrize("fault", ["flip", "drop", "swap"])
def test_a_changed_journal_is_found_on_reading_and_on_resume(tmp_path: Path, name: str, fault: str) -> None:
    folder = tmp_path / "run"
    record(folder)
    lines = (folder / name).read_text().splitlines(keepends=True)
    if fault == "flip":
        lines[1] = lines[1].replace("1", "7", 1)
    elif fault == "drop":
        del lines[1]
    else:
        lines[1], lines[2] = lines[2], lines[1]
    (folder / name).write_text("".join(lines))
    with pytest.raises(JournalCorrupt, match=name):
        read_run(folder, SPEC)
    (folder / "done.json").unlink()
    with pytest.raises((JournalCorrupt, ReplayDiverged)):
        record(folder)


def test_a_run_in_the_place_of_another_is_found(tmp_path: Path) -> None:
    record(tmp_path / "run")
    other = RunSpec("p", "1.0.0", "t", "m", "random_search", "base", {}, 1, 1)
    with pytest.raises(JournalCorrupt, match="another run"):
        read_run(tmp_path / "run", other)


def test_sealed_metrics_never_stand_in_the_trials(tmp_path: Path) -> None:
    record(tmp_path / "run")
    for line in (tmp_path / "run" / "trials.jsonl").read_text().splitlines():
        assert "test" not in json.dumps(json.loads(line)["result"])


def test_a_partial_run_reads_as_partial(tmp_path: Path) -> None:
    record(tmp_path / "run")
    (tmp_path / "run" / "done.json").unlink()
    assert read_run(tmp_path / "run", SPEC).status == "partial"
    assert read_run(tmp_path / "nowhere", SPEC).status == "missing"
