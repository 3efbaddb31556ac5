"""Measure how well predictions order cells, all of them and the best, and how far they are off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from harness.core.types import Arch
from methods.surrogates.surrogate import Floats, normal_scores

BEST = 10
"""How many cells at the top precision and regret look at."""
SHARE = 0.1
"""The share of best cells whose order is measured by itself."""


@runtime_checkable
class Restarted(Protocol):
    """A surrogate that is a mean over restarts."""

    def predict_each(self, cells: Sequence[Arch]) -> Floats:
        """Return the prediction of each restart, (restarts, cells)."""
        ...


def measures(known: Floats, known_values: Floats, predicted: Floats, values: Floats) -> dict[str, float]:
    """Return the measures of one fit, by name.

    `tau`, `spearman`: over all unseen cells; `tau_top`: Kendall's tau-b among the tenth that is best in truth; `mse`:
    in deviations of the known cells' normal scores, on whose scale the truth is read by its place among them;
    `mse_renorm`: predictions and truth standardised by themselves, which nobody can do before the truth is known;
    `precision`: the share of the ten predicted best that are among the ten best; `regret`: how far the best of them
    is below the best, in the unit of the values; `tau_known`: over the cells that were learnt from.
    """
    from scipy.stats import kendalltau, spearmanr  # noqa: PLC0415 - takes a second to load; searches need none of it

    top = np.argsort(-values, kind="stable")
    first = np.argsort(-predicted, kind="stable")[:BEST]
    tenth = top[: max(2, round(SHARE * len(values)))]
    return {
        "tau": float(kendalltau(predicted, values).statistic),
        "spearman": float(spearmanr(predicted, values).statistic),
        "tau_top": float(kendalltau(predicted[tenth], values[tenth]).statistic),
        "mse": _error(known_values, predicted, values),
        "mse_renorm": float(np.mean((_standard(predicted) - _standard(normal_scores(values))) ** 2)),
        "precision": len(set(first.tolist()) & set(top[:BEST].tolist())) / BEST,
        "regret": float(values.max() - values[first].max()),
        "tau_known": float(kendalltau(known, known_values).statistic),
    }


def _error(known_values: Floats, predicted: Floats, values: Floats) -> float:
    scores = normal_scores(known_values)
    order = np.argsort(known_values, kind="stable")
    truth = np.interp(values, known_values[order], scores[order])
    return float(np.mean(((predicted - truth) / scores.std()) ** 2))


def _standard(values: Floats) -> Floats:
    deviation = values.std()
    standard: Floats = (values - values.mean()) / (deviation if deviation > 0 else 1.0)
    return standard


def spread(fitted: object, cells: Sequence[Arch], values: Floats) -> dict[str, float]:
    """Return `restarts`, how many of them `diverged` at the first attempt, and the quartiles of their taus.

    A surrogate without restarts has one, which does not diverge; a single one has no quartiles.
    """
    from scipy.stats import kendalltau  # noqa: PLC0415 - takes a second to load

    if not isinstance(fitted, Restarted):
        return {"restarts": 1, "diverged": 0.0}
    taus = [kendalltau(each, values).statistic for each in fitted.predict_each(cells)]
    artefact = getattr(fitted, "artefact", None)
    redrawn = 0 if artefact is None else sum(1 for attempts in artefact.redrawn if attempts)
    found = {"restarts": len(taus), "diverged": redrawn / len(taus)}
    if len(taus) == 1:
        return found
    low, high = np.quantile(taus, [0.25, 0.75])
    return {**found, "tau_low": float(low), "tau_high": float(high)}
