"""Read the canonical text of a NAS-Bench-201 cell (Dong and Yang, ICLR 2020)."""

from __future__ import annotations

import re

from harness.core.errors import UsageError
from harness.core.interfaces import SearchSpace

SPACE = "nb201"
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NONE, SKIP, CONV_1X1, CONV_3X3, POOL = range(len(OPERATIONS))
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""(source, target) of each edge, in the order of the text."""

_TEXT = re.compile(r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|")


def operations(cell: str) -> tuple[int, ...]:
    """Return the operation on each of `EDGES`, as indices into `OPERATIONS`.

    Raises:
        UsageError: the text is no cell.
    """
    found = _TEXT.fullmatch(cell)
    if found is None or not set(found.groups()) <= set(OPERATIONS):
        raise UsageError(
            f"{cell!r} is no cell of NAS-Bench-201; write |OP~0|+|OP~0|OP~1|+|OP~0|OP~1|OP~2|, "
            f"each OP one of {', '.join(OPERATIONS)}"
        )
    return tuple(OPERATIONS.index(name) for name in found.groups())


def check_space(space: SearchSpace, surrogate: str) -> None:
    """Refuse a space whose cells are not those of NAS-Bench-201.

    Raises:
        UsageError: it is another space.
    """
    if space.name != SPACE:
        raise UsageError(
            f"option 'surrogate': {surrogate!r} reads the cells of NAS-Bench-201, not of space {space.name!r}; "
            "choose a surrogate on features, such as ridge, or a benchmark over nb201"
        )
