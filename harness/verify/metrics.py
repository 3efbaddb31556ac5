"""Check what the trials of a run measured: names, ranges, and that nothing sealed stands where methods see it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from harness.core.hull import finalists
from harness.core.lineage import trained
from harness.core.schema import Track
from harness.core.types import Arch, Evaluate, Failure, Grow, Measurement, Work
from harness.verify.reading import Run, Source
from harness.verify.shapes import FinalForm, TrackForm

PERCENT = re.compile(r"(?:train|valid|test|valid\+test)(?:-error)?")
_WITHIN = re.compile(r"@\d+of")


def quantity(name: str) -> str:
    """Return the part of a qualified name that says what was measured: `data/split`."""
    return name.partition("@")[0].partition("(")[0]


def at_the_end(name: str) -> str:
    """Return the name of the same metric at the end of its schedule."""
    return _WITHIN.sub("@", name)


def single(name: str) -> bool:
    """Tell whether a metric of a table has one value for each architecture, whatever the seed."""
    return name.endswith(" mean-of-trials")


class Names:
    """The metric names of a track."""

    def __init__(self, track: Track, facts: TrackForm | None) -> None:
        self.open = {track.objective.metric, *track.objective.secondary}
        self.sealed = set(track.final.metrics)
        self.secret = {quantity(name) for name in self.sealed}
        self.facts = facts
        self.tabular = facts is not None and facts.manifest.get("kind") == "tabular"

    def wanted(self, name: str) -> bool:
        """Tell whether the protocol asks methods to see this metric."""
        return name in self.open or at_the_end(name) in self.open

    def leaks(self, name: str) -> bool:
        """Tell whether no method may see this metric."""
        return not self.wanted(name) and (name in self.sealed or quantity(name) in self.secret)

    def may_be_sealed(self, name: str) -> bool:
        """Tell whether this is a sealed metric of the protocol, or the same quantity of an untabled training."""
        return name in self.sealed or (not self.tabular and quantity(name) in self.secret and not self.wanted(name))

    def complete(self) -> frozenset[str]:
        """Return the sealed metrics that a table holds for every architecture of its space."""
        if self.facts is None or not self.tabular:
            return frozenset()
        cells, sampling = self.facts.manifest.get("cells"), self.facts.references.get("random_sampling")
        size = cells.get("in_space") if isinstance(cells, Mapping) else None
        known: Mapping[str, Any] = sampling if isinstance(sampling, Mapping) else {}
        return frozenset(name for name in self.sealed if _number(known.get(name), size))


def _number(facts: Any, size: Any) -> bool:
    count = facts.get("n") if isinstance(facts, Mapping) else None
    return isinstance(count, int) and (not isinstance(size, int) or count >= size)


def measurements(run: Run) -> Iterator[tuple[int, Any, Measurement]]:
    """Yield line, work and result of each trial that did not fail."""
    for line, (record, _) in enumerate(run.trials, start=1):
        if isinstance(record.result, Measurement):
            yield line, record.trial.work, record.result


def check_metrics(source: Source, run: Run, names: Names) -> None:
    """Check the metrics of a run that could be read."""
    file = run.file("trials.jsonl")
    for line, work, result in measurements(run):
        for name, value in result.metrics.items():
            if names.leaks(name):
                source.note("sealed-apart", file, line, "a sealed metric in the search log", found=name)
            _check_range(source, file, line, name, value)
        _check_value(source, run, line, work, result)
    _check_sealed(source, run, names)
    _check_final(source, run, names)


def _check_range(source: Source, file: str, line: int, name: str, value: float) -> None:
    if _percent(name) and not 0 <= value <= 100:  # noqa: PLR2004 - %
        source.note("value-range", file, line, name, "0 to 100", value)


@lru_cache(maxsize=1024)
def _percent(name: str) -> bool:
    return PERCENT.fullmatch(quantity(name).rpartition("/")[2]) is not None


def _check_value(source: Source, run: Run, line: int, work: Any, result: Measurement) -> None:
    if not isinstance(work, Evaluate | Grow):
        return
    objective = run.track.objective.metric
    named = [value for name, value in result.metrics.items() if _is_objective(name, objective, work)]
    if isinstance(work, Evaluate) and work.epochs == run.track.fidelity.search and objective not in result.metrics:
        source.note("objective-value", run.file("trials.jsonl"), line, "the objective is absent", objective)
    elif named and result.value not in named:
        source.note("objective-value", run.file("trials.jsonl"), line, "value", named[0], result.value)
    elif result.curve and result.curve[-1] != result.value:
        source.note(
            "objective-value", run.file("trials.jsonl"), line, "end of the curve", result.value, result.curve[-1]
        )


def _is_objective(name: str, objective: str, work: Evaluate | Grow) -> bool:
    """Tell whether a metric is the objective; that of a growth, which goes on from a network, has a name of its own."""
    grown = isinstance(work, Grow) and name.startswith(f"{quantity(objective)}@grow")
    return grown or at_the_end(name) == objective


def _check_sealed(source: Source, run: Run, names: Names) -> None:
    file, complete = run.file("sealed.jsonl"), names.complete()
    # The sealed line of a trial is written first: a kill may leave one more.
    surplus = 0 if run.done is not None else 1
    if not 0 <= len(run.sealed) - len(run.trials) <= surplus:
        source.note("sealed-match", file, 0, "lines", len(run.trials), len(run.sealed))
    for line, (entry, (record, _)) in enumerate(zip(run.sealed, run.trials, strict=False), start=1):
        if entry.id != record.trial.id:
            source.note("sealed-match", file, line, "id", record.trial.id, entry.id)
            return
        failed = isinstance(record.result, Failure)
        strangers = sorted(name for name in entry.metrics if failed or not names.may_be_sealed(name))
        if strangers:
            source.note("sealed-match", file, line, "metrics", "none" if failed else sorted(names.sealed), strangers)
        if not failed and trained(record.trial.work) and complete - entry.metrics.keys():
            source.note("sealed-match", file, line, "absent metrics", sorted(complete - entry.metrics.keys()))
        for name, value in entry.metrics.items():
            _check_range(source, file, line, name, value)


def _check_final(source: Source, run: Run, names: Names) -> None:
    file = run.file("final.jsonl")
    if run.done is not None:
        reported = None if run.done.recommended is None else Arch(run.done.recommended)
        archs = finalists(reported, _learnt(run), run.track)
        expected = [(arch, seed) for arch in archs for seed in run.track.final.seeds]
        found = [(entry.arch, entry.seed) for entry in run.final]
        if expected != found:
            source.note("final-match", file, 0, "architectures and seeds", expected, found)
    for line, entry in enumerate(run.final, start=1):
        _check_final_names(source, file, line, entry, names)


def _learnt(run: Run) -> Iterator[tuple[Work, Measurement]]:
    """Yield what the run learnt at or before the limit of its budget."""
    for record, _ in run.trials:
        if record.counted and record.spent <= run.track.budget.limit and isinstance(record.result, Measurement):
            yield record.trial.work, record.result


def _check_final_names(source: Source, file: str, line: int, entry: FinalForm, names: Names) -> None:
    strangers = entry.metrics.keys() - names.sealed
    if strangers:
        source.note("final-match", file, line, "metrics", sorted(names.sealed), sorted(strangers))
    absent = names.complete() - entry.metrics.keys()
    if absent:
        source.note("final-match", file, line, "absent metrics", sorted(absent))
    for name, value in entry.metrics.items():
        _check_range(source, file, line, name, value)
