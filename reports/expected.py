"""Hold the draws of random search against the exact expectation: a test of the harness that every study carries."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.core.records import Figure, Series
from reports.analysis import TrackAnalysis, random_search_cell
from reports.curves import Floats, plain
from reports.draws import Draws, expected_best
from reports.frame import TrackFrame
from reports.series import series_of
from reports.space import regrets
from reports.stats import t_interval
from reports.wording import reference, scale

FEWEST_RUNS = 5
_FEWEST_DRAWS = 10
_SIZES = 24


def expected_figure(analysis: TrackAnalysis) -> Figure | None:
    """Return the expected best of n draws, estimated from the runs of random search, beside its exact value.

    None where the study has fewer than five runs of random search, or fewer than ten draws in one of them.
    """
    track = analysis.track
    cell = random_search_cell(track.base)
    runs = [trace.draws for trace in cell.valued if trace.draws is not None] if cell else []
    common = min((len(draws.sealed) for draws in runs), default=0)
    if cell is None or len(runs) < FEWEST_RUNS or common < _FEWEST_DRAWS:
        return None
    metric = runs[0].metric
    best = reference(track, "optimum", metric, "value")
    sizes = sorted({int(size) for size in np.geomspace(1, common, _SIZES).round()})
    values = _shown(track, metric, np.array([_of_run(draws, common, sizes) for draws in runs]), best)
    ends = [t_interval(column) for column in values.T]
    low, high = np.array(ends).T
    columns = (np.array(sizes, dtype=np.float64), values.mean(axis=0), low, high)
    estimated = series_of(track, cell, len(runs), columns, style="line", of="its own draws")
    exact = _exact(track, metric, common, best)
    reading = scale(track, metric)
    return Figure(
        name=f"expected-{track.id}",
        title=f"What n random draws are worth on {track.id}",
        x_label="draws (evaluations)",
        y_label=f"{'regret' if best is not None else 'reached'}, {reading.points if best is not None else reading.unit}"
        f"\n{metric}",
        series=(estimated, *exact),
        note=(
            f"Expected {metric} of the best validated of n draws: the unbiased estimate over all subsets of n of the "
            f"first {common} draws of each run (Dodge et al., 2019, as a U-statistic), mean over the runs with "
            "pointwise Student's t intervals."
            + (" Points: the exact expectation over the whole space, no run needed." if exact else "")
        ),
        y_log="linear" if best is None else "log",
    )


def _of_run(draws: Draws, common: int, sizes: list[int]) -> Floats:
    return expected_best(draws.objective[:common], draws.sealed[:common], sizes)


def _shown(track: TrackFrame, metric: str, values: Floats, best: float | None) -> Floats:
    return values if best is None else regrets(values, best, higher=scale(track, metric).higher)


def _exact(track: TrackFrame, metric: str, common: int, best: float | None) -> list[Series]:
    known: Any = track.record.references.get("best_of_draws")
    if not isinstance(known, dict) or known.get("metric") != metric:
        return []
    pairs = [pair for pair in zip(known["draws"], known["expected"], strict=True) if pair[0] <= common]
    middle = plain(_shown(track, metric, np.array([value for _, value in pairs]), best))
    places = tuple(float(draws) for draws, _ in pairs)
    return [Series("exact expectation", places, middle, middle, middle, role="reference", style="points")]
