"""Offer a toy benchmark to tests: a finite space with learning curves, noise by seed, and a wrapper that fails.

It is no benchmark to report figures on, and stands in no registry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.core.budget import Budget
from harness.core.canonical import Json, canonical_json
from harness.core.codec import work_to_json
from harness.core.errors import Unsupported, UsageError, nearest
from harness.core.interfaces import Benchmark, Estimate, Place, Query, SearchSpace
from harness.core.seeds import SeedTree
from harness.core.types import (
    Arch,
    Capability,
    Cost,
    Evaluate,
    Failure,
    Measurement,
    MetricSchema,
    Outcome,
    Trial,
)

POSITIONS, CHOICES = 5, 4
FIDELITIES = (1, 3, 9)
FULL = FIDELITIES[-1]
VALID = f"toy/valid@{FULL}ep"
ERROR = f"toy/valid-error@{FULL}ep"
TEST = f"toy/test@{FULL}ep"
_NORMAL = NormalDist()


class ToySpace:
    """The words of five letters a, b, c, d: 1,024 architectures with 15 neighbours each."""

    name = "toy"

    def __contains__(self, arch: object) -> bool:
        return isinstance(arch, str) and arch in _landscape()

    def __len__(self) -> int:
        return len(_landscape())

    def arch(self, index: int) -> Arch:
        """Return the word with this index in alphabetical order."""
        return tuple(_landscape())[index]

    def sample(self, rng: np.random.Generator) -> Arch:
        """Draw uniformly."""
        return _word(rng.integers(CHOICES, size=POSITIONS).tolist())

    def neighbours(self, arch: Arch) -> Sequence[Arch]:
        """Return the words that differ in one letter."""
        letters = _digits(arch)
        return [
            _word([*letters[:place], letter, *letters[place + 1 :]])
            for place in range(POSITIONS)
            for letter in range(CHOICES)
            if letter != letters[place]
        ]

    def encode(self, arch: Arch) -> NDArray[np.float32]:
        """Return the one-hot code, 20 numbers."""
        return np.eye(CHOICES, dtype=np.float32)[_digits(arch)].ravel()


@dataclass(frozen=True, slots=True)
class Nature:
    """What is true of an architecture: where its curve ends, how fast it learns, what an epoch costs."""

    accuracy: float
    test: float
    pace: float
    seconds: float


class Toy:
    """Learning curves over `ToySpace`: accuracy rises towards an additive landscape with interactions."""

    @dataclass(frozen=True)
    class Config:
        """Options.

        Attributes:
            noise: standard deviation of a validation accuracy over seeds, in points.
        """

        noise: float = 0.5

    name = "toy"
    offers = frozenset(
        {Capability.EVALUATE, Capability.PARTIAL, Capability.FINITE, Capability.ENCODABLE, Capability.THINK}
    )
    fidelities = FIDELITIES
    units = frozenset({"epochs", "train_seconds", "multiply_adds", "evaluations"})
    durable = False

    def __init__(self, config: Config, place: Place, query: Query) -> None:
        self.config = config
        self.place = place
        self.query = query
        self.space = ToySpace()
        partial = {name.replace("@", f"@{epochs}of") for name in (VALID, ERROR) for epochs in FIDELITIES[:-1]}
        self.metrics = MetricSchema(open=frozenset({VALID, ERROR} | partial), sealed=frozenset({TEST}))
        if query.objective not in (VALID, ERROR):
            raise UsageError(
                f"objective.metric: toy has no open {query.objective!r}{nearest(query.objective, (VALID, ERROR))}; "
                f"allowed: {VALID}, {ERROR}"
            )

    def manifest(self) -> dict[str, Json]:
        """Return the kind and the options."""
        return {"kind": "tabular", "data": {}, "noise": self.config.noise, "determinism": "pure"}

    def evaluate(self, trial: Trial) -> Outcome:
        """Answer an evaluation; anything else is `Unsupported`."""
        work = trial.work
        if not isinstance(work, Evaluate) or work.parent is not None:
            raise Unsupported(f"toy: {type(work).__name__} is not offered; ask for Evaluate without a parent")
        if work.arch not in self.space or work.epochs not in FIDELITIES or work.start not in (0, *FIDELITIES):
            raise Unsupported(f"toy: {work} is not in the table; ask for words at {FIDELITIES} epochs")
        if work.start >= work.epochs:
            raise Unsupported(f"toy: {work} trains nothing; ask for more epochs than `start`")
        return self._answer(work, trial.seed)

    def _answer(self, work: Evaluate, seed: int) -> Outcome:
        nature = _landscape()[work.arch]
        curve = tuple(self._accuracy(work.arch, seed, epoch) for epoch in range(work.start + 1, work.epochs + 1))
        suffix = "@" if work.epochs == FULL else f"@{work.epochs}of"
        accuracy = curve[-1]
        metrics = {VALID.replace("@", suffix): accuracy, ERROR.replace("@", suffix): 100 - accuracy}
        if self.query.objective == ERROR:
            curve = tuple(100 - point for point in curve)
        epochs = work.epochs - work.start
        cost = Cost(epochs, train_seconds=epochs * nature.seconds, multiply_adds=epochs * nature.seconds * 1e9)
        sealed = {TEST: nature.test} if TEST in self.query.sealed else {}
        return Outcome(Measurement(curve[-1], metrics, cost, curve), sealed)

    def _accuracy(self, arch: Arch, seed: int, epoch: int) -> float:
        nature = _landscape()[arch]
        draw = SeedTree(("toy", arch)).child(seed, epoch).seed()
        learnt = nature.accuracy * (1 - 0.6 * np.exp(-epoch / nature.pace))
        return float(learnt + self.config.noise * _NORMAL.inv_cdf((draw + 0.5) / 2**63))

    def final(self, arch: Arch, seed: int) -> Mapping[str, float]:  # noqa: ARG002 (the truth needs no seed)
        """Return the true test accuracy."""
        return {TEST: _landscape()[arch].test}

    def final_cost(self, arch: Arch) -> Cost:
        """Return what a training of the final epochs costs."""
        epochs, seconds = self.query.final_epochs, _landscape()[arch].seconds
        return Cost(epochs, train_seconds=epochs * seconds, multiply_adds=epochs * seconds * 1e9)

    def think_cost(self, multiply_adds: float) -> Cost:
        """Return the epochs and seconds of an average word for 2e9 multiply-adds."""
        return Cost(multiply_adds / 2e9, train_seconds=multiply_adds / 1e9, multiply_adds=multiply_adds)

    def references(self, budget: Budget) -> dict[str, Json]:  # noqa: ARG002 (the same at every budget)
        """Return the exact mean of random sampling and the optimum."""
        tests = {arch: nature.test for arch, nature in _landscape().items()}
        best = max(tests, key=tests.__getitem__)
        values = np.array(list(tests.values()))
        return {
            "random_sampling": {TEST: {"mean": float(values.mean()), "std": float(values.std()), "n": len(values)}},
            "optimum": {TEST: {"value": tests[best], "arch": best}},
        }

    def estimate(self) -> Estimate:
        """Return next to nothing."""
        return Estimate(seconds=1e-5, memory=1 << 20, basis="a formula")


class Wrapped:
    """A benchmark that forwards everything to another; wrappers change one thing."""

    Config: ClassVar[type[Any]]

    def __init__(self, inner: Benchmark) -> None:
        self.inner = inner
        self.name = inner.name
        self.space: SearchSpace = inner.space
        self.offers = inner.offers
        self.metrics = inner.metrics
        self.fidelities = inner.fidelities
        self.units = inner.units
        self.durable = inner.durable

    def manifest(self) -> dict[str, Json]:
        """Return the other's manifest."""
        return self.inner.manifest()

    def evaluate(self, trial: Trial) -> Outcome:
        """Answer as the other does."""
        return self.inner.evaluate(trial)

    def final(self, arch: Arch, seed: int) -> Mapping[str, float]:
        """Return the other's sealed metrics."""
        return self.inner.final(arch, seed)

    def final_cost(self, arch: Arch) -> Cost:
        """Return what the other charges."""
        return self.inner.final_cost(arch)

    def think_cost(self, multiply_adds: float) -> Cost:
        """Return what the other charges."""
        return self.inner.think_cost(multiply_adds)

    def references(self, budget: Budget) -> dict[str, Json]:
        """Return the other's references."""
        return self.inner.references(budget)

    def estimate(self) -> Estimate:
        """Return the other's estimate."""
        return self.inner.estimate()


