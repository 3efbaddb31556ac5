"""Shrink recurrent cells to motifs: the eleven-node space of NAO and ENAS, a few units wide, on synthetic sequences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from harness.core.errors import UsageError
from methods.surrogates.spd.motif import Params

NODES = 11
ACTIVATIONS = ("tanh", "relu", "sigmoid", "identity")


@dataclass(frozen=True)
class RecurrentMotif:
    """A recurrent cell with few units: node i reads one earlier node, and the mean of all nodes is the new state.

    A cell is written as 22 integers, predecessor and activation of each node in turn: node i may read any of nodes 0 to
    i - 1, where node 0 joins the input with the last state; activations are tanh, relu, sigmoid, identity. Nodes are
    not gated, h_i = f(h_j W_i), so that a cell three units wide has the size that the paper's experiment on Penn
    Treebank speaks of; it is our reading, since that experiment was never released.

    Attributes:
        width: units of each node.
        inputs: numbers in each element of a sequence.
        outputs: binary targets at each element.
        length: elements of a sequence.
    """

    name: ClassVar[str] = "recurrent-cell"
    width: int = 3
    inputs: int = 10
    outputs: int = 10
    length: int = 10

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one synthetic sequence."""
        return (self.length, self.inputs)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the logits of one sequence."""
        return (self.length, self.outputs)

    def init(self, generator: torch.Generator) -> Params:
        """Draw weights from N(0, 1 / fan-in); biases of the first node and of the outputs are zero."""

        def draw(*shape: int) -> Tensor:
            normal = torch.randn(*shape, generator=generator, dtype=torch.float64)
            return normal / math.sqrt(shape[-2])

        return {
            "input": draw(self.inputs, self.width),
            "state": draw(self.width, self.width),
            "bias": torch.zeros(1, self.width, dtype=torch.float64),
            "nodes": draw(NODES, self.width, self.width),
            "output": draw(self.width, self.outputs),
            "output_bias": torch.zeros(1, self.outputs, dtype=torch.float64),
        }

    def encode(self, descriptions: Sequence[Any]) -> Tensor:
        """Return masks, (M, nodes, nodes + activations): which earlier node is read, and what is applied."""
        return torch.stack([_mask(description) for description in descriptions])

    def forward(self, params: Params, inputs: Tensor, motifs: Tensor) -> Tensor:
        """Return the logits, (B, samples, length, outputs)."""
        batch, samples = inputs.shape[:2]
        # All inputs are projected at once; only what depends on the state is computed element by element.
        flat = torch.bmm(inputs.flatten(1, 2), params["input"]) + params["bias"]
        projected = flat.view(batch, samples, self.length, self.width)
        reads, applied = motifs[:, :, :NODES], motifs[:, :, NODES:]
        state = inputs.new_zeros(batch, samples, self.width)
        states = []
        for step in range(self.length):
            first = torch.tanh(projected[:, :, step] + torch.bmm(state, params["state"]))
            state = self._cell(params, first, reads, applied)
            states.append(state)
        stacked = torch.stack(states, dim=2).flatten(1, 2)
        logits = torch.baddbmm(params["output_bias"], stacked, params["output"])
        return logits.view(batch, samples, self.length, self.outputs)

    def _cell(self, params: Params, first: Tensor, reads: Tensor, applied: Tensor) -> Tensor:
        """Return the mean of all nodes; every cell computes the same graph, and masks say which part of it counts."""
        nodes = [first]
        for node in range(NODES):
            earlier = torch.stack(nodes, dim=1)
            chosen = (reads[:, node, : node + 1, None, None] * earlier).sum(dim=1)
            value = torch.bmm(chosen, params["nodes"][:, node])
            weights = applied[:, node, :, None, None]
            nodes.append(
                weights[:, 0] * torch.tanh(value)
                + weights[:, 1] * torch.relu(value)
                + weights[:, 2] * torch.sigmoid(value)
                + weights[:, 3] * value
            )
        return torch.stack(nodes[1:], dim=1).mean(dim=1)

    def multiply_adds(self, samples: int) -> float:
        """Return the multiply-adds of all elements: input, state, nodes and output."""
        each = self.width * (self.inputs + self.width * (1 + NODES) + self.outputs)
        return float(samples * self.length * each)


def random_cell(generator: torch.Generator) -> tuple[int, ...]:
    """Draw a cell: predecessors and activations uniformly."""
    cell: list[int] = []
    for node in range(NODES):
        cell.append(int(torch.randint(node + 1, (), generator=generator)))
        cell.append(int(torch.randint(len(ACTIVATIONS), (), generator=generator)))
    return tuple(cell)


def _mask(description: Any) -> Tensor:
    numbers = list(description) if isinstance(description, Sequence) and not isinstance(description, str) else []
    allowed = [limit for node in range(NODES) for limit in (node + 1, len(ACTIVATIONS))]
    fits = len(numbers) == len(allowed) and all(
        isinstance(number, int) and 0 <= number < limit for number, limit in zip(numbers, allowed, strict=True)
    )
    if not fits:
        raise UsageError(
            f"motif {RecurrentMotif.name!r}: {description!r} is no cell; give {2 * NODES} integers: for each node, in "
            f"turn, an earlier node (0 to its own number) and an activation (0 to {len(ACTIVATIONS) - 1})"
        )
    mask = torch.zeros(NODES, NODES + len(ACTIVATIONS), dtype=torch.float64)
    for node in range(NODES):
        mask[node, numbers[2 * node]] = 1.0
        mask[node, NODES + numbers[2 * node + 1]] = 1.0
    return mask
