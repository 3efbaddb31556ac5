"""docs/adding_a_method.md, followed to the letter, gives a method that passes the contract."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "adding_a_method.md"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the guide changes, with its file and its line added."""
    text = GUIDE.read_text(encoding="utf-8")
    name = re.search(r"save it as `(methods/\w+\.py)`", text)
    code, line = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)[:2]
    assert name is not None
    shutil.copytree(ROOT / "methods", tmp_path / "methods", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tests" / "contract").mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "contract" / "test_methods.py", tmp_path / "tests" / "contract")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / name[1]).write_text(code, encoding="utf-8")
    registry = tmp_path / "methods" / "__init__.py"
    entries = registry.read_text(encoding="utf-8")
    assert entries.endswith("}\n")
    registry.write_text(entries.removesuffix("}\n") + line + "}\n", encoding="utf-8")
    return tmp_path


def run(checkout: Path, *command: str) -> subprocess.CompletedProcess[str]:
    # The copy comes first on the path; everything but `methods` is this checkout's, or the installed one.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(checkout), str(ROOT)])}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )


def test_the_example_passes_the_contract(checkout: Path) -> None:
    command = re.search(r"```\n(pytest .*)\n```", GUIDE.read_text(encoding="utf-8"))
    assert command is not None
    done = run(checkout, *command[1].split(), "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= 17, done.stdout


def test_the_example_keeps_the_house_style(checkout: Path) -> None:
    ours = 'lint.isort.known-first-party = ["harness", "methods"]'  # the copy holds `methods` alone
    for command in (("check", "--config", ours), ("format", "--check")):
        done = run(checkout, "ruff", *command, "--no-cache", "methods")
        assert done.returncode == 0, done.stdout + done.stderr
