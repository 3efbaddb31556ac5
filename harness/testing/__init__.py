"""Publish the contract tests: subclass one, supply a fixture, inherit every test.

    class TestMine(SearcherContract):
        @pytest.fixture
        def method(self) -> str:
            return "my_package.my_method:MyMethod"

Every registered method and benchmark goes through them already (tests/contract).
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("harness.testing.benchmarks", "harness.testing.methods")

# Imported after that line, so that a failing assert shows its values.
from harness.testing.benchmarks import BenchmarkContract  # noqa: E402
from harness.testing.growing import GrowingSpace, GrowingToy  # noqa: E402
from harness.testing.methods import SearcherContract, settings_of, without_global_randomness  # noqa: E402
from harness.testing.toy import Failing, Toy, ToySpace, Wrapped  # noqa: E402
from harness.testing.world import (  # noqa: E402
    Notebook,
    Opening,
    World,
    fresh_process,
    play,
    registered,
    temp_protocol,
    tiny_protocol,
    tiny_track,
    world_for,
)

__all__ = [
    "BenchmarkContract",
    "Failing",
    "GrowingSpace",
    "GrowingToy",
    "Notebook",
    "Opening",
    "SearcherContract",
    "Toy",
    "ToySpace",
    "World",
    "Wrapped",
    "fresh_process",
    "play",
    "registered",
    "settings_of",
    "temp_protocol",
    "tiny_protocol",
    "tiny_track",
    "without_global_randomness",
    "world_for",
]
