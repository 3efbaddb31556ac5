"""A journal that was changed is refused at the line that was changed; a torn end is no change."""

from __future__ import annotations

import pytest

from harness.core.canonical import sha256_text
from harness.core.errors import JournalCorrupt
from harness.core.journal import GENESIS, chain, entries, whole_lines


def lines() -> list[str]:
    first = chain({"id": 0}, GENESIS)
    return [first, chain({"id": 1}, sha256_text(first))]


def test_what_was_chained_is_read_back() -> None:
    assert [entry["id"] for entry in entries(lines(), "j")] == [0, 1]


@pytest.mark.parametrize("line", ["no JSON", "[1]", "{}", "7", chain({"id": 1}, GENESIS)])
def test_a_line_that_does_not_follow_is_refused(line: str) -> None:
    with pytest.raises(JournalCorrupt, match="j:2: this line does not follow"):
        list(entries([lines()[0], line], "j"))


def test_a_torn_end_is_dropped_before_it_is_read_as_text() -> None:
    assert whole_lines("eins\nzwö".encode()[:-1], "j") == ["eins"]


def test_a_whole_line_that_is_no_text_is_refused() -> None:
    with pytest.raises(JournalCorrupt, match="j: byte 2 is not UTF-8"):
        whole_lines(b"a\n\xff\n", "j")
