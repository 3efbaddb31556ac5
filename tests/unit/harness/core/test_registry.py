from __future__ import annotations

import pytest

import methods
from harness.core.errors import HarnessError, UsageError, nearest
from harness.core.registry import load, registry


@pytest.mark.parametrize("kind", ["methods", "benchmarks", "reports"])
def test_every_registered_name_loads(kind: str) -> None:
    assert registry(kind)
    for name in registry(kind):
        assert load(kind, name) is not None


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"'randm_search' \(did you mean 'random_search'\?\); known: .*hyperband"):
        load("methods", "randm_search")


def test_an_entry_that_leads_nowhere_names_the_line_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(methods.METHODS, "lost", "methods.random_search:Lost")
    with pytest.raises(HarnessError, match=r"'methods.random_search:Lost'.*methods/__init__.py"):
        load("methods", "lost")


def test_nothing_near_is_not_guessed() -> None:
    assert nearest("zzz", ["population", "sample"]) == ""
    assert nearest("populaton", ["population", "sample"]) == " (did you mean 'population'?)"
