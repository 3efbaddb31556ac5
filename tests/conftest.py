"""Fixtures that every test may use."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from harness.core.interfaces import Place


def pytest_sessionstart() -> None:
    """Hear Ctrl-C again where the tests were started in the background: what they start would inherit the deafness."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with real tables and data sets; a test that needs it skips where it is absent."""
    folder = os.environ.get("NAS_DATA_DIR")
    if not folder:
        pytest.skip("NAS_DATA_DIR is not set: real tables and data sets are absent")
    path = Path(folder).resolve()
    if not path.is_dir():
        pytest.fail(f"NAS_DATA_DIR={folder} is not a folder")
    return path


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder of this test session, so that each table is imported once and nothing outside is touched."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def place(cache_dir: Path) -> Place:
    """This machine without real data."""
    return Place(data=None, cache=cache_dir)


@pytest.fixture
def real_place(data_dir: Path, cache_dir: Path) -> Place:
    """This machine with real data."""
    return Place(data=data_dir, cache=cache_dir)
