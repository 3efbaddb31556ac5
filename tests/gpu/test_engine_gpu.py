"""What engines do on a CUDA device; run with `pytest tests/gpu -m gpu`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from benchmarks.training.augment import draw, flip_and_crop, normalise
from benchmarks.training.benchmark import NB201Training
from benchmarks.training.recipe import Recipe
from benchmarks.training.settings import TrainingConfig
from harness.core.errors import UsageError
from harness.core.interfaces import Place, Query

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device"),
]


@contextmanager
def no_waiting() -> Iterator[None]:
    """Let every wait of the host for the device be an error."""
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_wait_for_the_device_is_found() -> None:
    """Or else the next test would prove nothing."""
    one = torch.ones((), device="cuda")
    with no_waiting(), pytest.raises(RuntimeError):
        one.item()


def test_augmentation_never_waits_for_the_device() -> None:
    recipe = Recipe()
    draws = draw(64, recipe, torch.Generator().manual_seed(1), torch.Generator().manual_seed(2))
    pixels = torch.randint(0, 256, (64, 3, 32, 32), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)
    here = pixels[draws.order], draws.flips, draws.offsets
    scale = torch.tensor([125.0, 123.0, 114.0]), torch.tensor([63.0, 62.0, 67.0])
    there, scale_there = [part.cuda() for part in here], [part.cuda() for part in scale]
    with no_waiting():
        cropped = flip_and_crop(*there, recipe.crop_padding)
        result = normalise(cropped, *scale_there)
    assert torch.equal(cropped.cpu(), flip_and_crop(*here, recipe.crop_padding))
    torch.testing.assert_close(result.cpu(), normalise(cropped.cpu(), *scale))


def test_an_engine_of_the_cpu_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    query = Query("digits/valid@6ep(200) trial", (), ("digits/test@6ep(200) trial",), 6, 6)
    with pytest.raises(UsageError, match="'fused' computes on the CPU only"):
        NB201Training(TrainingConfig(train_images=200, engine="fused"), Place(None, tmp_path, device="cuda"), query)
