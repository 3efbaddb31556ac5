"""Build tiny studies for tests: a protocol, a benchmark, a run kept in memory."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pytest

from harness.core.canonical import canonical_json
from harness.core.codec import result_to_json, work_to_json
from harness.core.errors import ReplayDiverged, UsageError
from harness.core.interfaces import Benchmark, Place, Query
from harness.core.records import TrialRecord
from harness.core.registry import registry
from harness.core.schema import ProtocolModel, Track
from harness.core.types import Cost, Failure, Outcome, RunSpec, Trial
from harness.overlap import Crew
from harness.runner import execute, query_of
from harness.testing.toy import FULL, TEST, VALID, Failing

TOY = "harness.testing.toy:Toy"
GROWING = "harness.testing.growing:GrowingToy"


def tiny_protocol(
    methods: Sequence[str | Mapping[str, Any]] = ("random_search",),
    track: Mapping[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Return a whole protocol as plain data, with defaults for everything that is not mentioned.

    `methods` are names or rows, `track` changes the one track (mappings in it are merged), and `changes` are any
    other top-level keys. The default benchmark is called 'toy', which a test registers if it runs the protocol.
    """
    tiny: dict[str, Any] = {
        "id": "tiny",
        "benchmark": {"name": "toy", "options": {}},
        "splits": {"train": "toy train", "search": "toy valid", "final": "toy test"},
        "fidelity": {"search": FULL, "final": FULL},
        "objective": {"metric": VALID, "direction": "maximize"},
        "budget": {"unit": "epochs", "limit": 40 * FULL, "overrun": "discard"},
        "final": {"metrics": [TEST]},
        "replicates": 2,
    }
    rows = [{"name": row} if isinstance(row, str) else dict(row) for row in methods]
    return {
        "protocol": "tiny",
        "version": "1.0.0",
        "tracks": [_merge(tiny, track or {})],
        "methods": rows,
        **changes,
    }


def temp_protocol(folder: Path, **changes: Any) -> Path:
    """Write `tiny_protocol(**changes)` into a folder (pytest's tmp_path) and return the file.

    It is JSON, which is YAML too.
    """
    path = folder / "tiny.yaml"
    path.write_text(json.dumps(tiny_protocol(**changes), indent=2) + "\n", encoding="utf-8")
    return path


