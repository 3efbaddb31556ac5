"""Define the NAS-Bench-201 topology space: cells of four nodes and six edges, one of five operations on each.

The canonical text, the order of operations and edges, the index order and the isomorphism rule are those of Dong and
Yang, "NAS-Bench-201" (ICLR 2020), and its official code. Nothing is computed at import; the first question builds the
list of all cells (about 30 ms, 4 MB) and every later one looks things up in it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from harness.core.errors import UsageError, nearest
from harness.core.types import Arch

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""(source, target) of each edge, in the order in which the canonical text names them."""

SIZE: int = len(OPERATIONS) ** len(EDGES)

NONE, SKIP, CONV_1X1, CONV_3X3, POOL = range(len(OPERATIONS))

# The seed with which the authors' script shuffled the enumeration before it numbered the cells.
_OFFICIAL_SEED = 88

_TEMPLATE = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|"

Operations = tuple[int, ...]
"""Six indices into `OPERATIONS`, one for each of `EDGES`."""


@cache
def _cells() -> tuple[Operations, ...]:
    """Return the operations of every cell in the official index order: all products, shuffled with a fixed seed."""
    cells = list(product(range(len(OPERATIONS)), repeat=len(EDGES)))
    random.Random(_OFFICIAL_SEED).shuffle(cells)  # noqa: S311 - reproduces a published order, guards no secret
    return tuple(cells)


@cache
def _archs() -> tuple[Arch, ...]:
    """Return the canonical text of every cell in the official index order."""
    return tuple(compose(operations) for operations in _cells())


@cache
def _positions() -> dict[str, int]:
    """Return the official index of every canonical text."""
    return {arch: index for index, arch in enumerate(_archs())}


def compose(operations: Sequence[int]) -> Arch:
    """Return the canonical text of the cell whose six edges hold these operations."""
    return Arch(_TEMPLATE.format(*(OPERATIONS[operation] for operation in operations)))


def parse(arch: str) -> Operations:
    """Return the six operation indices of a cell, in the order of `EDGES`.

    Raises:
        UsageError: `arch` is not the canonical text of a cell.
    """
    return _cells()[_index(arch)]


def _index(arch: str) -> int:
    try:
        return _positions()[arch]
    except (KeyError, TypeError):
        raise UsageError(_complaint(arch)) from None


def _complaint(given: object) -> str:
    """Return the error for a text that is no cell, with the first operation that does not exist."""
    names = re.findall(r"\|([^~|+]+)~", str(given))
    unknown = next((name for name in names if name not in OPERATIONS), None)
    hint = "" if unknown is None else f"; {unknown!r} is no operation{nearest(unknown, OPERATIONS)}"
    shape = _TEMPLATE.format(*["OP"] * len(EDGES))
    return f"nb201: {given!r} is no cell of this space{hint}; write {shape}, each OP one of {', '.join(OPERATIONS)}"


@cache
def _neighbours(arch: str) -> tuple[Arch, ...]:
    cell = parse(arch)
    changed = (
        (*cell[:edge], operation, *cell[edge + 1 :])
        for edge in range(len(EDGES))
        for operation in range(len(OPERATIONS))
        if operation != cell[edge]
    )
    archs, positions = _archs(), _positions()
    # The texts of the list itself, so that the cache holds references and no copies.
    return tuple(archs[positions[compose(operations)]] for operations in changed)


def drawing(arch: str) -> dict[str, list[dict[str, str]]]:
    """Return a cell as plain data for a drawing: `nodes`, each with `id` and `kind`, and `edges` between them.

    An edge has `from`, `to` and `operation`; `none` is no edge.
    """
    kinds = ("input", "sum", "sum", "output")
    nodes = [{"id": str(number), "kind": kind} for number, kind in enumerate(kinds)]
    edges = [
        {"from": str(source), "to": str(target), "operation": OPERATIONS[operation]}
        for (source, target), operation in zip(EDGES, parse(arch), strict=True)
        if operation != NONE
    ]
    return {"nodes": nodes, "edges": edges}


def unique_string(arch: str) -> str:
    """Return the official canonical form of what a cell computes: equal for isomorphic cells.

    An edge with `none`, or one from a node that nothing reaches, gives '#'; `skip_connect` gives its source; every
    other operation wraps its source; a node is the sorted sum of its incoming edges.
    """
    nodes = ["0"]
    incoming: list[str] = []
    for (source, target), operation in zip(EDGES, parse(arch), strict=True):
        incoming.append(_edge_string(nodes[source], operation))
        if len(incoming) == target:
            nodes.append("+".join(sorted(incoming)))
            incoming = []
    return nodes[-1]


def _edge_string(source: str, operation: int) -> str:
    if operation == NONE or source == "#":
        return "#"
    return source if operation == SKIP else f"({source})@{OPERATIONS[operation]}"


