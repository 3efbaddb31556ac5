"""Define the nouns: architectures, what a method may ask for, and what it may learn.

Everything here is frozen and holds JSON-able fields only. `Measurement`, the only result that reaches a
method, has no field for a test metric; sealed metrics travel in `Outcome` and go to the store alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Literal, NewType

Arch = NewType("Arch", str)
"""The canonical text of an architecture, as its search space writes it."""

Move = NewType("Move", str)
"""The canonical text of one change of an architecture (an edge and its new operation)."""

_EMPTY: Mapping[str, float] = MappingProxyType({})


class Capability(StrEnum):
    """What a benchmark offers and a method requires."""

    EVALUATE = "evaluate"  # train or look up one architecture at a full fidelity
    PARTIAL = "partial"  # the same at several epochs of one schedule, each continuing the last
    FINITE = "finite"  # the space can be listed and has neighbours
    ENCODABLE = "encodable"  # the space gives feature vectors
    GROWABLE = "growable"  # the space has moves by which its architectures grow
    INHERIT = "inherit"  # start from a parent's weights
    ATTACH = "attach"  # candidates attached to a parent (stop-gradient, stop-forward)
    GROW = "grow"  # candidates made real behind a gate
    SUPERNET = "supernet"  # shared weights
    PROXY = "proxy"  # cheap signals
    THINK = "think"  # price the computation that a method does itself


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Train `arch` for `epochs` and validate it.

    `start` epochs of the same network are already trained, and paid for, in this run: the charge is for the
    rest (`Capability.PARTIAL`). `parent` names the architecture whose weights are inherited.
    """

    arch: Arch
    epochs: int
    start: int = 0
    parent: Arch | None = None


@dataclass(frozen=True, slots=True)
class Advance:
    """Train the method's own shared weights for `epochs`."""

    epochs: int


@dataclass(frozen=True, slots=True)
class Probe:
    """Compute a cheap signal of `arch`."""

    arch: Arch
    signal: str


@dataclass(frozen=True, slots=True)
class Attach:
    """Train the network that `after` left behind for `epochs` with the candidates `moves` attached.

    The work that a network comes from stands whole in `after`, down to its founder, so that a trial says all that its
    outcome depends on. All works of one lineage have the seed of its founder.

    Attributes:
        arm: the stop-gradient / stop-forward variant.
        penalty: weight of the L1 penalty on the weights of the candidates.
        scale: factor of the gradient that reaches the candidates.
    """

    after: Evaluate | Grow
    moves: tuple[Move, ...]
    arm: str
    epochs: int
    penalty: float = 0.001
    scale: float = 1.0

    @property
    def arch(self) -> Arch:
        """The architecture that the candidates are attached to."""
        return self.after.arch


@dataclass(frozen=True, slots=True)
class Grow:
    """Make `moves` real behind a gate in the network that `after` left behind, and train the whole for `epochs`.

    Attributes:
        arch: the architecture that this gives.
        merge: how the chosen candidates are joined.
        inherit: what the network starts from.
    """

    after: Attach
    moves: tuple[Move, ...]
    arch: Arch
    epochs: int
    merge: str = "concat"
    inherit: str = "weights"


@dataclass(frozen=True, slots=True)
class Think:
    """Computation that the method has just done itself, charged by the declared cost model (`Capability.THINK`).

    Its `label` tells what was computed, and when, so that no two are taken for the same work.
    """

    label: str
    multiply_adds: float


Work = Evaluate | Advance | Probe | Attach | Grow | Think


@dataclass(frozen=True, slots=True)
class Trial:
    """One piece of work with the id and the seed that the runner gave it."""

    id: int
    work: Work
    seed: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What a trial is charged: deterministic quantities only, never a wall clock.

    Attributes:
        epochs: training epochs (of one network).
        train_seconds: seconds recorded in a table; None where nothing was recorded (real training).
        multiply_adds: multiply-adds of the training; None where unknown.
    """

    epochs: float
    train_seconds: float | None = None
    multiply_adds: float | None = None

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.epochs + other.epochs,
            _sum(self.train_seconds, other.train_seconds),
            _sum(self.multiply_adds, other.multiply_adds),
        )


def _sum(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first + second


@dataclass(frozen=True, slots=True)
class Measurement:
    """Everything that a method may learn from a trial.

    Attributes:
        value: the objective at the epochs that were asked for, in its own unit and unsigned.
        metrics: open metrics by their qualified names, for instance `cifar10/valid@12ep(25k) mean-of-trials` in %;
            at epoch 3 of a 12-epoch schedule the name is `cifar10/valid@3of12ep(25k) mean-of-trials`.
        cost: what was charged.
        curve: the objective after each epoch that was trained, where the benchmark has it.
        scores: the score of each candidate move; answers an `Attach`.
    """

    value: float
    metrics: Mapping[str, float]
    cost: Cost
    curve: tuple[float, ...] = ()
    scores: Mapping[str, float] = field(default_factory=lambda: _EMPTY)


@dataclass(frozen=True, slots=True)
class Failure:
    """A trial that ended in NaN, divergence or lack of memory, and still costs."""

    reason: str
    cost: Cost


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer of a benchmark: what the method may learn, and what goes to the store only."""

    result: Measurement | Failure
    sealed: Mapping[str, float] = field(default_factory=lambda: _EMPTY)


@dataclass(frozen=True, slots=True)
class MetricSchema:
    """The qualified names of the metrics that a benchmark answers.

    Attributes:
        open: the metrics that a method may learn.
        sealed: the metrics that only the store and the reports may hold (test metrics, and every metric that
            was not paid for).
        unavailable: qualified names that a protocol may list although this table does not hold them, with the
            reason; reports show them as "not available".
    """

    open: frozenset[str]
    sealed: frozenset[str]
    unavailable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One run of a study: a method variant on a track in one replicate.

    `id` is `protocol@version/track/method/variant/replicate`; `method` is the row's id in the protocol and
    `implementation` the registered name; `options` are resolved in full; `variant` is 'base' or the name of an
    ablation's setting.
    """

    protocol: str
    version: str
    track: str
    method: str
    implementation: str
    variant: str
    options: Mapping[str, object]
    replicate: int
    seed: int

    @property
    def id(self) -> str:
        """Return the permanent name of the run."""
        return f"{self.protocol}@{self.version}/{self.track}/{self.method}/{self.variant}/r{self.replicate:04d}"


Direction = Literal["maximize", "minimize"]
Unit = Literal["train_seconds", "epochs", "multiply_adds", "evaluations"]
Overrun = Literal["discard", "keep"]
