"""Refuse a growth that a benchmark cannot do, in the same words for every space."""

from __future__ import annotations

from harness.core.errors import UsageError, nearest
from harness.core.interfaces import Growable, Growths
from harness.core.types import Grow

GROWN_LAYERS = Growths(("weights", "nothing", "all-but-merge"))
"""In the growth space a child starts from parent and chosen candidates behind a gate at 0, from fresh weights, or from
the weights with the new layer's projection (or shares of the sum) fresh and its gate at 1, which gives the parent's
function up at once."""

GROWN_EDGES = Growths(("weights", "nothing"))
"""In NAS-Bench-201; a node of that space is a sum, so that both ways to merge do the same."""


def check_growth(space: Growable, work: Grow, can: Growths) -> None:
    """Refuse a growth that this space cannot do.

    Raises:
        UsageError: the child is not what the moves give, they were not attached, or `inherit` or `merge` is unknown.
    """
    can.check("inherit", work.inherit)
    can.check("merge", work.merge)
    if not work.moves:
        raise UsageError("grow: no move is given; make at least one of those that were attached")
    attached = work.after.moves
    strange = next((move for move in work.moves if move not in attached), None)
    if strange is not None:
        raise UsageError(
            f"grow: {strange!r} was not attached{nearest(strange, attached)}; choose among the {len(attached)} moves "
            f"that were: {', '.join(attached)}"
        )
    child = space.grow(work.after.arch, work.moves, work.merge)
    if child != work.arch:
        raise UsageError(
            f"grow: {', '.join(work.moves)}, merged by {work.merge!r}, make {work.after.arch!r} into {child!r}, not "
            f"into {work.arch!r}; ask the space to grow"
        )
