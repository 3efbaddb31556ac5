"""Sum verdicts up: the badge line, the sixteen cells, one line for each item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from reports.checklist.model import Item

KEY = "° attested   ~ weak   ? unknown, counts as no"


def counts(items: Sequence[Item]) -> Mapping[str, int]:
    """Return how many of the sixteen have each verdict on each basis, as 'verdict basis'."""
    return Counter(f"{item.verdict} {item.basis}" for item in items if item.rule.official)


def badge(items: Sequence[Item]) -> str:
    """Return the one line that stands for the sixteen: '13 yes computed · 1 yes attested · 1 n/a · 1 no'."""
    found = counts(items)
    no = sum(number for key, number in found.items() if key.startswith("no "))
    unknown = f" ({found['no unknown']} unknown)" if found["no unknown"] else ""
    return (
        f"{found['yes computed']} yes computed · {found['yes attested']} yes attested · {found['n/a computed']} n/a · "
        f"{no} no{unknown}"
    )


def cells(items: Sequence[Item]) -> str:
    """Return one cell for each of the sixteen: 'A1 yes° | A2 no? | …'."""
    return " | ".join(f"{item.rule.id} {mark(item)}" for item in items if item.rule.official)


def mark(item: Item) -> str:
    """Return the verdict with its sign: ° attested, ~ weak, ? unknown."""
    weak = "~" if item.strength == "weak" else ""
    return f"{item.verdict}{ {'computed': '', 'attested': '°', 'unknown': '?'}[item.basis] }{weak}".replace(" ", "")


def said(item: Item) -> str:
    """Return what was found, in one line: on a no what is wrong, else what stands behind it."""
    deciding = [(check, finding) for check, finding in item.found if check.severity == "yes" or item.verdict == "n/a"]
    wrong = [finding.text for _, finding in deciding if not finding.ok]
    lines = wrong or [finding.text for _, finding in deciding]
    open_ = [question for question in item.rule.questions if question.decides and question.id not in item.answers]
    if item.verdict != "n/a":
        lines += [f"nobody has answered {question.id}" for question in open_]
        lines += [_answered(item, question.id) for question in item.rule.questions if question.id in item.answers]
    lines += [f"note: {finding.text}" for check, finding in item.found if check.severity == "note" and not finding.ok]
    return "; ".join(lines)


def _answered(item: Item, question: str) -> str:
    answer = item.answers[question]
    seen = f", {answer.pointer}" if answer.pointer else ""
    return f"{question}: {answer.answer}, says {answer.who} on {answer.when}{seen}"
