"""Read off a measurement where a network stands in the plane of error over cost."""

from __future__ import annotations

from harness.core.errors import UsageError
from harness.core.interfaces import Task
from harness.core.types import Measurement


def error_of(task: Task, result: Measurement) -> float:
    """Return the validation error: the objective where less is better, else 100 % less the objective, an accuracy."""
    return result.value if task.direction == "minimize" else 100 - result.value


def cost_of(result: Measurement, axis: str) -> float:
    """Return the complexity of a network: the open metric whose qualified name ends in '/' and the axis.

    Raises:
        UsageError: the measurement has none, or several.
    """
    found = [name for name in result.metrics if name.rpartition("/")[2] == axis]
    if len(found) != 1:
        raise UsageError(
            f"option 'cost': {axis!r} is the end of {len(found)} of the metrics that this track measures "
            f"({', '.join(sorted(result.metrics))}); name the one that is meant, such as cifar10/{axis}, under the "
            "track's `objective.secondary`, or choose another `cost`"
        )
    return result.metrics[found[0]]
