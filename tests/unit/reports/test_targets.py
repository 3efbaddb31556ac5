"""Times to targets on curves made by hand."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import numpy as np
import pytest

from harness.core.records import StudyRecord
from reports.analysis import analyse
from reports.frame import read
from reports.targets import expected_cost, first_reached, target_figure, target_table, targets_of

TEST = "toy/test@200ep(2k) mean-of-trials"


def test_the_expected_cost_counts_what_runs_without_success_spent() -> None:
    first, spent = np.array([10.0, inf, 30.0, inf]), np.array([100.0, 100.0, 100.0, 80.0])
    assert expected_cost(first, spent) == pytest.approx((10 + 100 + 30 + 80) / 2)
    assert expected_cost(np.array([inf]), np.array([5.0])) == inf


def test_a_target_counts_from_the_first_incumbent_within_it(make_study: Callable[..., StudyRecord]) -> None:
    frame = read(make_study(replicates=5))
    (track,) = frame.tracks
    best = 93.97
    cell = track.base[0]
    found = first_reached(cell, best, [1.0, 0.2], higher=True)
    for trace, times in zip(cell.valued, found, strict=True):
        for target, time in zip((1.0, 0.2), times, strict=True):
            hits = [at for at, value in zip(trace.at, trace.final[:, 0], strict=True) if best - value <= target + 1e-9]
            assert time == (hits[0] if hits else inf)
    assert (found[:, 0] <= found[:, 1]).all()


def test_table_and_figure_agree_and_runs_are_censored_at_the_budget(make_study: Callable[..., StudyRecord]) -> None:
    frame = read(make_study(replicates=12, facts=True))
    analysis = analyse(frame, frame.tracks[0])
    table, figure = target_table(analysis), target_figure(frame, analysis)
    assert table is not None
    assert figure is not None
    assert targets_of(frame.tracks[0]) == (1.0, 0.5, 0.2, 0.1)
    for one in figure.series:
        rows = [row for row in table.data if one.label.startswith(f"{row['row']} (")]
        assert one.middle[-1] == pytest.approx(sum(int(str(row["reached"])) for row in rows) / (4 * 12))
        assert list(one.middle) == sorted(one.middle)
        assert one.x[-1] == 2000.0


def test_without_an_optimum_there_is_no_target(make_study: Callable[..., StudyRecord]) -> None:
    frame = read(make_study(references=False, replicates=12))
    analysis = analyse(frame, frame.tracks[0])
    assert targets_of(frame.tracks[0]) == ()
    assert target_table(analysis) is None
    assert target_figure(frame, analysis) is None
