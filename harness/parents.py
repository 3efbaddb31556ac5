"""Train the parents of a record on without candidates, to see how near their converged accuracy they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from harness.core.canonical import content_hash
from harness.core.errors import UsageError
from harness.core.interfaces import Benchmark, Place
from harness.core.records import RunRecord
from harness.core.schema import ProtocolModel, Track
from harness.core.types import Attach, Evaluate, Grow, Measurement, RunSpec, Trial
from harness.job import open_benchmark
from harness.plan import expand
from harness.store import Study

ARM = "sg+sf"
"""Of an attachment of nothing, in which the arms are all the same."""


@dataclass(frozen=True, slots=True)
class Prolonged:
    """A parent that candidates were attached to, trained on without them.

    Attributes:
        before: its validation accuracy in percent when candidates were attached.
        after: after its further epochs; NaN where it diverged in them.
    """

    spec: RunSpec
    arch: str
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
    found = [(spec, trial) for spec in specs for trial in _attached(study, spec)]
    if not found:
        raise UsageError(
            f"{study.folder}: no complete run of the first {replicates} replicates attached candidates; name the "
            "record of a search that does, such as petridish-quickstart, or go on with it by `resume`"
        )
    tracks = {track.id: track for track in protocol.tracks}
    opened = {name: _open(study, tracks[name], place) for name in dict.fromkeys(spec.track for spec, _ in found)}
    known: dict[tuple[str, Evaluate | Grow, int], tuple[float, float]] = {}
    for done, (spec, trial) in enumerate(found, start=1):
        told(done, len(found))
        assert isinstance(trial.work, Attach)
        key = spec.track, trial.work.after, trial.seed
        if key not in known:
            known[key] = _trained_on(opened[spec.track], trial.work.after, trial.seed, epochs)
        yield Prolonged(spec, trial.work.arch, *known[key])


def _attached(study: Study, spec: RunSpec) -> Sequence[Trial]:
    """Return one attachment for each parent of a run."""
    run: RunRecord = study.run(spec)
    chosen: dict[Evaluate | Grow, Trial] = {}
    for entry in run.trials if run.status == "done" else ():
        if entry.counted and isinstance(entry.trial.work, Attach) and isinstance(entry.result, Measurement):
            chosen.setdefault(entry.trial.work.after, entry.trial)
    return tuple(chosen.values())


def _open(study: Study, track: Track, place: Place) -> Benchmark:
    benchmark = open_benchmark(track, place)
    recorded, here = study.tracks()[track.id].fingerprint, content_hash(benchmark.manifest())
    if recorded != here:
        raise UsageError(
            f"{study.folder}: track {track.id} was recorded with another {benchmark.name} ({recorded[:12]}) than this "
            f"one ({here[:12]}); use the harness and the data of the record"
        )
    return benchmark


def _trained_on(benchmark: Benchmark, after: Evaluate | Grow, seed: int, epochs: int) -> tuple[float, float]:
    """Return the accuracy before and after the further epochs."""
    result = benchmark.evaluate(Trial(0, Attach(after, (), ARM, epochs), seed)).result
    if not isinstance(result, Measurement):
        return float("nan"), float("nan")
    seen = {name.partition("@")[0].rpartition("/")[2]: value for name, value in result.metrics.items()}
    if not {"valid", "valid-before"} <= seen.keys():
        raise UsageError(
            f"{benchmark.name}: its attachments do not tell the accuracy of a parent (valid-before, valid); name the "
            "record of a benchmark that trains its parents, such as growth-training"
        )
    return seen["valid-before"], seen["valid"]
