"""Every registered benchmark keeps the contract; one that is registered without an opening here fails."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from harness.core.interfaces import Place, Query
from harness.core.registry import load, registry
from harness.testing import BenchmarkContract, Opening

GUIDE = Path(__file__).parents[2] / "docs" / "data.md"
FIXTURES = Path(__file__).parents[1] / "fixtures"

OPTIONS: dict[str, dict[str, Any]] = {
    "digits201": {"file": "digits201.npz"},
    "growth-training": {"channels": 2, "reductions": 1, "train_images": 128, "valid_images": 100},
    "nb201": {"table": "nb201-v1.1", "dataset": "cifar10"},
    "nb201-hybrid": {"channels": 2, "train_images": 128, "valid_images": 100, "parent_epochs": 2},
    "nb201-training": {"channels": 2, "train_images": 128, "valid_images": 100},
    "sigmoid-slope": {"curve": "digits"},
    "table": {"manifest": "table.yaml"},
}
QUERIES = {
    "digits201": Query(
        "digits/valid@9ep(640) mean-of-trials",
        ("digits/multiply-adds",),
        ("digits/test@9ep(640) mean-of-trials",),
        9,
        9,
    ),
    "growth-training": Query(
        "digits/valid@2ep(128) trial", ("digits/multiply-adds",), ("digits/test@2ep(228) trial",), 2, 2
    ),
    "nb201": Query(
        "cifar10/valid@12ep(25k) mean-of-trials",
        ("cifar10/parameters",),
        ("cifar10/test@200ep(50k) mean-of-trials",),
        12,
        200,
    ),
    "nb201-hybrid": Query(
        "cifar10/valid@12ep(25k) mean-of-trials",
        ("cifar10/multiply-adds",),
        ("cifar10/test@200ep(50k) mean-of-trials",),
        12,
        200,
    ),
    "nb201-training": Query(
        "digits/valid@3ep(128) trial", ("digits/parameters",), ("digits/test@3ep(128) trial",), 3, 3
    ),
    "sigmoid-slope": Query(
        "digits/valid@20ep(800) trial",
        ("digits/multiply-adds",),
        ("digits/test@20ep(800) mean-of-trials",),
        20,
        20,
    ),
    "table": Query("digits/valid@10ep(1.2k) mean-of-trials", (), ("digits/test@10ep(1.2k) mean-of-trials",), 10, 10),
}


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the table and the manifest that the guide shows."""
    folder = tmp_path_factory.mktemp("example")
    for name, language in (("results.csv", "csv"), ("table.yaml", "yaml")):
        blocks = re.findall(rf"`{re.escape(name)}`:\n\n```{language}\n(.*?)```", GUIDE.read_text(), re.DOTALL)
        assert len(blocks) == 1, f"the guide shows {name} {len(blocks)} times"
        (folder / name).write_text(blocks[0])
    return folder


@pytest.fixture(scope="session")
def invented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an invented table in the schema of digits-201."""
    folder = tmp_path_factory.mktemp("invented")
    runpy.run_path(str(FIXTURES / "digits201_tables.py"))["invent"](folder / "digits201.npz")
    return folder


@pytest.mark.parametrize("name", registry("benchmarks"), scope="class")
class TestRegistered(BenchmarkContract):
    draws = 3

    @pytest.fixture(scope="class")
    @classmethod
    def opening(cls, name: str, request: pytest.FixtureRequest, cache_dir: Path) -> Opening:
        data = {"digits201": "invented", "nb201": "data_dir", "nb201-hybrid": "data_dir", "table": "example"}.get(name)
        place = Place(request.getfixturevalue(data) if data else None, cache_dir)
        config = load("benchmarks", name).Config(**OPTIONS[name])
        return Opening(registry("benchmarks")[name], config, place, QUERIES[name])
