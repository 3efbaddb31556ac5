"""Expand a protocol into its runs, and turn names and options back into what they stand for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from harness.core.budget import Budget
from harness.core.canonical import canonical_json, sha256_text
from harness.core.registry import load, registry
from harness.core.schema import MethodRow, ProtocolModel, Track
from harness.core.types import RunSpec
from harness.protocol import build

BASE = "base"
"""The variant of a row without any ablation."""

_SPEAKING = re.compile(r"[A-Za-z0-9._+-]{1,40}")


class RegistryCatalogue:
    """The methods, benchmarks and reports of this installation."""

    def names(self, kind: str) -> Sequence[str]:
        """Return the registered names of 'methods', 'benchmarks' or 'reports', sorted."""
        return sorted(registry(kind))

    def config(self, kind: str, name: str) -> type[Any]:
        """Return the `Config` of a registered method or benchmark.

        Raises:
            HarnessError: the name is not registered, or cannot be loaded.
        """
        config: type[Any] = load(kind, name).Config
        return config


CATALOGUE = RegistryCatalogue()


Choices = Mapping[str, Mapping[str, Any]]
"""Row key -> the options that its tuning chose."""

_UNTUNED: Choices = MappingProxyType({})


def expand(protocol: ProtocolModel, choices: Choices = _UNTUNED) -> list[RunSpec]:
    """Return the reported runs of a resolved protocol in their fixed order.

    Tracks follow one another; within a track the replicates are outermost, so that a study that was stopped holds
    the same number of runs of each method, give or take one. Each row runs as itself and then once for each ablated
    value; a value that the row has anyway is the base variant and is not run twice.

    Args:
        protocol: the protocol.
        choices: the options of the rows that were tuned (`Study.choices`); they take the place of the row's own.
    """
    rows = [_settled(row, choices) for row in protocol.methods]
    return [
        RunSpec(
            protocol=protocol.protocol,
            version=protocol.version,
            track=track.id,
            method=row.key,
            implementation=row.name,
            variant=variant,
            options=options,
            replicate=replicate,
            seed=seed,
        )
        for track in protocol.tracks
        for replicate, seed in enumerate(track.seed_list())
        for row in rows
        if row.tracks is None or track.id in row.tracks
        for variant, options in _variants(protocol, row, track)
    ]


def _settled(row: MethodRow, choices: Choices) -> MethodRow:
    return row.model_copy(update={"options": dict(choices[row.key])}) if row.key in choices else row


def _variants(protocol: ProtocolModel, row: MethodRow, track: Track) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield BASE, row.options
    for ablation in protocol.ablations:
        if ablation.method != row.key or (ablation.tracks is not None and track.id not in ablation.tracks):
            continue
        for option, values in ablation.vary.items():
            for value in values:
                if canonical_json(value) != canonical_json(row.options.get(option)):
                    yield variant_name(option, value), {**row.options, option: value}


def variant_name(option: str, value: Any) -> str:
    """Return `option=value`, fit for a folder name: a value that is no short word is named by its hash."""
    text = value if isinstance(value, str) else canonical_json(value)
    return f"{option}={text if _SPEAKING.fullmatch(text) else '~' + sha256_text(text)[:12]}"


def config_of(spec: RunSpec) -> Any:
    """Return the `Config` of the run's method with the options of the run.

    Raises:
        HarnessError: the method is not registered, or its options are wrong.
    """
    return build(CATALOGUE.config("methods", spec.implementation), spec.options)


def benchmark_config(track: Track) -> Any:
    """Return the `Config` of the track's benchmark with the options of the protocol.

    Raises:
        HarnessError: the benchmark is not registered, or its options are wrong.
    """
    return build(CATALOGUE.config("benchmarks", track.benchmark.name), track.benchmark.options)


def budget_of(track: Track) -> Budget:
    """Return the budget of a run on a track."""
    return Budget(track.budget.unit, track.budget.limit, track.budget.overrun)
