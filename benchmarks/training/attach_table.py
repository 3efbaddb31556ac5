"""Measure what each arm does to the network that candidates are attached to, against the same network without them.

`python -m benchmarks.training.attach_table FILE` writes the table into a Markdown file, between the two marks that it
must hold; the same command gives the same bytes.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.spaces.nb201 import CONV_1X1, CONV_3X3, NONE, SKIP, Skeleton, compose
from benchmarks.spaces.nb201_moves import GrowingNasBench201
from benchmarks.training import measured
from benchmarks.training.attach import ARMS, Attached
from benchmarks.training.determinism import bitwise
from benchmarks.training.evaluate import Resident
from benchmarks.training.nb201_growing import NB201Family
from benchmarks.training.phases import Phase, Regime
from benchmarks.training.recipe import Recipe
from harness.core.seeds import SeedTree
from harness.core.types import Attach, Evaluate, Move

PART = "arms"
"""Of the page that holds the table."""

STEPS = 20
IMAGES = 160

ARCH = compose((CONV_3X3, NONE, SKIP, NONE, NONE, CONV_1X1))
"""A chain through all nodes: its fifteen moves join candidates to two nodes of every cell."""

_RECIPE = Recipe(epochs=1, channels=4, cells=1, batch_size=32, learning_rate=0.05, flip=False, crop_padding=1)
_SKELETON = Skeleton(_RECIPE.channels, _RECIPE.cells, classes=10, image_size=8, image_channels=1)
_SEED = 5

State = Mapping[str, Tensor]


@cache
def images(count: int = IMAGES) -> Resident:
    """Return images that a generator drew, whose classes are marked by a bright row each."""
    generator = torch.Generator().manual_seed(_SEED)
    labels = torch.randint(0, 10, (count,), generator=generator)
    pixels = torch.randint(0, 9, (count, 1, 8, 8), generator=generator, dtype=torch.uint8)
    pixels[torch.arange(count), 0, labels % 8] += 8
    return Resident(pixels, labels, torch.tensor((5.0,)), torch.tensor((4.0,)))


def regime() -> Regime:
    """Return the regime of all that is measured here."""
    return Regime(_RECIPE, images(), images(64), 1, "attach table")


@cache
def _parent() -> nn.Module:
    """Return a parent whose normalisations have seen images."""
    phase = Phase(NB201Family(_SKELETON).found(ARCH, _SEED), regime(), 1, SeedTree.root("parent", _SEED))
    phase.advance()
    return phase.network


def parent() -> nn.Module:
    """Return a copy of the parent that all measurements start from."""
    return copy.deepcopy(_parent())


def attached(arm: str, scale: float = 1.0, moves: Sequence[Move] | None = None) -> Attached:
    """Return the parent with candidates, all moves of its cell where none are given."""
    chosen = tuple(GrowingNasBench201().moves(ARCH)) if moves is None else tuple(moves)
    return NB201Family(_SKELETON).attach(parent(), Attach(Evaluate(ARCH, 1), chosen, arm, 1, 0.001, scale), _SEED)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one pass over one batch showed.

    Attributes:
        values: the output of every module of the parent that was called, and the logits and the loss.
        parent: the gradient of each parameter of the parent.
        operations: the gradients of the candidates' operations.
        omega: the gradient of the weights of the moves.
    """

    values: State
    parent: State
    operations: tuple[Tensor, ...] = ()
    omega: tuple[Tensor, ...] = ()


def bare(network: nn.Module) -> nn.Module:
    """Return the network without its candidates."""
    return network.parent if isinstance(network, Attached) else network


