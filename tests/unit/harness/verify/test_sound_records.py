from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.verify import RULES, verify


def test_a_sound_record_breaks_no_rule(sound: Path) -> None:
    verdict = verify(sound)
    assert verdict.findings == ()
    assert verdict.runs == 26
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
    grown = forger.entries(forger.run("petridish", track="growing") / "trials.jsonl")
    assert {line["work"]["kind"] for line in grown} == {"evaluate", "attach", "grow"}
    finals = forger.entries(forger.run("petridish", track="growing") / "final.jsonl")
    assert len({line["arch"] for line in finals}) > 2
    assert [line["seed"] for line in finals] == [0, 1] * (len(finals) // 2)
    assert len((forger.root / "segments.jsonl").read_text().splitlines()) == 2


def test_a_forger_who_changes_nothing_leaves_a_sound_record(forger: Any) -> None:
    before = {path: path.read_bytes() for path in forger.root.rglob("*.jsonl")}
    forger.rehash()
    assert {path: path.read_bytes() for path in forger.root.rglob("*.jsonl")} == before
    assert verify(forger.root).findings == ()


@pytest.mark.parametrize("track", ["tiny", "keep"])
def test_a_run_that_a_kill_cut_at_any_byte_is_unfinished_and_nothing_else(forger: Any, track: str) -> None:
    """A flushed run: the sealed line of a trial is written before the trial's own, its seconds after it."""
    run = forger.run("hyperband", track=track)
    whole = {name: (run / name).read_bytes() for name in ("trials.jsonl", "sealed.jsonl", "timings.jsonl")}
    for name in ("done.json", "final.jsonl"):
        (run / name).unlink()
    for other in forger.root.glob("runs/*/*/*/*"):
        if other != run:
            shutil.rmtree(other)
    for size in range(0, len(whole["trials.jsonl"]), 1 + len(whole["trials.jsonl"]) // 40):
        lines = whole["trials.jsonl"][:size].count(b"\n")
        (run / "trials.jsonl").write_bytes(whole["trials.jsonl"][:size])
        for name, kept in (("sealed.jsonl", lines + 1), ("timings.jsonl", max(0, lines - 1))):
            (run / name).write_bytes(b"".join(whole[name].splitlines(keepends=True)[:kept]))
        verdict = verify(forger.root)
        assert verdict.violated == ("plan-complete",)
        assert verdict.trials == lines


def test_the_documentation_lists_every_rule() -> None:
    page = (Path(__file__).parents[4] / "docs" / "verification.md").read_text()
    assert [line for line in page.splitlines() if line.startswith("| `") and "RUN" not in line] == [
        f"| `{rule}` | {sentence} |" for rule, sentence in RULES.items()
    ]
