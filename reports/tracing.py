"""Reduce runs to their traces, in whatever process they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.core.records import RunRecord
from reports.trace import Trace, trace_of


@dataclass(frozen=True, slots=True)
class Tracing:
    """A function of a block of runs that can be sent to another process.

    Attributes:
        plans: the tracks of the resolved protocol by id.
        excluded: run id -> the declared reason for leaving it out.
        ranges: by track, what is known of the secondary metrics of the whole space.
    """

    plans: Mapping[str, Mapping[str, Any]]
    excluded: Mapping[str, str]
    ranges: Mapping[str, Mapping[str, Any]]

    def __call__(self, runs: Iterator[RunRecord]) -> list[tuple[Trace, str]]:
        """Return trace and journal of each run."""
        return [(self._trace(run), run.journal) for run in runs]

    def _trace(self, run: RunRecord) -> Trace:
        track = run.spec.track
        return trace_of(run, self.plans[track], self.excluded.get(run.spec.id, ""), self.ranges[track])