@cache
def _representatives() -> dict[str, int]:
    """Return the smallest official index of each isomorphism class, by its unique string."""
    smallest: dict[str, int] = {}
    for index, arch in enumerate(_archs()):
        smallest.setdefault(unique_string(arch), index)
    return smallest


class NasBench201:
    """The space as methods and benchmarks see it: finite, with neighbours and one-hot features."""

    name = "nb201"

    def __contains__(self, arch: object) -> bool:
        return isinstance(arch, str) and arch in _positions()

    def __len__(self) -> int:
        return SIZE

    def arch(self, index: int) -> Arch:
        """Return the cell with this official index, 0 to 15,624."""
        if not 0 <= index < SIZE:
            raise UsageError(f"nb201: no cell has the index {index}; give 0 to {SIZE - 1}")
        return _archs()[index]

    def index(self, arch: str) -> int:
        """Return the official index of a cell."""
        return _index(arch)

    def sample(self, rng: np.random.Generator) -> Arch:
        """Draw uniformly from all 15,625 cells."""
        return _archs()[rng.integers(SIZE)]

    def neighbours(self, arch: Arch) -> Sequence[Arch]:
        """Return the 24 cells that differ in one operation, by edge and then by operation."""
        return _neighbours(arch)

    def encode(self, arch: Arch) -> NDArray[np.float32]:
        """Return 30 features: for each edge one-hot which operation it holds."""
        features = np.zeros((len(EDGES), len(OPERATIONS)), dtype=np.float32)
        features[np.arange(len(EDGES)), parse(arch)] = 1.0
        return features.ravel()

    def representative(self, arch: str) -> Arch:
        """Return the cell with the smallest official index among those isomorphic to `arch` (6,466 classes).

        Isomorphic cells compute the same function but may hold different parameters and multiply-adds.
        """
        return _archs()[_representatives()[unique_string(arch)]]


@dataclass(frozen=True)
class Skeleton:
    """The network around a cell, and its size in closed form.

    A stem convolution to `channels`, then three stages of `cells` cells each; between two stages a residual block
    halves the resolution and doubles the channels; then normalisation, global pooling and a linear layer. The
    defaults are the CIFAR-10 network of NAS-Bench-201, whose published figures both counts equal: convolutions and
    the linear layer with its bias count as multiply-adds, normalisation and pooling do not.

    Raises:
        UsageError: a size is not positive, or the resolution cannot be halved twice.
    """

    channels: int = 16
    cells: int = 5
    classes: int = 10
    image_size: int = 32
    image_channels: int = 3

    def __post_init__(self) -> None:
        for key in ("channels", "cells", "classes", "image_size", "image_channels"):
            if getattr(self, key) < 1:
                raise UsageError(f"skeleton: {key} is {getattr(self, key)}; give 1 or more")
        if self.image_size % 4:
            raise UsageError(f"skeleton: image_size is {self.image_size}; give a multiple of 4, it is halved twice")

    def parameters(self, arch: str) -> int:
        """Return the number of trainable parameters of the network with this cell."""
        per_1x1, per_3x3 = (
            self.cells * sum(kernel * width**2 + 2 * width for width, _ in self._stages) for kernel in (1, 9)
        )
        cell = parse(arch)
        return self._fixed_parameters + cell.count(CONV_1X1) * per_1x1 + cell.count(CONV_3X3) * per_3x3

    def multiply_adds(self, arch: str) -> int:
        """Return the multiply-adds of one image through the network with this cell."""
        return self._fixed_multiply_adds + self.operation_multiply_adds(parse(arch))

    def operation_multiply_adds(self, operations: Sequence[int]) -> int:
        """Return the multiply-adds of one image through these operations, each in every cell."""
        per_1x1 = self.cells * sum(width**2 * size**2 for width, size in self._stages)
        return (operations.count(CONV_1X1) + 9 * operations.count(CONV_3X3)) * per_1x1

    @property
    def _stages(self) -> tuple[tuple[int, int], ...]:
        """The channels and the resolution of each stage."""
        return tuple((self.channels * 2**stage, self.image_size // 2**stage) for stage in range(3))

    @cached_property
    def _fixed_parameters(self) -> int:
        stem = 9 * self.image_channels * self.channels + 2 * self.channels
        blocks = sum(_block_weights(width) + 4 * width for width, _ in self._stages[1:])
        width = self._stages[-1][0]
        return stem + blocks + 2 * width + (width + 1) * self.classes

    @cached_property
    def _fixed_multiply_adds(self) -> int:
        stem = 9 * self.image_channels * self.channels * self.image_size**2
        blocks = sum(_block_weights(width) * size**2 for width, size in self._stages[1:])
        return stem + blocks + (self._stages[-1][0] + 1) * self.classes


def _block_weights(width: int) -> int:
    """Return the convolution weights of a residual block from width / 2 to width: 3x3, 3x3 and the 1x1 shortcut."""
    return (9 * width + 9 * 2 * width + width) * (width // 2)
