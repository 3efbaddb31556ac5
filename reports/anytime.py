"""Draw how good the reported architecture is at every point of the budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.core.records import Figure, Series
from reports.analysis import TrackAnalysis
from reports.curves import Floats, Step, common_start, log_grid, on_grid, plain
from reports.frame import Cell, Key, TrackFrame
from reports.series import series_of
from reports.space import regrets
from reports.trace import Trace
from reports.wording import amount, budget_axis, budget_unit, listed, reference, scale

_INTERIM = (
    "The final recipe was run for the last architecture of each run alone, so {metric} is not known along the way: "
    "the curve shows the sealed metric of the search trials instead."
)
_FEWEST = 5  # runs of a method, below which the anytime figure says as much
_DOTTED = "The dotted curve is a mean, which a few poor runs pull away from the median."
_REGRET = (
    "Regret: distance to the optimum of the space; what lies below the lower edge, as a regret of zero does, is in "
    "the data."
)


@dataclass(frozen=True, slots=True)
class _View:
    """Which metric of the incumbents a figure shows, and the curves of each method's runs.

    Attributes:
        best: the optimum of the space, where it is known: regret is shown.
        interim: the sealed metric of the search trials stands in for the primary metric.
    """

    track: TrackFrame
    metric: str
    curves: Mapping[Key, list[Step]]
    best: float | None
    interim: bool

    @property
    def drawn(self) -> list[Cell]:
        """The methods with a curve that begins within the budget."""
        return [cell for cell in self.track.base if common_start(self.curves[cell.key]) < self.track.limit]

    def height(self, values: Floats) -> Floats:
        """Return what is drawn for values of the metric."""
        higher = scale(self.track, self.metric).higher
        return values if self.best is None else regrets(values, self.best, higher=higher)


def anytime_figure(analysis: TrackAnalysis) -> Figure | None:
    """Return median and quartiles of a sealed metric of the incumbent over the budget; None where no run has a value.

    It is the primary metric, or, where that is known of the last architectures alone (real training), the sealed
    metric of the search trials. As regret, on a logarithmic axis, where the optimum of the space is known.
    """
    track = analysis.track
    view = _view(track, lambda trace: trace.at)
    drawn = view.drawn
    if not drawn:
        return None
    starts = {cell.key: _first_place(view.curves[cell.key], track.limit) for cell in drawn}
    grid = log_grid(min(starts.values()), track.limit)
    series = [_series(view, cell, grid[grid >= starts[cell.key]]) for cell in drawn]
    expected = _expected_series(view)
    return Figure(
        name=f"anytime-{track.id}",
        title=f"Anytime performance on {track.id}",
        x_label=budget_axis(track),
        y_label=f"{_in_unit(view)}\n{view.metric}",
        series=(*series, *([expected] if expected else [])),
        note=_note(view, drawn, [starts[cell.key] for cell in drawn]),
        y_log="linear" if view.best is None else "log",
        lines=_lines(view),
    )


def evaluations_figure(analysis: TrackAnalysis) -> Figure | None:
    """Return the same over the number of trials told; None where that is the budget, or below five runs.

    A curve ends where the first of its runs does: nothing is extrapolated.
    """
    track = analysis.track
    if track.plan["budget"]["unit"] == "evaluations":
        return None
    view = _view(track, lambda trace: trace.told)
    cells = [cell for cell in track.base if len(cell.valued) >= _FEWEST]
    ends = {cell.key: min(trace.trials for trace in cell.valued) for cell in cells}
    starts = {cell.key: common_start(view.curves[cell.key]) for cell in cells}
    drawn = [cell for cell in cells if starts[cell.key] < ends[cell.key]]
    if not drawn:
        return None
    grid = np.unique(log_grid(min(starts[cell.key] for cell in drawn), max(ends[cell.key] for cell in drawn)).round())
    series = [_series(view, cell, grid[(grid >= starts[cell.key]) & (grid <= ends[cell.key])]) for cell in drawn]
    exact = _exact_draws(view, float(grid[-1]))
    return Figure(
        name=f"evaluations-{track.id}",
        title=f"Performance by number of evaluations on {track.id}",
        x_label="trials told to the method",
        y_label=f"{_in_unit(view)}\n{view.metric}",
        series=(*series, *exact),
        note=(
            "As the anytime figure, over the number of trials instead of what they cost: a method that chooses cheap "
            "architectures gains there and not here. Line: median over the runs; band: quartiles. A curve ends with "
            f"the first of its runs ({listed(f'{cell.label} at {ends[cell.key]:,}' for cell in drawn)} trials)."
            + (f" {_DOTTED}" if exact else "")
            + ("" if view.best is None else f" {_REGRET}")
        ),
        y_log="linear" if view.best is None else "log",
        lines=_lines(view),
    )


def _exact_draws(view: _View, end: float) -> list[Series]:
    """Return the exact mean of random search after so many draws, as far as the curves go."""
    known: Any = view.track.record.references.get("best_of_draws")
    if not isinstance(known, dict) or known.get("metric") != view.metric:
        return []
    pairs = np.array([known["draws"], known["expected"]], dtype=np.float64)
    places, means = pairs[:, pairs[0] <= end]
    middle = plain(view.height(means))
    return [Series("random search, exact mean", plain(places), middle, middle, middle, role="reference", style="line")]


def _view(track: TrackFrame, place: Callable[[Trace], Floats]) -> _View:
    """Return what is shown, over whatever `place` tells of each change of a run's incumbent."""
    metric = track.metrics[0]
    runs = {cell.key: cell.valued for cell in track.base}
    interim = next((trace.interim_metric for traces in runs.values() for trace in traces), "")
    if interim and any(np.isnan(trace.final[:, 0]).any() for traces in runs.values() for trace in traces):
        curves = {key: _whole([Step(place(trace), trace.interim) for trace in traces]) for key, traces in runs.items()}
        return _View(track, interim, curves, reference(track, "optimum", interim, "value"), interim=True)
    curves = {key: _whole([Step(place(trace), trace.final[:, 0]) for trace in traces]) for key, traces in runs.items()}
    return _View(track, metric, curves, reference(track, "optimum", metric, "value"), interim=False)


