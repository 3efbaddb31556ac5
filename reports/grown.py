"""Read what a grown network was measured at: the metrics of a growth have names of their own."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan

from harness.core.records import TrialRecord
from harness.core.types import Grow


def of_same_quantity(metrics: Mapping[str, float], name: str) -> float:
    """Return the metric of this name, else that of a growth that measures the same (`digits/test`); NaN if neither."""
    if name in metrics or not name:
        return metrics.get(name, nan)
    quantity = name.partition("@")[0]
    return next((value for key, value in metrics.items() if key.startswith(f"{quantity}@grow")), nan)


def sealed_value(record: TrialRecord, metric: str) -> float | None:
    """Return the sealed metric of a trial, for a growth under the name that growths have; None where it has none."""
    if metric in record.sealed or not isinstance(record.trial.work, Grow):
        return record.sealed.get(metric)
    value = of_same_quantity(record.sealed, metric)
    return None if value != value else value  # noqa: PLR0124 - NaN
