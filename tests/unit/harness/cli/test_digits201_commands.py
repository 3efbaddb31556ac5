"""`data build`, `verify`, `describe`, `import` and `where` of digits201: what they do, say and return."""

from __future__ import annotations

import io
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmarks.tabular import digits201 as benchmark
from benchmarks.tabular.digits201_file import load
from benchmarks.tabular.files import sha256_of
from benchmarks.training.digits201 import Definition
from benchmarks.training.recipe import Recipe
from harness.cli import digits201, main
from harness.core.errors import DataCorrupt, OutputUnwritable

Invent = Callable[..., Path]

SMALL = Definition(
    Recipe(epochs=1, channels=1, cells=1, batch_size=400, flip=False, crop_padding=1),
    noise=0.3,
    seeds=(0,),
    width=2,
    cells=(11, 284, 6111),
)
LONG = """
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock
from benchmarks.training import digits201 as table
from benchmarks.training.recipe import Recipe
from harness.cli import main

RECIPE = Recipe(epochs=12, channels=2, cells=1, batch_size=32, flip=False, crop_padding=1)
LONG = table.Definition(RECIPE, noise=0.3, seeds=tuple(range(50)), width=2, cells=(11, 284))
if __name__ == "__main__":
    with mock.patch.object(table, "DIGITS_201", LONG):
        sys.exit(main(["data", "build", "digits201", "--out", sys.argv[1], "--workers", "1"]))
"""


@pytest.fixture(scope="module")
def invent() -> Invent:
    made: Invent = runpy.run_path(str(Path(__file__).parents[3] / "fixtures" / "digits201_tables.py"))["invent"]
    return made


@pytest.fixture
def packed(invent: Invent, tmp_path: Path) -> Path:
    return invent(tmp_path / "table.npz")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A small table that was built as the command does, and what was printed."""
    folder = tmp_path_factory.mktemp("built")
    target = Console(record=True, soft_wrap=True, width=500, file=io.StringIO())
    assert digits201.build_into(folder, 1, SMALL, target) == 0
    return folder, target.export_text()


def test_build_packs_and_says_what_to_do(built: tuple[Path, str]) -> None:
    folder, text = built
    assert load(folder / "digits201.npz").valid.shape == (3, 1, 1)
    for part in (sha256_of(folder / "digits201.npz"), "data verify digits201 --file", "3 classes, 1 seeds, 1 epochs"):
        assert part in text
    assert f"data build digits201 --out {folder}" in text


def test_build_again_trains_nothing(built: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = built
    before = {path: path.stat().st_mtime_ns for path in (folder / "bundles").iterdir()}
    digits201.build_into(folder, 1, SMALL, Console(quiet=True))
    assert {path: path.stat().st_mtime_ns for path in (folder / "bundles").iterdir()} == before


def test_verify_says_how_it_compared(built: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    target = Console(soft_wrap=True, width=500)
    assert digits201.verify_file(built[0] / "digits201.npz", 3, 1, SMALL, target) == 0
    assert "3 networks trained again (whole bundles: 0, 1), compared bit for bit: 0 differ" in capsys.readouterr().out


def test_verify_refuses_a_table_that_differs(built: tuple[Path, str], tmp_path: Path) -> None:
    with np.load(built[0] / "digits201.npz") as file:
        arrays = {name: file[name] for name in file.files}
    arrays["test"][0] += 1
    np.savez_compressed(tmp_path / "bad.npz", **arrays)
    with pytest.raises(DataCorrupt, match=r"compared bit for bit: 1 differ; reinstall") as refusal:
        digits201.verify_file(tmp_path / "bad.npz", 3, 1, SMALL, Console(quiet=True))
    assert refusal.value.exit_code == 4


def test_a_cell_of_the_shipped_table_trains_to_its_entry(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "verify", "digits201", "--cells", "1", "--seed", "1"]) == 0
    assert re.search(r"32 networks trained again \(whole bundles: 606\), compared", _plain(capsys))


def _plain(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_a_stopped_build_ends_at_once_and_says_how_to_go_on(tmp_path: Path) -> None:
    script, out = tmp_path / "build.py", tmp_path / "out"
    script.write_text(LONG)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[4])}
    with subprocess.Popen(
        [sys.executable, str(script), str(out)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            deadline = time.monotonic() + 600
            while not (out / "bundles" / "bundle-0000.npz").exists():
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            os.killpg(process.pid, signal.SIGINT)
            said, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 130
    assert f"stopped; go on with: python -m harness data build digits201 --out {out}" in said
    assert "Traceback" not in errors
    assert 1 <= len(list((out / "bundles").glob("bundle-*.npz"))) < 50


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputUnwritable, match="free some space and go on"):
        digits201.build_into(tmp_path / "file", 1, SMALL, Console(quiet=True))


def test_describe_and_import_work_on_any_packed_table(
    packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--file", str(packed), "--cache-dir", str(tmp_path / "cache")]
    assert main(["data", "describe", "digits201", "--out", str(tmp_path / "page"), *common]) == 0
    text = (tmp_path / "page" / "report.md").read_text()
    assert sha256_of(packed) in text
    assert len(list((tmp_path / "page").glob("*.svg"))) == 4
    assert main(["data", "import", "digits201", *common]) == 0
    assert str(tmp_path / "cache" / "tables") in capsys.readouterr().out


def test_what_is_absent_or_unknown_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in (benchmark, digits201):
        monkeypatch.setattr(module, "SHIPPED", tmp_path / "nothing.npz")
    cache = ["--cache-dir", str(tmp_path)]
    assert main(["data", "describe", "digits201", *cache]) == 4
    assert main(["data", "verify", "digits201", *cache]) == 4
    assert main(["data", "build", "digits210", *cache]) == 2
    assert main(["data", "describe", "nb201", *cache]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 4
    assert all("python -m harness data build digits201" in line for line in errors[:2])
    assert "did you mean 'digits201'" in errors[2]
    assert main(["data", "where", *cache]) == 0
    assert "no; python -m harness data build digits201" in capsys.readouterr().out
