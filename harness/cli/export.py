"""Answer `export`: take a network that a recorded run recommends or trained out of the harness."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

from harness.cli.parser import place_of
from harness.cli.tables import console, shown
from harness.core.canonical import Json, content_hash
from harness.core.derivation import seeds_of
from harness.core.errors import HarnessError, TrialFailed, UsageError, nearest
from harness.core.lineage import trained
from harness.core.records import RunRecord
from harness.core.schema import ProtocolModel, Track
from harness.core.types import Arch, Evaluate, Failure, Grow, RunSpec, Trial
from harness.job import open_recorded
from harness.plan import CATALOGUE, expand
from harness.protocol import load
from harness.store import Study

_LISTED = 20
"""Names that a refusal lists; the texts of architectures are long."""

_SELECTORS = ("track", "method", "variant", "replicate")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A run, the architecture to write, and the track that it ran on."""

    run: RunRecord
    arch: Arch
    track: Track
    protocol_hash: str


def export_model(options: argparse.Namespace) -> int:
    """Train the chosen network, or take it from the shelf of checkpoints, and write it."""
    _refuse_idle_seed(options)
    study = Study(options.run.resolve())
    study.protocol()
    loaded = load(str(study.folder / "protocol.json"), CATALOGUE)
    spec = _spec(expand(loaded.model, study.choices()), options)
    _refuse_looked_up(study, spec)
    chosen = _chosen(study.run(spec), loaded.model, loaded.hash, options.arch)
    benchmark = open_recorded(study, chosen.track, place_of(options))
    out = console()
    out.print(f"{spec.id} {'recommends' if options.arch is None else 'trained'} {chosen.arch}", markup=False)
    exported = _export(benchmark, chosen, options)
    for path in exported.files:
        out.print(f"wrote {shown(path)}", markup=False)
    if exported.missing:
        out.print(f"no model.pt2: {exported.missing}", markup=False)
    return 0


def _export(benchmark: Any, chosen: Chosen, options: argparse.Namespace) -> Any:
    """Write the network; `benchmark` answers more than the protocol of benchmarks asks for, or is refused."""
    network, origin = _network(benchmark, chosen, options)
    folder = (options.out or Path("exports", _label(chosen, options))).resolve()
    exporter = import_module("benchmarks.training.export")  # loads torch
    return exporter.export(folder, network, chosen.arch, benchmark.facts, origin)


def _label(chosen: Chosen, options: argparse.Namespace) -> str:
    """Return the name of a folder of its own for each network of a run."""
    name = chosen.run.spec.id.replace("/", "-")
    return name if options.arch is None else f"{name}-{content_hash(chosen.arch)[:8]}"


def _spec(specs: list[RunSpec], options: argparse.Namespace) -> RunSpec:
    """Return the run that the options name; a refusal lists those that they could mean."""
    found = specs
    named = ""
    for selector in _SELECTORS:
        given = getattr(options, selector)
        if given is None:
            continue
        known = dict.fromkeys(str(getattr(spec, selector)) for spec in found)
        found = [spec for spec in found if getattr(spec, selector) == given]
        if not found:
            raise UsageError(
                f"{options.run}: --{selector}: no run{named and f' of{named}'} has {str(given)!r}"
                f"{nearest(str(given), known)}; choose from: {_listed(known)}"
            )
        named += f" --{selector} {given}"
    if len(found) > 1:
        rows = [f"--track {spec.track} --method {spec.method}" for spec in found]
        raise UsageError(f"{options.run}: {len(found)} runs have{named}; add one of: {_listed(rows)}")
    return found[0]


def _listed(names: Collection[str]) -> str:
    """Return the first names, and how many more there are."""
    rest = f"; and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return "; ".join(islice(names, _LISTED)) + rest


def _chosen(run: RunRecord, protocol: ProtocolModel, protocol_hash: str, arch: str | None) -> Chosen:
    """Return what to write: what was asked for, what the run was finally evaluated on, or its last recommendation."""
    so_far = [entry.recommended for entry in run.trials if entry.counted and entry.recommended is not None]
    archs = [*run.final, *so_far[::-1]]
    if not archs:
        raise UsageError(f"{run.spec.id} recommends nothing ({run.reason or run.status}); choose a run that has trials")
    if arch is not None:
        _refuse_untrained(run, arch)
    track = next(track for track in protocol.tracks if track.id == run.spec.track)
    return Chosen(run, Arch(archs[0] if arch is None else arch), track, protocol_hash)


def _refuse_untrained(run: RunRecord, arch: str) -> None:
    succeeded = (entry for entry in run.trials if entry.counted and not isinstance(entry.result, Failure))
    known = dict.fromkeys([*run.retrained, *filter(None, (trained(entry.trial.work) for entry in succeeded))])
    if arch not in known:
        raise UsageError(
            f"--arch: {run.spec.id} trained no {arch!r}{nearest(arch, known)}; it trained: {_listed(known)}"
        )


def _refuse_idle_seed(options: argparse.Namespace) -> None:
    if options.weights == "search" and options.seed is not None:
        raise UsageError(
            f"--seed: {options.seed} given with --weights search, whose training had the seed of its trial; "
            "leave --seed out, or give --weights final, which trains under it"
        )


def _refuse_looked_up(study: Study, spec: RunSpec) -> None:
    record = study.tracks()[spec.track]
    if record.manifest.get("kind") == "tabular":
        local = " (the candidates that it trained here are gone)" if "local" in record.manifest else ""
        raise UsageError(
            f"export: the networks of track {spec.track} were looked up in a table, which holds no weights{local}; run "
            "the protocol on a benchmark that trains them, nb201-training or growth-training, and export from that run"
        )


def _network(benchmark: Any, chosen: Chosen, options: argparse.Namespace) -> tuple[Any, dict[str, Json]]:
    if not hasattr(benchmark, "network"):
        raise UsageError(
            f"export: {benchmark.name} has no networks that can be written; a track on growth-training or on "
            "nb201-training has"
        )
    origin: dict[str, Json] = {
        "run": chosen.run.spec.id,
        "protocol": chosen.protocol_hash,
        "weights": options.weights,
        "sealed": _sealed(chosen),
    }
    try:
        if options.weights == "search":
            trial = _best_trial(chosen)
            return benchmark.network_of(trial.work, trial.seed), origin | {"trial": trial.id}
        seed = chosen.track.final.seeds[0] if options.seed is None else options.seed
        drawn = seeds_of(chosen.run.spec, chosen.track).child("final", chosen.arch, seed).seed()
        return benchmark.network(chosen.arch, drawn), origin | {"seed": seed}
    except TrialFailed as failed:
        other = "give --weights final" if options.weights == "search" else "try another --seed"
        raise HarnessError(f"export: the training of {chosen.arch} failed: {failed.reason}; {other}") from None


def _sealed(chosen: Chosen) -> dict[str, Json]:
    """Return the means over the final seeds, of the metrics that each of them has."""
    first, *others = chosen.run.retrained.get(chosen.arch) or ({},)
    names = [name for name in first if all(name in metrics for metrics in others)]
    return {name: fmean(metrics[name] for metrics in (first, *others)) for name in names}


def _best_trial(chosen: Chosen) -> Trial:
    """Return the trial behind the architecture: the best objective among its networks."""
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
