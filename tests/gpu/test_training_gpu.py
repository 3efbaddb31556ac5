"""The reference trainer on a CUDA device; run with `pytest tests/gpu -m gpu`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.spaces.nb201 import compose
from benchmarks.training import checkpoint
from benchmarks.training.benchmark import NB201Training
from benchmarks.training.fit import Training
from benchmarks.training.settings import TrainingConfig
from harness.core.interfaces import Place, Query
from harness.core.types import Arch, Evaluate, Failure, Measurement, Trial

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device"),
]

QUERY = Query("digits/valid@6ep(200) trial", (), ("digits/test@6ep(200) trial",), 6, 6)
MIXED = compose((3, 1, 2, 4, 0, 3))


def _benchmark(cache: Path, device: str = "cuda", **options: object) -> NB201Training:
    return NB201Training(TrainingConfig(train_images=200, **options), Place(None, cache, device=device), QUERY)


def _measured(benchmark: NB201Training, arch: Arch = MIXED, epochs: int = 6) -> Measurement:
    result = benchmark.evaluate(Trial(0, Evaluate(arch, epochs), 3)).result
    assert isinstance(result, Measurement)
    return result


def test_the_same_trial_gives_the_same_bits(tmp_path: Path) -> None:
    first, second = (_benchmark(tmp_path / name).evaluate(Trial(0, Evaluate(MIXED, 6), 3)) for name in "ab")
    assert first == second


def test_every_operation_trains_deterministically(tmp_path: Path) -> None:
    for operation in range(5):
        arch = compose((operation,) * 6)
        assert _measured(_benchmark(tmp_path / "a"), arch, 2) == _measured(_benchmark(tmp_path / "b"), arch, 2)


def test_a_resumed_training_gives_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = _measured(_benchmark(tmp_path / "calm"))
    monkeypatch.setattr(checkpoint, "INTERVAL_SECONDS", 0.0)
    genuine, calls = Training.advance, []

    def interrupted(self: Training) -> None:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        genuine(self)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "advance", interrupted)
        with pytest.raises(KeyboardInterrupt):
            _measured(_benchmark(tmp_path / "cut"))
    assert len(list((tmp_path / "cut" / "checkpoints").iterdir())) == 1
    assert _measured(_benchmark(tmp_path / "cut")) == expected


def test_the_device_starts_where_the_cpu_starts(tmp_path: Path) -> None:
    """Weights, order and augmentation are drawn alike, so that the first epoch differs in rounding only."""
    name = "digits/train-loss@1of6ep(200) trial"
    on_gpu, on_cpu = (_measured(_benchmark(tmp_path, device), epochs=1) for device in ("cuda", "cpu"))
    assert on_gpu.metrics[name] == pytest.approx(on_cpu.metrics[name], rel=1e-3)


def test_lack_of_device_memory_is_a_failure_and_the_device_is_usable_after(tmp_path: Path) -> None:
    benchmark = _benchmark(tmp_path)
    free, _ = torch.cuda.mem_get_info()
    hog = torch.empty(int(free * 0.98), dtype=torch.uint8, device="cuda")
    wide = replace(benchmark._workshop.search.skeleton, channels=4096)
    benchmark._workshop.__dict__["search"] = replace(benchmark._workshop.search, skeleton=wide)
    result = benchmark.evaluate(Trial(0, Evaluate(MIXED, 6), 3)).result
    del hog
    assert isinstance(result, Failure)
    assert result.reason == "out of memory"
    assert _measured(_benchmark(tmp_path / "after")).value > 0
