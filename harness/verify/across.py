"""Check runs against one another: common outcomes, constant costs and means, and courses that are their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.core.canonical import canonical_json, sha256_text
from harness.core.codec import cost_to_json, result_to_json
from harness.core.lineage import trained
from harness.core.types import Attach, Evaluate, Failure, Work
from harness.verify.metrics import Names, at_the_end, measurements, single
from harness.verify.reading import Run, Source

TELLING = 3
"""Distinct architectures from which on two equal courses are no accident."""


@dataclass(slots=True)
class _Seen:
    """Values that must be the same wherever they stand, with the place where each was first met."""

    rule: str
    first: dict[Any, tuple[Any, str, int]] = field(default_factory=dict)

    def meet(self, source: Source, key: Any, value: Any, place: tuple[str, int], what: str) -> None:
        """Note a finding where the same key had another value before."""
        known, file, line = self.first.setdefault(key, (value, *place))
        if known != value:
            source.note(self.rule, *place, f"{what}, against {file}:{line}", known, value)


class Across:
    """What the runs of a study must agree on; runs pass by in the order of the plan."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._replicate: tuple[str, int] | None = None
        self._track: str | None = None
        self._forget_replicate()
        self._forget_track()

    def _forget_replicate(self) -> None:
        self._outcomes, self._finals = _Seen("common-outcome"), _Seen("common-outcome")

    def _forget_track(self) -> None:
        self._costs, self._means = _Seen("cost-constant"), _Seen("mean-constant")
        self._courses: dict[str, list[Run]] = {}
        self._met: Counter[tuple[str, str]] = Counter()
        self._where: dict[tuple[str, str], tuple[str, int]] = {}
        self._measured: Counter[str] = Counter()

    def add(self, run: Run, names: Names) -> None:
        """Hold a run against those before it."""
        if run.track.id != self._track:
            self.close()
            self._track = run.track.id
        if (run.track.id, run.spec.seed) != self._replicate:
            self._forget_replicate()
            self._replicate = (run.track.id, run.spec.seed)
        self._add_outcomes(run)
        self._add_finals(run)
        self._add_course(run)
        if run.tabular:
            self._add_constants(run)
            self._add_bounds(run)
        self._add_names(run, names)

    def _add_outcomes(self, run: Run) -> None:
        for line, (record, key) in enumerate(run.trials, start=1):
            place = (run.file("trials.jsonl"), line)
            sealed = run.sealed[line - 1].metrics if line <= len(run.sealed) else {}
            outcome = [result_to_json(record.result), sealed]
            self._outcomes.meet(self._source, self._scope(run, key), outcome, place, "the outcome of the same work")
            work, result = record.trial.work, record.result
            if isinstance(work, Evaluate) and not isinstance(result, Failure):
                # Where a training started from does not change where it arrives.
                reached = [result.value, dict(result.metrics), sealed]
                trained = self._scope(run, (work.arch, work.epochs, work.parent))
                self._outcomes.meet(self._source, trained, reached, place, "the measurement of the same training")

    def _add_finals(self, run: Run) -> None:
        for line, entry in enumerate(run.final, start=1):
            key = self._scope(run, (entry.arch, entry.seed))
            place = (run.file("final.jsonl"), line)
            self._finals.meet(self._source, key, entry.metrics, place, "the final metrics of the same network")

    def _scope(self, run: Run, key: Any) -> Any:
        """Return the key for comparison over runs; within this run alone where the benchmark is not repeatable."""
        return (run.folder, key) if statistical(run) else key

    def _add_course(self, run: Run) -> None:
        archs = {trained(record.trial.work) for record, _ in run.trials} - {None}
        if len(archs) < TELLING:
            return
        course = sha256_text("\n".join(f"{key} {canonical_json(result_to_json(r.result))}" for r, key in run.trials))
        before = self._courses.setdefault(course, [])
        for other in before:
            same_row = (other.spec.method, other.spec.variant) == (run.spec.method, run.spec.variant)
            place = run.file("trials.jsonl")
            if same_row:
                self._source.note("replicates-distinct", place, 0, f"the same trials as {other.folder}")
            elif other.spec.implementation != run.spec.implementation:
                self._source.note("courses-distinct", place, 0, f"the same trials as {other.folder}")
        before.append(run)

    def _add_constants(self, run: Run) -> None:
        for line, (record, key) in enumerate(run.trials, start=1):
            place = (run.file("trials.jsonl"), line)
            if isinstance(record.trial.work, Attach) and isinstance(record.result, Failure):
                continue  # trained here, it may fail early or late
            self._costs.meet(self._source, key, cost_to_json(record.result.cost), place, "the cost of the same work")
        for file, line, arch, name, value in _values(run):
            self._means.meet(self._source, (arch, name), value, (file, line), f"{name} of {arch}")

    def _add_bounds(self, run: Run) -> None:
        bounds = _bounds(run)
        for file, line, arch, name, value in _values(run):
            if name not in bounds:
                continue
            best, champion, higher = bounds[name]
            better = value > best if higher else value < best
            if better or (arch == champion and value != best):
                self._source.note("optimum-bound", file, line, f"{name} of {arch}, optimum {champion}", best, value)

    def _add_names(self, run: Run, names: Names) -> None:
        for line, work, result in measurements(run):
            kind = _kind(work)
            self._measured[kind] += 1
            for name in result.metrics:
                if not names.wanted(name) and not names.leaks(name):
                    met = (kind, at_the_end(name))
                    self._met[met] += 1
                    self._where.setdefault(met, (run.file("trials.jsonl"), line))

    def close(self) -> None:
        """End a track: judge what could not be judged before all its runs had passed."""
        for (kind, name), count in sorted(self._met.items()):
            if 2 * count < self._measured[kind]:
                file, line = self._where[kind, name]
                what = f"a metric that {count} of {self._measured[kind]} trials measure"
                self._source.note("metric-known", file, line, what, found=name)
        self._forget_track()


