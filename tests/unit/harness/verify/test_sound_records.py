from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.verify import verify


def test_a_sound_record_breaks_no_rule(sound: Path) -> None:
    verdict = verify(sound)
    assert verdict.findings == ()
    assert verdict.runs == 24
    assert verdict.trials > 500


def test_the_record_holds_what_the_rules_are_about(forger: Any) -> None:
    """Discarded and kept overruns, failures, partial trainings, repeated work, skipped rows, two segments."""
    assert not forger.entries(forger.run() / "trials.jsonl")[-1]["counted"]
    kept = forger.entries(forger.run(track="keep") / "trials.jsonl")
    assert kept[-1]["spent"] > 500
    assert any("failure" in line["result"] for line in kept)
    assert [line["id"] for line in kept] != list(range(len(kept)))
    assert any("start" in line["work"] for line in forger.entries(forger.run("hyperband") / "trials.jsonl"))
    assert (forger.run("hyperband", track="narrow") / "skipped.json").is_file()
    assert len((forger.root / "segments.jsonl").read_text().splitlines()) == 2


def test_a_forger_who_changes_nothing_leaves_a_sound_record(forger: Any) -> None:
    before = {path: path.read_bytes() for path in forger.root.rglob("*.jsonl")}
    forger.rehash()
    assert {path: path.read_bytes() for path in forger.root.rglob("*.jsonl")} == before
    assert verify(forger.root).findings == ()
