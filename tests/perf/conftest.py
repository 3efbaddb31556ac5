"""Run every benchmark once with `--quick`: its assertions are checked, its figures mean nothing."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="run each benchmark once, on little data where it can")


@pytest.hookimpl(tryfirst=True)  # before pytest-benchmark reads them
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("quick", default=False):
        config.option.benchmark_min_rounds = 1
        config.option.benchmark_max_time = 0.001
        config.option.benchmark_warmup = False
