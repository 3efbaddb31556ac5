"""Attach candidates to a network so that it does not notice them, or does, as the arm of an ablation says.

Petridish (Hu et al., "Efficient Forward Architecture Search", NeurIPS 2019): candidates read the nodes of a network
behind a stop-gradient, and their weighted sum is added to a node behind a stop-forward. They are then trained towards
the negative gradient of the loss at that node, and the network does what it did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from harness.core.errors import UsageError, nearest
from harness.core.types import Move


@dataclass(frozen=True, slots=True)
class Arm:
    """How candidates are coupled to the network.

    Attributes:
        stop_gradient: whether candidates read a node without sending a gradient back into it.
        stop_forward: whether nodes keep their value; otherwise the sum of the candidates is added to them.
        gate: whether that sum is first multiplied by a learnable scalar that starts at 0.
        gate_inputs: whether what a candidate reads is multiplied by a learnable scalar that starts at 0.
    """

    stop_gradient: bool = False
    stop_forward: bool = False
    gate: bool = False
    gate_inputs: bool = False


ARMS: Mapping[str, Arm] = {
    "sg+sf": Arm(stop_gradient=True, stop_forward=True),
    "sf": Arm(stop_forward=True),
    "sg": Arm(stop_gradient=True),
    "joint": Arm(),
    "soft": Arm(gate=True),
    "soft-gateback": Arm(gate=True, gate_inputs=True),
}
"""The arms by name. `soft` and `soft-gateback` are the names of the authors' code; the four others are the factorial of
stop-gradient and stop-forward. An arm that is off leaves all else as it is: sums, and how the weights start."""


def arm_of(name: str) -> Arm:
    """Return an arm.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in ARMS:
        raise UsageError(f"arm: no {name!r}{nearest(name, ARMS)}; known: {', '.join(ARMS)}")
    return ARMS[name]


class _Join(torch.autograd.Function):
    """Join a candidate sum to a node.

    The node is copied, not computed as `node + (sum - sum)`: an overflow among candidates would turn that into NaN, and
    the sign of a zero could change.
    """

    @staticmethod
    def forward(ctx: Any, node: Tensor, candidates: Tensor, scale: float, stop_forward: int) -> Tensor:
        ctx.scale = scale
        return node.clone() if stop_forward else node + candidates

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (gradient,) = gradients
        return gradient, gradient if ctx.scale == 1.0 else ctx.scale * gradient, None, None


def join(node: Tensor, candidates: Tensor, scale: float = 1.0, *, stop_forward: bool = True) -> Tensor:
    """Return the node with the sum of its candidates joined; both receive the gradient, the candidates `scale` of it.

    Args:
        node: (n, c, h, w), like the result.
        candidates: (n, c, h, w).
        scale: the factor of the gradient that reaches the candidates.
        stop_forward: whether the value of the result is that of the node alone.
    """
    return cast("Tensor", _Join.apply(node, candidates, scale, int(stop_forward)))


class Point(nn.Module):
    """The place in one cell where candidates are joined to one node.

    Attributes:
        operations: the candidate of each move; their weights belong to this cell alone.
        trace: the values of the last pass while `record` is on, for the diagnostics.
    """

    def __init__(self, operations: Mapping[Move, nn.Module], arm: Arm, scale: float) -> None:
        super().__init__()
        if not scale > 0:
            raise UsageError(f"scale: {scale} is no share of the gradient to learn from; give more than 0, such as 1")
        self.moves = tuple(operations)
        self.operations = nn.ModuleList(operations.values())
        self.gates = nn.Parameter(torch.zeros(len(operations))) if arm.gate_inputs else None
        self.record = False
        self.trace: Trace | None = None
        self._arm, self._scale = arm, scale

    def forward(self, node: Tensor, inputs: Sequence[Tensor], weights: Mapping[Move, Tensor], gate: Tensor) -> Tensor:
        """Return the node with its candidates joined.

        Args:
            node: (n, c, h, w), like every input.
            inputs: what each candidate reads.
            weights: the weight of every move.
            gate: the gate of the sum, used where the arm has one.
        """
        outputs = [self._output(index, value) for index, value in enumerate(inputs)]
        terms = [weights[move] * output for move, output in zip(self.moves, outputs, strict=True)]
        total = sum(terms[1:], start=terms[0])
        total = gate * total if self._arm.gate else total
        if self.record:
            total.retain_grad()
            self.trace = Trace(self.moves, [output.detach() for output in outputs], total, self._scale)
        return join(node, total, self._scale, stop_forward=self._arm.stop_forward)

    def _output(self, index: int, value: Tensor) -> Tensor:
        value = value.detach() if self._arm.stop_gradient else value
        if self.gates is not None:
            value = self.gates[index] * value
        output: Tensor = self.operations[index](value)
        return output


