"""Plant faults, and kill trainings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
import torch

from benchmarks.training import checkpoint

Answer = TypeVar("Answer")
Live = Callable[..., tuple[Answer, int]]


@pytest.fixture
def sound(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Plant the fault that a test is given, a function of monkeypatch, and tell whether it was given none."""
    if request.param is not None:
        request.param(monkeypatch)
    return request.param is None


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Live[Answer]:
    """Train something in processes that each die in the middle of a step, until one suffices; count the deaths."""
    step = torch.optim.SGD.step

    def run(train: Callable[[], Answer], *, steps: int) -> tuple[Answer, int]:
        taken = deaths = 0

        def dying(optimiser: torch.optim.SGD) -> None:
            nonlocal taken
            taken += 1
            if taken > steps:
                raise Killed
            step(optimiser)

        with monkeypatch.context() as patch:
            patch.setattr(checkpoint, "INTERVAL_SECONDS", 0.0)
            patch.setattr(torch.optim.SGD, "step", dying)
            while True:
                taken = 0
                try:
                    return train(), deaths
                except Killed:
                    deaths += 1
                    assert deaths < 50, "no life gets further than the one before"

    return run
