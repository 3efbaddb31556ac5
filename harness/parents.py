"""Train the parents of a record on without candidates, to see how near their converged accuracy they were."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from harness.core.errors import UsageError
from harness.core.interfaces import Benchmark, Place
from harness.core.records import TrialRecord
from harness.core.schema import ProtocolModel
from harness.core.types import Attach, Evaluate, Grow, Measurement, RunSpec, Trial
from harness.job import open_recorded
from harness.plan import expand
from harness.store import Study

BEFORE, AFTER = "valid-before", "valid"
"""What the accuracy of a parent before and after a phase is called (`benchmarks.training.naming`)."""

ARM = "sg+sf"
"""Of an attachment of nothing, in which the arms are all the same."""


@dataclass(frozen=True, slots=True)
class Prolonged:
    """A parent that candidates were attached to, trained on without them.

    Attributes:
        recorded: its validation accuracy in percent when candidates were attached, as the record has it.
        before: the same as it came out here, where the record's machine may have been another.
        after: after its further epochs; NaN where it diverged in them.
    """

    spec: RunSpec
    arch: str
    recorded: float
    before: float
    after: float


def prolong(
    study: Study,
    protocol: ProtocolModel,
    place: Place,
    epochs: int,
    replicates: int,
    told: Callable[[int, int], None],
) -> Iterator[Prolonged]:
    """Yield every parent of the complete runs of the first replicates, trained for so many further epochs.

    The further epochs are an attachment of no candidates: the recipe of attachments, its schedule from the start. The
    record is read and nothing is written to it. What several runs have in common is trained once. `told` learns which
    parent it is, of how many.

    Raises:
        UsageError: no complete run attached anything, the benchmark is not the recorded one, or a number is below 1.
    """
    if min(epochs, replicates) < 1:
        raise UsageError(f"--epochs, --replicates: {epochs}, {replicates} train nothing; give 1 or more of each")
    specs = [spec for spec in expand(protocol, study.choices()) if spec.replicate < replicates]
    found = [(spec, work, entry) for spec in specs for work, entry in _attached(study, spec).items()]
    if not found:
        raise UsageError(
            f"{study.folder}: no complete run of the first {replicates} replicates attached candidates; name the "
            "record of a search that does, such as petridish-quickstart, or go on with it by `resume`"
        )
    tracks = {track.id: track for track in protocol.tracks}
    opened = {
        name: open_recorded(study, tracks[name], place) for name in dict.fromkeys(spec.track for spec, *_ in found)
    }
    known: dict[tuple[str, Evaluate | Grow, int], tuple[float, float]] = {}
    for done, (spec, parent, first) in enumerate(found, start=1):
        told(done, len(found))
        key = spec.track, parent, first.trial.seed
        if key not in known:
            known[key] = _trained_on(opened[spec.track], parent, first.trial.seed, epochs)
        assert isinstance(first.result, Measurement)
        yield Prolonged(spec, parent.arch, _seen(first.result).get(BEFORE, math.nan), *known[key])


def _attached(study: Study, spec: RunSpec) -> dict[Evaluate | Grow, TrialRecord]:
    """Return the parents of a complete run, each with its first attachment."""
    run = study.run(spec)
    chosen: dict[Evaluate | Grow, TrialRecord] = {}
    for entry in run.trials if run.status == "done" else ():
        if entry.counted and isinstance(entry.trial.work, Attach) and isinstance(entry.result, Measurement):
            chosen.setdefault(entry.trial.work.after, entry)
    return chosen


def _trained_on(benchmark: Benchmark, after: Evaluate | Grow, seed: int, epochs: int) -> tuple[float, float]:
    """Return the accuracy before and after the further epochs."""
    # Without a penalty it is the very control behind a recorded drift, which may still be in memory.
    result = benchmark.evaluate(Trial(0, Attach(after, (), ARM, epochs, penalty=0.0), seed)).result
    if not isinstance(result, Measurement):
        return math.nan, math.nan
    seen = _seen(result)
    if not {BEFORE, AFTER} <= seen.keys():
        raise UsageError(
            f"{benchmark.name}: its attachments do not tell the accuracy of a parent ({BEFORE}, {AFTER}); name the "
            "record of a benchmark that trains its parents, such as growth-training"
        )
    return seen[BEFORE], seen[AFTER]


def _seen(result: Measurement) -> dict[str, float]:
    """Return the metrics of an attachment by what they measure."""
    return {name.partition("@")[0].rpartition("/")[2]: value for name, value in result.metrics.items()}