@dataclass(frozen=True, slots=True)
class Trace:
    """What went through a point: the output of each candidate, and their sum with its gradient."""

    moves: tuple[Move, ...]
    outputs: Sequence[Tensor]
    total: Tensor
    scale: float

    @property
    def gradient(self) -> Tensor:
        """The gradient of the loss at the node."""
        assert self.total.grad is not None
        return self.total.grad / self.scale


class Attached(nn.Module):
    """A network with candidates: what a family of networks subclasses to route the values.

    The weight of a move is shared by all cells; it starts at one over the number of moves. The network keeps its
    parameters, the very same tensors, in `parent`; everything else is the candidates'.

    Attributes:
        parent: the network; called by itself it answers as if nothing were attached.
        moves: what is attached.
        omega: the weights of the moves, (moves,).
        gate: the gate of all sums, a scalar at 0; used by the arms that have one.
        points: all points, in order.
    """

    def __init__(self, parent: nn.Module, moves: Sequence[Move], arm: Arm, points: Sequence[Point]) -> None:
        super().__init__()
        self.parent = parent
        self.moves, self.arm = tuple(moves), arm
        self.omega = nn.Parameter(torch.full((len(moves),), 1.0 / max(1, len(moves))))
        self.gate = nn.Parameter(torch.zeros(()), requires_grad=arm.gate)
        self.points = nn.ModuleList(points)

    def weights(self) -> dict[Move, Tensor]:
        """Return the weight of each move, as scalars of one graph."""
        return dict(zip(self.moves, self.omega.unbind(), strict=True)) if self.moves else {}

    def parent_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the network."""
        return list(self.parent.parameters())

    def operation_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the candidates' operations."""
        return [parameter for point in self._points() for parameter in point.operations.parameters()]

    def mixing_parameters(self) -> list[nn.Parameter]:
        """Return the weights of the moves, and the gates that the arm has."""
        gates = [point.gates for point in self._points() if point.gates is not None]
        return [self.omega, *([self.gate] if self.arm.gate else []), *gates]

    def _points(self) -> Iterator[Point]:
        return cast("Iterator[Point]", iter(self.points))

    def record(self, *, on: bool) -> None:
        """Let every point keep what goes through it, or stop doing so."""
        for point in self._points():
            point.record, point.trace = on, None

    def traces(self) -> list[Trace]:
        """Return what went through the points in the last pass."""
        return [point.trace for point in self._points() if point.trace is not None]


@torch.no_grad()
def shrink(omega: Tensor, threshold: float) -> None:
    """Draw weights towards 0 by `threshold`, in place, and set to exactly 0 what would cross it.

    The proximal step of an L1 penalty (iterative soft thresholding): unlike a subgradient, it ends at zeros.
    """
    omega.copy_(omega.sign() * (omega.abs() - threshold).clamp_min(0.0))


def diagnostics(attached: Attached) -> dict[str, float]:
    """Return what the recorded pass says of each move: `MOVE|-cos` and `MOVE|<g,c>`.

    With g the gradient of the loss at a node and c the output of a candidate there, before its weight: `<g,c>` is
    their inner product summed over the cells, the slope of the loss in the weight of the move (before the gate of an
    arm that has one), negative where the move helps; `-cos` is minus the cosine between the two, positive where it
    helps.
    """
    inner: dict[Move, float] = dict.fromkeys(attached.moves, 0.0)
    gradients, outputs = dict(inner), dict(inner)
    for trace in attached.traces():
        gradient = trace.gradient.double()
        norm = float(gradient.square().sum())
        for move, output in zip(trace.moves, trace.outputs, strict=True):
            values = output.double()
            inner[move] += float((gradient * values).sum())
            gradients[move] += norm
            outputs[move] += float(values.square().sum())
    cosines = {move: _cosine(inner[move], gradients[move], outputs[move]) for move in attached.moves}
    return {f"{move}|-cos": -cosine for move, cosine in cosines.items()} | {
        f"{move}|<g,c>": value for move, value in inner.items()
    }


def _cosine(inner: float, first: float, second: float) -> float:
    return 0.0 if first == 0 or second == 0 else inner / (first * second) ** 0.5
