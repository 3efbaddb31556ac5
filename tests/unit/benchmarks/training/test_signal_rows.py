"""Rows of a measurement are gone on from where they are of this one, and a file that cannot be is named at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.training.signal_rows import append, interval, kept, read, tau
from harness.core.errors import OutputUnwritable, UsageError

ROW = {"setting": "one", "parent": "a", "gain": 1.5}


def now(_: object) -> str:
    return "one"


def test_rows_are_added_below_one_header_and_read_back(tmp_path: Path) -> None:
    target = tmp_path / "rows.csv"
    assert kept(target, ("parent",), now) == []
    append(target, [ROW])
    append(target, [])
    append(target, [{**ROW, "parent": "b"}])
    assert target.read_text(encoding="utf-8") == "setting,parent,gain\none,a,1.5\none,b,1.5\n"
    assert [row["parent"] for row in kept(target, ("parent",), now)] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no rows"),
        ("setting,parent\n", "holds no rows"),
        ("a,b\n1,2\n", "a row without 'setting'"),
        ("setting,parent\none\n", "a row without 'parent'"),
        ("setting,parent\nother,a\n", "the row of a was measured under the setting other, and this one is one"),
    ],
)
def test_a_foreign_csv_is_refused_and_left_alone(tmp_path: Path, text: str, said: str) -> None:
    target = tmp_path / "rows.csv"
    target.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=said):
        kept(target, ("parent",), now)
    assert target.read_text(encoding="utf-8") == text


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    target = tmp_path / "rows.csv"
    target.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read"):
        kept(target, ("parent",), now)


@pytest.mark.parametrize("name", ["", "absent/rows.csv"])
def test_a_place_where_no_row_can_be_written_is_named_before_anything_is_measured(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputUnwritable, match="no row can be written there"):
        kept(tmp_path / name, ("parent",), now)


def test_a_measurement_without_any_row_has_no_table(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="every training diverged"):
        read(tmp_path / "never.csv")


def test_a_score_that_does_not_vary_or_is_no_number_orders_nothing() -> None:
    assert tau([1.0, 2.0, 3.0], [2.0, 4.0, 9.0]) == 1.0
    assert tau([1.0, 1.0, 1.0], [2.0, 4.0, 9.0]) == 0.0
    assert tau([1.0, float("nan"), 3.0], [2.0, 4.0, 9.0]) == 0.0


def test_the_interval_is_that_of_students_t() -> None:
    """Three values of sd 1: 4.303 / sqrt(3) on each side."""
    assert interval([1.0, 2.0, 3.0]) == "2.00 [-0.48, 4.48]"
    assert interval([2.0]) == "2.00"
