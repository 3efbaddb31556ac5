"""Run the command line as a user does: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.testing.world import temp_protocol

Harness = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def environment(cache_dir: Path) -> dict[str, str]:
    """The environment of a user without a terminal, with a cache of this test session."""
    data = {"NAS_DATA_DIR": str(Path(os.environ["NAS_DATA_DIR"]).resolve())} if os.environ.get("NAS_DATA_DIR") else {}
    return {**os.environ, **data, "NAS_CACHE_DIR": str(cache_dir), "PYTHONWARNINGS": "error"}


@pytest.fixture(scope="session")
def harness(environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Harness:
    """Run `python -m harness` outside the checkout."""
    home = tmp_path_factory.mktemp("elsewhere")

    def run(*arguments: object, cwd: Path = home, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "harness", *map(str, arguments)],
            cwd=cwd,
            env={**environment, **variables},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


DIGITS: dict[str, Any] = {
    "id": "digits",
    "benchmark": {"name": "nb201-training", "options": {"channels": 2, "train_images": 128, "valid_images": 100}},
    "splits": {"train": "digits train", "search": "digits valid", "final": "digits test"},
    "fidelity": {"search": 2, "final": 2},
    "objective": {"metric": "digits/valid@2ep(128) trial"},
    "final": {"metrics": ["digits/test@2ep(128) trial", "digits/test@2ep(228) trial"]},
    "budget": {"unit": "epochs", "limit": 12},
    "purpose": "descriptive",
}
METHODS = ["random_search", "regularized_evolution", "local_search"]


@pytest.fixture
def digits_protocol(tmp_path: Path) -> Path:
    """A protocol that trains real, tiny networks on digits."""
    return temp_protocol(tmp_path, methods=METHODS, track=DIGITS)


TABLE: dict[str, Any] = {
    "id": "table",
    "benchmark": {"name": "nb201", "options": {"table": "nb201-v1.1", "dataset": "cifar10"}},
    "splits": {"train": "cifar10 train", "search": "cifar10 valid", "final": "cifar10 test"},
    "fidelity": {"search": 12, "final": 200},
    "objective": {"metric": "cifar10/valid@12ep(25k) mean-of-trials"},
    "final": {"metrics": ["cifar10/test@200ep(50k) mean-of-trials"]},
    "budget": {"unit": "train_seconds", "limit": 2000.0},
    "replicates": 3,
}


@pytest.fixture
def table_protocol(tmp_path: Path) -> Path:
    """A protocol that looks NAS-Bench-201 up."""
    return temp_protocol(tmp_path, methods=["random_search", "regularized_evolution"], track=TABLE)
