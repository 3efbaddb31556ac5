"""Read what people attest: attestations.json in the folder of the study."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator

from harness.core.errors import HarnessError, nearest
from harness.core.schema import Strict
from reports.checklist.model import Answer
from reports.checklist.rules import RULES

FILE = "attestations.json"
_HELP = "docs/checklist.md shows the form"


class _Answer(Strict):
    """One signed answer."""

    question: str
    answer: Literal["yes", "no"]
    who: Annotated[str, Field(min_length=1)]
    when: str
    pointer: str = ""

    @field_validator("when")
    @classmethod
    def _a_day(cls, value: str) -> str:
        if date.fromisoformat(value).isoformat() != value:
            raise ValueError("write the day as YYYY-MM-DD")
        return value


class _Attestations(Strict):
    """The whole file."""

    schema_: Literal[1] = Field(alias="schema")
    answers: list[_Answer]


def read_answers(files: Mapping[str, bytes]) -> dict[str, Answer]:
    """Return the answers by question; none where there is no such file.

    Raises:
        HarnessError: the file has another form, names a question that no rule asks, or answers one twice.
    """
    content = files.get(FILE)
    if content is None:
        return {}
    try:
        read = _Attestations.model_validate_json(content)
    except ValidationError as error:
        one = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in one["loc"]) or "the file"
        raise HarnessError(f"{FILE}: {place}: {one['msg']}; {_HELP}") from error
    found: dict[str, Answer] = {}
    for entry in read.answers:
        _refuse(entry, found)
        found[entry.question] = Answer(entry.question, entry.answer, entry.who, entry.when, entry.pointer)
    return found


def _refuse(entry: _Answer, found: Mapping[str, Answer]) -> None:
    known = [question.id for rule in RULES for question in rule.questions]
    if entry.question not in known:
        raise HarnessError(
            f"{FILE}: no question {entry.question!r}{nearest(entry.question, known)}; allowed: {', '.join(known)}"
        )
    if entry.question in found:
        raise HarnessError(f"{FILE}: the question {entry.question!r} is answered twice; keep one answer")
