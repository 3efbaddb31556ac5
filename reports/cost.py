"""Account for the charged cost of a study end to end: by phase, under both definitions of what counts.

Lindauer and Hutter (Best Practices for Scientific Research on Neural Architecture Search, JMLR 2020) tell two
accounts apart. Architecture identification (Definition 7) counts what it takes to name an architecture, by their
Example 11 k x (search + selection) for k searches of which one is selected. AutoML (Definition 8) counts the training
of the network that is shipped as well. Here every run is one search, k = 1, and each final seed is one final training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite, nan

import numpy as np

from harness.core.canonical import Json
from harness.core.records import Table
from reports.frame import Cell, Frame, TrackFrame
from reports.trace import Trace
from reports.wording import ABSENT, UNKNOWN, amount, budget_unit, cost_unit, looked_up, trains_hull, unit_name

UNITS = ("train_seconds", "epochs", "multiply_adds")
SEARCHES = 1
"""k: the searches of which one is selected; a replicate is one."""
LONG = 1e9
"""From here on amounts are written with a power of ten."""
_HULLS = " Where a protocol trains the hull of each run finally too, the final training is the sum over its networks."
DEFINITIONS = {"architecture-identification": 7, "automl": 8}


@dataclass(frozen=True, slots=True)
class Amount:
    """Mean and standard deviation over runs; NaN where a run does not say."""

    mean: float
    sd: float

    @property
    def shown(self) -> str:
        """The amount as text."""
        if not isfinite(self.mean):
            return UNKNOWN
        return f"{_short(self.mean)} ± {_short(self.sd)}" if isfinite(self.sd) else _short(self.mean)


def _short(value: float) -> str:
    # Multiply-adds of a search have sixteen digits, of which nobody reads more than the first.
    return f"{value:.3g}" if abs(value) >= LONG else amount(value)


def over(values: list[float]) -> Amount:
    """Return the amount over runs; unknown where one of them does not say, since the others are no sample of all."""
    sample = np.array(values, dtype=np.float64)
    if not len(sample) or not np.isfinite(sample).all():
        return Amount(nan, nan)
    return Amount(float(np.mean(sample)), float(np.std(sample, ddof=1)) if len(sample) > 1 else nan)


def complete(cell: Cell) -> list[Trace]:
    """Return the runs of a cell that ended."""
    return [trace for trace in cell.traces if trace.status == "done"]


def finished(frame: Frame) -> list[tuple[TrackFrame, Cell]]:
    """Return the cells of a study in which a run ended, each with its track."""
    return [(track, cell) for track in frame.tracks for cell in track.cells if complete(cell)]


def searched(trace: Trace, unit: str, budget: str) -> float:
    """Return what the search of a run was charged in a unit; NaN where its trials do not all say."""
    if unit == budget:
        return trace.spent
    value: float | None = getattr(trace.charged, unit)
    return nan if value is None else value


def finally_trained(trace: Trace, unit: str) -> float:
    """Return what the final trainings of a run are charged; NaN where no record says."""
    if trace.final_cost is None:
        return nan
    value: float | None = float(trace.final_trainings) if unit == "evaluations" else getattr(trace.final_cost, unit)
    return nan if value is None else value


@dataclass(frozen=True, slots=True)
class Account:
    """What the runs of a cell are charged in one unit, per run."""

    track: TrackFrame
    cell: Cell
    unit: str

    @property
    def runs(self) -> list[Trace]:
        """The runs that are accounted for."""
        return complete(self.cell)

    @property
    def name(self) -> str:
        """The unit in words, saying what is simulated."""
        budget = self.track.plan["budget"]["unit"]
        return budget_unit(self.track) if self.unit == budget else cost_unit(self.track, self.unit)

    def _over(self, value: Callable[[Trace], float]) -> Amount:
        return over([value(trace) for trace in self.runs])

    @property
    def search(self) -> Amount:
        """What the searches were charged; the validation of each trial is part of its charge."""
        budget = self.track.plan["budget"]["unit"]
        return self._over(lambda trace: searched(trace, self.unit, budget))

    @property
    def final(self) -> Amount:
        """What the final trainings are charged together."""
        return self._over(lambda trace: finally_trained(trace, self.unit))

    @property
    def identification(self) -> Amount:
        """The total of Definition 7; selecting among trials that are told already is charged nothing."""
        search = self.search
        return Amount(SEARCHES * search.mean, SEARCHES * search.sd)

    @property
    def automl(self) -> Amount:
        """The total of Definition 8."""
        budget = self.track.plan["budget"]["unit"]
        return self._over(
            lambda trace: SEARCHES * searched(trace, self.unit, budget) + finally_trained(trace, self.unit)
        )

    @property
    def final_text(self) -> str:
        """The final trainings with their number written out."""
        if not isfinite(self.final.mean):
            return UNKNOWN
        if trains_hull(self.track.plan):
            return self.final.shown  # trainings of several networks, of which each has its own price
        count = len(self.track.plan["final"]["seeds"])
        return f"{count} x {Amount(self.final.mean / count, self.final.sd / count).shown}"

    def data(self) -> dict[str, Json]:
        """Return the account in full precision."""
        parts = {
            "charged": self.search,
            "final_training": self.final,
            "definition_7": self.identification,
            "definition_8": self.automl,
        }
        found: dict[str, Json] = {
            "track": self.track.id,
            "row": self.cell.label,
            "n": len(self.runs),
            "unit": self.name,
        }
        for name, value in parts.items():
            found |= {f"{name}_mean": value.mean, f"{name}_sd": value.sd}
        trainings = {trace.final_trainings for trace in self.runs}
        return found | {
            "searches": SEARCHES,
            "selection": 0.0,
            "final_trainings": trainings.pop() if len(trainings) == 1 else None,
        }


def cost_tables(frame: Frame) -> tuple[Table, ...]:
    """Return the charged cost in the unit of each budget, and in other units."""
    cells = finished(frame)
    accounts = [Account(track, cell, track.plan["budget"]["unit"]) for track, cell in cells]
    others = tuple(_other_units(cells))
    return (_charged(frame, accounts), *([_in_other_units(frame, others)] if others else ()))


def totals(frame: Frame) -> tuple[str, str]:
    """Return the headings of the two totals, the multipliers written out and the protocol's primary one marked."""
    primary = DEFINITIONS[str(frame.study.protocol["accounting"])]
    texts = {7: f"Definition 7: {SEARCHES} x (search + selection)", 8: "Definition 8: Definition 7 + final training"}
    first, second = (f"{text} (primary)" if number == primary else text for number, text in texts.items())
    return first, second


