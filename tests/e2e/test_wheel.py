"""Install the wheel elsewhere and use it there: it carries the protocols and needs no checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"harness", "methods", "benchmarks", "protocols", "reports"}


def check(command: list[object], cwd: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    check([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], ROOT, os.environ)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", folder, wheel]
    check(pip, folder, os.environ)
    return folder


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == PACKAGES
    for package in PACKAGES:
        assert f"{package}/py.typed" in names
    packed = {name.removeprefix("protocols/") for name in names if name.startswith("protocols/")}
    assert {path.name for path in (ROOT / "protocols").glob("*.yaml")} <= packed
    assert "protocol.schema.json" in packed
    tables = {path.relative_to(ROOT).as_posix() for path in (ROOT / "benchmarks" / "tabular" / "data").glob("*.npz")}
    assert tables <= set(names)
    assert {f"reports/page/{name}" for name in ("page.html", "macros.html", "page.css", "page.js")} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_an_installed_wheel_works_outside_the_checkout(
    site: Path, environment: Mapping[str, str], tmp_path: Path
) -> None:
    elsewhere = {**environment, "PYTHONPATH": str(site)}
    where = "import harness, methods, benchmarks, reports, protocols as p; print(harness.__file__, p.__file__)"
    assert check([sys.executable, "-c", where], tmp_path, elsewhere).count(str(site)) == 2
    assert "quickstart" in check([sys.executable, "-m", "harness", "list", "protocols"], tmp_path, elsewhere)
    assert "valid, hash" in check([sys.executable, "-m", "harness", "check", "quickstart"], tmp_path, elsewhere)


def test_a_package_of_the_same_name_is_named(site: Path, environment: Mapping[str, str], tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "__init__.py").write_text("")
    script = "import sys; sys.path.insert(0, '.'); import runpy; runpy.run_module('harness', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert str(tmp_path) in done.stderr
