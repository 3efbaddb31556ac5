"""Compare the report of a tiny study byte for byte with the one that was looked at and kept.

`python tests/golden/test_report_golden.py` writes the kept one anew, after a change that is meant.
"""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from harness.core.records import Document
from reports.render import render
from reports.summary import build

KEPT = Path(__file__).with_name("summary_report")
BUILDER = Path(__file__).parents[1] / "unit/reports/conftest.py"


def tiny() -> Document:
    """Five replicates, two methods, one ablation, one metric that the table lacks, one published figure."""
    made = runpy.run_path(str(BUILDER), run_name="made")
    published = {"method": "random_search", "track": "toy", "metric": made["TEST"], "mean": 93.0, "std": 0.5, "n": 500}
    shape = made["replace"](
        made["Shape"](),
        ablation={"greed": [1]},
        metrics=(made["TEST"], made["ABSENT"]),
        unavailable={made["ABSENT"]: "the table has no such data set"},
        published=({**published, "source": "made up", "provenance": "recalled"},),
        spoil=made["spoil"](3, "random_search", status="partial", reason=""),
    )
    return build(made["study_of"](shape))


APART = re.compile(
    rb'<svg.*?</svg>|"drawings":.*?\]\}\}|<style>.*?</style>|<script>.*?</script>|<meta http-equiv[^>]*>', re.DOTALL
)
"""What of a page has tests of its own: what is drawn, how it looks, what it does, and the hashes of these."""


def written() -> dict[str, bytes]:
    """Everything but pictures and their hashes, which change with the drawing library."""
    files = {name: content for name, content in render(tiny()).items() if not name.endswith((".svg", ".json"))}
    return files | {"report.html": APART.sub(b"", files["report.html"])}


def test_the_report_is_the_one_that_was_kept() -> None:
    files = written()
    assert sorted(files) == sorted(path.name for path in KEPT.iterdir())
    for name, content in files.items():
        assert content.decode() == (KEPT / name).read_text(encoding="utf-8"), name


def test_the_figure_is_the_same_on_every_rendering() -> None:
    first, second = render(tiny()), render(tiny())
    assert "anytime-toy.svg" in first
    assert first == second


@pytest.mark.parametrize("name", ["report.md", "final-toy.csv", "anytime-toy.csv"])
def test_the_kept_report_is_not_empty(name: str) -> None:
    assert len((KEPT / name).read_text(encoding="utf-8").splitlines()) > 3


if __name__ == "__main__":
    KEPT.mkdir(exist_ok=True)
    for name, content in written().items():
        (KEPT / name).write_bytes(content)