class Failing(Wrapped):
    """Let a share of the trials fail; which ones is a function of the work and its seed."""

    def __init__(self, inner: Benchmark, probability: float) -> None:
        super().__init__(inner)
        self.probability = probability

    def evaluate(self, trial: Trial) -> Outcome:
        """Fail with the given probability, at full cost, or answer as the other does."""
        outcome = super().evaluate(trial)
        draw = SeedTree(("failing", canonical_json(work_to_json(trial.work)))).child(trial.seed).seed() / 2**63
        if draw < self.probability:
            return Outcome(Failure("planted", outcome.result.cost))
        return outcome


def _word(letters: Sequence[int]) -> Arch:
    return Arch("".join("abcd"[letter] for letter in letters))


def _digits(arch: Arch) -> list[int]:
    return ["abcd".index(letter) for letter in arch]


@cache
def _landscape() -> dict[Arch, Nature]:
    """Return the nature of every word: additive effects of letters, and of pairs that stand side by side."""
    rng = SeedTree(("toy landscape",)).generator()
    single = rng.normal(size=(POSITIONS, CHOICES))
    pair = rng.normal(scale=0.6, size=(POSITIONS - 1, CHOICES, CHOICES))
    words = list(product(range(CHOICES), repeat=POSITIONS))
    heights = np.array([_height(word, single, pair) for word in words])
    accuracy = 84 + 4 * (heights - heights.mean()) / heights.std()
    test = accuracy + rng.normal(scale=0.3, size=len(words))
    pace = rng.uniform(1, 3, size=len(words))
    seconds = rng.uniform(1, 3, size=len(words))
    rows = zip(words, accuracy.tolist(), test.tolist(), pace.tolist(), seconds.tolist(), strict=True)
    return {_word(word): Nature(*numbers) for word, *numbers in rows}


def _height(word: Sequence[int], single: NDArray[np.float64], pair: NDArray[np.float64]) -> float:
    alone = sum(single[place, letter] for place, letter in enumerate(word))
    together = sum(pair[place, word[place], word[place + 1]] for place in range(POSITIONS - 1))
    return float(alone + together)
