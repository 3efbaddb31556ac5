"""Lay out the network around grown cells, and count its parameters and multiply-adds in closed form.

As in NAS-Bench-201, convolutions and the linear layer with its bias count as multiply-adds; normalisation, pooling,
activations, sums and gates do not.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple

from benchmarks.spaces.growth_text import CELL_SLOTS, Layer, Pair, Plan
from harness.core.errors import UsageError

SEED_PAIRS = (Pair("c1", "sep3x3"), Pair("c1", "identity"))
"""What is in every cell: the seed cell of Petridish, x_k = sep3x3(c_{k-1}) + c_{k-1}."""

NORMAL, REDUCTION = CELL_SLOTS


class Shape(NamedTuple):
    """Channels, and height and width, of a layer's output."""

    channels: int
    size: int


class Count(NamedTuple):
    """Trainable parameters, and multiply-adds of one image."""

    parameters: int
    multiply_adds: int

    def plus(self, other: Count) -> Count:
        """Return the sum of two counts."""
        return Count(self.parameters + other.parameters, self.multiply_adds + other.multiply_adds)


class Position(NamedTuple):
    """One cell of the network.

    Attributes:
        kind: 'normal' or 'reduction'.
        shape: of its output.
        inputs: shapes of `c2` and `c1`.
        slot: the index of the slot of the architecture that this cell is grown by.
    """

    kind: str
    shape: Shape
    inputs: tuple[Shape, Shape]
    slot: int

    def source(self, name: str) -> Shape:
        """Return the shape of an input; layers that were added have the shape of the output."""
        return {"c2": self.inputs[0], "c1": self.inputs[1]}.get(name, self.shape)


@dataclass(frozen=True, slots=True)
class GrowthSkeleton:
    """The network around the cells.

    A 3x3 convolution to `stem_rate` x `channels`; `reductions` + 1 stages of `cells` normal cells, and between two
    stages a reduction cell that halves the resolution and doubles the channels; normalisation, ReLU, global pooling, a
    linear layer. Petridish searches with 16 channels, 3 cells and 2 reductions (the options of its code).

    Attributes:
        repeat: how often each cell of a `macro` architecture is repeated ("depth multiplier").

    Raises:
        UsageError: a size is not positive, or the resolution cannot be halved so often.
    """

    channels: int = 16
    cells: int = 3
    reductions: int = 2
    stem_rate: int = 1
    classes: int = 10
    image_size: int = 32
    image_channels: int = 3
    repeat: int = 1

    def __post_init__(self) -> None:
        for key, given in asdict(self).items():
            if given < 1:
                raise UsageError(f"skeleton: {key} is {given}; give 1 or more")
        if self.cells % self.repeat:
            raise UsageError(f"skeleton: {self.cells} cells are no multiple of repeat, {self.repeat}; give a multiple")
        if self.image_size % 2**self.reductions:
            raise UsageError(
                f"skeleton: reductions is {self.reductions}; an image of {self.image_size} pixels cannot be halved so "
                "often; give fewer"
            )

    @property
    def macro_slots(self) -> int:
        """The number of cells that can be grown one by one."""
        return (self.reductions + 1) * (self.cells // self.repeat) + self.reductions

    @property
    def stem(self) -> Shape:
        """The shape after the stem."""
        return Shape(self.stem_rate * self.channels, self.image_size)

    def positions(self, form: str) -> tuple[Position, ...]:
        """Return the cells in the order in which an image passes them."""
        placed: list[Position] = []
        before = (self.stem, self.stem)
        slot = 0
        for stage in range(self.reductions + 1):
            shape = Shape(self.channels * 2**stage, self.image_size // 2**stage)
            kinds = [REDUCTION] * (stage > 0) + [NORMAL] * self.cells
            for place, kind in enumerate(kinds):
                index = CELL_SLOTS.index(kind) if form == "cell" else slot
                placed.append(Position(kind, shape, before, index))
                before = (before[1], shape)
                last_of_slot = kind == REDUCTION or (place - (stage > 0)) % self.repeat == self.repeat - 1
                slot += last_of_slot
        return tuple(placed)

    def count(self, plan: Plan) -> Count:
        """Return parameters and multiply-adds of the whole network of a plan, its gates included."""
        total = self._around()
        for position in self.positions(plan.form):
            total = total.plus(cell_count(position, plan.layers[position.slot]))
        return total

    def _around(self) -> Count:
        """Count the stem and the head."""
        stem = _convolution(9 * self.image_channels * self.stem.channels, self.stem)
        width = self.channels * 2**self.reductions
        linear = (width + 1) * self.classes
        return stem.plus(Count(2 * width + linear, linear))


def cell_count(position: Position, layers: tuple[Layer, ...]) -> Count:
    """Return what a cell with these added layers holds and computes."""
    total = Count(0, 0)
    for pair in SEED_PAIRS:
        total = total.plus(pair_count(position, pair))
    for layer in layers:
        total = total.plus(layer_count(position, layer))
    return total


def layer_count(position: Position, layer: Layer) -> Count:
    """Return what one added layer holds and computes: its operations, what joins them, and its gate."""
    total = Count(1, 0)
    for pair in layer.pairs:
        total = total.plus(pair_count(position, pair))
    width = position.shape.channels
    if layer.merge == "sum":
        return total.plus(Count(len(layer.pairs), 0))
    return total.plus(_convolution(len(layer.pairs) * width * width, position.shape))


def pair_count(position: Position, pair: Pair) -> Count:
    """Return what one operation on one input holds and computes."""
    inputs, outputs = position.source(pair.source).channels, position.shape.channels
    if pair.operation.startswith(("sep", "dil-sep")):
        kernel = 25 if pair.operation.endswith("5x5") else 9
        first = _convolution(kernel * inputs + inputs * outputs, position.shape)
        if pair.operation.startswith("dil-sep"):
            return first
        return first.plus(_convolution(kernel * outputs + outputs * outputs, position.shape))
    return Count(0, 0) if inputs == outputs else _convolution(inputs * outputs, position.shape)


def _convolution(weights: int, shape: Shape) -> Count:
    """Count convolutions that give one output, with its normalisation."""
    return Count(weights + 2 * shape.channels, weights * shape.size**2)
