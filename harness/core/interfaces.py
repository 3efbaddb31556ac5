"""Define the verbs: what a search space, a method, a benchmark, an executor and a report answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from harness.core.budget import Budget
from harness.core.canonical import Json
from harness.core.errors import UsageError, nearest
from harness.core.records import Document, StudyRecord
from harness.core.types import (
    Arch,
    Capability,
    Cost,
    Direction,
    Failure,
    Measurement,
    MetricSchema,
    Move,
    Outcome,
    Trial,
    Work,
)


class SearchSpace(Protocol):
    """A set of architectures, each with one canonical text."""

    @property
    def name(self) -> str:
        """The name of the space, as protocols and records write it."""
        ...

    def __contains__(self, arch: object) -> bool:
        """Tell whether `arch` is the canonical text of an architecture of this space."""
        ...

    def sample(self, rng: np.random.Generator) -> Arch:
        """Draw from the declared distribution of random search."""
        ...


@runtime_checkable
class Finite(Protocol):
    """A space that can be listed and has neighbours (tables, small spaces)."""

    def __len__(self) -> int:
        """The number of architectures."""
        ...

    def arch(self, index: int) -> Arch:
        """The architecture with this index, in the space's official order."""
        ...

    def neighbours(self, arch: Arch) -> Sequence[Arch]:
        """The architectures that are one edit away, in a fixed order."""
        ...


@runtime_checkable
class Encodable(Protocol):
    """A space that gives feature vectors (predictors)."""

    def encode(self, arch: Arch) -> NDArray[np.float32]:
        """Return the features of `arch`; the same length for every architecture."""
        ...


@runtime_checkable
class Growable(Protocol):
    """A space whose architectures grow by moves that keep what is there (`Capability.GROWABLE`)."""

    def seeds(self) -> Sequence[Arch]:
        """The smallest architectures, from which the others grow, in a fixed order."""
        ...

    def moves(self, arch: Arch) -> Sequence[Move]:
        """The legal moves of `arch`, in a fixed order; empty where nothing can be added."""
        ...

    def group(self, move: Move) -> str:
        """The part of an architecture that a move changes (a cell type): moves of one group compete."""
        ...

    def grow(self, arch: Arch, moves: Sequence[Move], merge: str = "concat") -> Arch:
        """Return the architecture that has all these moves made, and joined by `merge` where they become one layer.

        Raises:
            UsageError: a move is not legal in `arch`, or two of them cannot be made together.
        """
        ...


@dataclass(frozen=True, slots=True)
class Growths:
    """What the growths of a benchmark may ask for.

    Attributes:
        inherit: what a child may start from.
        merge: how chosen moves may be joined.
        epochs: for which a child may be trained; empty: any.
    """

    inherit: tuple[str, ...]
    merge: tuple[str, ...] = ("concat", "sum")
    epochs: tuple[int, ...] = ()

    def check(self, option: Literal["inherit", "merge", "epochs"], given: str | int) -> None:
        """Refuse a value that is not allowed.

        Raises:
            UsageError: it is not.
        """
        allowed: tuple[str | int, ...] = getattr(self, option)
        if allowed and given not in allowed:
            words = [str(value) for value in allowed]
            hint = nearest(str(given), words)
            raise UsageError(f"{option}: {given!r} is no growth of this benchmark{hint}; give {' or '.join(words)}")


@dataclass(frozen=True, slots=True)
class Task:
    """What a method is told about the study: the space, what to search for, at which fidelity.

    Attributes:
        space: the search space.
        objective: the qualified name of the open metric that is searched for.
        direction: whether more of it is better.
        epochs: the search fidelity.
        fidelities: the epochs that may be asked for, in rising order; more than one where the benchmark
            offers `Capability.PARTIAL`.
        offers: what the benchmark can do.
        budget_unit: the unit of the budget.
        budget_limit: the limit of the budget in that unit.
        growths: what growths may ask for; None where the benchmark does not say.
    """

    space: SearchSpace
    objective: str
    direction: Direction
    epochs: int
    fidelities: tuple[int, ...]
    offers: frozenset[Capability]
    budget_unit: str
    budget_limit: float
    growths: Growths | None = None

    def value(self, measurement: Measurement) -> float:
        """Return the objective of a measurement, signed so that more is better."""
        return measurement.value if self.direction == "maximize" else -measurement.value


