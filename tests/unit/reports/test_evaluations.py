"""The figure over the number of evaluations: what each run reported after so many, and no further than they went."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from harness.core.records import Figure, RunRecord, StudyRecord
from reports.analysis import analyse
from reports.anytime import evaluations_figure
from reports.frame import read

TEST = "toy/test@200ep(2k) mean-of-trials"


def figure(study: StudyRecord) -> Figure | None:
    frame = read(study)
    return evaluations_figure(analyse(frame, frame.tracks[0]))


def reported(run: RunRecord, count: int, limit: float) -> float:
    """Return the sealed metric of what a run recommends after so many trials, by its definition."""
    told = [record for record in run.trials if record.counted and record.spent <= limit][:count]
    arch = told[-1].recommended
    if arch in run.final:
        return run.final[arch][TEST]
    return next(record.sealed[TEST] for record in run.trials if getattr(record.trial.work, "arch", None) == arch)


def test_every_place_is_the_median_of_what_the_runs_report_after_so_many_trials(
    make_study: Callable[..., StudyRecord],
) -> None:
    study = make_study(replicates=6, references=False)
    found = figure(study)
    assert found is not None
    plan: Any = study.protocol["tracks"]
    for series in found.series:
        runs = [run for run in study.runs() if series.label.startswith(f"{run.spec.method} (")]
        assert len(runs) == 6
        shortest = min(sum(record.counted for record in run.trials) for run in runs)
        assert series.x == tuple(sorted({float(round(x)) for x in series.x}))
        assert series.x[-1] <= shortest
        for x, middle in zip(series.x, series.middle, strict=True):
            values = [reported(run, int(x), plan[0]["budget"]["limit"]) for run in runs]
            assert middle == np.median(values)


def test_the_exact_worth_of_so_many_draws_stands_beside_it_as_far_as_the_curves_go(
    make_study: Callable[..., StudyRecord],
) -> None:
    found = figure(make_study(replicates=6, facts=True))
    assert found is not None
    (exact,) = (series for series in found.series if series.role == "reference")
    assert exact.x[0] == 1.0
    assert exact.x[-1] <= max(series.x[-1] for series in found.series if series.role == "method")
    assert list(exact.middle) == sorted(exact.middle, reverse=True)
    assert found.y_log == "log"


def test_where_evaluations_are_the_budget_or_runs_are_few_there_is_none(
    make_study: Callable[..., StudyRecord],
) -> None:
    study = make_study(replicates=6)
    plan: Any = study.protocol["tracks"]
    tracks = [{**track, "budget": {**track["budget"], "unit": "evaluations"}} for track in plan]
    assert figure(replace(study, protocol={**study.protocol, "tracks": tracks})) is None
    assert figure(make_study(replicates=4)) is None
