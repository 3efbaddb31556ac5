"""Growing networks on a CUDA device; run with `pytest tests/gpu -m gpu`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.training.growth_benchmark import GrowthTraining
from benchmarks.training.growth_settings import GrowthConfig
from harness.core.interfaces import Place, Query
from harness.core.types import Attach, Evaluate, Grow, Measurement, Trial

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