def look(network: nn.Module, *, training: bool = True) -> Seen:
    """Return what a pass over the first batch shows, forward and backward."""
    network.train(training)
    inside, values = bare(network), dict[str, Tensor]()
    hooks = [
        module.register_forward_hook(lambda _m, _i, out, name=name: values.__setitem__(name, out.detach().clone()))
        for name, module in inside.named_modules()
        if name
    ]
    split, part = images(), slice(0, _RECIPE.batch_size)
    logits = network((split.pixels[part].float() - 5.0) / 4.0)
    loss = functional.cross_entropy(logits, split.labels[part])
    loss.backward()  # type: ignore[no-untyped-call]
    for hook in hooks:
        hook.remove()
    values |= {"logits": logits.detach(), "loss": loss.detach()}
    gradients = {name: _gradient(parameter) for name, parameter in inside.named_parameters()}
    if not isinstance(network, Attached):
        return Seen(values, gradients)
    operations = tuple(map(_gradient, network.operation_parameters()))
    return Seen(values, gradients, operations, (_gradient(network.omega),))


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def walk(network: nn.Module, steps: int) -> Phase:
    """Train a network for some steps as a phase does, and return the phase."""
    phase = Phase(network, regime(), 1, SeedTree.root("walk", _SEED), penalty=0.001)
    split = images()
    network.train()
    for step in range(steps):
        part = [(step * _RECIPE.batch_size + row) % len(split) for row in range(_RECIPE.batch_size)]
        logits = network((split.pixels[part].float() - 5.0) / 4.0)
        phase.step(functional.cross_entropy(logits, split.labels[part]), _RECIPE.learning_rate)
    return phase


def trajectory(phase: Phase) -> dict[str, Tensor]:
    """Return weights, buffers and momentum of the network without its candidates."""
    state = {name: value.clone() for name, value in bare(phase.network).state_dict().items()}
    momentum = phase.momentum()
    names = [name for name, _ in bare(phase.network).named_parameters()]
    return state | {f"momentum of {name}": value for name, value in zip(names, momentum, strict=True)}


def logits(network: nn.Module) -> State:
    """Return the logits of the first batch in the mode of evaluation, candidates attached."""
    network.eval()
    with torch.no_grad():
        return {"logits": network((images().pixels[:32].float() - 5.0) / 4.0)}


def same(first: State, second: State) -> bool:
    """Tell whether two states agree bit for bit in all that both hold."""
    shared = first.keys() & second.keys()
    assert shared
    return all(torch.equal(first[name], second[name]) for name in shared)


def measure(arm: str, scale: float = 1.0, steps: int = STEPS) -> dict[str, str]:
    """Return, for each quantity, '=' or '≠' against the control, or which gradients of the candidates are zero."""
    control, seen = look(parent()), look(attached(arm, scale))
    first, last = ((walk(parent(), count), walk(attached(arm, scale), count)) for count in (1, steps))
    evaluated = [logits(phase.network) for phase in last]
    return {
        "activations, logits and loss at the first step": _sign(control.values, seen.values),
        "the same in the mode of evaluation": _sign(
            look(parent(), training=False).values, look(attached(arm, scale), training=False).values
        ),
        "gradients of the parent": _sign(control.parent, seen.parent),
        "gradients of the candidates' operations": _zeros(seen.operations),
        "gradients of the weights of the moves": _zeros([part for whole in seen.omega for part in whole.unbind()]),
        "parent after 1 step: weights, momentum, buffers": _sign(*map(trajectory, first)),
        f"parent after {steps} steps: weights, momentum, buffers": _sign(*map(trajectory, last)),
        f"logits of evaluation after {steps} steps": _sign(*evaluated),
    }


def _sign(first: State, second: State) -> str:
    return "=" if same(first, second) else "≠"


def _zeros(gradients: Sequence[Tensor]) -> str:
    moved = sum(bool(gradient.any()) for gradient in gradients)
    return {0: "all 0", len(gradients): "all ≠ 0"}.get(moved, f"{moved} of {len(gradients)} ≠ 0")


COLUMNS: Mapping[str, tuple[str, float]] = {
    **{arm: (arm, 1.0) for arm in ARMS},
    "sg+sf, scale 1/N": ("sg+sf", 1 / IMAGES),
}
"""The arm and the scale of what is measured: every arm, and Petridish with the scale of the authors' code."""


def table() -> str:
    """Return the table as Markdown."""
    with bitwise(1):
        columns = {name: measure(arm, scale) for name, (arm, scale) in COLUMNS.items()}
    quantities = next(iter(columns.values()))
    rows = [(quantity, *(column[quantity] for column in columns.values())) for quantity in quantities]
    return measured.table([("", *columns), *rows])


def _command() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training.attach_table", description=__doc__)
    parser.add_argument("page", type=Path, nargs="?", default=Path("docs/petridish.md"), help="a Markdown file")
    page = parser.parse_args().page
    measured.check(page, PART)
    measured.put(page, PART, table())


if __name__ == "__main__":
    measured.answer(_command)
