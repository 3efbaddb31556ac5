"""Find exact facts of a space that cannot all be true of one and the same table, without the table.

Facts that are listed side by side rest on the same values, so most of them bound one another: the quantiles hold the
mean, the spread and the optimum; what so many draws are worth, for every number of draws, are moments of one function.
What no other fact bounds is compared with the data themselves by `harness.recheck`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from harness.core.schema import Track

ROUNDING = 1e-9
"""Relative: what the order of a sum may change."""

Facts = Mapping[str, Any]


def contradictions(references: Facts, track: Track) -> list[str]:
    """Return what cannot be true of one and the same space, or is not of the form of references."""
    try:
        return [
            *_of_sampling(references.get("random_sampling", {}), references.get("optimum", {})),
            *_of_quantiles(references),
            *_of_draws(references.get("best_of_draws", {}), references, track.objective.metric),
            *_of_search(references.get("random_search", {}), references, track),
            *_of_agreement(references, track.objective.metric),
            *_of_ranges(references.get("ranges", {})),
            *_of_fronts(references),
        ]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        return [f"not of the form of references ({error!r})"]


def _close(first: float, second: float) -> bool:
    return math.isclose(first, second, rel_tol=ROUNDING, abs_tol=ROUNDING)


def _within(low: float, value: float, high: float) -> bool:
    slack = ROUNDING * max(1.0, abs(low), abs(high))
    return low - slack <= value <= high + slack


def _of_sampling(sampling: Facts, optima: Facts) -> Iterator[str]:
    for name, facts in sampling.items():
        mean, std, n = facts["mean"], facts["std"], facts["n"]
        if n < 1 or not 0 <= std < math.inf or not math.isfinite(mean):
            yield f"random_sampling of {name}: mean {mean}, std {std}, n {n}"
        elif name in optima and abs(optima[name]["value"] - mean) > std * math.sqrt(n) * (1 + ROUNDING) + ROUNDING:
            # Samuelson (1968): no value of n is further from their mean than sqrt(n - 1) standard deviations.
            yield f"the optimum of {name} is further from the mean than {n} values with std {std:g} allow"


def _of_quantiles(references: Facts) -> Iterator[str]:
    optima, sampling = references.get("optimum", {}), references.get("random_sampling", {})
    for name, values in references.get("quantiles", {}).items():
        if len(values) < 2 or any(not first <= second for first, second in pairwise(values)):  # noqa: PLR2004
            yield f"quantiles of {name} fall, or are fewer than two"
            continue
        best = optima.get(name, {}).get("value")
        if best is not None and not any(_close(best, end) for end in (values[0], values[-1])):
            yield f"the optimum of {name}, {best:g}, is neither the first nor the last of its quantiles"
        if name in sampling:
            yield from _of_moments(name, values, sampling[name])


def _of_moments(name: str, values: Sequence[float], sampling: Facts) -> Iterator[str]:
    """Hold mean and spread against the least and the greatest that values with these quantiles can have."""
    mean, std, n = sampling["mean"], sampling["std"], sampling["n"]
    strips = list(_strips(values, n))
    least, most = (sum(count * ends[place] for count, ends in strips) / n for place in (0, 1))
    if not _within(least, mean, most):
        yield f"the mean of {name}, {mean:g}, is not in [{least:g}, {most:g}], where its quantiles put it"
        return
    near = sum(count * max(low - mean, mean - high, 0.0) ** 2 for count, (low, high) in strips)
    far = sum(count * max(abs(low - mean), abs(high - mean)) ** 2 for count, (low, high) in strips)
    # Whether a spread has n or n - 1 in its denominator is not told.
    if n > 1 and not _within(math.sqrt(near / n), std, math.sqrt(far / (n - 1))):
        yield f"the std of {name}, {std:g}, is not that of values with its quantiles"


def _strips(values: Sequence[float], n: int) -> Iterator[tuple[int, tuple[float, float]]]:
    """Yield how many of n values lie between each two of their quantiles, and these two."""
    places = [(n - 1) * place / (len(values) - 1) for place in range(len(values))]
    edges = [math.ceil(place - ROUNDING) for place in places]
    for (first, second), ends in zip(pairwise(edges), pairwise(values), strict=True):
        yield second - first, ends
    yield 1, (values[-1], values[-1])


def _of_draws(facts: Facts, references: Facts, objective: str) -> Iterator[str]:
    if not facts:
        return
    name, draws, expected = facts["metric"], facts["draws"], facts["expected"]
    if len(draws) != len(expected) or any(first >= second for first, second in pairwise([0, *draws])):
        yield "best_of_draws: the numbers of draws do not rise from 1, or are not as many as the expectations"
        return
    mean = references.get("random_sampling", {}).get(name, {}).get("mean")
    if mean is not None and draws[:1] == [1] and not _close(mean, expected[0]):
        yield f"best_of_draws: one draw is worth {expected[0]:g}, and the mean of {name} is {mean:g}"
    ends = references.get("quantiles", {}).get(name)
    if ends is not None:
        yield from _of_moment_sequence(draws, expected, ends[0], ends[-1])
    if name == objective and not _one_way(expected):
        yield "best_of_draws: the objective of the best falls and rises with the number of draws"


def _of_moment_sequence(
    draws: Sequence[int], expected: Sequence[float], least: float, greatest: float
) -> Iterator[str]:
    """Hold the worth of k draws, k times the (k - 1)th moment of one function of the rank, against its neighbours.

    The function is bounded by the least and the greatest value, so that its distances from both are positive, and the
    logarithms of the moments of a positive function are convex in k (Hoelder's inequality).
    """
    if not all(_within(least, value, greatest) for value in expected):
        yield "best_of_draws: an expectation is outside the values of the space"
        return
    for sign, end in ((1.0, least), (-1.0, greatest)):
        moments = [sign * (value - end) / k for k, value in zip(draws, expected, strict=True)]
        for (k, low), (m, here), (n, high) in _triples(draws, moments):
            share = (m - k) / (n - k)
            if min(low, here, high) > 0 and here > low ** (1 - share) * high**share * (1 + 1e3 * ROUNDING):
                yield f"best_of_draws: what {m} draws are worth does not go with what {k} and {n} are"


def _triples(draws: Sequence[int], moments: Sequence[float]) -> Iterator[tuple[tuple[int, float], ...]]:
    pairs = list(zip(draws, moments, strict=True))
    return zip(pairs, pairs[1:], pairs[2:], strict=False)


def _one_way(values: Sequence[float]) -> bool:
    slack = ROUNDING * max(map(abs, values), default=1.0)
    steps = [second - first for first, second in pairwise(values)]
    return all(step >= -slack for step in steps) or all(step <= slack for step in steps)


def _of_search(search: Facts, references: Facts, track: Track) -> Iterator[str]:
    if not search:
        return
    spent, curve, expected, name = search["spent"], search["curve"], search["expected"], search["metric"]
    known = [value for value in curve if value is not None]
    limit = track.budget.limit
    if len(spent) != len(curve) or any(first >= second for first, second in pairwise(spent)):
        yield "random_search: spent does not rise, or is not as long as curve"
    if spent and spent[-1] > limit * (1 + ROUNDING):
        yield "random_search: the curve goes beyond the budget"
    optimum = references.get("optimum", {}).get(name)
    mean = references.get("random_sampling", {}).get(name)
    if optimum is not None and mean is not None and not _within(*_between(optimum["value"], mean["mean"], expected)):
        yield "random_search: the expectation is not between random sampling and the optimum"
    low, high = search.get("low", expected), search.get("high", expected)
    if not _within(low, expected, high):
        yield "random_search: the expectation is not within its own bounds"
    ends = references.get("quantiles", {}).get(name)
    if ends is not None and not all(_within(ends[0], value, ends[-1]) for value in known):
        yield "random_search: the curve leaves the values of the space"
    if name == track.objective.metric and not _one_way(known):
        yield "random_search: the objective of the best falls and rises with the budget"
    whole = bool(spent) and _close(spent[-1], limit) and track.budget.overrun == "discard"
    if whole and curve[-1] is not None and not _within(low, curve[-1], high):
        yield f"random_search: the curve ends at {curve[-1]:g}, and the expectation is in [{low:g}, {high:g}]"


def _between(first: float, second: float, value: float) -> tuple[float, float, float]:
    return min(first, second), value, max(first, second)


def _of_agreement(references: Facts, objective: str) -> Iterator[str]:
    for name, facts in references.get("agreement", {}).items():
        tau, n = facts["kendall_tau"], facts["n"]
        most = references.get("random_sampling", {}).get(name, {}).get("n", n)
        if not -1 - ROUNDING <= tau <= 1 + ROUNDING or not 2 <= n <= most or facts["objective"] != objective:  # noqa: PLR2004 - a pair
            yield f"agreement with {name}: tau {tau} over {n} architectures, with {facts['objective']}"


def _of_ranges(ranges: Facts) -> Iterator[str]:
    for name, facts in ranges.items():
        if not facts["low"] <= facts["high"] or facts["better"] not in ("higher", "lower"):
            yield f"ranges of {name}: from {facts['low']} to {facts['high']}, better {facts['better']}"


def _of_fronts(references: Facts) -> Iterator[str]:
    optima, ranges = references.get("optimum", {}), references.get("ranges", {})
    for name, facts in references.get("fronts", {}).items():
        costs, values, better = facts["cost"], facts["value"], ranges[name]["better"]
        away = 1.0 if better == "lower" else -1.0
        if len(costs) != len(values) or not all(away * first < away * second for first, second in pairwise(costs)):
            yield f"fronts of {name}: costs do not go from the best to the worst, one for each value"
        elif not _strict(values):
            yield f"fronts of {name}: a point is beaten by another"
        elif not all(_within(ranges[name]["low"], cost, ranges[name]["high"]) for cost in costs):
            yield f"fronts of {name}: a cost is outside the range of the space"
        elif facts["metric"] in optima and not _close(values[-1], optima[facts["metric"]]["value"]):
            yield f"fronts of {name}: the last value is not the optimum of {facts['metric']}"


def _strict(values: Sequence[float]) -> bool:
    steps = [second - first for first, second in pairwise(values)]
    return all(step > 0 for step in steps) or all(step < 0 for step in steps)
