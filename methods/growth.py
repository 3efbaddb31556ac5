"""Hold what methods that grow share: where a network stands in the plane of the hull, its moves, further founders."""

from __future__ import annotations

import numpy as np

from harness.core.errors import UsageError
from harness.core.hull import error_of as shortfall
from harness.core.interfaces import Growable, Task
from harness.core.types import Arch, Measurement, Move
from methods.base import growable_space

_DRAWS = 1000


def error_of(task: Task, result: Measurement) -> float:
    """Return the validation error: the objective where less is better, else 100 % less the objective, an accuracy."""
    return shortfall(result.value, task.direction)


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


def growth_allowed(task: Task, inherit: str, merge: str, epochs: int | None) -> None:
    """Refuse options of a growth that the benchmark does not have; None epochs are the search fidelity.

    Raises:
        UsageError: an option is not allowed, named as `inherit`, `merge` or `grow_epochs`.
    """
    if task.growths is None:
        return
    task.growths.check("inherit", inherit)
    task.growths.check("merge", merge)
    try:
        task.growths.check("epochs", epochs or task.epochs)
    except UsageError as error:
        raise UsageError(f"grow_{error}; without this option it is the track's `fidelity.search`") from None


def moves_of(space: Growable, arch: Arch) -> tuple[Move, ...]:
    """Return the moves of an architecture; none where the space refuses to grow it (a cell with a dead edge)."""
    try:
        return tuple(space.moves(arch))
    except UsageError:
        return ()


def founder(task: Task, rng: np.random.Generator) -> Arch:
    """Return an architecture drawn from the space's own distribution: the first of a thousand that can grow.

    Where none can, the last of them: it is trained for what it is.
    """
    space = growable_space(task)
    for _ in range(_DRAWS):
        arch = task.space.sample(rng)
        if moves_of(space, arch):
            break
    return arch
