"""Growing networks so small that a phase takes well under a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.training.growth_benchmark import GrowthTraining
from benchmarks.training.growth_settings import GrowthConfig
from harness.core.interfaces import Place, Query

OpenGrowth = Callable[..., GrowthTraining]


@pytest.fixture
def open_growth(tmp_path: Path) -> OpenGrowth:
    """Open the benchmark with tiny networks: 2 epochs on 64 images, options as given."""

    def open_(
        cache: Path = tmp_path,
        objective: str = "digits/valid@2ep(64) trial",
        sealed: tuple[str, ...] = ("digits/test@1ep(114) trial",),
        final_epochs: int = 1,
        **options: object,
    ) -> GrowthTraining:
        tiny = {"train_images": 64, "valid_images": 50, "channels": 2, "reductions": 1, "batch_size": 32, **options}
        query = Query(objective, ("digits/parameters",), sealed, search_epochs=2, final_epochs=final_epochs)
        return GrowthTraining(GrowthConfig(**tiny), Place(None, cache), query)

    return open_
