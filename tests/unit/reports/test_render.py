from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.errors import OutputUnwritable
from harness.core.records import Document, Figure, Section, Series, StudyRecord, Table
from reports.render import changed, final_tables, render, write
from reports.summary import build
from reports.tables import figure_csv, table_csv

RENDER = """
import runpy, sys
from hashlib import sha256
from reports.render import render
from reports.summary import build
made = runpy.run_path(sys.argv[1], run_name="made")
study = made["study_of"](made["replace"](made["Shape"](), replicates=25, ablation={"greed": [1, 2]}))
for name, content in render(build(study)).items():
    print(name, sha256(content).hexdigest())
"""


def document(*tables: Table, figures: tuple[Figure, ...] = ()) -> Document:
    return Document("d", "A title", (Section("One", "Text.", tables, figures),))


TABLE = Table(
    "final-x", "T", ("a", "b"), (("x|y", "two\nlines"), ("p", "q")), "Note.", ({"v": 1 / 3, "w": None},), frozenset({1})
)
FIGURE = Figure(
    "f", "A figure", "x", "y", (Series("s", (1.0, 10.0), (2.0, 1.0), (1.5, 0.0), (3.0, 2.0)),), lines={"l": 1.5}
)


def test_two_processes_with_different_hash_seeds_render_the_same_bytes() -> None:
    root = Path(__file__).parents[3]
    conftest = Path(__file__).with_name("conftest.py")
    outputs = [
        subprocess.run(
            [sys.executable, "-c", RENDER, str(conftest)],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed, "MPLCONFIGDIR": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert outputs[0].count("\n") > 10
    assert "anytime-toy.svg" in outputs[0]


def test_the_index_names_every_file_with_its_hash(tmp_path: Path) -> None:
    paths = write(document(TABLE, figures=(FIGURE,)), tmp_path / "report")
    index = json.loads((tmp_path / "report/index.json").read_text())
    assert index["files"].keys() == {"report.md", "report.html", "tables.tex", "final-x.csv", "f.svg", "f.csv"}
    for name, digest in index["files"].items():
        assert hashlib.sha256((tmp_path / "report" / name).read_bytes()).hexdigest() == digest
    assert sorted(path.name for path in paths) == sorted(path.name for path in (tmp_path / "report").iterdir())
    assert (paths[0].name, paths[-1].name) == ("report.md", "index.json")


def test_a_new_report_takes_away_its_own_old_files_and_no_others(tmp_path: Path) -> None:
    write(document(TABLE, figures=(FIGURE,)), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    outside = tmp_path.parent / "outside.txt"
    outside.write_text("not ours")
    index = json.loads((tmp_path / "index.json").read_text())
    index["files"]["../outside.txt"] = "00"
    (tmp_path / "index.json").write_text(json.dumps(index))
    write(document(TABLE), tmp_path)
    assert not (tmp_path / "f.svg").exists()
    assert not (tmp_path / "f.csv").exists()
    assert (tmp_path / "notes.txt").exists()
    assert outside.exists()


@pytest.mark.parametrize("spoiled", ["", "[]", '{"files": 3}', "\x00"])
def test_a_spoiled_index_does_not_stop_a_report(tmp_path: Path, spoiled: str) -> None:
    (tmp_path / "index.json").write_text(spoiled)
    write(document(TABLE), tmp_path)
    assert changed(document(TABLE), tmp_path) == []


def test_changed_and_absent_files_are_named(tmp_path: Path) -> None:
    write(document(TABLE, figures=(FIGURE,)), tmp_path)
    (tmp_path / "final-x.csv").write_text("forged")
    (tmp_path / "f.svg").unlink()
    assert changed(document(TABLE, figures=(FIGURE,)), tmp_path) == ["final-x.csv", "f.svg"]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputUnwritable, match=r"cannot be written .*; free some space, or choose") as caught:
        write(document(TABLE), tmp_path / "file")
    assert "\n" not in str(caught.value)


def test_a_failed_write_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(document(TABLE), tmp_path)
    before = (tmp_path / "report.md").read_bytes()
    real = Path.write_bytes

    def full_disk(path: Path, content: bytes) -> int:
        real(path, content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OutputUnwritable, match="No space left"):
        write(document(FINAL_OTHER), tmp_path)
    assert (tmp_path / "report.md").read_bytes() == before


FINAL_OTHER = Table("final-x", "Other", ("a",), (("b",),))


def test_markdown_keeps_cells_in_their_row_and_marks_only_strong_rows() -> None:
    text = render(document(TABLE))["report.md"].decode()
    assert "| x\\|y | two lines |\n| **p** | q |" in text
    assert text.count("**") == 2 * 2  # the title of the table and the one strong row


def test_csv_keeps_twelve_digits_and_leaves_absent_values_empty() -> None:
    table = Table("t", "T", (), (), data=({"v": 1 / 3, "w": None, "n": 7}, {"v": float("nan"), "x": True, "n": "a,b"}))
    assert table_csv(table) == 'v,w,n,x\n0.333333333333,,7,\n,,"a,b",true\n'


def test_a_table_without_columns_is_linked_and_not_printed() -> None:
    text = render(document(Table("rows", "All rows", (), (), "Note.", ({"v": 1},))))["report.md"].decode()
    assert "[rows.csv](rows.csv)" in text
    assert "|" not in text


def test_the_data_of_a_figure_lies_beside_it() -> None:
    assert figure_csv(FIGURE).splitlines() == [
        "series,role,x,middle,low,high",
        "s,method,1,2,1.5,3",
        "s,method,10,1,0,2",
        "l,line,,1.5,,",
    ]


def test_terminal_rows_are_the_final_tables(make_study: Callable[..., StudyRecord]) -> None:
    (table,) = final_tables(build(make_study()))
    assert table.columns[:2] == ("method", "n")
    assert table.rows[0][0] == "random_search"
    assert all(len(row) == len(table.columns) for row in table.rows)