def _merge(base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        inner = merged.get(key)
        merged[key] = _merge(inner, value) if isinstance(inner, dict) and isinstance(value, Mapping) else value
    return merged


def tiny_track(**changes: Any) -> Track:
    """Return the track of a tiny protocol, with changes merged in."""
    return ProtocolModel.model_validate(tiny_protocol(track=changes)).tracks[0]


def attribute(path: str) -> Any:
    """Return what 'module:attribute' names."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


class Silent:
    """Watch a study and say nothing."""

    def planned(self, specs: Sequence[RunSpec], left: Sequence[RunSpec]) -> None:
        """Ignore the plan."""

    def advanced(self, spec: RunSpec, share: float) -> None:
        """Ignore progress."""

    def ended(self, spec: RunSpec) -> None:
        """Ignore the end of a run."""


@dataclass(frozen=True)
class Opening:
    """How to open a benchmark, in any process.

    Attributes:
        kind: 'module:Class'.
        config: an instance of its `Config`.
    """

    kind: str
    config: Any
    place: Place
    query: Query

    def open(self) -> Benchmark:
        """Open it."""
        return cast("Benchmark", attribute(self.kind)(self.config, self.place, self.query))


@dataclass(frozen=True)
class World:
    """A track on a benchmark, made again in any process.

    Attributes:
        kind: the benchmark as 'module:Class'.
        track: budget, fidelities, objective; the benchmark's options.
        failures: the share of the trials that fail.
        cache: a folder for the benchmark's files, where it needs one.
        data: the folder with real data, where it needs one.
    """

    kind: str = TOY
    track: Track = field(default_factory=tiny_track)
    failures: float = 0.0
    cache: Path = Path()
    data: Path | None = None

    def open(self) -> Benchmark:
        """Open the benchmark."""
        config = attribute(self.kind).Config(**self.track.benchmark.options)
        benchmark = Opening(self.kind, config, Place(self.data, self.cache), query_of(self.track)).open()
        return Failing(benchmark, self.failures) if self.failures else benchmark

    def changed(self, failures: float | None = None, **changes: Any) -> World:
        """Return the same world with changes of its track merged in, and another share of failures."""
        merged = _merge(self.track.model_dump(by_alias=True), changes)
        share = self.failures if failures is None else failures
        return replace(self, track=Track.model_validate(merged), failures=share)


@dataclass
class Notebook:
    """A recorder in memory, which replays what an earlier notebook holds (see `harness.store.recorder`).

    Attributes:
        trials: everything recorded, in the order of landing.
        lines: the same as canonical JSON.
        recorded: the lines of the attempt that is resumed.
        final_costs: what each final evaluation is charged.
        seconds: of trials and phases, in the order in which they were recorded.
        reason: why the run ended.
    """

    recorded: Sequence[str] = ()
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    finals: dict[tuple[str, int], dict[str, float]] = field(default_factory=dict)
    trials: list[TrialRecord] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    final_costs: list[Cost | None] = field(default_factory=list)
    seconds: list[tuple[str, float]] = field(default_factory=list)
    reason: str = ""

    def append(self, trial: Trial, outcome: Outcome, spent: float, recommended: str | None, *, counted: bool) -> None:
        """Record a trial; ReplayDiverged where the resumed attempt recorded another."""
        line = canonical_json(
            [
                [trial.id, trial.seed, work_to_json(trial.work), result_to_json(outcome.result)],
                [spent, recommended, counted, dict(outcome.sealed)],
            ]
        )
        position = len(self.lines)
        if position < len(self.recorded) and self.recorded[position] != line:
            raise ReplayDiverged(f"line {position + 1}: {line} instead of {self.recorded[position]}")
        self.lines.append(line)
        self.trials.append(TrialRecord(trial, outcome.result, spent, counted, recommended, dict(outcome.sealed)))

    def start(self, at: float) -> None:
        """Forget the time."""

    def timing(self, trial_id: int, ask: float, evaluate: float, tell: float) -> None:
        """Record the seconds of a trial."""
        self.seconds.append((f"trial {trial_id}", ask + evaluate + tell))

    def phase(self, name: str, seconds: float) -> None:
        """Record the seconds of a phase."""
        self.seconds.append((name, seconds))

    def final(self, arch: str, seed: int, metrics: Mapping[str, float], cost: Cost | None = None) -> None:
        """Record the final metrics."""
        self.finals[arch, seed] = dict(metrics)
        self.final_costs.append(cost)

    def finish(self, reason: str, spent: float, recommended: str | None) -> None:
        """Seal the run."""
        self.reason = reason
        self.lines.append(canonical_json([reason, spent, recommended]))

    def torn(self, count: int) -> Notebook:
        """Return the notebook that a kill after `count` landed trials leaves for the next attempt."""
        kept = self.trials[:count]
        outcomes = {entry.trial.id: Outcome(entry.result, entry.sealed) for entry in kept}
        return Notebook(recorded=self.lines[:count], outcomes=outcomes)

    @property
    def told(self) -> list[TrialRecord]:
        """What the method was told."""
        return [entry for entry in self.trials if entry.counted]

    @property
    def succeeded(self) -> list[TrialRecord]:
        """The trials that the method was told and that did not fail."""
        return [entry for entry in self.told if not isinstance(entry.result, Failure)]


@contextmanager
def registered(kind: str, path: str) -> Iterator[str]:
    """Give 'module:attribute' a name in a registry for a while, unless it has one; return the name."""
    names = cast("dict[str, str]", registry(kind))
    for name, entry in names.items():
        if entry == path:
            yield name
            return
    names["under-test"] = path
    try:
        yield "under-test"
    finally:
        del names["under-test"]


def play(
    method: str,
    world: World,
    *,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    notebook: Notebook | None = None,
    benchmark: Benchmark | None = None,
    crew: Crew | None = None,
    order: Sequence[int] = (),
) -> Notebook:
    """Run one search of the method 'module:Class' in a world, by the real runner; return what was recorded.

    `benchmark` is the world's, where it is open already; `crew` and `order` are those of `harness.runner.execute`.
    """
    book = notebook or Notebook()
    with registered("methods", method) as name:
        spec = RunSpec("tiny", "1.0.0", world.track.id, name, name, "base", options or {}, seed, seed)
        execute(spec, world.track, benchmark or world.open(), book, lambda _share: None, crew, order)
    return book


def world_for(method: str) -> World:
    """Return the first of the toy worlds that the method 'module:Class' can search: words, or words that grow.

    Where neither will do, the first, so that a test can say what it lacks.
    """
    return next((world for world in (World(), World(kind=GROWING)) if _searches(method, world)), World())


def _searches(method: str, world: World) -> bool:
    if not attribute(method).requires <= world.open().offers:
        return False
    try:
        play(method, world.changed(budget={"limit": 1e-9}))  # asked once, told nothing
    except UsageError:  # the space has no moves to grow by, for instance
        return False
    return True


@contextmanager
def fresh_process() -> Iterator[ProcessPoolExecutor]:
    """Offer a pool of one fresh process, with another hash seed than this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONHASHSEED", "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1")
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            yield pool


def lines_of(method: str, world: World, seed: int, options: Mapping[str, Any]) -> list[str]:
    """Return the journal of one search; other processes call this."""
    return play(method, world, seed=seed, options=options).lines
