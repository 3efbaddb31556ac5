"""Make synthetic studies: a small made-up table, searched by two made-up methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from harness.core.canonical import content_hash
from harness.core.records import RunRecord, StudyRecord, TrackRecord, TrialRecord
from harness.core.schema import ProtocolModel
from harness.core.seeds import SeedTree
from harness.core.types import Arch, Cost, Evaluate, Failure, Measurement, RunSpec, Trial

VALID = "toy/valid@12ep(1k) mean-of-trials"
TEST = "toy/test@200ep(2k) mean-of-trials"
ABSENT = "other/test@200ep(2k) mean-of-trials"
WORK = "toy/multiply-adds"
CELLS = 300


@dataclass(frozen=True)
class Table:
    """A made-up table: validation, test and cost of each cell."""

    valid: np.ndarray
    test: np.ndarray
    cost: np.ndarray

    @classmethod
    def make(cls) -> Table:
        rng = np.random.default_rng(7)
        quality = rng.beta(5, 1.5, CELLS)
        test = 60 + 34 * quality + rng.normal(0, 0.1, CELLS)
        valid = 55 + 34 * quality + rng.normal(0, 0.8, CELLS)
        # Two decimals, as real tables have: no last digit depends on the machine's exponential function.
        return cls(valid.round(2), test.round(2), rng.uniform(40, 90, CELLS).round(2))

    @property
    def work(self) -> np.ndarray:
        """Multiply-adds, in step with the cost and so with nothing that matters."""
        return (self.cost / 2).round(1)

    def facts(self) -> dict[str, Any]:
        """What a benchmark says of its whole space beyond the references that every study has."""
        order = np.lexsort((-self.test, self.work))
        best = np.maximum.accumulate(np.append(-np.inf, self.test[order]))[:-1]
        front = order[self.test[order] > best]
        return {
            "quantiles": {TEST: np.quantile(self.test, np.linspace(0, 1, 1001)).tolist()},
            "ranges": {WORK: {"low": self.work.min(), "high": self.work.max(), "better": "lower"}},
            "fronts": {WORK: {"metric": TEST, "cost": self.work[front].tolist(), "value": self.test[front].tolist()}},
            "agreement": {TEST: {"objective": VALID, "kendall_tau": 0.8, "n": CELLS}},
            "best_of_draws": {"metric": TEST, "draws": [1, 3, 10], "expected": [86.8, 91.0, 93.0]},
        }

    def references(self) -> dict[str, Any]:
        best = int(self.test.argmax())
        return {
            "random_sampling": {TEST: {"mean": self.test.mean(), "std": self.test.std(ddof=1), "n": CELLS}},
            "optimum": {TEST: {"value": self.test[best], "arch": f"a{best}"}},
            "random_search": {
                "metric": TEST,
                "expected": 93.0,
                "spent": [100.0, 1000.0, 2000.0],
                "curve": [None, 92.0, 93.0],
                "basis": "made up",
            },
        }


@dataclass(frozen=True)
class Shape:
    """What a synthetic study looks like; tests replace what they are about."""

    methods: tuple[str, ...] = ("random_search", "regularized_evolution")
    ablation: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    replicates: int = 5
    purpose: str = "confirmatory"
    tests: str = "mann-whitney"
    unit: str = "train_seconds"
    kind: str = "tabular"
    limit: float = 2000.0
    rule: str = "recommended"
    metrics: tuple[str, ...] = (TEST,)
    references: bool = True
    facts: bool = False
    tracks: tuple[str, ...] = ("toy",)
    unavailable: Mapping[str, str] = field(default_factory=dict)
    skipped: str = ""
    published: tuple[Mapping[str, Any], ...] = ()
    exclusions: tuple[str, ...] = ()
    drift: tuple[str, ...] = ()
    spoil: Callable[[RunRecord], RunRecord] | None = None


def protocol_of(shape: Shape) -> ProtocolModel:
    track: dict[str, Any] = {
        "benchmark": {"name": "made-up", "options": {"table": "toy"}},
        "splits": {"train": "toy train", "search": "toy valid", "final": "toy test"},
        "fidelity": {"search": 12, "final": 200},
        "objective": {"metric": VALID, "secondary": [WORK] if shape.facts else []},
        "budget": {"unit": shape.unit, "limit": shape.limit},
        "final": {"metrics": list(shape.metrics)},
        "replicates": shape.replicates,
        "purpose": shape.purpose,
        "selection": {"rule": shape.rule},
    }
    ablations = [{"method": "regularized_evolution", "vary": dict(shape.ablation)}] if shape.ablation else []
    analysis = {"tests": shape.tests, "published": list(shape.published), "exclusions": list(shape.exclusions)}
    return ProtocolModel.model_validate(
        {
            "protocol": "toy",
            "version": "1.2.3",
            "title": "A synthetic study",
            "description": "Two made-up methods on a made-up table.",
            "tracks": [{"id": name, **track} for name in shape.tracks],
            "methods": [{"name": name} for name in shape.methods],
            "ablations": ablations,
            "analysis": analysis,
        }
    )


def specs_of(shape: Shape) -> list[RunSpec]:
    variants = [(name, "base", {}) for name in shape.methods]
    variants += [
        ("regularized_evolution", f"{option}={value}", {option: value})
        for option, values in shape.ablation.items()
        for value in values
    ]
    return [
        RunSpec("toy", "1.2.3", track, method, method, variant, options, replicate, replicate)
        for track in shape.tracks
        for method, variant, options in variants
        for replicate in range(shape.replicates)
    ]


def search(spec: RunSpec, table: Table, limit: float) -> tuple[TrialRecord, ...]:
    """Draw cells until the budget is spent; the second method looks near the best, its ablation less so."""
    node = SeedTree.root("synthetic", spec.replicate).child(spec.method, spec.variant)
    rng = (node if spec.track == "toy" else node.child(spec.track)).generator()
    order = np.argsort(table.valid)
    place = np.empty(CELLS, dtype=int)
    place[order] = np.arange(CELLS)
    reach = {"base": 60, "greed=1": 30}.get(spec.variant, 120)
    trials: list[TrialRecord] = []
    spent, best = 0.0, None
    while True:
        cell = int(rng.integers(CELLS))
        if spec.method != "random_search" and best is not None:
            cell = int(order[np.clip(place[best] + rng.integers(-reach, reach), 0, CELLS - 1)])
        trial = Trial(len(trials), Evaluate(Arch(f"a{cell}"), 12), int(rng.integers(2**40)))
        cost = float(table.cost[cell])
        metrics = {VALID: float(table.valid[cell]), WORK: float(table.work[cell])}
        told = Measurement(float(table.valid[cell]), metrics, Cost(12, cost))
        sealed = {TEST: float(table.test[cell])}
        recommended = None if best is None else f"a{best}"
        if spent + cost > limit:
            return (*trials, TrialRecord(trial, told, spent, False, recommended, sealed))
        spent += cost
        if best is None or table.valid[cell] > table.valid[best]:
            best = cell
        trials.append(TrialRecord(trial, told, spent, True, f"a{best}", sealed))


def run_of(spec: RunSpec, shape: Shape, table: Table) -> RunRecord:
    seconds = {"ask": 0.125, "evaluate": 0.5, "tell": 0.0625, "selection": 0.25, "final": 4.0, "wall": 5.0}
    trials = search(spec, table, shape.limit)
    last = next((entry.recommended for entry in reversed(trials) if entry.recommended), None)
    final = None if last is None else Cost(200, 10 * float(table.cost[int(last[1:])]))
    run = RunRecord(spec, "done", "budget", trials, content_hash(spec.id), {}, seconds, final_cost=final)
    return shape.spoil(run) if shape.spoil else run


ENVIRONMENT = {
    "schema": 1,
    "hardware": {"cpu": {"model": "Abacus 3000", "cores": 2, "flags": "a b c"}, "memory_bytes": 8 * 2**30, "gpus": []},
    "software": {"os": "Synthetic OS 1", "python": {"version": "3.11.0"}, "distributions": ["numpy==2.4", "x==1"]},
    "code": {"repository": {"commit": "0" * 40, "dirty": False}},
}


def study_of(shape: Shape) -> StudyRecord:
    table = Table.make()
    protocol = protocol_of(shape)
    manifest = {"kind": shape.kind, "data": {"toy.npz": {"sha256": "ab" * 32}}}
    references = table.references() if shape.references else {}
    references |= table.facts() if shape.facts else {}
    track = TrackRecord(content_hash(manifest), manifest, references, shape.unavailable, shape.skipped)
    name = content_hash(ENVIRONMENT)

    def runs() -> Iterator[RunRecord]:
        return (run_of(spec, shape, table) for spec in specs_of(shape))

    return StudyRecord(
        protocol=protocol.resolved(),
        protocol_hash=protocol.hash(),
        environments={name: ENVIRONMENT},
        segments=({"environment": name, "started": "2025-01-02T03:04:05Z", "drift": list(shape.drift)},),
        tracks=dict.fromkeys(shape.tracks, track),
        runs=runs,
    )


def spoil(replicate: int, method: str, **changes: Any) -> Callable[[RunRecord], RunRecord]:
    """Return a change of one run of the study."""

    def change(run: RunRecord) -> RunRecord:
        mine = run.spec.replicate == replicate and run.spec.method == method and run.spec.variant == "base"
        return replace(run, **changes) if mine else run

    return change


def failing(record: TrialRecord) -> TrialRecord:
    return replace(record, result=Failure("NaN in the loss", Cost(3, 10.0)))


@pytest.fixture
def make_study() -> Callable[..., StudyRecord]:
    """A function that makes a synthetic study from the fields of `Shape`."""
    return lambda **changes: study_of(replace(Shape(), **changes))
