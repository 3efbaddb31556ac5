"""Hold the rules and predicates to their own promises: data only, nothing left over, missing input is never a yes."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any

import numpy as np
import pytest

from harness.core.errors import HarnessError
from harness.core.records import RunRecord, StudyRecord
from reports.checklist.attestations import read_answers
from reports.checklist.automl import LINES
from reports.checklist.evaluation import evaluate
from reports.checklist.facts import Facts, read
from reports.checklist.model import Answer, Check, Finding, Question, Rule
from reports.checklist.passage import Meeting
from reports.checklist.predicates import PREDICATES
from reports.checklist.predicates.comparing import interleaved
from reports.checklist.predicates.running import _uniformity
from reports.checklist.rules import RULES
from reports.checklist.summary import badge, counts
from reports.checklist.wording import amount, first, ranges

CHECKS = [check for rule in RULES for check in (*rule.checks, *([rule.unless] if rule.unless else []))]
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


def test_there_are_the_sixteen_lines_and_twelve_more() -> None:
    official = [rule.id for rule in RULES if rule.official]
    assert official == [
        *(f"A{n}" for n in range(1, 6)),
        *(f"B{n}" for n in range(1, 9)),
        *(f"C{n}" for n in range(1, 4)),
    ]
    assert [rule.id for rule in RULES if not rule.official] == [f"X{n}" for n in range(1, 13)]


def test_every_best_practice_is_behind_a_rule() -> None:
    assert {practice for rule in RULES if rule.official for practice in rule.practices} == set(range(1, 15))


def test_ids_are_unique_and_belong_to_their_rule() -> None:
    ids = [check.id for check in CHECKS] + [question.id for rule in RULES for question in rule.questions]
    assert max(Counter(ids).values()) == 1
    assert all(check.id.startswith(f"{rule.id}.") for rule in RULES for check in rule.checks)
    assert all(question.id.startswith(f"{rule.id}.") for rule in RULES for question in rule.questions)


def test_rules_are_data_over_the_predicates_and_use_every_one() -> None:
    json.dumps([dict(check.arguments) for check in CHECKS])
    assert {check.predicate for check in CHECKS} == set(PREDICATES)


def test_every_rule_has_a_remedy_in_one_line_and_something_to_decide() -> None:
    for rule in RULES:
        assert rule.remedy
        assert "\n" not in rule.remedy
        assert any(check.severity == "yes" for check in rule.checks)


def test_the_conference_form_names_known_items() -> None:
    known = {rule.id for rule in RULES}
    assert {item for line in LINES for item in line.items} <= known
    assert len({line.number for line in LINES}) == len(LINES)


def bare(real: StudyRecord) -> StudyRecord:
    """The same study, as somebody keeps it who keeps nothing: no run, no file, no environment."""
    skipped = {key: replace(track, fingerprint="", manifest={}, references={}) for key, track in real.tracks.items()}
    return replace(real, environments={}, segments=(), tracks=skipped, runs=lambda: iter(()), files={})


def test_missing_input_is_never_a_yes(real: StudyRecord) -> None:
    items = {item.rule.id: item for item in evaluate(read(bare(real)), {})}
    # What the protocol alone settles may be settled: how options were chosen, which splits are declared.
    assert {rule for rule, item in items.items() if item.verdict == "yes"} <= {"C1"}
    assert badge(tuple(items.values())).endswith("unknown)")


def started(real: StudyRecord, at: Callable[[RunRecord], float | None]) -> Finding:
    """What is found of the turns of the rows if their runs began then."""
    runs = [replace(run, started=at(run)) for run in real.runs()]
    return interleaved(read(replace(real, runs=lambda: iter(runs))))


def test_rows_that_took_turns_are_told_from_rows_that_did_not(real: StudyRecord) -> None:
    rows = sorted({(run.spec.method, run.spec.variant) for run in real.runs()})

    def place(run: RunRecord) -> int:
        return rows.index((run.spec.method, run.spec.variant))

    in_turns = started(real, lambda run: float(100 * run.spec.replicate + place(run)))
    one_by_one = started(real, lambda run: float(run.spec.replicate + 100 * place(run)))
    assert (in_turns.ok, one_by_one.ok) == (True, False)
    # Three rows in turns: the first lies two places of three times the replicates before the last.
    replicates = len({run.spec.replicate for run in real.runs()})
    assert in_turns.value == {"tiny": round(2 / 3 / replicates, 4), "other": round(2 / 3 / replicates, 4)}
    assert one_by_one.value == {"tiny": round(2 / 3, 4), "other": round(2 / 3, 4)}


def test_without_the_starts_of_all_runs_the_order_of_the_plan_counts(real: StudyRecord) -> None:
    found = started(real, lambda run: None if run.spec.replicate == 1 else 1.0)
    assert found.ok
    assert found.text.startswith("planned replicate by replicate")


def test_a_run_knows_when_it_began(real: StudyRecord) -> None:
    starts = [run.started for run in real.runs()]
    assert starts == sorted(start for start in starts if start is not None)
    (first_start,) = {str(segment["started"]) for segment in real.segments}
    assert 0 <= (starts[0] or 0.0) - datetime.fromisoformat(first_start).timestamp() < 60


def test_what_runs_have_in_common_is_the_same_in_blocks(real: StudyRecord) -> None:
    def blocks(reduce: Callable[[Iterator[RunRecord]], Any]) -> Iterator[Any]:
        for _, block in groupby(real.runs(), key=lambda run: (run.spec.track, run.spec.replicate)):
            yield pickle.loads(pickle.dumps(reduce(block)))

    whole, apart = read(real), read(replace(real, spread=blocks))
    assert apart.runs == whole.runs
    for track, meeting in whole.meetings.items():
        other = apart.meetings[track]
        assert (other.draws, other.archs, other.shared) == (meeting.draws, meeting.archs, meeting.shared)
        assert meeting.shared > 0
    assert apart.documents == whole.documents


def rule_of(*, asks: bool = True, severity: Any = "yes") -> Rule:
    questions = (Question("T1.people", "Is it so?"),) if asks else ()
    return Rule("T1", "?", (1,), "study", (Check("T1.1", "planted", severity=severity),), "mend it", questions)


def answer(word: Any) -> dict[str, Answer]:
    return {"T1.people": Answer("T1.people", word, "A. Author", "2026-01-31")}


@pytest.mark.parametrize(
    ("finding", "answers", "expected"),
    [
        (Finding(True, "so"), answer("yes"), ("yes", "attested")),
        (Finding(True, "so"), answer("no"), ("no", "attested")),
        (Finding(True, "so"), {}, ("no", "unknown")),
        (Finding(False, "not so"), answer("yes"), ("no", "computed")),
        (Finding(False, "not so"), answer("no"), ("no", "computed")),
        (Finding(None, "not recorded"), answer("yes"), ("no", "unknown")),
        (Finding(None, "not recorded"), answer("no"), ("no", "attested")),
    ],
)
def test_an_answer_never_turns_what_was_computed(
    finding: Finding, answers: dict[str, Answer], expected: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reports.checklist.evaluation.PREDICATES", {"planted": lambda _facts: finding})
    (item,) = evaluate(None, answers, (rule_of(),))  # type: ignore[arg-type]
    assert (item.verdict, item.basis) == expected


def test_a_note_decides_nothing_and_weakness_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    noted, firm = rule_of(asks=False, severity="note"), rule_of(asks=False)
    found = {"planted": lambda _facts: Finding(True, "so", weak=True), "absent": lambda _facts: Finding(False, "no")}
    monkeypatch.setattr("reports.checklist.evaluation.PREDICATES", found)
    both = replace(firm, checks=(*firm.checks, replace(noted.checks[0], predicate="absent")))
    (item,) = evaluate(None, {}, (both,))  # type: ignore[arg-type]
    assert (item.verdict, item.basis, item.strength) == ("yes", "computed", "weak")


def test_counts_are_about_the_sixteen(untouched: dict[str, Any]) -> None:
    items = tuple(untouched.values())
    assert sum(counts(items).values()) == 16
    assert badge(items) == "13 yes computed · 3 yes attested · 0 n/a · 0 no"


def attested(**changes: Any) -> dict[str, bytes]:
    entry = {"question": "A1.public", "answer": "yes", "who": "A. Author", "when": "2026-01-31", **changes}
    return {"attestations.json": json.dumps({"schema": 1, "answers": [entry]}).encode()}


def test_answers_are_read() -> None:
    assert read_answers({}) == {}
    found = read_answers(attested(pointer="https://example.org"))
    assert found == {"A1.public": Answer("A1.public", "yes", "A. Author", "2026-01-31", "https://example.org")}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (attested(question="A1.publik"), "did you mean 'A1.public'"),
        (attested(answer="perhaps"), "answers.0.answer"),
        (attested(who=""), "answers.0.who"),
        (attested(when="yesterday"), "answers.0.when"),
        (attested(when="20260131"), "answers.0.when"),
        (attested(signed=True), "answers.0.signed"),
        ({"attestations.json": b"{"}, "attestations.json"),
        ({"attestations.json": b"\xff"}, "attestations.json"),
        ({"attestations.json": b"[]"}, "attestations.json"),
    ],
)
def test_a_wrong_answer_file_is_refused_in_one_line(files: dict[str, bytes], message: str) -> None:
    with pytest.raises(HarnessError, match=message) as caught:
        read_answers(files)
    assert "\n" not in str(caught.value)


def test_a_question_is_answered_once() -> None:
    content = json.loads(attested()["attestations.json"])
    content["answers"] *= 2
    with pytest.raises(HarnessError, match="answered twice"):
        read_answers({"attestations.json": json.dumps(content).encode()})


def drawn(seed: int, weights: list[float], draws: int = 2000) -> Meeting:
    """Architectures as NAS-Bench-201 writes them, with the first operation drawn by weight."""
    rng = np.random.default_rng(seed)
    meeting = Meeting()
    for _ in range(draws):
        firsts = str(rng.choice(OPERATIONS, p=weights))
        others = [str(name) for name in rng.choice(OPERATIONS, size=5)]
        arch = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|".format(firsts, *others)
        meeting.draws[arch] += 1
        meeting.archs[arch] += 1
    return meeting


def test_uniform_draws_pass_as_often_as_they_should() -> None:
    found = [_uniformity(drawn(seed, [0.2] * 5, draws=500)) for seed in range(40)]
    values = [p for entry in found if not isinstance(entry, str) for p in entry[:1]]
    assert len(values) == 40
    assert sum(p < 0.05 for p in values) <= 6  # 2 expected; 7 or more of 40 happen once in 300 times
    assert min(values) > 0.001


def test_a_leaning_sampler_is_found() -> None:
    found = _uniformity(drawn(0, [0.3, 0.2, 0.2, 0.15, 0.15]))
    assert not isinstance(found, str)
    assert found[0] < 0.001
    assert found[1:] == (6, 2000)


def test_an_operation_that_is_never_drawn_is_missed() -> None:
    """Other methods show what the space holds, so that random search cannot hide a part of it."""
    meeting = drawn(0, [0.25, 0.25, 0.25, 0.25, 0.0])
    meeting.archs["|avg_pool_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|"] += 1
    found = _uniformity(meeting)
    assert not isinstance(found, str)
    assert found[0] < 0.001


@pytest.mark.parametrize(
    ("archs", "why"),
    [({"ab": 9, "abc": 9}, "length"), ({"aa": 9}, "the same"), ({"ab": 2, "ba": 2}, "too few")],
)
def test_what_cannot_be_tested_is_said(archs: dict[str, int], why: str) -> None:
    assert why in str(_uniformity(Meeting(Counter(archs), Counter(archs))))


def test_lists_counts_and_ranges_read_well() -> None:
    assert first(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert (amount(1, "run"), amount(1234, "run")) == ("1 run", "1,234 runs")
    assert ranges([3, 4, 5, 9, 0]) == "0, 3 to 5, 9"


def test_runs_are_read_once_for_the_checklist_and_the_report(real: StudyRecord) -> None:
    passes = []

    def runs() -> Any:
        passes.append(1)
        return real.runs()

    facts: Facts = read(replace(real, runs=runs))
    assert len(passes) == 1
    assert len(facts.runs) == 60
    assert set(facts.documents) == {"summary"}
