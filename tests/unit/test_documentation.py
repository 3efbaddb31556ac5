"""Every link of every page leads somewhere, and the pages name every protocol, method and benchmark."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.core.registry import registry
from harness.protocol import packaged

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("protocols/*.md")])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in LINK.findall(text):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        file = page if not name else (page.parent / name).resolve()
        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {target}"


def test_the_readme_names_every_protocol() -> None:
    text = (ROOT / "README.md").read_text()
    assert [name for name in packaged() if f"`{name}`" not in text] == []


def test_the_readme_names_every_method_and_benchmark() -> None:
    text = (ROOT / "README.md").read_text()
    ours = {
        name
        for kind in ("methods", "benchmarks")
        for name, target in registry(kind).items()
        if target.startswith(f"{kind}.")  # other tests register toys
    }
    assert [name for name in sorted(ours) if f"`{name}`" not in text] == []
