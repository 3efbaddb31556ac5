"""What was measured goes between its marks and nowhere else, and a command says in a line what is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.training.measured import answer, check, place_of_environment, put, table
from harness.core.errors import DataMissing, UsageError

PAGE = "before\n\n<!-- part begin -->\n\nold\n\n<!-- part end -->\n\nafter <!-- other begin -->kept<!-- other end -->\n"


def test_only_what_stands_between_the_marks_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    put(page, "part", "new")
    assert page.read_text(encoding="utf-8") == PAGE.replace("old", "new")
    put(page, "part", "old")
    assert page.read_text(encoding="utf-8") == PAGE


@pytest.mark.parametrize("text", ["nothing", "<!-- part begin -->", "<!-- part end --><!-- part begin -->"])
def test_a_page_without_both_marks_is_left_alone(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="marks '<!-- part begin -->'"):
        put(page, "part", "new")
    assert page.read_text(encoding="utf-8") == text


def test_a_page_that_cannot_be_read_is_named_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.md: the page cannot be read"):
        check(tmp_path / "absent.md", "part")


def test_a_page_that_may_not_be_written_is_named_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    monkeypatch.setattr("os.access", lambda path, _: path != page)  # whoever is root may write anywhere
    with pytest.raises(UsageError, match="may not be written to"):
        check(page, "part")


@pytest.mark.parametrize("folder", [None, "", "absent"])
def test_the_data_folder_must_be_one(folder: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NAS_DATA_DIR", raising=False)
    if folder is not None:
        monkeypatch.setenv("NAS_DATA_DIR", folder)
    with pytest.raises(DataMissing, match="NAS_DATA_DIR"):
        place_of_environment()
    monkeypatch.setenv("NAS_DATA_DIR", str(tmp_path))
    assert place_of_environment().data == tmp_path


def test_a_table_has_its_first_row_as_header() -> None:
    assert table([("a", "b"), ("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_an_error_is_one_line_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    def missing() -> None:
        raise DataMissing("no table here; import one")

    with pytest.raises(SystemExit) as left:
        answer(missing)
    assert left.value.code == DataMissing.exit_code
    assert capsys.readouterr().err == "error: no table here; import one\n"


def test_a_stop_says_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as left:
        answer(stopped)
    assert left.value.code == 130
    assert capsys.readouterr().err == "stopped; nothing was written, begin again\n"
    with pytest.raises(SystemExit):
        answer(stopped, "the rows are kept")
    assert capsys.readouterr().err == "the rows are kept\n"


@pytest.mark.parametrize("module", ["attach_table", "digits201_pilot", "move_signal", "child_signal"])
def test_a_command_that_is_called_wrongly_shows_no_traceback(module: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", f"benchmarks.training.{module}"]
    given = [str(tmp_path / "measured.csv")] * (module != "attach_table") + [str(tmp_path / "absent.md")]
    told = subprocess.run([*command, *given], capture_output=True, text=True, timeout=300, check=False)
    assert told.returncode == UsageError.exit_code
    assert told.stderr.startswith("error: ")
    assert "absent.md" in told.stderr
    assert len(told.stderr.splitlines()) == 1
