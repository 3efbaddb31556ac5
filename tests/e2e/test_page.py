"""Open the pages in headless Chromium: what a reader sees, sorts, points at, prints, and what a checker of access says.

Needs a Chromium, Node.js, and the npm packages axe-core and playwright-core below `.venv/node`, as `.ci/run` installs
them; or wherever NODE_PATH leads.
"""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from reports.checklist import build as build_checklist
from reports.compare import build as build_comparison
from reports.render import write
from reports.summary import build as build_summary

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("page.cjs")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PACKAGES = ("playwright-core", "axe-core")
DESKTOP, PHONE = 1280, 360

Open = Callable[..., Mapping[str, Any]]


def modules() -> str:
    """Where the npm packages are."""
    places = [str(ROOT / ".venv" / "node" / "node_modules"), *os.environ.get("NODE_PATH", "").split(os.pathsep)]
    return next((place for place in places if all((Path(place) / name).is_dir() for name in PACKAGES)), "")


@pytest.fixture(scope="module")
def tools() -> tuple[str, str]:
    """A browser and the packages that drive it; a test that needs them skips where they are absent."""
    browser = next((found for found in map(shutil.which, BROWSERS) if found), None)
    if browser is None:
        pytest.skip(f"no browser is installed ({', '.join(BROWSERS)})")
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed")
    if not modules():
        pytest.skip(f"the npm packages {' and '.join(PACKAGES)} stand neither in .venv/node nor in NODE_PATH")
    return browser, modules()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The pages of a synthetic study: its report, its checklist, and its comparison with another one."""
    made = runpy.run_path(str(ROOT / "tests/unit/reports/conftest.py"), run_name="made")
    shape = made["replace"](made["Shape"](), replicates=12, ablation={"greed": [1]})
    study, other = made["study_of"](shape), made["study_of"](made["replace"](shape, limit=2000.0))
    documents = (build_summary(study), build_checklist(study), build_comparison(study, other, ("old", "new")))
    folder = tmp_path_factory.mktemp("pages")
    for document in documents:
        write(document, folder / document.name)
    stems = {document.name: "compare" if document.name == "compare" else "report" for document in documents}
    return {name: folder / name / f"{stem}.html" for name, stem in stems.items()}


@pytest.fixture(scope="module")
def opened(tools: tuple[str, str], pages: Mapping[str, Path]) -> Open:
    """Open a page at a width in a colour scheme, once for all tests, and return what was seen."""
    browser, packages = tools
    known: dict[tuple[str, int, str], Mapping[str, Any]] = {}

    def open_(name: str = "summary", width: int = DESKTOP, scheme: str = "light") -> Mapping[str, Any]:
        if (name, width, scheme) not in known:
            done = subprocess.run(
                ["node", str(SCRIPT), browser, str(pages[name]), str(width), scheme],
                env={**os.environ, "NODE_PATH": packages},
                capture_output=True,
                text=True,
                timeout=180,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            known[name, width, scheme] = json.loads(done.stdout)
        return known[name, width, scheme]

    return open_


VIEWS = [(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "light"), (PHONE, "dark")]


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_the_report_is_quiet_whole_and_open_to_all(opened: Open, width: int, scheme: str) -> None:
    seen = opened(width=width, scheme=scheme)
    assert seen["messages"] == []
    assert seen["requests"] == []
    assert seen["violations"] == []
    assert seen["passes"] > 20
    assert seen["sizes"][0] <= width


@pytest.mark.parametrize("name", ["checklist", "compare"])
def test_the_other_pages_are_quiet_and_open_to_all(opened: Open, name: str) -> None:
    for width, scheme in ((DESKTOP, "light"), (PHONE, "dark")):
        seen = opened(name, width, scheme)
        assert seen["messages"] == seen["requests"] == seen["violations"] == []
        assert seen["sizes"][0] <= width


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_every_figure_is_seen_once_with_its_lines(opened: Open, pages: Mapping[str, Path], width: int) -> None:
    seen = opened(width=width)
    figures = len(list(pages["summary"].parent.glob("*.svg")))
    assert seen["figures"] == figures > 0
    assert len(seen["lines"]) == figures
    assert min(seen["lines"]) >= 1


def test_the_keyboard_and_the_pointer_read_every_figure(opened: Open) -> None:
    readings = opened()["readings"]
    assert "random_search (n = 12)" in readings[0]["last"]
    for reading in readings:
        assert reading["first"] != reading["last"]
        assert reading["shown"].strip()
        assert reading["hidden"] is True
        assert reading["hovered"].strip()


def leading(cell: str) -> float | None:
    """The number that a cell of the final table begins with."""
    word = cell.split(" ", maxsplit=1)[0].replace(",", "")
    try:
        return float(word)
    except ValueError:
        return None


def test_headings_sort_up_down_and_back(opened: Open) -> None:
    tables = opened()["sorting"]
    assert len(tables) == 2
    numbers = 0
    for column in (column for table in tables for column in table):
        original, up, down, back = column
        assert [order["sort"] for order in column] == ["none", "ascending", "descending", "none"]
        assert back["cells"] == original["cells"]
        assert sorted(up["cells"]) == sorted(down["cells"]) == sorted(original["cells"])
        for order, sign in ((up, 1), (down, -1)):
            values = [value for value in map(leading, order["cells"]) if value is not None]
            assert values == sorted(values, key=lambda value: sign * value)
            numbers += len(values)
            absent = [cell.strip() == "-" for cell in order["cells"]]
            assert absent == sorted(absent), "what is absent stands last"
    assert numbers > 10


def test_the_theme_follows_the_system_until_the_reader_says_otherwise(opened: Open) -> None:
    light, dark = opened()["themes"], opened(scheme="dark")["themes"]
    assert light[0] == light[1] == light[3] != light[2]
    assert dark[0] == dark[2] == dark[3] != dark[1]
    assert (light[0], light[2]) == (dark[1], dark[0])


def test_paper_is_light_and_without_navigation(opened: Open) -> None:
    assert opened(scheme="dark")["printed"] == ["none", "rgb(255, 255, 255)"]


def test_the_first_stop_of_the_keyboard_leads_to_the_report(opened: Open) -> None:
    assert opened()["skip"] == "Skip to the report"
