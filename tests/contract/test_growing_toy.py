"""The growing toy keeps the benchmark contract, and answers attachments and growths."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from harness.core.errors import Unsupported, UsageError
from harness.core.interfaces import Growable, Place, Query
from harness.core.types import Arch, Attach, Evaluate, Grow, Measurement, Move, Trial
from harness.testing import BenchmarkContract, GrowingSpace, GrowingToy, Opening, Toy
from harness.testing.growing import MULTIPLY_ADDS
from harness.testing.toy import FULL, TEST, VALID

OPENING = Opening(
    "harness.testing.growing:GrowingToy",
    Toy.Config(),
    Place(None, Path()),
    Query(VALID, (MULTIPLY_ADDS,), (TEST,), FULL, FULL),
)
SPACE = GrowingSpace()
SEED = SPACE.seeds()[0]


class TestGrowingToy(BenchmarkContract):
    @pytest.fixture(scope="class")
    @classmethod
    def opening(cls) -> Opening:
        return OPENING


def attach(arch: Arch = SEED, arm: str = "sg+sf") -> Attach:
    return Attach(Evaluate(arch, FULL), tuple(SPACE.moves(arch)), arm, FULL)


def scores_of(work: Attach, seed: int = 0) -> dict[str, float]:
    result = OPENING.open().evaluate(Trial(0, work, seed)).result
    assert isinstance(result, Measurement)
    return dict(result.scores)


def test_every_word_grows_from_a_seed() -> None:
    assert isinstance(SPACE, Growable)
    reached, frontier = set(SPACE.seeds()), list(SPACE.seeds())
    while frontier:
        arch = frontier.pop()
        children = {SPACE.grow(arch, [move]) for move in SPACE.moves(arch)} - reached
        reached |= children
        frontier += children
    assert len(reached) == len(SPACE)


def test_growth_raises_the_cost() -> None:
    toy = OPENING.open()
    for move in SPACE.moves(SEED):
        results = [toy.evaluate(Trial(0, Evaluate(arch, FULL), 0)).result for arch in (SEED, SPACE.grow(SEED, [move]))]
        before, after = (result.metrics[MULTIPLY_ADDS] for result in results if isinstance(result, Measurement))
        assert before < after


def test_moves_that_cannot_be_made_are_errors() -> None:
    for moves in (["0:b", "0:c"], ["0:a"], ["9:b"], []):
        with pytest.raises(UsageError, match="cannot be made together"):
            SPACE.grow(SEED, [Move(move) for move in moves])
    wrong = Grow(attach(), (Move("0:b"),), Arch("ddddd"), FULL)
    with pytest.raises(Unsupported, match="do not make"):
        OPENING.open().evaluate(Trial(0, wrong, 0))


def test_scores_carry_a_signal_and_noise() -> None:
    toy = GrowingToy(Toy.Config(), Place(None, Path()), OPENING.query)
    rng = np.random.Generator(np.random.PCG64(0))
    scores, gains = [], []
    for arch in islice(iter(lambda: SPACE.sample(rng), None), 60):
        for move in SPACE.moves(arch):
            scores.append(scores_of(attach(arch))[f"{move}|-cos"])
            gains.append(toy.final(SPACE.grow(arch, [move]), 0)[TEST] - toy.final(arch, 0)[TEST])
    assert 0.5 < np.corrcoef(np.argsort(np.argsort(scores)), np.argsort(np.argsort(gains)))[0, 1] < 0.98


def test_scores_depend_on_seed_and_arm_alone() -> None:
    assert scores_of(attach()) == scores_of(attach())
    assert scores_of(attach()) != scores_of(attach(), seed=1)
    assert scores_of(attach()) != scores_of(attach(arm="joint"))
    fewer = Attach(Evaluate(SEED, FULL), tuple(SPACE.moves(SEED))[:4], "sg+sf", FULL)
    assert scores_of(fewer).items() >= {(f"{m}|-cos", scores_of(attach())[f"{m}|-cos"]) for m in fewer.moves}
