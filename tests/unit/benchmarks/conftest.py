"""Plant faults, kill trainings, and run what was exported where there is only torch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
import torch

from benchmarks.training import checkpoint

Answer = TypeVar("Answer")
Live = Callable[..., tuple[Answer, int]]

# Isolated, outside the checkout, and nothing of the harness may be imported in passing.
ALONE = """
import sys
import torch
pixels = torch.load(sys.argv[2], weights_only=True)
logits = torch.export.load(sys.argv[1]).module()(pixels)
torch.save(logits, sys.argv[3])
ours = [name for name in sys.modules if name.split(".")[0] in ("harness", "benchmarks", "methods")]
assert not ours, ours
"""


@pytest.fixture
def alone() -> Callable[[Path, torch.Tensor], torch.Tensor]:
    """Return the logits that a fresh process computes with torch and the program that was exported to a folder."""

    def run(folder: Path, pixels: torch.Tensor) -> torch.Tensor:
        torch.save(pixels, folder / "pixels.pt")
        paths = [str(folder / name) for name in ("model.pt2", "pixels.pt", "logits.pt")]
        subprocess.run([sys.executable, "-I", "-c", ALONE, *paths], cwd=folder, check=True, timeout=300)
        return torch.load(folder / "logits.pt", weights_only=True)

    return run


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
