"""The reader of YAML: what is refused, and where it says that it stands."""

from __future__ import annotations

import time

import pytest

from harness.core.errors import Mistake, ProtocolError
from harness.protocol.nodes import MAX_BYTES, dotted, parse


def plain(text: str | bytes) -> object:
    found: list[Mistake] = []
    tree = parse(text if isinstance(text, bytes) else text.encode(), "f", found)
    assert not found
    return tree.plain()


def refused(text: str | bytes) -> list[str]:
    found: list[Mistake] = []
    try:
        parse(text if isinstance(text, bytes) else text.encode(), "f", found)
    except ProtocolError as error:
        return [str(mistake) for mistake in error.mistakes]
    return [str(mistake) for mistake in found]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1", 1),
        ("-3", -3),
        ("0", 0),
        ("1.5", 1.5),
        ("1e-05", 1e-05),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        # YAML 1.1 makes numbers, truth values and dates of these; nobody means that in a protocol.
        ("yes", "yes"),
        ("on", "on"),
        ("010", "010"),
        ("1_000", "1_000"),
        ("12:30:00", "12:30:00"),
        ("2026-01-01", "2026-01-01"),
        ("0x1F", "0x1F"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("1e999", "1e999"),
        ("9" * 30, "9" * 30),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", "9223372036854775808"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("1.0.0", "1.0.0"),
    ],
)
def test_scalars_mean_what_they_mean_in_yaml_1_2(written: str, meant: object) -> None:
    value = plain(f"k: {written}")
    assert value == {"k": meant}
    assert type(value["k"]) is type(meant)


def test_json_is_read_with_its_escapes_and_compact_separators() -> None:
    assert plain(r'{"a":[1,-2.5e-7,null],"b":{"c":"\u00e9\ud83d\ude00\/\t"}}') == {
        "a": [1, -2.5e-7, None],
        "b": {"c": "é😀/\t"},
    }


def test_a_byte_order_mark_and_windows_line_ends_are_harmless() -> None:
    assert plain(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n") == {"a": 1, "b": 2}


def test_every_value_knows_its_line_and_a_missing_one_that_of_its_parent() -> None:
    tree = parse(b"a:\n  b:\n    - 1\n    - c: 2\n", "f", [])
    assert tree.at(("a", "b", 1, "c")).line == 4
    assert tree.at(("a", "b", 0)).line == 3
    assert tree.at(("a", "b")).line == 2
    assert tree.at(("a", "b", 7, "x")).line == 2
    assert tree.at(("a", "zz")).line == 1


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "is empty"),
        ("# nothing\n", 1, "is empty"),
        ("- a\n- b\n", 1, "needs 'key: value' lines"),
        ("just words", 1, "needs 'key: value' lines"),
        ("a: [1, 2\n", 2, "not valid YAML"),
        ("a: {b: 1\nc: 2\n", 2, "not valid YAML"),
        ('a: 1\nb: "open', 2, "not valid YAML"),
        ("a: 1\n\tb: 2\n", 2, "not valid YAML"),
        ("a: b: c\n", 1, "not valid YAML"),
        ("a: @x\n", 1, "not valid YAML"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: 1\n? [x, y]\n: 2\n", 2, "a key must be a word"),
        ("a: 1\nb: *there\n", 2, "aliases are not read"),
        ('a: "\\UFFFFFFFF"\n', 1, "not valid YAML"),
        (b"a: 1\nb: \xff\xfe\n", 2, "not UTF-8"),
        ("a: 1".encode("utf-16"), 1, "not UTF-8"),
        (b"a: \x00\n", 1, "not valid YAML"),
        ("a: " + "[" * 30 + "]" * 30, 1, "nested more than"),
        ("a: " + "{b: " * 30 + "}" * 30, 1, "nested more than"),
        ("k: " + "x" * MAX_BYTES, 1, "bytes; a protocol has at most"),
    ],
)
def test_what_cannot_be_read_is_one_mistake_with_its_line(text: str | bytes, line: int, words: str) -> None:
    (only,) = refused(text)
    assert only.startswith(f"f:{line}: file: ")
    assert words in only
    assert "\n" not in only


@pytest.mark.parametrize(
    ("text", "start", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", "f:3: a: ", "given twice, first on line 1"),
        ("t:\n  - x: 1\n    x: 2\n", "f:3: t[0].x: ", "given twice, first on line 2"),
        ("a: &anchor 1\n", "f:1: a: ", "&anchor is not read here"),
        ("a: !!python/object/apply:os.system ['true']\n", "f:1: a: ", "python/object/apply"),
        ("a: !!int '3'\n", "f:1: a: ", "is not read here"),
        ('a: "\\e[31m"\n', "f:1: a: ", "unprintable character '\\x1b'"),
        ('a: "\\ud800"\n', "f:1: a: ", "unprintable character"),
        ('a: "x\\u2028y"\n', "f:1: a: ", "unprintable character"),
    ],
)
def test_what_can_be_read_on_is_found_with_its_key(text: str, start: str, words: str) -> None:
    (only,) = refused(text)
    assert only.startswith(start)
    assert words in only


def test_a_bomb_of_aliases_is_refused_before_it_unfolds() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    start = time.process_time()
    found = refused("\n".join(lines))
    assert any("aliases are not read" in line for line in found)
    assert time.process_time() - start < 5  # unfolded it would hold 9**12 values


def test_keys_are_written_the_way_people_write_them() -> None:
    assert dotted(("tracks", 0, "budget", "limit")) == "tracks[0].budget.limit"
    assert dotted(()) == "file"
    assert dotted(("a\nb", "c")) == "'a\\nb'.c"
