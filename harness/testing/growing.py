"""Offer a toy benchmark that grows to tests: words whose letters rise, and candidates with a signal that is noisy.

It wraps the toy benchmark. No figures are reported on it, and it stands in no registry.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist
from typing import ClassVar, cast

from harness.core.errors import Unsupported, UsageError
from harness.core.interfaces import Benchmark, Place, Query
from harness.core.seeds import SeedTree
from harness.core.types import (
    Arch,
    Attach,
    Capability,
    Cost,
    Evaluate,
    Grow,
    Measurement,
    MetricSchema,
    Move,
    Outcome,
    Trial,
)
from harness.testing.toy import FULL, POSITIONS, TEST, Toy, ToySpace, Wrapped

MULTIPLY_ADDS = "toy/multiply-adds"
PARAMETERS = "toy/parameters"
_LETTERS = "abcd"
_LEFT = 3  # places of the first group
_BLUR = 1.5  # standard deviation of the error in a candidate's gain, in points
_STEP = 0.01  # weight that a point of gain is worth
_NORMAL = NormalDist()


class GrowingSpace(ToySpace):
    """The toy words, grown letter by letter: a move `place:letter` raises one letter.

    Its groups are `left`, the first three places, and `right`, the other two.
    """

    def seeds(self) -> Sequence[Arch]:
        """Return two of the smallest words."""
        return Arch("a" * POSITIONS), Arch("b" + "a" * (POSITIONS - 1))

    def moves(self, arch: Arch) -> Sequence[Move]:
        """Return every rise of one letter."""
        return [Move(f"{place}:{letter}") for place, now in enumerate(arch) for letter in _LETTERS if letter > now]

    def group(self, move: Move) -> str:
        """Return the half of the word that a move changes."""
        return "left" if int(move[0]) < _LEFT else "right"

    def grow(self, arch: Arch, moves: Sequence[Move], merge: str = "concat") -> Arch:  # noqa: ARG002 - nothing to join
        """Return the word with these letters raised."""
        legal = self.moves(arch)
        places = [move[0] for move in moves]
        if not moves or any(move not in legal for move in moves) or len(set(places)) < len(places):
            raise UsageError(f"toy: {list(moves)} cannot be made together in {arch!r}; raise each letter once")
        letters = list(arch)
        for move in moves:
            letters[int(move[0])] = move[2]
        return Arch("".join(letters))


class GrowingToy(Wrapped):
    """The toy benchmark with candidates to attach and words to grow.

    The weight of a candidate is its true gain with an error that is fixed by the seed of the trial, shrunk by the
    penalty; a grown word is as good as one that was trained in full.
    """

    Config: ClassVar[type[Toy.Config]] = Toy.Config

    def __init__(self, config: Toy.Config, place: Place, query: Query) -> None:
        super().__init__(cast("Benchmark", Toy(config, place, query)))
        self.space = GrowingSpace()
        self.offers = self.offers | {Capability.ATTACH, Capability.GROW, Capability.GROWABLE}
        self.metrics = MetricSchema(self.metrics.open | {MULTIPLY_ADDS, PARAMETERS}, self.metrics.sealed)

    def evaluate(self, trial: Trial) -> Outcome:
        """Answer an evaluation, an attachment or a growth."""
        work = trial.work
        if isinstance(work, Attach):
            return self._attach(work, trial)
        if isinstance(work, Grow):
            return self._grow(work, trial)
        outcome = super().evaluate(trial)
        assert isinstance(work, Evaluate)  # the toy refuses everything else
        return _sized(outcome, work.arch)

    def _attach(self, work: Attach, trial: Trial) -> Outcome:
        result = self._trained(work.arch, trial).result
        assert isinstance(result, Measurement)
        cost = _part(result.cost, work.epochs, 1 + 0.1 * len(work.moves))
        answer = replace(result, cost=cost, curve=(), scores=self._scores(work, trial.seed))
        return _sized(Outcome(answer), work.arch)

    def _scores(self, work: Attach, seed: int) -> dict[str, float]:
        scores: dict[str, float] = {}
        parent = self._truth(work.arch)
        for move in work.moves:
            # Candidates of one parent share their errors, whatever else is attached to it.
            draw = SeedTree(("candidate", work.arch, move, work.arm)).child(seed).seed()
            blur = _BLUR * _NORMAL.inv_cdf((draw + 0.5) / 2**63)
            gain = self._truth(_grown(work.arch, [move])) - parent + blur
            weight = 1 / len(work.moves) + _STEP * gain
            scores[move] = max(0.0, abs(weight) - work.penalty)
            scores[f"{move}|-cos"] = math.tanh(gain)
            scores[f"{move}|<g,c>"] = -gain * work.scale
        return scores

    def _grow(self, work: Grow, trial: Trial) -> Outcome:
        if _grown(work.after.arch, work.moves) != work.arch:
            raise Unsupported(f"toy: {list(work.moves)} do not make {work.after.arch} into {work.arch}")
        outcome = self._trained(work.arch, trial)
        result = outcome.result
        assert isinstance(result, Measurement)
        answer = replace(result, cost=_part(result.cost, work.epochs), curve=())
        return _sized(replace(outcome, result=answer), work.arch)

    def _trained(self, arch: Arch, trial: Trial) -> Outcome:
        return self.inner.evaluate(Trial(trial.id, Evaluate(arch, FULL), trial.seed))

    def _truth(self, arch: Arch) -> float:
        return self.inner.final(arch, 0)[TEST]


def _grown(arch: Arch, moves: Sequence[Move]) -> Arch:
    return GrowingSpace().grow(arch, moves)


def _part(cost: Cost, epochs: int, share: float = 1.0) -> Cost:
    """Return what some epochs of a whole training cost, each as dear as `share` of its own."""
    assert cost.train_seconds is not None
    assert cost.multiply_adds is not None
    part = epochs / FULL * share
    return Cost(epochs, train_seconds=cost.train_seconds * part, multiply_adds=cost.multiply_adds * part)


def _sized(outcome: Outcome, arch: Arch) -> Outcome:
    """Add the two costs of the word, which rise with each letter, to what was measured."""
    result = outcome.result
    assert isinstance(result, Measurement)
    heights = [_LETTERS.index(letter) for letter in arch]
    sizes = {
        MULTIPLY_ADDS: 10.0 + sum(height * (1 + 0.1 * place) for place, height in enumerate(heights)),
        PARAMETERS: 1.0 + sum(heights),
    }
    return replace(outcome, result=replace(result, metrics={**result.metrics, **sizes}))
