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


@pytest.mark.parametrize(("unit", "flying"), [("evaluations", 2), ("epochs", 99)])
def test_what_is_sure_to_be_charged_leaves_no_room(unit: Unit, flying: int) -> None:
    ledger = Ledger(Budget(unit, 3, "discard"))
    ledger.charge(1)
    assert ledger.room(1)
    assert ledger.room(flying) == (unit == "epochs")
    ledger.charge(2)
    assert not ledger.room(1)
    assert ledger.room(0), "whether anything is asked for at all is said by `open`"


def test_the_ledger_closes_at_its_limit_and_not_before() -> None:
    ledger = Ledger(Budget("epochs", 20, "discard"))
    ledger.charge(12)
    assert ledger.open
    assert ledger.fits(8)
    assert not ledger.fits(8.001)
    ledger.charge(8)
    assert not ledger.open
    assert ledger.charged == [12, 8]
