"""Mistakes in a protocol: all of them at once, each with its line, its key, and what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import pytest
from pydantic import BaseModel, Field, ValidationError, field_validator

from harness.core.errors import Mistake
from harness.protocol.wording import explain

Find = Callable[..., tuple[Mistake, ...]]


def change(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, f"{old!r} must occur once"
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        # unknown keys, with the nearest
        ("limit: 100", "limit: 100\n      ovrrun: keep", (12, "tracks[0].budget.ovrrun"), "did you mean 'overrun'"),
        ("protocol: small", "protocol: small\nbudget: 3", (2, "budget"), "is not a key here"),
        ("replicates: 2", "replicates: 2\n    seeds: {list_: [0, 1]}", (14, "tracks[0].seeds.list_"), "'list'"),
        # missing keys stand at their parent
        ("      limit: 100\n", "", (9, "tracks[0].budget.limit"), "is missing"),
        ("version: 1.0.0\n", "", (1, "version"), "is missing: raised on any change"),
        # wrong types and values
        ("replicates: 2", "replicates: ten", (13, "tracks[0].replicates"), "needs a whole number, got 'ten'"),
        ("replicates: 2", "replicates: 2.0", (13, "tracks[0].replicates"), "needs a whole number, got 2.0"),
        ("replicates: 2", "replicates: true", (13, "tracks[0].replicates"), "needs a whole number, got true"),
        ("replicates: 2", "replicates:", (13, "tracks[0].replicates"), "needs a whole number, got nothing"),
        ("replicates: 2", "replicates: 0", (13, "tracks[0].replicates"), "needs at least 1, got 0"),
        ("limit: 100", "limit: .inf", (11, "tracks[0].budget.limit"), "needs a number, got '.inf'"),
        ("limit: 100", "limit: 1e999", (11, "tracks[0].budget.limit"), "needs a number, got '1e999'"),
        ("limit: 100", "limit: 0", (11, "tracks[0].budget.limit"), "needs more than 0, got 0"),
        ("unit: epochs", "unit: epoch", (10, "tracks[0].budget.unit"), "needs one of train_seconds, epochs,"),
        ("unit: epochs", "unit: epoch", (10, "tracks[0].budget.unit"), "did you mean 'epochs'"),
        ("{train: a,", "{train: 3,", (6, "tracks[0].splits.train"), "needs text, got 3; write it in quotes"),
        ("metrics: [d/test]", "metrics: d/test", (12, "tracks[0].final.metrics"), "needs a list, got 'd/test'"),
        ("metrics: [d/test]", "metrics: []", (12, "tracks[0].final.metrics"), "at least 1"),
        ("version: 1.0.0", "version: 1.0", (2, "version"), "needs text, got 1.0"),
        ("version: 1.0.0", "version: '1.0'", (2, "version"), "three whole numbers such as 1.0.0"),
        ("protocol: small", "protocol: Small", (1, "protocol"), "lower-case letters"),
        ("protocol: small", f"protocol: {'s' * 65}", (1, "protocol"), "at most 64 characters"),
        ("    splits: {train: a, search: b, final: c}", "    splits: 3", (6, "tracks[0].splits"), "'key: value' lines"),
        ("  - name: random\n", "  - random\n", (15, "methods[0]"), "needs 'key: value' lines, got 'random'"),
        # names
        ("  - name: random\n", "  - name: randon\n", (15, "methods[0].name"), "did you mean 'random'"),
        (
            "{name: table,",
            "{name: tabel,",
            (5, "tracks[0].benchmark.name"),
            "no benchmark 'tabel' (did you mean 'table'?)",
        ),
        ("replicates: 2", "replicates: 2\nreports: [sumary]", (14, "reports[0]"), "did you mean 'summary'"),
        # options
        ("population: 5", "populaton: 5", (18, "methods[1].options.populaton"), "did you mean 'population'"),
        ("population: 5", "population: '5'", (18, "methods[1].options.population"), "needs a whole number, got '5'"),
        ("population: 5", "population: 5.0", (18, "methods[1].options.population"), "needs a whole number, got 5.0"),
        ("population: 5", "population: true", (18, "methods[1].options.population"), "needs a whole number, got true"),
        ("population: 5", "population: 2", (17, "methods[1].options"), "sample 3 is larger than population 2"),
        (
            "population: 5",
            "kill: olest",
            (18, "methods[1].options.kill"),
            "needs one of oldest, worst, got 'olest' (did",
        ),
        ("  - name: random\n", "  - {name: random, options: {a: 1}}\n", (15, "methods[0].options.a"), "allowed: none"),
        ("  - name: random\n", "  - {name: random, options: [a]}\n", (15, "methods[0].options"), "'key: value' lines"),
        ("options: {table: t}", "options: {}", (5, "tracks[0].benchmark.options.table"), "has no default"),
        ("{table: t}", "{table: t, sizes: [1, x]}", (5, "tracks[0].benchmark.options.sizes[1]"), "whole number"),
        ("{table: t}", "{table: t, limit: x}", (5, "tracks[0].benchmark.options.limit"), "whole number, got 'x'"),
        # ablations
        ("[oldest, worst]", "[oldest, wost]", (21, "ablations[0].vary.kill[1]"), "did you mean 'worst'"),
        ("[oldest, worst]", "[worst, worst]", (21, "ablations[0].vary.kill[1]"), "repeats the value"),
        ("[oldest, worst]", "[]", (21, "ablations[0].vary.kill"), "at least 1 value"),
        ("[oldest, worst]", "[oldest]", (21, "ablations[0].vary.kill"), "the row's own value"),
        ("vary: {kill: [oldest, worst]}", "vary: {kil: [worst]}", (21, "ablations[0].vary.kil"), "did you mean 'kill'"),
        ("vary: {kill: [oldest, worst]}", "vary: {sample: [9]}", (21, "ablations[0].vary.sample[0]"), "is larger than"),
        ("vary: {kill: [oldest, worst]}", "vary: {}", (21, "ablations[0].vary"), "at least 1"),
        ("method: evolution", "method: evoluton", (20, "ablations[0].method"), "did you mean 'evolution'"),
        # references
        ("  - name: random\n", "  - {name: random, id: evolution}\n", (16, "methods[1].name"), "'evolution' is taken"),
        ("  - name: random\n", "  - {name: random, tracks: [tow]}\n", (15, "methods[0].tracks[0]"), "no track 'tow'"),
        ("  - name: random\n", "  - {name: random, tracks: []}\n", (15, "methods[0].tracks"), "names no track"),
        (
            "  - name: random\n",
            "  - {name: random, tracks: [one, one]}\n",
            (15, "methods[0].tracks[1]"),
            "listed twice",
        ),
        (
            "{method: random, track: one",
            "{method: x, track: one",
            (24, "analysis.published[0].method"),
            "no method 'x'",
        ),
        ("track: one,", "track: on,", (24, "analysis.published[0].track"), "did you mean 'one'"),
        ("metric: d/test,", "metric: d/tst,", (24, "analysis.published[0].metric"), "did you mean 'd/test'"),
        ("metrics: [d/test]", "metrics: [d/test, d/test]", (12, "tracks[0].final.metrics[1]"), "listed twice"),
        ("metrics: [d/test]", "metrics: [d/test], models: hull", (12, "tracks[0].final.models"), "names no cost"),
        ("metrics: [d/test]", "metrics: [d/test], models: hul", (12, "tracks[0].final.models"), "did you mean 'hull'"),
        # schedules
        (
            "replicates: 2",
            "replicates: 2\n    schedule: recorded",
            (14, "tracks[0].schedule"),
            "give 2 or more workers",
        ),
        (
            "replicates: 2",
            "replicates: 2\n    workers: 1\n    schedule: recorded",
            (15, "tracks[0].schedule"),
            "one worker ends in one order only",
        ),
        ("replicates: 2", "replicates: 2\n    schedule: real", (14, "tracks[0].schedule"), "needs one of virtual,"),
        # seeds and fidelities
        ("replicates: 2", "replicates: 2\n    seeds: {list: [1]}", (14, "tracks[0].seeds.list"), "1 seeds for 2 repl"),
        ("replicates: 2", "replicates: 2\n    seeds: {list: [1, 1]}", (14, "tracks[0].seeds.list"), "repeats a seed"),
        ("search: 12,", "search: 12, rungs: [4, 2],", (7, "tracks[0].fidelity.rungs"), "needs rising epochs"),
        ("search: 12,", "search: 12, rungs: [4, 13],", (7, "tracks[0].fidelity.rungs"), "up to fidelity.search (12)"),
        (
            "  - method: evolution\n",
            "  - {method: random, vary: {a: [1]}, tracks: [two]}\n  - method: evolution\n",
            (20, "ablations[0].tracks[0]"),
            "no track 'two'",
        ),
        (
            "  - method: evolution\n",
            "  - {method: evolution, vary: {kill: [worst]}}\n  - method: evolution\n",
            (22, "ablations[1].vary.kill"),
            "in an earlier ablation",
        ),
        (
            "    options:\n      population: 5\n",
            "    tracks: [two]\n",
            (17, "methods[1].tracks[0]"),
            "no track 'two'",
        ),
        # text that no terminal, no report and no JSON file should hold
        ("protocol: small", 'protocol: small\ntitle: "\\ud800"', (2, "title"), "unprintable character"),
        ("population: 5", 'kill: "\\udfff"', (18, "methods[1].options.kill"), "unprintable character"),
        # the study
        ("  - name: random\n", "  - {name: random, proposed: true}\n", (15, "methods[0].proposed"), "study.proposes"),
        ("ablations:", "study: {proposes_new_method: true}\nablations:", (19, "study.proposes_new_method"), "no row"),
        ("ablations:", "tuning: [{method: random, source: tuned}]\nablations:", (19, "tuning[0].space"), "is missing"),
        (
            "ablations:",
            "tuning: [{method: random, source: published}]\nablations:",
            (19, "tuning[0].citation"),
            "missing",
        ),
        ("ablations:", "tuning: [{method: random, source: chosen}]\nablations:", (19, "tuning[0].citation"), "missing"),
        (
            "ablations:",
            "tuning: [{method: evolution, space: {sample: [x]}}]\nablations:",
            (19, "tuning[0].space.sample[0]"),
            "needs a whole number",
        ),
        (
            "ablations:",
            "removed: [{name: random, since: 1.0.0, reason: r}]\nablations:",
            (19, "removed[0].name"),
            "is a row of this protocol too",
        ),
    ],
)
def test_a_mistake_is_found_at_its_line_and_key(
    valid: str, mistakes: Find, old: str, new: str, where: tuple[int, str], words: str
) -> None:
    found = mistakes(change(valid, old, new))
    at = [one for one in found if (one.line, one.key) == where]
    assert at, f"nothing at {where}: {[str(one) for one in found]}"
    assert any(words in one.message for one in at), [one.message for one in at]
    assert {one.file for one in found} == {"p.yaml"}
    assert all("\n" not in str(one) for one in found)


def test_an_ablation_runs_where_its_row_runs(valid: str, mistakes: Find) -> None:
    first = valid[valid.index("  - id: one") : valid.index("methods:")]
    text = change(valid, "methods:", f"{first.replace('id: one', 'id: two')}methods:")
    text = change(text, "  - name: evolution\n", "  - name: evolution\n    tracks: [one]\n")
    (only,) = mistakes(change(text, "  - method: evolution\n", "  - method: evolution\n    tracks: [one, two]\n"))
    assert only.key == "ablations[0].tracks[1]"
    assert "'evolution' does not run on 'two'" in only.message


def test_half_a_character_is_one_mistake_and_hides_no_other(valid: str, mistakes: Find) -> None:
    text = change(valid, "replicates: 2", "replicates: 0")
    found = mistakes(change(text, "protocol: small", 'protocol: small\ntitle: "\\ud800"'))
    assert [(one.line, one.key) for one in found] == [(2, "title"), (14, "tracks[0].replicates")]


def test_an_entry_without_a_name_is_told_so_once(valid: str, mistakes: Find) -> None:
    (only,) = mistakes(change(valid, "{name: table, options: {table: t}}", "{options: {table: t}}"))
    assert (only.line, only.key) == (5, "tracks[0].benchmark.name")


def test_a_rule_of_the_schema_that_no_check_mirrors_is_said_all_the_same() -> None:
    class Odd(BaseModel):
        number: Annotated[int, Field(multiple_of=2)]
        text: str

        @field_validator("text")
        @classmethod
        def _never(cls, value: str) -> str:
            raise ValueError(f"{value} will not do")

    with pytest.raises(ValidationError) as caught:
        Odd(number=3, text="this")
    assert [explain(error) for error in caught.value.errors()] == [
        "input should be a multiple of 2, got 3",
        "this will not do",
    ]


def test_all_mistakes_are_found_at_once_in_the_order_of_the_file(valid: str, mistakes: Find) -> None:
    text = valid
    for old, new in (
        ("version: 1.0.0", "version: one"),
        ("options: {table: t}", "options: {tble: t}"),
        ("unit: epochs", "unit: days"),
        ("limit: 100", "limt: 100"),
        ("replicates: 2", "replicates: two\n    replicates: 3"),
        ("  - name: random\n", "  - name: rando\n"),
        ("population: 5", "population: five"),
        ("[oldest, worst]", "[oldest, wurst]"),
        ("track: one,", "track: two,"),
    ):
        text = change(text, old, new)
    assert [(one.line, one.key) for one in mistakes(text)] == [
        (2, "version"),
        (5, "tracks[0].benchmark.options.table"),
        (5, "tracks[0].benchmark.options.tble"),
        (9, "tracks[0].budget.limit"),
        (10, "tracks[0].budget.unit"),
        (11, "tracks[0].budget.limt"),
        (13, "tracks[0].replicates"),
        (14, "tracks[0].replicates"),
        (16, "methods[0].name"),
        (19, "methods[1].options.population"),
        (22, "ablations[0].vary.kill[1]"),
        (25, "analysis.published[0].method"),
        (25, "analysis.published[0].track"),
    ]


def test_a_file_for_a_newer_schema_says_only_that(valid: str, mistakes: Find) -> None:
    (only,) = mistakes(f"schema: 2\nnew_key: 1\n{valid}")
    assert (only.line, only.key) == (1, "schema")
    assert "upgrade nas-harness" in only.message


@pytest.mark.parametrize("given", ["0", "one", "true"])
def test_a_file_for_no_known_schema_says_only_that(valid: str, mistakes: Find, given: str) -> None:
    (only,) = mistakes(f"schema: {given}\nnew_key: 1\n{valid}")
    assert "write 1, or leave the key out" in only.message


def test_a_truncated_file_never_passes_as_another_protocol(valid: str, mistakes: Find) -> None:
    whole = valid.index("methods:")
    for end in range(0, whole, 7):
        assert mistakes(valid[:end]), end
