"""Run one search: ask, evaluate, charge, tell, record, until the budget is spent."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.core.budget import Budget, Ledger
from harness.core.canonical import canonical_json
from harness.core.clock import Stopwatch, now
from harness.core.codec import work_to_json
from harness.core.derivation import seeds_of, work_seed
from harness.core.errors import RulesBroken, UsageError
from harness.core.hull import finalists
from harness.core.interfaces import Benchmark, Query, Searcher, Task
from harness.core.recording import Recording
from harness.core.registry import load
from harness.core.schema import Track
from harness.core.types import (
    Arch,
    Attach,
    Evaluate,
    Failure,
    Grow,
    Measurement,
    Outcome,
    RunSpec,
    Think,
    Trial,
    Work,
)
from harness.overlap import Asked, Crew, Landing, Overlap
from harness.protocol import build

_PART = 1.0
"""Seconds of the clock that are worth a line of their own."""

Listener = Callable[[float], None]
"""Told the share of the budget that is spent, after every trial."""


def query_of(track: Track) -> Query:
    """Return what a track asks of its benchmark."""
    return Query(
        objective=track.objective.metric,
        secondary=tuple(track.objective.secondary),
        sealed=tuple(track.final.metrics),
        search_epochs=track.fidelity.search,
        final_epochs=track.fidelity.final,
    )


def obstacle(spec: RunSpec, track: Track, benchmark: Benchmark) -> str:
    """Return why this method cannot run on this benchmark, or an empty string."""
    missing = load("methods", spec.implementation).requires - benchmark.offers
    if missing:
        return f"{spec.implementation} needs {', '.join(sorted(missing))}, which {benchmark.name} does not offer"
    if track.budget.unit not in benchmark.units:
        return f"{benchmark.name} does not account in {track.budget.unit}"
    return ""


def rehearse(spec: RunSpec, track: Track, benchmark: Benchmark) -> None:
    """Build the method of a run as it would start, so that what it refuses is said before anything is spent.

    Raises:
        UsageError: the method refuses its options, its space, or what the benchmark can do.
    """
    try:
        _method(spec, track, _task(track, benchmark))
    except UsageError as error:
        raise UsageError(f"methods: {spec.method!r} on track {track.id!r}: {error}") from None


def _method(spec: RunSpec, track: Track, task: Task) -> Searcher:
    generator = seeds_of(spec, track).child("method", spec.implementation).generator()
    method: Searcher = load("methods", spec.implementation)(task, generator, config_of(spec))
    return method


def execute(
    spec: RunSpec,
    track: Track,
    benchmark: Benchmark,
    recorder: Recording,
    listener: Listener,
    crew: Crew | None = None,
    order: Sequence[int] = (),
) -> None:
    """Run a search to its end, replaying what the recorder already holds.

    Args:
        spec: the run.
        track: its track.
        benchmark: the track's benchmark.
        recorder: what takes the record.
        listener: learns the progress.
        crew: evaluates trials side by side, which land as they end; without one, workers are simulated.
        order: with a crew and nothing recorded, the ids of the trials in the order in which they are to land.

    Raises:
        RulesBroken: the method or the benchmark broke the rules of the loop.
        ReplayDiverged: the run took another course than its journal.
    """
    recorder.start(now())
    search = _Search(spec, track, benchmark, recorder, listener)
    # An earlier attempt's outcomes stand in the order in which they landed.
    reason = search.loop() if crew is None else search.overlap(Overlap(crew, order or recorder.outcomes))
    if crew is not None:
        crew.dismiss()  # the final trainings want the memory
    watch = Stopwatch()
    chosen = search.choose()
    recorder.phase("selection", watch.lap())
    for arch in finalists(chosen, search.learnt, track):
        search.evaluate_finally(arch)
    recorder.phase("wall", search.clock.lap())
    recorder.finish(reason, search.ledger.spent, chosen)


class _Search:
    """The state of one run between its trials."""

    def __init__(
        self, spec: RunSpec, track: Track, benchmark: Benchmark, recorder: Recording, listener: Listener
    ) -> None:
        self.clock = Stopwatch()
        self.track, self.benchmark, self.recorder, self.listener = track, benchmark, recorder, listener
        self.seeds = seeds_of(spec, track)
        self.ledger = Ledger(Budget(track.budget.unit, track.budget.limit, track.budget.overrun))
        self.task = _task(track, benchmark)
        self.method = _method(spec, track, self.task)
        self.known: dict[str, Outcome] = {}
        self.paid: set[str] = set()
        self.epochs: dict[Arch, int] = {}
        self.best: tuple[float, Arch] | None = None
        self.learnt: list[tuple[Work, Measurement]] = []
        self.standing: Arch | None = None
        self.landed = 0.0
        self.trials = 0

    def loop(self) -> str:
        """Ask and tell until the budget is spent or nothing is left; return why it ended."""
        pending: list[tuple[float, int, _Flight]] = []
        clocks = [0.0] * self.track.workers
        reason = ""
        while True:
            while not reason and len(pending) < self.track.workers:
                flight, reason = self._launch()
                if flight is not None:
                    # Virtual time: the next free worker takes the work and is busy for as long as it costs.
                    end = heapq.heappop(clocks) + flight.price
                    heapq.heappush(clocks, end)
                    heapq.heappush(pending, (end, flight.asked.trial.id, flight))
            if not pending:
                return reason
            self._land(heapq.heappop(pending)[2])

    def overlap(self, air: Overlap) -> str:
        """Ask, and tell whichever trial lands next, until nothing is left; return why it ended."""
        reason = ""
        while True:
            while not reason and len(air) < self.track.workers and self.ledger.room(len(air)):
                reason = self._send(air)
            if not len(air):
                return reason
            crossed = self._receive(air.next())
            reason = reason or crossed

    def _launch(self) -> tuple[_Flight | None, str]:
        asked, reason = self._ask()
        if asked is None:
            return None, reason
        watch = Stopwatch()
        outcome = self._recall(asked) or _checked(self.benchmark.evaluate(asked.trial), self.benchmark)
        flight = self._charge(asked, outcome, watch.lap())
        return flight, "" if flight is not None else "budget"

    def _send(self, air: Overlap) -> str:
        asked, reason = self._ask()
        if asked is not None:
            air.launch(asked, self._recall(asked))
        return reason

    def _receive(self, ended: Landing) -> str:
        """Charge a trial whose price is known now, and tell it; return why the run ends with it."""
        # The same work may have been in the air twice: then the first outcome is that of both.
        outcome = self.known.get(ended.asked.key) or _checked(ended.outcome, self.benchmark)
        flight = self._charge(ended.asked, outcome, ended.seconds)
        if flight is None:
            return "budget"
        self._land(flight)
        return ""

    def _ask(self) -> tuple[Asked | None, str]:
        """Return the next trial, or why there is none."""
        if not self.ledger.open:
            return None, "budget"
        if self.trials >= self.track.budget.max_trials:
            return None, "max_trials"
        watch = Stopwatch()
        work = self.method.ask()
        seconds = watch.lap()
        if work is None:
            return None, "exhausted"
        self._refuse_unpaid(work)
        trial = Trial(self.trials, work, work_seed(self.seeds, work))
        self.trials += 1
        return Asked(trial, canonical_json(work_to_json(work)), seconds), ""

    def _recall(self, asked: Asked) -> Outcome | None:
        """Return the outcome of a trial that takes no evaluation; None where it takes one."""
        trial = asked.trial
        outcome = self.recorder.outcomes.get(trial.id) or self.known.get(asked.key)
        if outcome is None and isinstance(trial.work, Think):
            return Outcome(Measurement(0.0, {}, self.benchmark.think_cost(trial.work.multiply_adds)))
        return outcome

    def _charge(self, asked: Asked, outcome: Outcome, seconds: float) -> _Flight | None:
        """Charge a trial; one that the budget discards is recorded only, and None is returned."""
        trial, self.known[asked.key] = asked.trial, outcome
        free = asked.key in self.paid and self.track.budget.repeats == "free"
        price = 0.0 if free else self.ledger.budget.price_of(trial.work, outcome.result.cost)
        if self.track.budget.overrun == "discard" and not self.ledger.fits(price):
            self.recorder.append(trial, outcome, self.landed, self.method.recommend(), counted=False)
            self._time(trial, asked.seconds, seconds, 0.0)
            return None
        self.ledger.charge(price)
        self.paid.add(asked.key)
        if isinstance(trial.work, Evaluate):
            self.epochs[trial.work.arch] = max(trial.work.epochs, self.epochs.get(trial.work.arch, 0))
        return _Flight(asked, outcome, price, self.ledger.spent, seconds)

    def _refuse_unpaid(self, work: Work) -> None:
        """Refuse work that starts from a training which this run never paid for."""
        if isinstance(work, Attach | Grow) and canonical_json(work_to_json(work.after)) not in self.paid:
            raise RulesBroken(
                f"the method asked to go on from {work.after.arch}, but this run never asked for that training; "
                "ask for it first"
            )
        if isinstance(work, Evaluate) and work.start > self.epochs.get(work.arch, 0):
            raise RulesBroken(
                f"the method asked to start {work.arch} from epoch {work.start}, but this run has paid for "
                f"{self.epochs.get(work.arch, 0)} epochs of it; ask with start=0 first"
            )

    def _land(self, flight: _Flight) -> None:
        watch = Stopwatch()
        trial, result = flight.asked.trial, flight.outcome.result
        self.method.tell(trial, result)
        recommended = self.method.recommend()
        told = watch.lap()
        self.landed = max(self.landed, flight.spent)
        if self.landed <= self.track.budget.limit:
            # What is known after the limit does not count, even where the crossing trial is kept.
            self.standing = recommended
            self._keep(trial.work, result)
        self.recorder.append(trial, flight.outcome, self.landed, recommended, counted=True)
        self._time(trial, flight.asked.seconds, flight.seconds, told)
        self.listener(min(1.0, self.ledger.spent / self.track.budget.limit))

    def _time(self, trial: Trial, *seconds: float) -> None:
        self._pass()
        self.recorder.timing(trial.id, *seconds)

    def _pass(self) -> None:
        """Record the clock in parts, so that a run that is killed keeps the hours of its earlier attempts.

        Before the seconds of what took them: a kill in between leaves no clock that is shorter than its parts.
        """
        if self.clock.reading() >= _PART:
            self.recorder.phase("wall", self.clock.lap())

    def _keep(self, work: Work, result: Measurement | Failure) -> None:
        if isinstance(result, Failure) or not isinstance(work, Evaluate | Grow):
            return
        if self.track.final.models == "hull":
            # What a search learns is long: it is held only where it is asked for at the end.
            self.learnt.append((work, result))
        if isinstance(work, Evaluate) and work.epochs < self.track.fidelity.search:
            return
        value = self.task.value(result)
        if self.best is None or value > self.best[0]:
            self.best = (value, work.arch)

    def choose(self) -> Arch | None:
        """Return the architecture to report, by the protocol's selection rule, as of the last trial within budget."""
        if self.track.selection.rule == "best-validated":
            return None if self.best is None else self.best[1]
        return self.standing

    def evaluate_finally(self, arch: Arch) -> None:
        """Record the sealed metrics of `arch` under the final recipe with their cost, once per final seed."""
        for seed in self.track.final.seeds:
            watch = Stopwatch()
            metrics = self.recorder.finals.get((arch, seed))
            if metrics is None:
                metrics = dict(self.benchmark.final(arch, self.seeds.child("final", arch, seed).seed()))
            self.recorder.final(arch, seed, metrics, self.benchmark.final_cost(arch))
            self._pass()
            self.recorder.phase("final", watch.lap())


