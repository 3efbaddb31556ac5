"""Write and read the canonical text of a network that was grown from the seed cell.

    cell normal[concat(c2.max3x3+c1.sep3x3) concat(l1.identity)] reduction[]
    macro 1[] 2[sum(c1.sep5x5)] 3[]

A text names its form, then every slot with the layers that were added to it, in the order of their growth. In the
form `cell` the slots are the two types of cells, in `macro` they are the cells of the flat network one by one. A layer
joins pairs of an input and an operation; its inputs are `c2` and `c1`, the outputs of the two cells before, and `l1`,
`l2`, ..., the layers that were added to the same slot before it. The seed cell itself, the separable convolution and
the identity of `c1`, is in every cell and therefore not written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, NoReturn

from harness.core.errors import UsageError, nearest
from harness.core.types import Arch, Move

OPERATIONS = ("sep3x3", "sep5x5", "dil-sep3x3", "dil-sep5x5", "max3x3", "avg3x3", "identity")
"""The seven operations of Petridish (Hu et al., NeurIPS 2019); `sep` is stacked twice, `dil-sep` has dilation 2."""

MERGES = ("concat", "sum")
"""How a layer joins its pairs: concatenation, ReLU, 1x1 convolution, normalisation; or a weighted sum."""

FORMS = ("cell", "macro")
CELL_SLOTS = ("normal", "reduction")
CELL_INPUTS = ("c2", "c1")

_SLOT = re.compile(r"([^\[\]]*)\[([^\[\]]*)\]")
_LAYER = re.compile(r"([^()]*)\(([^()]*)\)")
_EXAMPLE = "cell normal[concat(c2.max3x3+c1.sep3x3)] reduction[]"


class Pair(NamedTuple):
    """An input of a cell, and the operation on it."""

    source: str
    operation: str

    def __str__(self) -> str:
        return f"{self.source}.{self.operation}"

    @property
    def rank(self) -> tuple[int, int]:
        """The place of the pair in the canonical order: by input, then by operation."""
        early = CELL_INPUTS.index(self.source) if self.source in CELL_INPUTS else 1 + int(self.source[1:])
        return early, OPERATIONS.index(self.operation)


@dataclass(frozen=True, slots=True)
class Layer:
    """What one growth adds to a slot: pairs in canonical order, and how they are joined."""

    merge: str
    pairs: tuple[Pair, ...]

    def __str__(self) -> str:
        return f"{self.merge}({'+'.join(map(str, self.pairs))})"


@dataclass(frozen=True, slots=True)
class Plan:
    """An architecture as data: the layers of each slot, in the order of the slots.

    Attributes:
        form: 'cell' or 'macro'.
        layers: for each slot, the layers in the order of their growth.
    """

    form: str
    layers: tuple[tuple[Layer, ...], ...]

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the slots."""
        return slot_names(self.form, len(self.layers))

    @property
    def steps(self) -> int:
        """The number of layers that were added to the seed."""
        return sum(map(len, self.layers))

    def of(self, slot: str) -> tuple[Layer, ...]:
        """Return the layers of a slot."""
        return self.layers[self.slots.index(slot)]

    def added(self, slot: str, layer: Layer) -> Plan:
        """Return the plan with one more layer in a slot."""
        place = self.slots.index(slot)
        return Plan(self.form, (*self.layers[:place], (*self.layers[place], layer), *self.layers[place + 1 :]))


def slot_names(form: str, count: int) -> tuple[str, ...]:
    """Return the names of the slots of a form."""
    return CELL_SLOTS if form == "cell" else tuple(str(place) for place in range(1, count + 1))


def sources(layers: Sequence[Layer]) -> tuple[str, ...]:
    """Return the inputs that a further layer of a slot with these layers may have."""
    return (*CELL_INPUTS, *(f"l{number}" for number in range(1, len(layers) + 1)))


def pairs_of(layers: Sequence[Layer]) -> tuple[Pair, ...]:
    """Return every pair that a further layer of a slot with these layers may have, in canonical order."""
    return tuple(Pair(source, operation) for source in sources(layers) for operation in OPERATIONS)


