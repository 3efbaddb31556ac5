"""Look at a protocol before anything starts: the plan, what each benchmark can do, and what it will take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.core.interfaces import Benchmark, Estimate
from harness.core.schema import ProtocolModel, Track
from harness.core.types import RunSpec
from harness.plan import budget_of, expand
from harness.runner import obstacle
from harness.tuning import all_tuning_runs, track_of


@dataclass(frozen=True, slots=True)
class Row:
    """The runs of one method variant on one track.

    Attributes:
        runs: how many runs.
        obstacle: why they will be skipped, or an empty string.
    """

    track: str
    method: str
    variant: str
    runs: int
    obstacle: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a track will take on this machine.

    Attributes:
        seconds: real seconds for all its runs over all workers.
        memory: bytes at the peak over all workers.
        basis: how that is known.
    """

    track: str
    seconds: float
    memory: int
    basis: str


def rows(protocol: ProtocolModel, benchmarks: Mapping[str, Benchmark | str]) -> list[Row]:
    """Return the plan, method by method; tunings stand in it where their benchmarks are given."""
    groups: dict[tuple[str, str, str], list[RunSpec]] = {}
    for spec in (*all_tuning_runs(protocol), *expand(protocol)):
        groups.setdefault((spec.track, spec.method, spec.variant), []).append(spec)
    return [
        Row(*key, len(specs), _obstacle(specs[0], track_of(protocol, key[0]), benchmarks[key[0]]))
        for key, specs in groups.items()
        if key[0] in benchmarks
    ]


def _obstacle(spec: RunSpec, track: Track, benchmark: Benchmark | str) -> str:
    return benchmark if isinstance(benchmark, str) else obstacle(spec, track, benchmark)


def forecasts(protocol: ProtocolModel, benchmarks: Mapping[str, Benchmark | str], workers: int) -> Iterator[Forecast]:
    """Yield what each track that can run will take, from each benchmark's own short calibration."""
    plan = rows(protocol, benchmarks)
    for track in (track_of(protocol, key) for key in benchmarks):
        benchmark = benchmarks[track.id]
        if isinstance(benchmark, str):
            continue
        runs = sum(row.runs for row in plan if row.track == track.id and not row.obstacle)
        estimate = benchmark.estimate()
        one_run = estimate.seconds * _trials(track, estimate) + estimate.final_seconds * len(track.final.seeds)
        side_by_side = max(1, min(workers, runs))
        basis = estimate.basis + ("; its hull is trained finally on top" if track.final.models == "hull" else "")
        # Each process that evaluates beside others has the benchmark open, and so has the one that waits for them.
        processes = side_by_side * (1 + track.workers if track.schedule == "recorded" else 1)
        yield Forecast(track.id, one_run * runs / side_by_side, estimate.memory * processes, basis)


def _trials(track: Track, estimate: Estimate) -> float:
    """Return how many average search trials one budget buys."""
    if track.budget.unit == "evaluations":
        return min(track.budget.limit, track.budget.max_trials)
    price = None if estimate.cost is None else budget_of(track).price(estimate.cost)
    return min(track.budget.limit / price, track.budget.max_trials) if price else track.budget.max_trials
