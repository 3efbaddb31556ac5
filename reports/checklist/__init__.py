"""Answer the checklist of Lindauer and Hutter (JMLR 2020) from a recorded study, item by item, with evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.core.records import Document, Section, StudyRecord, Table
from reports.checklist.appendix import ABOUT, latex_appendix, machine, markdown_appendix, pointers
from reports.checklist.attestations import FILE, read_answers
from reports.checklist.automl import mapping_table
from reports.checklist.evaluation import evaluate
from reports.checklist.facts import NAME, read
from reports.checklist.model import Item
from reports.checklist.rules import VERSION
from reports.checklist.summary import KEY, badge, cells, mark, said

__all__ = ["build"]

_COLUMNS = ("id", "question", "verdict", "basis", "what was found", "remedy")
_LIMITS = (
    "No record can show whether code stays public, whether its licence suits, what was tuned or looked at before the "
    "record began, whether the right parts were ablated, whether the environment record tells the truth on a machine "
    "that lies, and whether a benchmark stands for anything beyond itself."
)


def build(study: StudyRecord) -> Document:
    """Return the checklist of a study: a pure function of its records and of what people attest in its folder."""
    facts = read(study)
    items = evaluate(facts, read_answers(study.files))
    official = [item for item in items if item.rule.official]
    extra = [item for item in items if not item.rule.official]
    protocol = facts.protocol
    return Document(
        NAME,
        f"Checklist of {protocol['protocol']} {protocol['version']}",
        (
            Section("Verdicts", _lead(items), (_table("checklist", "T0. Checklist verdicts", official),)),
            Section("Further items", "", (_table("checklist-further", "Further items", extra),)),
            Section("What only a person can say", _about_people(items), (_questions(items),)),
            Section("AutoML Conference", "", (mapping_table(items),)),
            Section("Evidence", "", (_evidence(items),)),
            Section("What no record can show", _LIMITS),
        ),
        {
            "checklist.json": machine(facts, items),
            "appendix.md": markdown_appendix(facts, items),
            "appendix.tex": latex_appendix(facts, items),
        },
    )


def _lead(items: Sequence[Item]) -> str:
    return f"**{badge(items)}**\n\n{cells(items)}\n\n{KEY}\n\n{ABOUT} Rules {VERSION}."


def _table(name: str, title: str, items: Iterable[Item]) -> Table:
    rows = tuple(
        (
            item.rule.id,
            item.rule.text,
            mark(item),
            item.basis,
            said(item),
            item.rule.remedy if item.verdict == "no" else "-",
        )
        for item in items
    )
    data = tuple(dict(zip(_COLUMNS, row, strict=True)) for row in rows)
    return Table(name, title, _COLUMNS, rows, KEY, data)


def _about_people(items: Sequence[Item]) -> str:
    resting = [item.rule.id for item in items if item.basis == "attested"]
    lead = f"{len(resting)} of {len(items)} items rest on attestation" + (f" ({', '.join(resting)})" if resting else "")
    return f"{lead}. Answers stand in {FILE} in the study's folder; an answer never turns what was computed."


def _questions(items: Sequence[Item]) -> Table:
    columns = ("question", "asks", "decides", "answer", "who", "when", "pointer")
    rows = tuple(
        (question.id, question.text, "yes" if question.decides else "no", *_answer(item, question.id))
        for item in items
        for question in item.rule.questions
    )
    data = tuple(dict(zip(columns, row, strict=True)) for row in rows)
    return Table("checklist-questions", "Questions to a person", columns, rows, data=data)


def _answer(item: Item, question: str) -> tuple[str, str, str, str]:
    answer = item.answers.get(question)
    return ("-",) * 4 if answer is None else (answer.answer, answer.who, answer.when, answer.pointer or "-")


def _evidence(items: Sequence[Item]) -> Table:
    columns = ("check", "predicate", "decides", "ok", "found", "where (start of SHA-256)")
    rows = tuple(
        (
            check.id,
            check.predicate,
            check.severity,
            {True: "yes", False: "no", None: "unknown"}[finding.ok],
            finding.text,
            "; ".join(pointers([finding])) or "-",
        )
        for item in items
        for check, finding in item.found
    )
    data = tuple(dict(zip(columns, row, strict=True)) for row in rows)
    note = "Paths within the study's folder; `runs/` stands for the journals of all runs. Full hashes: checklist.json."
    return Table("checklist-evidence", "Every check", columns, rows, note, data)
