"""Read what comes out: document, appendix, JSON, command line."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.core.records import Document, StudyRecord
from harness.store import Study
from harness.testing.world import TOY, registered
from reports.checklist import build
from reports.checklist.appendix import latex
from reports.checklist.rules import RULES
from reports.render import changed, render, write

Draft = Any


@pytest.fixture(scope="module")
def folder(sound: Draft, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sound study on disk, with a real report."""
    target = tmp_path_factory.mktemp("documents") / "study"
    sound.write(target)
    return target


@pytest.fixture(scope="module")
def record(sound: Draft, folder: Path) -> StudyRecord:
    return Study(folder).record([run.spec for run in sound.runs])


@pytest.fixture(scope="module")
def document(record: StudyRecord) -> Document:
    return build(record)


def test_all_is_yes_with_real_figures_too(document: Document) -> None:
    assert "**13 yes computed · 3 yes attested · 0 n/a · 0 no**" in document.sections[0].text
    assert {row[2].strip("°") for section in document.sections[:2] for row in section.tables[0].rows} == {"yes"}


def test_the_same_record_gives_the_same_bytes(record: StudyRecord, document: Document) -> None:
    assert render(build(record)) == render(document)


def test_the_checklist_does_not_look_at_itself(record: StudyRecord, document: Document, folder: Path) -> None:
    write(document, folder / "report" / "checklist")
    assert changed(build(record), folder / "report" / "checklist") == []


def evidence(document: Document) -> Iterator[tuple[str, str]]:
    for item in json.loads(document.attachments["checklist.json"])["items"]:
        for check in item["checks"]:
            for entry in check["evidence"]:
                yield entry["pointer"], entry["sha256"]


def test_every_piece_of_evidence_is_a_file_with_its_hash_and_a_place_in_it(document: Document, folder: Path) -> None:
    found = set(evidence(document))
    assert len(found) > 30
    for pointer, digest in found - {entry for entry in found if entry[0] == "runs/"}:
        path, _, place = pointer.partition("#")
        content = (folder / path).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest, pointer
        value = json.loads(content) if place else None
        for key in place.split("/")[1:]:
            value = value[key]


def test_the_journals_as_one_are_hashed_as_said(document: Document, folder: Path, sound: Draft) -> None:
    lines = ""
    for run in sound.runs:
        path = f"runs/{run.spec.track}/{run.spec.method}/{run.spec.variant}/r{run.spec.replicate:04d}/trials.jsonl"
        lines += f"{path} {hashlib.sha256((folder / path).read_bytes()).hexdigest()}\n"
    assert ("runs/", hashlib.sha256(lines.encode()).hexdigest()) in set(evidence(document))


def test_the_machine_readable_form_is_complete(document: Document) -> None:
    data = json.loads(document.attachments["checklist.json"])
    assert [item["id"] for item in data["items"]] == [rule.id for rule in RULES]
    assert data["schema"] == "nas-harness.checklist/1"
    assert data["counts"] == {"yes attested": 3, "yes computed": 13}
    assert set(data) == {
        "badge", "cells", "counts", "items", "journals", "protocol_hash", "rules_version", "schema", "study"
    }  # fmt: skip
    assert not re.search(r"_at\"", document.attachments["checklist.json"])
    (public,) = data["items"][0]["human"]
    assert (public["answer"], public["who"], public["when"]) == ("yes", "A. Author", "2026-01-31")


def test_the_appendices_hold_every_item(document: Document) -> None:
    for rule in RULES:
        assert f"- **{rule.id}** {rule.text} **[Yes" in document.attachments["appendix.md"]
        assert rf"\item[{rule.id}] " in document.attachments["appendix.tex"]
    assert document.attachments["appendix.tex"].count(r"\begin{itemize}") == 2


def test_latex_has_no_bare_command_characters(document: Document) -> None:
    bare = re.sub(
        r"\\(textbackslash|textasciitilde|textasciicircum|textbar|textless|textgreater)\{\}",
        "",
        latex("a_b #1 50 % {x} ~ ^ \\ $ & | < >"),
    )
    assert not re.search(r"(?<!\\)[_#%{}$&~^|<>]", bare)
    body = document.attachments["appendix.tex"]
    assert not re.search(r"(?<!\\)[_#%$&~^|<>]", body)
    assert body.count("{") - body.count(r"\{") == body.count("}") - body.count(r"\}")


def test_the_conference_form_is_answered(document: Document) -> None:
    (table,) = next(section.tables for section in document.sections if section.title == "AutoML Conference")
    answers = {row[0]: row[2] for row in table.rows}
    assert answers["2c"] == "yes"
    assert answers["3a"] == "yes, attested in part"
    assert answers["3b"] == "-"


def test_a_no_names_its_remedy_and_a_person_who_said_no(draft: Draft, tmp_path: Path, plain_figures: None) -> None:
    draft.answers[0] |= {"answer": "no", "pointer": ""}
    draft.answers.pop()
    document = build(draft.write(tmp_path / "study"))
    rows = {row[0]: row for row in document.sections[0].tables[0].rows}
    assert rows["A1"][2:4] == ("no°", "attested")
    assert "A1.public: no, says A. Author on 2026-01-31" in rows["A1"][4]
    assert rows["A4"][2:4] == ("no?", "unknown")
    assert "nobody has answered A4.public" in rows["A4"][4]
    assert rows["A4"][5].startswith("commit the code")
    assert "13 yes computed · 1 yes attested · 0 n/a · 2 no (1 unknown)" in document.sections[0].text


def test_the_command_prints_and_writes_the_checklist(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with registered("benchmarks", TOY) as name:
        benchmark = json.loads((folder / "protocol.json").read_text())["tracks"][0]["benchmark"]["name"]
        assert benchmark == name
        assert main(["checklist", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "13 yes computed · 3 yes attested · 0 n/a · 0 no" in said
    assert "B7 yes" in said
    assert (folder / "report" / "checklist" / "checklist.json").is_file()


def test_the_report_command_prints_it_where_the_protocol_lists_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with registered("benchmarks", TOY):
        assert main(["report", str(folder)]) == 0
        said = capsys.readouterr().out
        assert "T0. Checklist verdicts" in said
        assert "Final performance on tiny" in said
        assert main(["report", "--check", str(folder)]) == 0