def _charged(frame: Frame, accounts: list[Account]) -> Table:
    columns = ("track", "method", "n", "unit", "evaluations", "search", "share of the budget, %", "selection")
    return Table(
        name="cost",
        title="End-to-end cost, as charged, per run",
        columns=(*columns, "final training", *totals(frame), "tuning, once"),
        rows=tuple(_charged_row(frame, account) for account in accounts),
        note=(
            "Complete runs; mean ± sd over n. Definitions 7 (architecture identification) and 8 (AutoML) of Lindauer "
            "and Hutter (2020). Search: what the budget paid, validation included; simulated where the unit says so. "
            "Selection: the reported architecture is chosen among trials that are paid for, which is charged nothing. "
            "Final training: final seeds x one training under the final recipe; unknown where no record says what it "
            "costs in this unit. Tuning is paid once for all runs of a method, in the unit of its own budget, and is "
            "in no total of a run; a dash: nothing was tuned in this study."
            + (_HULLS if any(trains_hull(track.plan) for track in frame.tracks) else "")
        ),
        data=tuple(_charged_data(frame, account) for account in accounts),
    )


def _charged_row(frame: Frame, account: Account) -> tuple[str, ...]:
    return (
        account.track.id,
        account.cell.label,
        str(len(account.runs)),
        account.name,
        over([float(trace.trials) for trace in account.runs]).shown,
        account.search.shown,
        f"{100 * account.search.mean / account.track.limit:.1f}",
        "0",
        account.final_text,
        account.identification.shown,
        account.automl.shown,
        tuning_text(frame, account.cell.key[1]),
    )


def _charged_data(frame: Frame, account: Account) -> Mapping[str, Json]:
    trials = over([float(trace.trials) for trace in account.runs])
    found = account.data() | {"trials_mean": trials.mean, "trials_sd": trials.sd}
    found["share_of_budget"] = 100 * account.search.mean / account.track.limit
    ledger = frame.study.tuning.get(account.cell.key[1])
    return found | ({} if ledger is None else {"tuning_charged": ledger["charged"], "tuning_unit": ledger["unit"]})


def tuning_text(frame: Frame, method: str) -> str:
    """Return what the tuning of a row was charged, in the unit of its own budget."""
    ledger = frame.study.tuning.get(method)
    if ledger is None:
        return ABSENT
    return f"{_short(float(str(ledger['charged'])))} {tuning_unit(ledger)}"


def tuning_unit(ledger: Mapping[str, Json]) -> str:
    """Return the unit that a tuning was charged in, saying what is simulated."""
    manifest = ledger["manifest"]
    return unit_name(str(ledger["unit"]), simulated=isinstance(manifest, dict) and looked_up(manifest))


def _other_units(cells: list[tuple[TrackFrame, Cell]]) -> Iterator[Account]:
    for track, cell in cells:
        for unit in UNITS:
            account = Account(track, cell, unit)
            if unit != track.plan["budget"]["unit"] and isfinite(account.search.mean):
                yield account


def _in_other_units(frame: Frame, accounts: tuple[Account, ...]) -> Table:
    return Table(
        name="cost-units",
        title="The same cost in other units, per run",
        columns=("track", "method", "n", "unit", "search", "final training", *totals(frame)),
        rows=tuple(
            (
                account.track.id,
                account.cell.label,
                str(len(account.runs)),
                account.name,
                account.search.shown,
                account.final_text,
                account.identification.shown,
                account.automl.shown,
            )
            for account in accounts
        ),
        note="What the charged trials cost in units that the budget does not count; mean ± sd over n.",
        data=tuple(account.data() for account in accounts),
    )
