"""With the data at hand, a fact of the space that was forged within all bounds is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.core.interfaces import Place
from harness.plan import CATALOGUE
from harness.protocol import load
from harness.recheck import recheck
from harness.store import Study
from harness.testing.toy import TEST
from harness.verify import verify
from harness.verify.rules import Finding


def held(folder: Path) -> list[Finding]:
    study = Study(folder)
    found, unopened = recheck(study, load(str(folder / "protocol.json"), CATALOGUE).model, Place(None, folder))
    assert unopened == {}
    return found


def test_the_facts_of_a_sound_record_are_those_of_the_data(sound: Path) -> None:
    assert held(sound) == []


def test_a_fact_that_contradicts_nothing_is_found(forger: Any) -> None:
    forger.edit(
        "study.json",
        lambda data: data["tracks"]["tiny"]["references"]["random_sampling"][TEST].update(mean=74.5),
    )
    assert verify(forger.root).violated == ()
    (finding,) = held(forger.root)
    assert finding.rule == "references"
    assert finding.what == f"tracks.tiny.references.random_sampling.{TEST}.mean: the data here"
    assert finding.found == "74.5"


def test_facts_that_are_absent_or_invented_are_found(forger: Any) -> None:
    def change(data: Any) -> None:
        facts = data["tracks"]["tiny"]["references"]
        del facts["optimum"]
        facts["draws"] = [1, 2]

    forger.edit("study.json", change)
    assert [finding.what.rpartition(".")[2] for finding in held(forger.root)] == [
        "optimum: the data here",
        "draws: the data here",
    ]


def test_other_data_are_named(forger: Any) -> None:
    forger.edit("study.json", lambda data: data["tracks"]["tiny"].update(fingerprint="0" * 64))
    (finding,) = held(forger.root)
    assert (finding.rule, finding.found) == ("track-fingerprint", "0" * 64)


def test_the_command_adds_what_the_data_say(forger: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["verify", str(forger.root), "--data-dir", str(tmp_path)]
    assert main(command) == 0
    forger.edit(
        "study.json",
        lambda data: data["tracks"]["tiny"]["references"]["random_sampling"][TEST].update(mean=74.5),
    )
    assert main(command) == 10
    assert "74.5" in capsys.readouterr().out


def test_an_archive_is_not_held_against_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = tmp_path / "study.zip"
    archive.write_bytes(b"")
    assert main(["verify", str(archive), "--data-dir", str(tmp_path)]) == 2
    assert "--data-dir is for a run folder" in capsys.readouterr().err
