"""Networks so small that a training takes milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.spaces.nb201 import compose
from benchmarks.training.benchmark import NB201Training
from benchmarks.training.data import Dataset, open_dataset
from benchmarks.training.evaluate import to_device
from benchmarks.training.fit import Course
from benchmarks.training.recipe import Recipe
from benchmarks.training.settings import TrainingConfig
from harness.core.interfaces import Place, Query
from harness.core.types import Arch

SMALL = Recipe(epochs=4, channels=2, cells=1, batch_size=32, flip=True, crop_padding=1)


@pytest.fixture(scope="session")
def mixed() -> Arch:
    """A cell with each operation."""
    return compose((3, 1, 2, 4, 0, 3))


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return open_dataset("digits", Place(None, tmp_path_factory.mktemp("none")), train_images=80, valid_images=60)


@pytest.fixture
def course(digits: Dataset) -> Course:
    known = digits.facts
    return Course(
        recipe=SMALL,
        skeleton=known.skeleton(SMALL.channels, SMALL.cells),
        train=to_device(digits.train, known, "cpu"),
        watch={"valid": to_device(digits.valid, known, "cpu")},
        threads=1,
        identity="test",
    )


OpenTiny = Callable[..., NB201Training]


@pytest.fixture
def open_tiny(tmp_path: Path) -> OpenTiny:
    """Open the benchmark with tiny networks: 4 epochs on 80 images, options as given."""

    def open_(cache: Path = tmp_path, sealed: tuple[str, ...] = ("digits/test@2ep(140) trial",), **options: object):
        tiny = {"train_images": 80, "valid_images": 60, "channels": 2, "batch_size": 32, **options}
        query = Query("digits/valid@4ep(80) trial", (), sealed, search_epochs=4, final_epochs=2)
        return NB201Training(TrainingConfig(**tiny), Place(None, cache), query)

    return open_
