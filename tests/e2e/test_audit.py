"""Hold a study of real trainings to account from the command line: verify, replay, repeat, bundle."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def study(harness, digits_protocol: Path, tmp_path: Path) -> Path:
    """A finished study."""
    folder = tmp_path / "study"
    done = harness("run", digits_protocol, "--out", folder, "--workers", "1")
    assert done.returncode == 0, done.stderr
    return folder


def test_a_study_is_verified_replayed_and_packed(harness, study: Path) -> None:
    verified = harness("verify", study)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "rules hold" in verified.stdout
    replayed = harness("replay", study, "--sample", 2, "--workers", 0)
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert "exact reproducibility: 2 of 2 runs gave the same bytes" in replayed.stdout
    packed = harness("bundle", study, "--out", study.parent / "study.zip")
    assert packed.returncode == 0, packed.stderr
    archive = harness("verify", study.parent / "study.zip", "--json")
    assert archive.returncode == 0, archive.stderr
    assert json.loads(archive.stdout)["findings"] == []
    _check_that_a_changed_record_exits_with_ten(harness, study)


def _check_that_a_changed_record_exits_with_ten(harness, study: Path) -> None:
    run = min(study.glob("runs/*/*/*/r*"))
    journal = (run / "trials.jsonl").read_text()
    (run / "trials.jsonl").write_text(journal.replace('"value":', '"value":1', 1))
    verified = harness("verify", study)
    assert verified.returncode == 10
    assert "journal-hash" in verified.stdout
    assert "findings under" in verified.stderr
    listed = json.loads(harness("verify", study, "--json").stdout)
    assert "journal-hash" in listed["violated"]
    assert {finding["rule"] for finding in listed["findings"]} == set(listed["violated"])
    shutil.rmtree(run)
    assert "plan-complete" in harness("verify", study).stdout


def test_a_study_is_repeated_with_other_seeds(harness, study: Path) -> None:
    repeated = harness("repeat", study, "--seeds", "50:51", "--out", study.parent / "again", "--workers", 1)
    assert repeated.returncode == 0, repeated.stderr
    assert "Broad reproducibility (new seeds, same protocol)" in repeated.stdout
    assert harness("verify", study.parent / "again").returncode == 0
    used = harness("repeat", study, "--seeds", "0:1")
    assert (used.returncode, "has used 0 already" in used.stderr) == (2, True)
