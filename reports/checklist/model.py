"""Define rules, what their checks find, and verdicts, as plain frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.core.canonical import Json

Severity = Literal["yes", "note"]
Scope = Literal["study", "comparison", "method", "run"]
Word = Literal["yes", "no", "n/a"]
Basis = Literal["computed", "attested", "unknown"]
Strength = Literal["full", "weak"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where in the record a finding stands.

    Attributes:
        pointer: path of a file in the study's folder, '#', and a JSON pointer into it; `runs/` stands for the
            journals of all runs.
        sha256: of that file; of `runs/`, over one line 'path SHA-256' per journal in plan order; empty where the
            record does not hold its files.
    """

    pointer: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What a predicate found.

    Attributes:
        ok: None where the record does not hold what the predicate needs.
        text: one line: what was found, or why not.
        value: the same as data.
        evidence: where it stands.
        weak: whether it holds, but only just.
    """

    ok: bool | None
    text: str
    value: Json = None
    evidence: tuple[Evidence, ...] = ()
    weak: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """One question to the record: a predicate by name, and its arguments.

    Attributes:
        severity: 'yes' decides on the verdict; 'note' is shown beside it.
    """

    id: str
    predicate: str
    arguments: Mapping[str, Json] = field(default_factory=dict)
    severity: Severity = "yes"


@dataclass(frozen=True, slots=True)
class Question:
    """What only a person can answer.

    Attributes:
        decides: whether the verdict needs the answer 'yes'; otherwise the answer is shown beside it.
    """

    id: str
    text: str
    decides: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the checklist.

    Attributes:
        id: A1 to C3 as Lindauer and Hutter count, X1 and on for what was added.
        practices: the numbers of the best practices behind it.
        remedy: what to do about a no, in one line.
        unless: a check that takes the rule out: n/a where it holds.
    """

    id: str
    text: str
    practices: tuple[int, ...]
    scope: Scope
    checks: tuple[Check, ...]
    remedy: str
    questions: tuple[Question, ...] = ()
    unless: Check | None = None

    @property
    def official(self) -> bool:
        """Tell whether it is one of the sixteen lines after Lindauer and Hutter."""
        return not self.id.startswith("X")


@dataclass(frozen=True, slots=True)
class Answer:
    """A person's answer.

    Attributes:
        when: the day, as YYYY-MM-DD.
        pointer: where it can be seen, for instance an address.
    """

    question: str
    answer: Literal["yes", "no"]
    who: str
    when: str
    pointer: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """A rule with its verdict.

    Attributes:
        found: the finding of every check, in the order of the rule; where the rule is out, the one that takes it out.
        answers: the answers given, by question.
    """

    rule: Rule
    verdict: Word
    basis: Basis
    strength: Strength
    found: tuple[tuple[Check, Finding], ...]
    answers: Mapping[str, Answer]
