"""Write the checklist as an appendix for a paper, in Markdown and in LaTeX, and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from harness.core.canonical import Json, content_hash
from reports.checklist.facts import Facts
from reports.checklist.model import Answer, Check, Finding, Item
from reports.checklist.rules import VERSION
from reports.checklist.summary import badge, cells, counts, said

SCHEMA = "nas-harness.checklist/1"
ABOUT = (
    "Questions after Lindauer and Hutter, Best Practices for Scientific Research on Neural Architecture Search (JMLR "
    "21(243), 2020); verdicts computed from the records of the study. Attested: a person says so. Unknown counts as no."
)
_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
        "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}", "<": r"\textless{}",
        ">": r"\textgreater{}",
    }
)  # fmt: skip


def markdown_appendix(facts: Facts, items: Sequence[Item]) -> str:
    """Return the checklist as Markdown."""
    lines = ["# Checklist", "", f"{ABOUT} {_identity(facts)}", "", f"**{badge(items)}**", ""]
    for title, group in _groups(items):
        lines += [f"## {title}", "", *(f"- **{item.rule.id}** {item.rule.text} {_answer(item)}" for item in group), ""]
    return "\n".join(lines)


def latex_appendix(facts: Facts, items: Sequence[Item]) -> str:
    """Return the checklist as LaTeX that needs no package; a section with one list for each group."""
    lines = [r"\section*{Checklist}", "", f"{latex(ABOUT)} {latex(_identity(facts))}", "", latex(badge(items)), ""]
    for title, group in _groups(items):
        lines += [rf"\subsection*{{{latex(title)}}}", r"\begin{itemize}"]
        lines += [
            rf"\item[{item.rule.id}] {latex(item.rule.text)} \textbf{{{latex(_mark(item))}}} {latex(said(item))}"
            for item in group
        ]
        lines += [r"\end{itemize}", ""]
    return "\n".join(lines)


def latex(text: str) -> str:
    """Return a text with what LaTeX takes for commands escaped."""
    return text.replace("·", "/").translate(_ESCAPES)


def _identity(facts: Facts) -> str:
    name = f"{facts.protocol['protocol']} {facts.protocol['version']}"
    return f"Study {name}, protocol hash {facts.study.protocol_hash}, rules {VERSION}."


def _groups(items: Sequence[Item]) -> Iterator[tuple[str, list[Item]]]:
    yield "After Lindauer and Hutter", [item for item in items if item.rule.official]
    yield "Further items", [item for item in items if not item.rule.official]


def _mark(item: Item) -> str:
    word = {"yes": "Yes", "no": "No", "n/a": "N/A"}[item.verdict]
    basis = {"computed": "", "attested": ", attested", "unknown": ", unknown"}[item.basis]
    return f"[{word}{basis}{', weakly' if item.strength == 'weak' else ''}]"


def _answer(item: Item) -> str:
    return f"**{_mark(item)}** {said(item)}"


def machine(facts: Facts, items: Sequence[Item]) -> str:
    """Return the checklist as JSON: every check with its value and evidence; no time of its own."""
    evidence = facts.everything()
    data: dict[str, Json] = {
        "schema": SCHEMA,
        "study": content_hash([facts.study.protocol_hash, evidence[0].sha256]),
        "protocol_hash": facts.study.protocol_hash,
        "journals": evidence[0].sha256,
        "rules_version": VERSION,
        "badge": badge(items),
        "cells": cells(items),
        "counts": dict(counts(items)),
        "items": [_plain(item) for item in items],
    }
    return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(item: Item) -> dict[str, Json]:
    rule = item.rule
    return {
        "id": rule.id,
        "text": rule.text,
        "best_practices": list(rule.practices),
        "scope": rule.scope,
        "verdict": item.verdict,
        "basis": item.basis,
        "strength": item.strength,
        "checks": [_check(check, finding) for check, finding in item.found],
        "human": _human(item),
        "remedy": rule.remedy if item.verdict == "no" else "",
    }


def _check(check: Check, finding: Finding) -> dict[str, Json]:
    return {
        "id": check.id,
        "predicate": check.predicate,
        "arguments": dict(check.arguments),
        "severity": check.severity,
        "ok": finding.ok,
        "text": finding.text,
        "value": finding.value,
        "evidence": [{"pointer": one.pointer, "sha256": one.sha256} for one in finding.evidence],
    }


def _human(item: Item) -> list[Json]:
    return [
        {
            "question": question.id,
            "text": question.text,
            "decides": question.decides,
            **_given(item.answers.get(question.id)),
        }
        for question in item.rule.questions
    ]


def _given(answer: Answer | None) -> dict[str, Json]:
    if answer is None:
        return {"answer": None}
    return {"answer": answer.answer, "who": answer.who, "when": answer.when, "pointer": answer.pointer}


def pointers(findings: Iterable[Finding]) -> list[str]:
    """Return 'pointer (start of SHA-256)' for the evidence of some findings, each once."""
    found = [f"{one.pointer} ({one.sha256[:12] or 'no hash'})" for finding in findings for one in finding.evidence]
    return list(dict.fromkeys(found))
