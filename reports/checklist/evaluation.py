"""Answer the rules from a study's facts and from what people attest."""

from __future__ import annotations

from collections.abc import Mapping

from reports.checklist.facts import Facts
from reports.checklist.model import Answer, Basis, Check, Finding, Item, Question, Rule, Strength, Word
from reports.checklist.predicates import PREDICATES
from reports.checklist.rules import RULES


def evaluate(facts: Facts, answers: Mapping[str, Answer], rules: tuple[Rule, ...] = RULES) -> tuple[Item, ...]:
    """Return every rule with its verdict; a person's answer never turns what was computed."""
    known: dict[str, Finding] = {}
    return tuple(_item(rule, facts, answers, known) for rule in rules)


def _item(rule: Rule, facts: Facts, answers: Mapping[str, Answer], known: dict[str, Finding]) -> Item:
    if rule.unless is not None and _find(rule.unless, facts, known).ok:
        out = (rule.unless, _find(rule.unless, facts, known))
        return Item(rule, "n/a", "computed", "full", (out,), {})
    found = tuple((check, _find(check, facts, known)) for check in rule.checks)
    given = {question.id: answers[question.id] for question in rule.questions if question.id in answers}
    deciding = [finding for check, finding in found if check.severity == "yes"]
    verdict, basis = _verdict(deciding, [question for question in rule.questions if question.decides], given)
    weak = verdict == "yes" and any(finding.weak for finding in deciding)
    strength: Strength = "weak" if weak else "full"
    return Item(rule, verdict, basis, strength, found, given)


def _find(check: Check, facts: Facts, known: dict[str, Finding]) -> Finding:
    # Some rules ask the record the same; it is asked once.
    key = f"{check.predicate} {sorted(check.arguments.items())}"
    if key not in known:
        known[key] = PREDICATES[check.predicate](facts, **check.arguments)
    return known[key]


def _verdict(found: list[Finding], asked: list[Question], given: Mapping[str, Answer]) -> tuple[Word, Basis]:
    if any(finding.ok is False for finding in found):
        return "no", "computed"
    if any(given[question.id].answer == "no" for question in asked if question.id in given):
        return "no", "attested"
    if any(finding.ok is None for finding in found) or any(question.id not in given for question in asked):
        return "no", "unknown"
    return ("yes", "attested") if asked else ("yes", "computed")