def layer(merge: str, pairs: Iterable[Pair]) -> Layer:
    """Return the layer of some pairs, in canonical order."""
    return Layer(merge, tuple(sorted(pairs, key=lambda pair: pair.rank)))


def compose(plan: Plan) -> Arch:
    """Return the canonical text of a plan."""
    slots = (f"{slot}[{' '.join(map(str, layers))}]" for slot, layers in zip(plan.slots, plan.layers, strict=True))
    return Arch(" ".join((plan.form, *slots)))


@lru_cache(maxsize=4096)
def parse(text: str) -> Plan:
    """Return the plan that a canonical text describes.

    Raises:
        UsageError: the text is no canonical text; with what is wrong in it and the nearest that is right.
    """
    form, _, rest = text.partition(" ")
    if form not in FORMS:
        _refuse(text, f"{form!r} is no form{nearest(form, FORMS)}; it begins with {' or '.join(FORMS)}")
    found = _SLOT.findall(rest)
    names = slot_names(form, max(1, len(found)))
    given = tuple(name.strip() for name, _ in found)
    if given != names or _SLOT.sub("", rest).strip():
        _refuse(text, f"the slots are {', '.join(given) or 'none'}; the form {form} has {', '.join(names)}, in order")
    plan = Plan(form, tuple(_layers(text, slot, inside) for slot, (_, inside) in zip(names, found, strict=True)))
    if compose(plan) != text:
        _refuse(text, f"it is not in canonical order or spacing; write {compose(plan)!r}")
    return plan


def parse_move(move: str) -> tuple[str, Pair]:
    """Return the slot and the pair of a move, `normal:c1.sep3x3` for instance; whether they fit is not asked here.

    Raises:
        UsageError: the text is no move.
    """
    slot, colon, pair = move.partition(":")
    source, dot, operation = pair.partition(".")
    if not (slot and colon and source and dot) or operation not in OPERATIONS:
        raise UsageError(
            f"growth: {move!r} is no move{nearest(operation, OPERATIONS)}; write SLOT:INPUT.OPERATION, for instance "
            f"normal:c1.sep3x3; operations: {', '.join(OPERATIONS)}"
        )
    return slot, Pair(source, operation)


def compose_move(slot: str, pair: Pair) -> Move:
    """Return the text of a move."""
    return Move(f"{slot}:{pair}")


def _layers(text: str, slot: str, inside: str) -> tuple[Layer, ...]:
    layers: list[Layer] = []
    if _LAYER.sub("", inside).strip():
        _refuse(text, f"slot {slot}: {inside!r} is no list of layers like concat(c2.max3x3+c1.sep3x3) sum(c1.identity)")
    for name, body in _LAYER.findall(inside):
        where = f"slot {slot}, layer {len(layers) + 1}"
        merge = name.strip()
        if merge not in MERGES:
            _refuse(text, f"{where}: {merge!r} joins nothing{nearest(merge, MERGES)}; allowed: {', '.join(MERGES)}")
        pairs = [_pair(text, where, part.strip(), sources(layers)) for part in body.split("+")]
        if len(set(pairs)) < len(pairs):
            _refuse(text, f"{where}: a pair is named twice; name each once")
        layers.append(layer(merge, pairs))
    return tuple(layers)


def _pair(text: str, where: str, part: str, allowed: Sequence[str]) -> Pair:
    source, _, operation = part.partition(".")
    if source not in allowed:
        _refuse(text, f"{where}: {source!r} is no input here{nearest(source, allowed)}; allowed: {', '.join(allowed)}")
    if operation not in OPERATIONS:
        hint = nearest(operation, OPERATIONS)
        _refuse(text, f"{where}: {operation!r} is no operation{hint}; allowed: {', '.join(OPERATIONS)}")
    return Pair(source, operation)


def _refuse(text: str, why: str) -> NoReturn:
    raise UsageError(f"growth: {text!r} is no architecture of this space: {why}; an example: {_EXAMPLE}")