def _whole(steps: list[Step]) -> list[Step]:
    """Return the curves from their first known value on, without those that have a gap after it."""
    begun = [Step(step.at[first:], step.values[first:]) for step in steps for first in _first_known(step)]
    return [step for step in begun if np.isfinite(step.values).all()]


def _first_known(step: Step) -> list[int]:
    return [int(index) for index in np.flatnonzero(np.isfinite(step.values))[:1]]


def _in_unit(view: _View) -> str:
    reading = scale(view.track, view.metric)
    if view.best is not None:
        return f"regret in {reading.points}"
    return f"reached, in {reading.unit}" if reading.unit else "reached"


def _first_place(steps: list[Step], limit: float) -> float:
    """Return where every curve has begun; a start at no cost at all has no logarithm, and moves to the first step."""
    start = common_start(steps)
    if start > 0:
        return start
    later = [place for step in steps for place in step.at if place > 0]
    return min(later, default=limit / 1000)


def _series(view: _View, cell: Cell, grid: Floats) -> Series:
    steps = view.curves[cell.key]
    low, middle, high = np.percentile(view.height(on_grid(steps, grid)), [25, 50, 75], axis=0)
    return series_of(view.track, cell, len(steps), (grid, middle, low, high))


def _expected_series(view: _View) -> Series | None:
    """Return the exact expectation of random search at the places where the benchmark computed it."""
    known = view.track.record.references.get("random_search")
    if not isinstance(known, dict) or known.get("metric") != view.metric:
        return None
    places, means = (np.array(known.get(key) or [], dtype=np.float64) for key in ("spent", "curve"))
    present = np.isfinite(means)
    if not present.any():
        return None
    middle = plain(view.height(means[present]))
    return Series("random search, exact mean", plain(places[present]), middle, middle, middle, role="reference")


def _lines(view: _View) -> dict[str, float]:
    sampling = reference(view.track, "random_sampling", view.metric, "mean")
    return {} if sampling is None else {"random sampling, exact mean": float(view.height(np.array([sampling]))[0])}


def _note(view: _View, drawn: list[Cell], starts: list[float]) -> str:
    track = view.track
    begins = [f"{cell.label} from {amount(start)}" for cell, start in zip(drawn, starts, strict=True)]
    left_out = [cell.label for cell in track.base if cell not in drawn]
    reading = (
        "Line: median over the runs; band: quartiles, cut at the edges of the picture. The incumbent is chosen on "
        f"{track.plan['objective']['metric']} and shown at {view.metric}. Right-continuous steps, never interpolated "
        "between two architectures; a curve begins where all of its runs have an incumbent with this metric "
        f"({listed(begins)} {budget_unit(track)})."
    )
    parts = [
        reading,
        _INTERIM.format(metric=track.metrics[0]) if view.interim else "",
        _DOTTED if _expected_series(view) else "",
        "" if view.best is None else _REGRET,
        f"Not drawn, for want of a complete run: {listed(left_out)}." if left_out else "",
    ]
    return " ".join(part for part in parts if part)
