"""Measure whether the selection of candidates carries a signal: agreement between seeds, margins, gains, drift."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isclose, isfinite, nan

import numpy as np
from scipy.stats import spearmanr

from reports.lineages import Attachment, Lineages

_WHOLE = 100.0
_FEW = 3  # pairs below which a rank correlation says nothing


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the runs of one row tell of its selections; NaN where nothing does.

    Attributes:
        runs: complete runs in which something was attached.
        attachments: in all of them; `growths` those that ended in a trained child.
        founders: networks that grew from no other, seeds included, per run.
        overlap: Jaccard overlap of what two runs chose for the same parent, mean over the pairs of runs.
        chance: the same for equally many moves drawn at random from the same candidates.
        pairs: how many pairs of choices are behind the overlap.
        margin: (weight of the last chosen - that of the first not chosen) / the former, median.
        changed: points of validation accuracy that a phase of attachment moved its parent by, mean.
        joined: points of it that the parent with its candidates attached stood above the parent before, mean; NaN in
            the arms in which candidates change no value.
        drift: how far candidates drove their parent, mean.
        correlation: Spearman's, between the mean weight of the chosen and the gain of the child.
        scale: Spearman's, between the accuracy of parents when candidates were attached and that which the search was
            told of them, each parent of a run once; NaN where both are of one training.
    """

    runs: int
    attachments: int
    growths: int
    founders: float
    overlap: float
    chance: float
    pairs: int
    margin: float
    changed: float
    joined: float
    drift: float
    correlation: float
    scale: float


def diagnose(runs: Sequence[Lineages]) -> Diagnosis:
    """Return the diagnosis of the runs of one row."""
    attachments = [each for run in runs for each in run.attachments]
    overlaps = list(_overlaps(runs))
    gains = [(_strength(each), each.gain) for each in attachments if isfinite(each.gain) and each.weights]
    return Diagnosis(
        runs=len(runs),
        attachments=len(attachments),
        growths=sum(isfinite(each.gain) for each in attachments),
        founders=_mean(sum(member.parent < 0 for member in run.members) for run in runs),
        overlap=_mean(found for found, _ in overlaps),
        chance=_mean(expected for _, expected in overlaps),
        pairs=len(overlaps),
        margin=_median(margin(each) for each in attachments),
        changed=_mean(each.changed for each in attachments),
        joined=_mean(each.joined for each in attachments),
        drift=_mean(each.drift for each in attachments),
        correlation=_correlation(gains),
        scale=_scale(runs),
    )


def _scale(runs: Sequence[Lineages]) -> float:
    parents = [each for run in runs for each in {one.arch: one for one in reversed(run.attachments)}.values()]
    if all(isclose(each.before, _WHOLE - each.told) for each in parents):
        return nan
    return _correlation([(each.before, -each.told) for each in parents])


def margin(attachment: Attachment) -> float:
    """Return how far the last chosen stands above the first that was not, as a share of its weight; NaN if neither.

    Candidates are compared within their cell: what stands before the colon of a move.
    """
    cells = {_cell(move) for move in attachment.chosen}
    rivals = [w for m, w in attachment.weights.items() if _cell(m) in cells and m not in attachment.chosen]
    chosen = [attachment.weights[move] for move in attachment.chosen if move in attachment.weights]
    if not chosen or not rivals or min(chosen) <= 0:
        return nan
    return (min(chosen) - max(rivals)) / min(chosen)


def _cell(move: str) -> str:
    return move.partition(":")[0] if ":" in move else ""


def _overlaps(runs: Sequence[Lineages]) -> Iterator[tuple[float, float]]:
    """Yield overlap, and what chance gives, for each pair of runs and parent whose first choices they both made."""
    firsts = [_first_choices(run) for run in runs]
    for one, other in combinations(firsts, 2):
        for arch in [arch for arch in one if arch in other]:
            first, second = one[arch], other[arch]
            union = set(first.chosen) | set(second.chosen)
            if {_cell(move) for move in first.chosen} == {_cell(move) for move in second.chosen}:
                yield len(set(first.chosen) & set(second.chosen)) / len(union), _by_chance(first, second)


def _first_choices(run: Lineages) -> dict[str, Attachment]:
    return {each.arch: each for each in reversed(run.attachments) if each.chosen}


def _by_chance(first: Attachment, second: Attachment) -> float:
    """Return the expected overlap of sets of these sizes drawn from the candidates of the same cells."""
    cells = {_cell(move) for move in first.chosen}
    n = sum(_cell(move) in cells for move in first.weights)
    k, m = len(first.chosen), len(second.chosen)
    if n < max(k, m):
        return nan
    counts = np.arange(max(0, k + m - n), min(k, m) + 1)
    # The hypergeometric distribution of how many are common.
    weights = np.array([_choose(k, int(c)) * _choose(n - k, m - int(c)) for c in counts], dtype=np.float64)
    return float((weights * counts / (k + m - counts)).sum() / weights.sum())


def _choose(n: int, k: int) -> float:
    return float(np.prod([(n - i) / (i + 1) for i in range(k)]))


def _strength(attachment: Attachment) -> float:
    """Return the mean weight of the chosen, in units of the mean weight of all candidates."""
    mean = _mean(attachment.weights.values())
    return _mean(attachment.weights.get(move, nan) for move in attachment.chosen) / mean if mean else nan


def _correlation(pairs: Sequence[tuple[float, float]]) -> float:
    known = [pair for pair in pairs if all(map(isfinite, pair))]
    if len(known) < _FEW or any(len({pair[side] for pair in known}) == 1 for side in (0, 1)):
        return nan
    weights, gains = zip(*known, strict=True)
    return float(spearmanr(weights, gains).statistic)


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if isfinite(value)]
    return sum(known) / len(known) if known else nan


def _median(values: Iterable[float]) -> float:
    known = [value for value in values if isfinite(value)]
    return float(np.median(known)) if known else nan
