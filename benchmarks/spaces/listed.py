"""Define the spaces of tables: the architectures that a table lists, in its order, with what their texts tell."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.core.errors import DataCorrupt, UsageError
from harness.core.types import Arch

Labelled = Literal["inner", "all"]


class IdSpace:
    """Architectures of which nothing but their names is known: no neighbours, no features.

    Args:
        name: the name of the space, as records write it.
        members: the canonical texts, in the order of their indices.

    Raises:
        DataCorrupt: there are none, or one is empty or comes twice.
    """

    def __init__(self, name: str, members: Sequence[str]) -> None:
        self.name = name
        self._archs = tuple(Arch(member) for member in members)
        self._positions = {arch: index for index, arch in enumerate(self._archs)}
        if not self._archs:
            raise DataCorrupt(f"{name}: the table lists no architecture; give it at least one row")
        if len(self._positions) < len(self._archs):
            twice = next(arch for index, arch in enumerate(self._archs) if self._positions[arch] != index)
            raise DataCorrupt(f"{name}: {twice!r} is listed more than once; keep one row per architecture")
        for row, arch in enumerate(self._archs, 1):
            flaw = self._flaw(arch)
            if flaw:
                raise DataCorrupt(f"{name}: architecture {row} of the table, {arch!r}: {flaw}")

    def _flaw(self, arch: str) -> str:
        """Return what is wrong with a text, and what to write; empty where nothing is."""
        return "" if arch else "an empty text names no architecture; write a name"

    def __contains__(self, arch: object) -> bool:
        return isinstance(arch, str) and arch in self._positions

    def __len__(self) -> int:
        return len(self._archs)

    def arch(self, index: int) -> Arch:
        """Return the architecture with this index, in the table's order."""
        if not 0 <= index < len(self._archs):
            raise UsageError(f"{self.name}: no architecture has the index {index}; give 0 to {len(self._archs) - 1}")
        return self._archs[index]

    def index(self, arch: str) -> int:
        """Return the index of an architecture in the table's order."""
        if arch not in self._positions:
            raise UsageError(f"{self.name}: {arch!r} is not in the table; `arch(index)` gives the {len(self)} that are")
        return self._positions[Arch(arch)]

    def sample(self, rng: np.random.Generator) -> Arch:
        """Draw uniformly from the architectures that the table lists."""
        return self._archs[rng.integers(len(self._archs))]


class _EditSpace(IdSpace, ABC):
    """Architectures whose texts can be edited: neighbours are the edits that the table lists too."""

    def __init__(self, name: str, members: Sequence[str]) -> None:
        super().__init__(name, members)
        self._around: dict[str, tuple[Arch, ...]] = {}

    @abstractmethod
    def _edits(self, arch: str) -> Iterator[str]:
        """Yield every text that is one edit away, in a fixed order."""

    def neighbours(self, arch: Arch) -> Sequence[Arch]:
        """Return the listed architectures that are one edit away, in a fixed order."""
        if arch not in self._around:
            self.index(arch)
            # The texts of the list itself, so that the cache holds references and no copies.
            listed = (self._positions[Arch(text)] for text in self._edits(arch) if text in self._positions)
            self._around[arch] = tuple(self._archs[index] for index in listed)
        return self._around[arch]


class ChoiceSpace(_EditSpace):
    """Tuples of named options, one for each position: chains of layers, sizes, cells of fixed shape.

    Neighbours differ in one position; features are one-hot, position by position.

    Args:
        name: the name of the space.
        members: texts such as 'conv3,pool,skip'.
        positions: the options of each position.
        separator: what stands between two positions; may be empty where every option is one character.
    """

    def __init__(self, name: str, members: Sequence[str], positions: Sequence[Sequence[str]], separator: str) -> None:
        self.positions = tuple(tuple(options) for options in positions)
        self.separator = separator
        super().__init__(name, members)
        offsets = np.cumsum([0, *(len(options) for options in self.positions)]).tolist()
        self._columns = [
            {option: offset + number for number, option in enumerate(options)}
            for offset, options in zip(offsets[:-1], self.positions, strict=True)
        ]
        self._width = int(offsets[-1])

    def _split(self, arch: str) -> list[str]:
        return arch.split(self.separator) if self.separator else list(arch)

    def _flaw(self, arch: str) -> str:
        choices = self._split(arch)
        if len(choices) != len(self.positions):
            return f"{len(choices)} choices where the space declares {len(self.positions)} positions"
        for number, (choice, options) in enumerate(zip(choices, self.positions, strict=True), 1):
            if choice not in options:
                return f"position {number} holds {choice!r}; declared are {', '.join(options)}"
        return ""

    def _edits(self, arch: str) -> Iterator[str]:
        choices = self._split(arch)
        for number, options in enumerate(self.positions):
            for option in options:
                if option != choices[number]:
                    yield self.separator.join([*choices[:number], option, *choices[number + 1 :]])

    def encode(self, arch: Arch) -> NDArray[np.float32]:
        """Return one feature per position and option: 1 where the option is chosen."""
        self.index(arch)
        features = np.zeros(self._width, dtype=np.float32)
        features[[columns[choice] for columns, choice in zip(self._columns, self._split(arch), strict=True)]] = 1.0
        return features


