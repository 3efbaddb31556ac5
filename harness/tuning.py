"""Tune rows before they are reported: the settings of a grid, their runs, and the choice that follows from them.

A row whose protocol entry says `source: tuned` is run under every combination of the values in `space`, on a benchmark
that nothing is reported on, under a budget of its own. The setting with the best mean objective of the recommended
architectures is the one that the reported runs use. No test metric is asked for, so none can be chosen by.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from math import inf
from statistics import fmean
from typing import Any

from harness.core.canonical import Json, sha256_text
from harness.core.errors import RulesBroken
from harness.core.lineage import trained_in_full
from harness.core.records import TUNING, RunRecord, TrialRecord
from harness.core.schema import FinalEvaluation, ProtocolModel, Seeds, Selection, Splits, Track, Tuning
from harness.core.types import Failure, RunSpec
from harness.plan import variant_name

LONGEST = 96
"""Letters of a folder name; the name of a setting with many options is cut and hashed."""


def tuned(protocol: ProtocolModel) -> list[Tuning]:
    """Return the entries whose rows are tuned by this study; a protocol that was read has them whole."""
    rows = {row.key for row in protocol.methods}
    whole = [entry for entry in protocol.tuning if entry.source == "tuned" and entry.method in rows and _whole(entry)]
    return list({entry.method: entry for entry in reversed(whole)}.values())[::-1]


def _whole(entry: Tuning) -> bool:
    parts = (entry.benchmark, entry.fidelity, entry.objective, entry.budget)
    return None not in parts and bool(entry.space) and all(entry.space.values())


def settings(entry: Tuning) -> dict[str, dict[str, Any]]:
    """Return the settings that are tried, name -> values of the tuned options, the last option varying fastest."""
    combinations = product(*entry.space.values())
    found = (dict(zip(entry.space, values, strict=True)) for values in combinations)
    return {_name(setting): setting for setting in found}


def _name(setting: Mapping[str, Any]) -> str:
    name = ",".join(variant_name(option, value) for option, value in setting.items())
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 13]}~{sha256_text(name)[:12]}"


def tuning_runs(protocol: ProtocolModel, entry: Tuning) -> list[RunSpec]:
    """Return the runs of a tuning: replicates outermost, so that a kill leaves about as many of each setting."""
    row = next(row for row in protocol.methods if row.key == entry.method)
    return [
        RunSpec(
            protocol=protocol.protocol,
            version=protocol.version,
            track=TUNING + entry.method,
            method=entry.method,
            implementation=row.name,
            variant=name,
            options={**row.options, **setting},
            replicate=replicate,
            seed=replicate,
        )
        for replicate in range(entry.replicates)
        for name, setting in settings(entry).items()
    ]


def all_tuning_runs(protocol: ProtocolModel) -> list[RunSpec]:
    """Return the runs of every tuning, in the order of the protocol."""
    return [spec for entry in tuned(protocol) for spec in tuning_runs(protocol, entry)]


def track_of(protocol: ProtocolModel, name: str) -> Track:
    """Return the track that a run names: one of the protocol, or that of a tuning."""
    if not name.startswith(TUNING):
        return protocol.track(name)
    return _track(next(entry for entry in tuned(protocol) if entry.method == name.removeprefix(TUNING)))


def _track(entry: Tuning) -> Track:
    assert entry.benchmark is not None
    assert entry.fidelity is not None
    assert entry.objective is not None
    assert entry.budget is not None
    # Made without the rules for reported tracks: this one asks for no sealed metric and trains nothing at the end.
    return Track.model_construct(
        id=TUNING + entry.method,
        benchmark=entry.benchmark,
        splits=Splits(train="as the benchmark has it", search="as the benchmark has it", final="none"),
        fidelity=entry.fidelity,
        objective=entry.objective,
        budget=entry.budget,
        final=FinalEvaluation.model_construct(metrics=[], seeds=[]),
        replicates=entry.replicates,
        seeds=Seeds(),
        selection=Selection(),
        workers=1,
        purpose="descriptive",
        needs="any",
    )


def outcome(trials: Iterable[TrialRecord], track: Track) -> float | None:
    """Return the objective of the architecture that a search recommends at the end of its budget.

    None where it recommends nothing, or something that it never measured at the search fidelity.
    """
    measured: dict[str, float] = {}
    recommended: str | None = None
    for record in trials:
        if not record.counted or record.spent > track.budget.limit:
            continue
        recommended = record.recommended
        arch = trained_in_full(record.trial.work, track.fidelity.search)
        if arch is not None and not isinstance(record.result, Failure):
            measured[arch] = record.result.value
    return None if recommended is None else measured.get(recommended)


Run = tuple[RunSpec, Sequence[TrialRecord]]


def ledger(entry: Tuning, row_options: Mapping[str, Any], runs: Iterable[Run]) -> dict[str, Json]:
    """Return what a tuning found: every setting with its outcomes and charges, the chosen one, the options it gives.

    A setting is a candidate only if all its replicates have an outcome; of equal means the first in the grid wins.

    Args:
        entry: the tuning.
        row_options: the options of the row that are not tuned, with those that are.
        runs: its runs, all of them.

    Raises:
        RulesBroken: no setting has an outcome in every replicate.
    """
    track = _track(entry)
    rows = {name: _row(name, setting) for name, setting in settings(entry).items()}
    for spec, trials in runs:
        row = rows[spec.variant]
        row["values"].append(outcome(trials, track))
        row["charged"] += max((record.spent for record in trials if record.counted), default=0.0)
        row["evaluations"] += sum(record.counted for record in trials)
    for row in rows.values():
        known = [value for value in row["values"] if value is not None]
        row["mean"] = fmean(known) if known and len(known) == entry.replicates else None
    chosen = _best(rows, entry)
    return {
        "benchmark": track.benchmark.model_dump(mode="json"),
        "objective": track.objective.metric,
        "direction": track.objective.direction,
        "unit": track.budget.unit,
        "limit": track.budget.limit,
        "replicates": entry.replicates,
        "settings": list(rows.values()),
        "chosen": chosen,
        "options": {**row_options, **rows[chosen]["options"]},
        "charged": sum(row["charged"] for row in rows.values()),
    }


def _row(name: str, setting: Mapping[str, Any]) -> dict[str, Any]:
    return {"setting": name, "options": dict(setting), "values": [], "mean": None, "charged": 0.0, "evaluations": 0}


def _best(rows: Mapping[str, Mapping[str, Any]], entry: Tuning) -> str:
    assert entry.objective is not None
    sign = 1.0 if entry.objective.direction == "maximize" else -1.0
    means = {name: -inf if row["mean"] is None else sign * row["mean"] for name, row in rows.items()}
    best = max(means, key=means.__getitem__)
    if means[best] == -inf:
        raise RulesBroken(
            f"tuning of {entry.method!r}: no setting ended every run with an architecture that it had measured at "
            f"{entry.fidelity.search if entry.fidelity else 0} epochs; raise tuning.budget.limit"
        )
    return best


def real_seconds(runs: Iterable[RunRecord]) -> float:
    """Return the real seconds that runs took, searcher and evaluations together."""
    return sum(run.seconds.get("wall", 0.0) for run in runs)
