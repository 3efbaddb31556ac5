"""Write trials and results as plain data, and read them back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.core.types import (
    Advance,
    Arch,
    Attach,
    Cost,
    Evaluate,
    Failure,
    Grow,
    Measurement,
    Move,
    Probe,
    RunSpec,
    Think,
    Work,
)

Plain = dict[str, Any]


def work_to_json(work: Work) -> Plain:
    """Return a piece of work as plain data; `kind` names its type."""
    if isinstance(work, Evaluate):
        return _evaluate_to_json(work)
    kind = type(work).__name__.lower()
    fields = {name: _plain(getattr(work, name)) for name in work.__dataclass_fields__}
    # 1 and 1.0 are one amount: they have to have one text, since seeds derive from it.
    amounts = {name: float(fields[name]) for name in _AMOUNTS if name in fields}
    return {"kind": kind, **fields, **amounts}


_AMOUNTS = ("multiply_adds", "penalty", "scale")


def _plain(value: Any) -> Any:
    if isinstance(value, Evaluate | Attach | Grow):  # what a network comes from
        return work_to_json(value)
    return list(value) if isinstance(value, tuple) else value


def _evaluate_to_json(work: Evaluate) -> Plain:
    # Defaults are left out: nearly every line of every journal is a plain evaluation.
    data: Plain = {"kind": "evaluate", "arch": work.arch, "epochs": work.epochs}
    if work.start:
        data["start"] = work.start
    if work.parent is not None:
        data["parent"] = work.parent
    return data


def _evaluate(data: Plain) -> Evaluate:
    return Evaluate(data["arch"], data["epochs"], data.get("start", 0), data.get("parent"))


def _lineage(kind: type[Attach | Grow]) -> Callable[[Plain], Work]:
    def read(data: Plain) -> Work:
        fields = {name: value for name, value in data.items() if name != "kind"}
        moves = tuple(Move(move) for move in data["moves"])
        return kind(**{**fields, "after": work_from_json(data["after"]), "moves": moves})

    return read


_WORK: dict[str, Callable[[Plain], Work]] = {
    "evaluate": _evaluate,
    "advance": lambda data: Advance(data["epochs"]),
    "probe": lambda data: Probe(Arch(data["arch"]), data["signal"]),
    "attach": _lineage(Attach),
    "grow": _lineage(Grow),
    "think": lambda data: Think(data["label"], data["multiply_adds"]),
}


def work_from_json(data: Plain) -> Work:
    """Return the piece of work that `data` describes; KeyError if it describes none."""
    return _WORK[data["kind"]](data)


def cost_to_json(cost: Cost) -> Plain:
    """Return a cost as plain data, without the units that are not accounted."""
    data: Plain = {"epochs": cost.epochs}
    if cost.train_seconds is not None:
        data["train_seconds"] = cost.train_seconds
    if cost.multiply_adds is not None:
        data["multiply_adds"] = cost.multiply_adds
    return data


def cost_from_json(data: Plain) -> Cost:
    """Return the cost that `data` describes."""
    return Cost(data["epochs"], data.get("train_seconds"), data.get("multiply_adds"))


def result_to_json(result: Measurement | Failure) -> Plain:
    """Return a result as plain data."""
    if isinstance(result, Failure):
        return {"failure": result.reason, "cost": cost_to_json(result.cost)}
    data: Plain = {"value": result.value, "metrics": dict(result.metrics), "cost": cost_to_json(result.cost)}
    if result.curve:
        data["curve"] = list(result.curve)
    if result.scores:
        data["scores"] = dict(result.scores)
    return data


def result_from_json(data: Plain) -> Measurement | Failure:
    """Return the result that `data` describes."""
    cost = cost_from_json(data["cost"])
    if "failure" in data:
        return Failure(data["failure"], cost)
    scores: Mapping[str, float] = data.get("scores", {})
    return Measurement(data["value"], data["metrics"], cost, tuple(data.get("curve", ())), scores)


def spec_to_json(spec: RunSpec) -> Plain:
    """Return a run specification as plain data."""
    fields = {name: getattr(spec, name) for name in spec.__dataclass_fields__}
    return {**fields, "options": dict(spec.options)}


def spec_from_json(data: Plain) -> RunSpec:
    """Return the run specification that `data` describes."""
    return RunSpec(**data)