class GraphSpace(_EditSpace):
    """Small directed acyclic graphs with an operation at each node, as in NAS-Bench-101 (Ying et al. 2019).

    A text such as '011|01|1;conv3x3,maxpool' is the upper triangle of the adjacency matrix row by row, so n nodes
    give rows of n - 1 to 1 bits, and then the operations of the labelled nodes in order. Neighbours have the same
    nodes and differ in one edge or in one operation; graphs that are isomorphic count as different unless the table
    lists only one of them.

    Args:
        name: the name of the space.
        members: the texts.
        operations: what a node may do.
        nodes: the most nodes of a graph, 2 or more.
        labelled: 'inner': the first node is the input and the last the output, and neither has an operation; 'all'.
    """

    def __init__(
        self, name: str, members: Sequence[str], operations: Sequence[str], nodes: int, labelled: Labelled
    ) -> None:
        self.operations = tuple(operations)
        self.nodes = nodes
        self._unlabelled = 2 if labelled == "inner" else 0
        super().__init__(name, members)

    def _split(self, arch: str) -> tuple[str, list[str]]:
        edges, _, operations = arch.partition(";")
        return edges, operations.split(",") if operations else []

    def _flaw(self, arch: str) -> str:
        edges, operations = self._split(arch)
        rows = edges.split("|")
        nodes = len(rows) + 1
        triangle = [len(row) for row in rows] == list(range(nodes - 1, 0, -1))
        if not triangle or re.fullmatch(r"[01|]+", edges) is None:
            return f"{edges!r} is no upper triangle of bits; write rows such as '011|01|1' for four nodes"
        if nodes > self.nodes:
            return f"{nodes} nodes where the space declares at most {self.nodes}"
        if len(operations) != nodes - self._unlabelled or arch.count(";") != int(bool(operations)):
            return f"{len(operations)} operations where {nodes} nodes need {nodes - self._unlabelled}, after one ';'"
        unknown = next((operation for operation in operations if operation not in self.operations), None)
        return "" if unknown is None else f"{unknown!r} is no operation; declared are {', '.join(self.operations)}"

    def _edits(self, arch: str) -> Iterator[str]:
        edges, operations = self._split(arch)
        for place, bit in enumerate(edges):
            if bit != "|":
                yield f"{edges[:place]}{'10'[int(bit)]}{edges[place + 1 :]}{arch[len(edges) :]}"
        for node, present in enumerate(operations):
            for operation in self.operations:
                if operation != present:
                    yield f"{edges};{','.join([*operations[:node], operation, *operations[node + 1 :]])}"

    def encode(self, arch: Arch) -> NDArray[np.float32]:
        """Return the edges of the largest graph as bits, then one-hot operations of its labelled nodes.

        A smaller graph leaves the nodes before the last one out, so that the output is the same node in all.
        """
        self.index(arch)
        edges, operations = self._split(arch)
        nodes = edges.count("|") + 2
        seats = [*range(nodes - 1), self.nodes - 1]
        adjacency = np.zeros((self.nodes, self.nodes), dtype=np.float32)
        for (source, target), bit in zip(combinations(seats, 2), edges.replace("|", ""), strict=True):
            adjacency[source, target] = float(bit)
        labels = np.zeros((self.nodes, len(self.operations)), dtype=np.float32)
        labelled = seats[1:-1] if self._unlabelled else seats
        for seat, operation in zip(labelled, operations, strict=True):
            labels[seat, self.operations.index(operation)] = 1.0
        kept = labels[1:-1] if self._unlabelled else labels
        return np.concatenate([adjacency[np.triu_indices(self.nodes, 1)], kept.ravel()])
