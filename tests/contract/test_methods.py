"""Every registered method keeps the contract; a method is tested by being registered."""

from __future__ import annotations

import pytest

from harness.testing import SearcherContract
from methods import METHODS

DRAWING = {name: place for name, place in METHODS.items() if name != "seed_model"}


class TestRegisteredMethods(SearcherContract):
    @pytest.fixture(params=DRAWING.values(), ids=DRAWING.keys())
    def method(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)


class TestSeedModel(SearcherContract):
    stochastic = False

    @pytest.fixture
    def method(self) -> str:
        return METHODS["seed_model"]

    def test_is_not_worse_than_random_search(self, *_: object, **__: object) -> None:
        """Leave it out: this row searches nothing, and is there to be beaten."""
        pytest.skip("a reference row: it does not search")
