"""The pace of an engine: what a step takes is told apart from what a training begins with."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from benchmarks.training import calibrate as module
from benchmarks.training.calibrate import calibrate
from benchmarks.training.checkpoint import Shelf
from benchmarks.training.fit import Course, Fit, Job, train
from harness.core.errors import HarnessError, TrialFailed


class Clock:
    """A clock that only the engine moves."""

    now = 0.0

    def __init__(self) -> None:
        self.then = Clock.now

    def lap(self) -> float:
        return Clock.now - self.then


@pytest.mark.parametrize(("begin", "each"), [(5.0, 0.001), (0.0, 2.0), (3.0, 0.01)])
def test_a_slow_start_is_no_slow_pace(
    course: Course, monkeypatch: pytest.MonkeyPatch, begin: float, each: float
) -> None:
    monkeypatch.setattr(module, "Stopwatch", Clock)

    def engine(jobs: Sequence[Job], common: Course, shelf: Shelf | None) -> list[Fit | TrialFailed]:
        Clock.now += begin + each * len(common.train)
        return train(jobs, common, shelf)

    pace = calibrate(engine, course)
    assert pace.train == pytest.approx(each)
    assert pace.start == pytest.approx(begin)
    assert pace.epoch(80, 60) == pytest.approx(80 * each)


def test_a_network_that_cannot_be_trained_is_one_line(course: Course) -> None:
    with pytest.raises(HarnessError, match=r"cannot be trained on this machine \(out of memory\)"):
        calibrate(lambda jobs, common, shelf: [TrialFailed("out of memory", 1)], course)
