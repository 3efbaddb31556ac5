from __future__ import annotations

import pytest

from harness.core.budget import Budget, Ledger
from harness.core.errors import RulesBroken
from harness.core.types import Cost, Unit

COST = Cost(epochs=12, train_seconds=89.2, multiply_adds=3e9)


@pytest.mark.parametrize(
    ("unit", "price"), [("epochs", 12), ("train_seconds", 89.2), ("multiply_adds", 3e9), ("evaluations", 1)]
)
def test_each_unit_has_its_price(unit: Unit, price: float) -> None:
    assert Budget(unit, 100, "discard").price(COST) == price


@pytest.mark.parametrize("seconds", [None, float("nan"), float("inf"), -1.0])
def test_a_cost_that_is_no_amount_is_refused(seconds: float | None) -> None:
    with pytest.raises(RulesBroken, match="train_seconds"):
        Budget("train_seconds", 100, "discard").price(Cost(1, seconds))


def test_the_ledger_closes_at_its_limit_and_not_before() -> None:
    ledger = Ledger(Budget("epochs", 20, "discard"))
    ledger.charge(12)
    assert ledger.open
    assert ledger.fits(8)
    assert not ledger.fits(8.001)
    ledger.charge(8)
    assert not ledger.open
    assert ledger.charged == [12, 8]
