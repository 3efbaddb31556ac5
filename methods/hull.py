"""Find the lower convex hull of error over cost, the band above it, and draw a parent from there.

Hu, Langford, Caruana, Mukherjee, Horvitz and Dey, Efficient Forward Architecture Search (NeurIPS 2019): parents are
drawn from a band around the lower convex hull. Their program walks along the band from the most expensive point,
accepts a point that was a parent n times with probability 1 / (n + 1), and starts again until it accepts one;
`walk_probabilities` is the closed form of that walk, so that a draw takes a single number.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from harness.core.hull import lower_hull as vertices


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """A trained network in the plane of the search: less is better in both.

    Attributes:
        cost: the complexity, for instance multiply-adds.
        error: the validation error, not negative.
        name: breaks ties between equal points, so that no order of arrival does.
    """

    cost: float
    error: float
    name: str


def lower_hull(points: Sequence[Point]) -> list[Point]:
    """Return the vertices of the lower convex hull by rising cost and falling error.

    Of points with one cost the lowest stands for all (then the first by name). There is no rising or level tail: what
    costs more than the least error without being better is on no hull (the published program reaches the same by a
    fake point far to the right).
    """
    ordered = sorted(points)
    return [ordered[index] for index in vertices([(point.cost, point.error) for point in ordered])]


def height(hull: Sequence[Point], cost: float) -> float:
    """Return the error of the hull at a cost: linear between vertices, level beyond the last one."""
    place = bisect_right(hull, cost, key=lambda vertex: vertex.cost)
    if place == 0 or place == len(hull):
        return hull[max(0, place - 1)].error
    left, right = hull[place - 1], hull[place]
    return left.error + (right.error - left.error) * (cost - left.cost) / (right.cost - left.cost)


def band(points: Sequence[Point], eps: float) -> list[int]:
    """Return the indices of the points whose error is at most (1 + eps) times that of the hull at their cost."""
    hull = lower_hull(points)
    return [index for index, point in enumerate(points) if point.error <= (1 + eps) * height(hull, point.cost)]


def walk_probabilities(uses: Sequence[int]) -> list[float]:
    """Return the probability with which the walk of the published program accepts each point.

    P(i) = q_i prod_{j<i} (1 - q_j) / (1 - prod_j (1 - q_j)) with q_i = 1 / (n_i + 1): a point that was never a parent
    is taken as soon as the walk comes to it.

    Args:
        uses: n_i, how often each point was a parent, from the most to the least expensive.
    """
    accepts = [1 / (count + 1) for count in uses]
    reached = accumulate((1 - accept for accept in accepts[:-1]), float.__mul__, initial=1.0)
    return shares([accept * share for accept, share in zip(accepts, reached, strict=True)])


def shares(weights: Sequence[float]) -> list[float]:
    """Return positive weights divided by their sum."""
    total = sum(weights)
    return [weight / total for weight in weights]


def pick(probabilities: Sequence[float], uniform: float) -> int:
    """Return the index that one uniform number in [0, 1) falls on."""
    cumulated = list(accumulate(probabilities))
    return min(bisect_right(cumulated, uniform * cumulated[-1]), len(cumulated) - 1)
