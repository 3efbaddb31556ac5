"""Find the lower convex hull of error over cost, and the architectures of a run that are trained finally."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.core.lineage import trained_in_full
from harness.core.schema import Track
from harness.core.types import Arch, Direction, Measurement, Work

_WHOLE = 100.0

Known = Iterable[tuple[Work, Measurement]]
"""What a run learnt at or before the limit of its budget, in the order of arrival."""


def error_of(value: float, direction: Direction) -> float:
    """Return an objective as an error: itself where less is better, else what it lacks to 100."""
    return _WHOLE - value if direction == "maximize" else value


def lower_hull(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of the vertices of the lower convex hull of (cost, error), by rising cost and falling error.

    Of points with one cost the lowest stands for all, then the first. There is no rising or level tail: what costs
    more than the least error without being better is on no hull. A point with a NaN is on no hull.
    """
    known = [index for index, (cost, error) in enumerate(points) if cost == cost and error == error]  # noqa: PLR0124
    hull: list[int] = []
    for index in sorted(known, key=lambda place: points[place]):
        if hull and points[index][1] >= points[hull[-1]][1]:
            continue
        while len(hull) > 1 and not _turns_left(points[hull[-2]], points[hull[-1]], points[index]):
            hull.pop()
        hull.append(index)
    return hull


def _turns_left(first: tuple[float, float], second: tuple[float, float], third: tuple[float, float]) -> bool:
    across = (second[0] - first[0]) * (third[1] - first[1])
    return across > (second[1] - first[1]) * (third[0] - first[0])


def finalists(recommended: Arch | None, known: Known, track: Track) -> list[Arch]:
    """Return what a run trains finally: what it recommends, then the rest of its hull if the protocol asks for that.

    Args:
        recommended: the architecture that the run reports; without one nothing is trained finally.
        known: every training that succeeded, partial ones and attachments included.
        track: its `final.models`, its fidelity, and the first of its secondary metrics, which is the cost.
    """
    if recommended is None:
        return []
    if track.final.models == "recommended":
        return [recommended]
    return list(dict.fromkeys([recommended, *_hull(known, track)]))


def _hull(known: Known, track: Track) -> list[Arch]:
    axis, direction = track.objective.secondary[0], track.objective.direction
    archs: list[Arch] = []
    points: list[tuple[float, float]] = []
    for work, result in known:
        arch = trained_in_full(work, track.fidelity.search)
        if arch is not None and axis in result.metrics:
            archs.append(arch)
            points.append((result.metrics[axis], error_of(result.value, direction)))
    return [archs[index] for index in lower_hull(points)]
