"""Growing networks on a CUDA device; run with `pytest tests/gpu -m gpu`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from benchmarks.spaces.nb201_moves import GrowingNasBench201
from benchmarks.training.benchmark import NB201Training
from benchmarks.training.growth_benchmark import GrowthTraining
from benchmarks.training.growth_settings import GrowthConfig
from benchmarks.training.hybrid import HybridConfig, NB201Hybrid
from benchmarks.training.settings import TrainingConfig
from harness.core.interfaces import Benchmark, Place, Query
from harness.core.types import Attach, Evaluate, Grow, Measurement, Trial, Work

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device"),
]


def _benchmark(cache: Path) -> GrowthTraining:
    query = Query("digits/valid@2ep(200) trial", (), ("digits/test@1ep(699) trial",), 2, 1)
    return GrowthTraining(GrowthConfig(train_images=200), Place(None, cache, device="cuda"), query)


def test_a_lineage_gives_the_same_bits_with_every_operation_attached(tmp_path: Path) -> None:
    answers = []
    for name in ("a", "b"):
        benchmark = _benchmark(tmp_path / name)
        (seed,) = benchmark.space.seeds()
        attach = Attach(Evaluate(seed, 2), tuple(benchmark.space.moves(seed)), "sg+sf", 2)
        grow = Grow(attach, attach.moves[:14], benchmark.space.grow(seed, attach.moves[:14]), 2)
        answers.append([benchmark.evaluate(Trial(0, work, 3)).result for work in (attach.after, attach, grow)])
    assert answers[0] == answers[1]
    parent, child = answers[0][1:]
    assert isinstance(parent, Measurement)
    assert isinstance(child, Measurement)
    assert child.metrics["digits/valid-before@grow(200) trial"] == parent.value


def _agreed(pair: Sequence[Benchmark], works: Sequence[Work]) -> list[Measurement]:
    """Return the answers of two benchmarks that share nothing, which must be the same."""
    answers = [[benchmark.evaluate(Trial(0, work, 3)).result for work in works] for benchmark in pair]
    assert answers[0] == answers[1]
    assert all(isinstance(answer, Measurement) for answer in answers[0])
    return [answer for answer in answers[0] if isinstance(answer, Measurement)]


def test_a_cell_of_nas_bench_201_grows_to_the_same_bits(tmp_path: Path) -> None:
    query = Query("digits/valid@2ep(200) trial", (), ("digits/test@2ep(200) trial",), 2, 2)
    config = TrainingConfig(train_images=200, channels=4)
    pair = [NB201Training(config, Place(None, tmp_path / name, device="cuda"), query) for name in "ab"]
    space = GrowingNasBench201()
    seed = space.seeds()[0]
    moves = tuple(space.moves(seed))
    attach = Attach(Evaluate(seed, 2), moves, "sg+sf", 2)
    grow = Grow(attach, moves[:1], space.grow(seed, moves[:1]), 2, merge="sum")
    parent, attached, child = _agreed(pair, (attach.after, attach, grow))
    assert attached.metrics["digits/valid-before@attach(200) trial"] == parent.value
    assert child.metrics["digits/valid-before@grow(200) trial"] == attached.value


def test_candidates_of_a_cell_that_a_table_knows_have_the_same_scores(data_dir: Path, tmp_path: Path) -> None:
    query = Query("cifar10/valid@200ep(25k) mean-of-trials", ("cifar10/multiply-adds",), (), 200, 200)
    config = HybridConfig(train_images=200, valid_images=100, channels=4, parent_epochs=2)
    pair = [NB201Hybrid(config, Place(data_dir, tmp_path / name, device="cuda"), query) for name in "ab"]
    seed = pair[0].space.seeds()[0]
    moves = tuple(pair[0].space.moves(seed))
    (attached,) = _agreed(pair, (Attach(Evaluate(seed, 200), moves, "sg+sf", 2),))
    assert set(moves) <= set(attached.scores)
