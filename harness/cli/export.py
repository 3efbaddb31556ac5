"""Answer `export`: take the network that a recorded run recommends out of the harness."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from harness.cli.parser import place_of
from harness.cli.tables import console, shown
from harness.core.canonical import Json, content_hash
from harness.core.derivation import seeds_of
from harness.core.errors import HarnessError, TrialFailed, UsageError
from harness.core.interfaces import Benchmark
from harness.core.records import RunRecord
from harness.core.schema import ProtocolModel, Track
from harness.core.types import Arch, Evaluate, Failure, Grow, RunSpec, Trial
from harness.job import open_benchmark
from harness.plan import CATALOGUE, expand
from harness.protocol import load
from harness.store import Study


@dataclass(frozen=True, slots=True)
class Chosen:
    """A run, what it recommends, and the track that it ran on."""

    run: RunRecord
    arch: Arch
    track: Track
    protocol_hash: str


def export_model(options: argparse.Namespace) -> int:
    """Train the recommended network, or take it from the shelf of checkpoints, and write it."""
    study = Study(options.run.resolve())
    study.protocol()
    loaded = load(str(study.folder / "protocol.json"), CATALOGUE)
    spec = _spec(expand(loaded.model, study.choices()), options)
    chosen = _chosen(study.run(spec), loaded.model, loaded.hash)
    benchmark = open_benchmark(chosen.track, place_of(options))
    _refuse_other(study, chosen, benchmark)
    out = console()
    out.print(f"{spec.id} recommends {chosen.arch}", markup=False)
    exported = _export(benchmark, chosen, options)
    for path in exported.files:
        out.print(f"wrote {shown(path)}", markup=False)
    if exported.missing:
        out.print(f"no model.pt2: {exported.missing}", markup=False)
    return 0


def _export(benchmark: Any, chosen: Chosen, options: argparse.Namespace) -> Any:
    """Write the network; `benchmark` answers more than the protocol of benchmarks asks for, or is refused."""
    network, origin = _network(benchmark, chosen, options)
    folder = (options.out or Path("exports", chosen.run.spec.id.replace("/", "-"))).resolve()
    exporter = import_module("benchmarks.training.export")  # loads torch
    return exporter.export(folder, network, chosen.arch, benchmark.facts, origin)


def _spec(specs: list[RunSpec], options: argparse.Namespace) -> RunSpec:
    """Return the run that the options name; a refusal lists those that they could mean."""
    found = [
        spec
        for spec in specs
        if options.track in (None, spec.track)
        and options.method in (None, spec.method)
        and (spec.variant, spec.replicate) == (options.variant, options.replicate)
    ]
    if len(found) != 1:
        rows = dict.fromkeys(f"--track {spec.track} --method {spec.method}" for spec in found or specs)
        given = f"--variant {options.variant} --replicate {options.replicate}"
        raise UsageError(
            f"{options.run}: {len(found) or 'no'} runs are named by {given} and the track and method that were given; "
            f"name one, for instance {'; '.join(list(rows)[:5])}"
        )
    return found[0]


def _chosen(run: RunRecord, protocol: ProtocolModel, protocol_hash: str) -> Chosen:
    """Return what a run recommends: what it was finally evaluated on, or its last recommendation so far."""
    so_far = [entry.recommended for entry in run.trials if entry.counted and entry.recommended is not None]
    archs = [*run.final, *so_far[::-1]]
    if not archs:
        raise UsageError(f"{run.spec.id} recommends nothing ({run.reason or run.status}); choose a run that has trials")
    track = next(track for track in protocol.tracks if track.id == run.spec.track)
    return Chosen(run, Arch(archs[0]), track, protocol_hash)


def _refuse_other(study: Study, chosen: Chosen, benchmark: Benchmark) -> None:
    recorded = study.tracks()[chosen.track.id].fingerprint
    if recorded != content_hash(benchmark.manifest()):
        raise UsageError(
            f"{study.folder}: track {chosen.track.id} was recorded with another {benchmark.name} ({recorded[:12]}) "
            f"than this one ({content_hash(benchmark.manifest())[:12]}); use the harness and the data of the record"
        )


def _network(benchmark: Any, chosen: Chosen, options: argparse.Namespace) -> tuple[Any, dict[str, Json]]:
    if not hasattr(benchmark, "network"):
        raise UsageError(
            f"export: {benchmark.name} has no networks that can be written; a track on growth-training has"
        )
    origin: dict[str, Json] = {
        "run": chosen.run.spec.id,
        "protocol": chosen.protocol_hash,
        "weights": options.weights,
        "sealed": dict(chosen.run.final.get(chosen.arch, {})),
    }
    try:
        if options.weights == "search":
            trial = _best_trial(chosen)
            return benchmark.network_of(trial.work, trial.seed), origin | {"trial": trial.id}
        seed = chosen.track.final.seeds[0] if options.seed is None else options.seed
        drawn = seeds_of(chosen.run.spec, chosen.track).child("final", chosen.arch, seed).seed()
        return benchmark.network(chosen.arch, drawn), origin | {"seed": seed}
    except TrialFailed as failed:
        raise HarnessError(
            f"export: the training of {chosen.arch} failed: {failed.reason}; try another --seed"
        ) from None


def _best_trial(chosen: Chosen) -> Trial:
    """Return the trial behind the recommendation: the best objective among the networks of that architecture."""
    sign = 1 if chosen.track.objective.direction == "maximize" else -1
    ranked = [
        (sign * entry.result.value, -entry.trial.id, entry.trial)
        for entry in chosen.run.trials
        if entry.counted
        and isinstance(entry.trial.work, Evaluate | Grow)
        and entry.trial.work.arch == chosen.arch
        and not isinstance(entry.result, Failure)
    ]
    if not ranked:
        raise UsageError(f"export: no trial of the run trained {chosen.arch}; give --weights final")
    return max(ranked, key=lambda each: each[:2])[2]