def _kind(work: Work) -> str:
    """Return what trials are compared with in the metrics that they have: each arm of an attachment has its own."""
    return f"{type(work).__name__} {work.arm}" if isinstance(work, Attach) else type(work).__name__


def statistical(run: Run) -> bool:
    """Tell whether the benchmark says that the same trial may end differently."""
    return run.facts is not None and run.facts.manifest.get("determinism") == "statistical"


def _values(run: Run) -> Iterator[tuple[str, int, str, str, float]]:
    """Yield file, line, architecture, name and value of what has one value for each architecture of a table."""
    for line, work, result in measurements(run):
        built = trained(work)
        for name, value in result.metrics.items() if built is not None else ():
            if single(name):
                yield run.file("trials.jsonl"), line, str(built), name, value
    for file, line, arch, metrics in _sealed(run):
        for name, value in metrics.items():
            if not name.endswith(" trial"):
                yield file, line, arch, name, value


def _sealed(run: Run) -> Iterator[tuple[str, int, str, Mapping[str, float]]]:
    for line, (entry, (record, _)) in enumerate(zip(run.sealed, run.trials, strict=False), start=1):
        arch = trained(record.trial.work)
        if arch is not None:
            yield run.file("sealed.jsonl"), line, arch, entry.metrics
    for line, final in enumerate(run.final, start=1):
        yield run.file("final.jsonl"), line, final.arch, final.metrics


def _bounds(run: Run) -> dict[str, tuple[float, str, bool]]:
    """Return optimum, its architecture and whether more is better, by metric."""
    references: Mapping[str, Any] = run.facts.references if run.facts is not None else {}
    optima, sampling = references.get("optimum"), references.get("random_sampling")
    if not isinstance(optima, Mapping) or not isinstance(sampling, Mapping):
        return {}
    found: dict[str, tuple[float, str, bool]] = {}
    for name, optimum in optima.items():
        value, mean = _field(optimum, "value"), _field(sampling.get(name), "mean")
        if isinstance(value, int | float) and isinstance(mean, int | float) and value != mean:
            found[name] = (value, str(_field(optimum, "arch")), value > mean)
    return found


def _field(facts: Any, name: str) -> Any:
    return facts.get(name) if isinstance(facts, Mapping) else None