class Searcher(Protocol):
    """A search method: it proposes work and learns from results, and never calls a benchmark.

    Built as `Method(task, rng, config)`; `Method.Config` is a frozen dataclass, the schema of its options;
    `Method.requires` names the capabilities that it cannot do without.

    Two calls with one worker:

        call                          the method has then been told
        ask() -> w0                   nothing
        tell(t0, result of w0)        t0
        ask() -> w1                   t0
        tell(t1, Failure)             t0, t1

    With several workers `ask` may be called again before the answers to earlier asks are told; answers come
    in the order of completion.
    """

    Config: ClassVar[type[Any]]
    requires: ClassVar[frozenset[Capability]]

    def ask(self) -> Work | None:
        """Return the next piece of work, or None when nothing is left to try."""
        ...

    def tell(self, trial: Trial, result: Measurement | Failure) -> None:
        """Learn the result of a trial."""
        ...

    def recommend(self) -> Arch | None:
        """Return the architecture to ship if the search stopped now; None before anything is known."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where this machine keeps things; never part of a protocol or its hash.

    Attributes:
        data: the folder with tables and data sets (`--data-dir` or NAS_DATA_DIR), or None.
        cache: the folder for imported tables and other things that can be made again.
        device: 'cpu', 'cuda' or 'cuda:N'.
        threads: how many threads one run may use.
    """

    data: Path | None
    cache: Path
    device: str = "cpu"
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Query:
    """What a study asks of a benchmark: which metrics, at which fidelities.

    Attributes:
        objective: qualified name of the open metric that is searched for.
        secondary: qualified names of further open metrics to record.
        sealed: qualified names of the sealed metrics to record; the first is primary.
        search_epochs: the search fidelity.
        final_epochs: the fidelity behind the sealed metrics.
    """

    objective: str
    secondary: tuple[str, ...]
    sealed: tuple[str, ...]
    search_epochs: int
    final_epochs: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a benchmark expects of one trial on this machine, before anything starts.

    Attributes:
        seconds: real seconds of an average search trial.
        memory: bytes at the peak of one worker.
        basis: one sentence: measured how, or recorded where.
        cost: what an average search trial is charged; None where that is unknown.
        final_seconds: real seconds of one final evaluation.
    """

    seconds: float
    memory: int
    basis: str
    cost: Cost | None = None
    final_seconds: float = 0.0


class Benchmark(Protocol):
    """A search space with a way to evaluate its architectures.

    Built as `Benchmark(config, place, query)`; `Benchmark.Config` is a frozen dataclass, the schema of its options.
    Building it opens the data and raises `DataMissing` or `DataCorrupt` with the next step, or `UsageError` where
    the query names a metric that is unknown, ambiguous, or of the wrong kind (sealed as objective, say).
    """

    Config: ClassVar[type[Any]]

    @property
    def name(self) -> str:
        """The name of the benchmark, as protocols and records write it."""
        ...

    @property
    def space(self) -> SearchSpace:
        """The search space."""
        ...

    @property
    def offers(self) -> frozenset[Capability]:
        """What it can do."""
        ...

    @property
    def metrics(self) -> MetricSchema:
        """The qualified names of what it answers."""
        ...

    @property
    def fidelities(self) -> tuple[int, ...]:
        """The epochs that may be asked for, in rising order."""
        ...

    @property
    def units(self) -> frozenset[str]:
        """The budget units that it accounts in."""
        ...

    @property
    def durable(self) -> bool:
        """Whether a trial is dear enough to be flushed to disk one by one (real training)."""
        ...

    def manifest(self) -> dict[str, Json]:
        """Return what a record says of it; the content hash is the benchmark's fingerprint.

        Keys: `kind` ('tabular' or 'training'), `data` (files with SHA-256), versions, recipe, `determinism`.
        """
        ...

    def evaluate(self, trial: Trial) -> Outcome:
        """Answer a trial: a pure function of the trial, its seed included.

        Raises:
            Unsupported: the work is of a kind that this benchmark does not offer.
        """
        ...

    def final(self, arch: Arch, seed: int) -> Mapping[str, float]:
        """Return the sealed metrics of `arch` under the final recipe (looked up, or trained with `seed`)."""
        ...

    def final_cost(self, arch: Arch) -> Cost:
        """Return what one such final evaluation is charged: the trainings behind it; None in it is unknown."""
        ...

    def think_cost(self, multiply_adds: float) -> Cost:
        """Return what a method is charged for so many multiply-adds of its own: the declared cost model.

        Raises:
            Unsupported: it does not offer `Capability.THINK`.
        """
        ...

    def references(self, budget: Budget) -> dict[str, Json]:
        """Return exact facts of the space for the reports; empty where the space cannot be listed.

        `random_sampling`: metric -> {mean, std, n}; `optimum`: metric -> {value, arch};
        `random_search`: {metric, expected, spent: [...], curve: [...], basis} at this budget;
        `best_of_draws`: {metric, draws: [...], expected: [...]}; `quantiles`: metric -> evenly spaced quantiles;
        `ranges`: secondary metric -> {low, high, better}; `fronts`: secondary metric -> {metric, cost, value};
        `agreement`: metric -> {objective, kendall_tau, n}.
        """
        ...

    def estimate(self) -> Estimate:
        """Return the expected seconds and memory of one search trial on this machine."""
        ...


class Report(Protocol):
    """A report: a pure function of a recorded study."""

    def __call__(self, study: StudyRecord) -> Document:
        """Return tables and series as plain data."""
        ...
