from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import JournalCorrupt
from harness.core.records import RunRecord
from harness.core.types import RunSpec
from harness.replay import Replayed, note
from harness.store import Study


def spec_of(replicate: int) -> RunSpec:
    return RunSpec("tiny", "1.0.0", "tiny", "random_search", "random_search", "base", {}, replicate, replicate)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    def run(self: Study, spec: RunSpec) -> RunRecord:
        return RunRecord(spec, "done", "budget", (), f"{spec.replicate:064x}")

    monkeypatch.setattr(Study, "run", run)
    return Study(tmp_path)


def noted(study: Study) -> dict[str, Any]:
    entries = json.loads((study.folder / "replay.json").read_text())["runs"]
    return {entry["run"]: (entry["journal"], entry["answer"]) for entry in entries}


def test_answers_are_noted_with_the_journal_they_are_about(study: Study) -> None:
    note(study, [Replayed(spec_of(2), "exact")])
    assert noted(study) == {spec_of(2).id: (f"{2:064x}", "exact")}


def test_a_later_answer_replaces_that_of_the_same_run_and_no_other(study: Study) -> None:
    note(study, [Replayed(spec_of(1), "different"), Replayed(spec_of(2), "exact")])
    note(study, [Replayed(spec_of(1), "exact")])
    assert {run: answer for run, (_, answer) in noted(study).items()} == {
        spec_of(1).id: "exact",
        spec_of(2).id: "exact",
    }


def test_a_damaged_note_is_said(study: Study) -> None:
    (study.folder / "replay.json").write_text("{")
    with pytest.raises(JournalCorrupt, match=r"replay\.json"):
        note(study, [Replayed(spec_of(1), "exact")])
