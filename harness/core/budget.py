"""Account for what a run spends; the only place where budget is charged."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.core.errors import RulesBroken
from harness.core.types import Cost, Overrun, Think, Unit, Work


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit in one unit, and what becomes of the trial that crosses it."""

    unit: Unit
    limit: float
    overrun: Overrun

    def price(self, cost: Cost) -> float:
        """Return `cost` in this budget's unit.

        Raises:
            RulesBroken: the benchmark does not account in this unit.
        """
        if self.unit == "evaluations":
            return 1.0
        price = {"train_seconds": cost.train_seconds, "epochs": cost.epochs, "multiply_adds": cost.multiply_adds}
        amount = price[self.unit]
        if amount is None or not 0 <= amount < float("inf"):
            raise RulesBroken(
                f"budget.unit: the benchmark answered a trial without a cost in {self.unit!r} ({amount}); "
                "choose a unit that the benchmark accounts in (see `harness list`)"
            )
        return float(amount)

    def price_of(self, work: Work, cost: Cost) -> float:
        """Return the price of a piece of work; a method's own computation is no evaluation."""
        return 0.0 if self.unit == "evaluations" and isinstance(work, Think) else self.price(cost)


@dataclass(slots=True)
class Ledger:
    """What a run has spent of its budget so far.

    Attributes:
        spent: charged so far, in the budget's unit; after a kept overrun it exceeds the limit.
        charged: the price of every trial, in trial order.
    """

    budget: Budget
    spent: float = 0.0
    charged: list[float] = field(default_factory=list)

    @property
    def open(self) -> bool:
        """Tell whether another trial may start."""
        return self.spent < self.budget.limit

    def room(self, flying: int) -> bool:
        """Tell whether to start a trial beside `flying` others that are charged when they end; beside none, always.

        What is known of their prices before that counts: an evaluation is charged one.
        """
        least = flying if self.budget.unit == "evaluations" else 0
        return not flying or self.spent + least < self.budget.limit

    def fits(self, price: float) -> bool:
        """Tell whether a trial of this price ends within the budget."""
        return self.spent + price <= self.budget.limit

    def charge(self, price: float) -> None:
        """Add the price of a trial."""
        self.spent += price
        self.charged.append(price)