@dataclass(frozen=True, slots=True)
class _Flight:
    """A trial that is charged and has not landed yet."""

    asked: Asked
    outcome: Outcome
    price: float
    spent: float
    seconds: float


def _task(track: Track, benchmark: Benchmark) -> Task:
    fidelities = tuple(track.fidelity.rungs) or benchmark.fidelities
    return Task(
        space=benchmark.space,
        objective=track.objective.metric,
        direction=track.objective.direction,
        epochs=track.fidelity.search,
        fidelities=tuple(epochs for epochs in fidelities if epochs <= track.fidelity.search),
        offers=benchmark.offers,
        budget_unit=track.budget.unit,
        budget_limit=track.budget.limit,
        growths=getattr(benchmark, "growths", None),
    )


def _checked(outcome: Outcome, benchmark: Benchmark) -> Outcome:
    """Refuse an outcome that leaks a sealed metric; turn a value that is no number into a failure."""
    result = outcome.result
    if isinstance(result, Failure):
        return outcome
    leaked = set(result.metrics) - benchmark.metrics.open
    if leaked:
        raise RulesBroken(f"{benchmark.name}: the measurement holds {sorted(leaked)}, which no method may learn")
    seen = (result.value, *result.metrics.values(), *result.curve, *result.scores.values())
    if not all(math.isfinite(value) for value in seen):
        return Outcome(Failure("the measurement is not finite", result.cost))
    return outcome


def config_of(spec: RunSpec) -> Any:
    """Return the method's `Config` with the options of the run."""
    return build(load("methods", spec.implementation).Config, spec.options)
