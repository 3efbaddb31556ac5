"""Every registered method keeps the contract; a method is tested by being registered."""

from __future__ import annotations

import pytest

from harness.testing import SearcherContract
from methods import METHODS


class TestRegisteredMethods(SearcherContract):
    @pytest.fixture(params=METHODS.values(), ids=METHODS.keys())
    def method(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)
