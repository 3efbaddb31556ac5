"""Train motif networks so that the result can be differentiated by the data they were trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from methods.surrogates.spd.motif import Params

Loss = Callable[[Params, Sequence[Tensor]], Tensor]
"""Takes weights, (B, ...) each, and data; returns one loss for each motif, (B,)."""


@dataclass(frozen=True)
class Inner:
    """The inner loop: how a motif is trained on synthetic data.

    Attributes:
        optimiser: 'adam' (the default, with bias correction) or 'sgd' (plain).
        steps: full-batch steps.
        rate: learning rate.
        epsilon: of Adam, inside the root: at v = 0 the root alone has an infinite derivative, and a weight that is not
            used would turn the outer gradient into NaN.
        block: steps that are kept in memory at a time; None keeps all. A smaller block costs a second computation
            of the steps and frees the memory of all but one block.
    """

    optimiser: Literal["adam", "sgd"] = "adam"
    steps: int = 250
    rate: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-16
    block: int | None = None


def unroll(loss: Loss, params: Params, data: Sequence[Tensor], inner: Inner) -> Params:
    """Train for `inner.steps` steps and return the weights, differentiable by `params` and `data`.

    The motifs are independent: the gradient of the sum of their losses is the gradient of each. Under `torch.no_grad`
    nothing is kept for differentiation.

    Args:
        loss: of each motif, given its weights and the data.
        params: initial weights with a leading motif axis.
        data: the tensors that the loss depends on and an outer gradient may flow to.
        inner: the settings.
    """
    shapes = _Shapes(params)
    weights = shapes.flat(params)
    keep = torch.is_grad_enabled()
    state: State = (weights, *(torch.zeros_like(weights) for _ in range(2 if inner.optimiser == "adam" else 0)))
    size = inner.block or inner.steps
    for first in range(0, inner.steps, size):
        steps = range(first, min(first + size, inner.steps))
        if inner.block and keep:
            state = _Block.apply(loss, shapes, inner, steps, len(state), *state, *data)
        else:
            state = _train(loss, shapes, inner, steps, state, data, keep=keep)
    return shapes.split(state[0])


State = tuple[Tensor, ...]


class _Shapes:
    """Join the weights of a motif into one row and cut them apart again: one tensor is updated, not one each."""

    def __init__(self, params: Params) -> None:
        self._shapes = {name: weight.shape[1:] for name, weight in params.items()}
        self._sizes = [shape.numel() for shape in self._shapes.values()]

    def flat(self, params: Params) -> Tensor:
        return torch.cat([params[name].flatten(1) for name in self._shapes], dim=1)

    def split(self, flat: Tensor) -> Params:
        parts = torch.split(flat, self._sizes, dim=1)
        return {name: part.view(-1, *shape) for part, (name, shape) in zip(parts, self._shapes.items(), strict=True)}


def _train(
    loss: Loss, shapes: _Shapes, inner: Inner, steps: range, state: State, data: Sequence[Tensor], *, keep: bool
) -> State:
    """Train for some steps; with `keep` the result can be differentiated."""
    for step in steps:
        weights, moments = state[0], state[1:]
        with torch.enable_grad():
            if not weights.requires_grad:
                weights = weights.detach().requires_grad_()
            total = loss(shapes.split(weights), data).sum()
            (gradient,) = torch.autograd.grad(total, weights, create_graph=keep)
        with torch.set_grad_enabled(keep):
            state = _update(inner, step, weights, moments, gradient)
    return state


def _update(inner: Inner, step: int, weights: Tensor, moments: State, gradient: Tensor) -> State:
    if inner.optimiser == "sgd":
        return (weights.add(gradient, alpha=-inner.rate),)
    mean = torch.lerp(moments[0], gradient, 1 - inner.beta1)
    square = torch.addcmul(moments[1] * inner.beta2, gradient, gradient, value=1 - inner.beta2)
    # With b = 1 - beta2^t: mean / (1 - beta1^t) / sqrt(square / b + eps) in fewer operations.
    correction = 1 - inner.beta2 ** (step + 1)
    root = torch.sqrt(square + inner.epsilon * correction)
    rate = inner.rate * correction**0.5 / (1 - inner.beta1 ** (step + 1))
    return weights.addcdiv(mean, root, value=-rate), mean, square


class _Block(torch.autograd.Function):
    """Some steps that keep only the state they start from, and are computed again for their gradient."""

    @staticmethod
    def forward(
        ctx: Any, loss: Loss, shapes: _Shapes, inner: Inner, steps: range, width: int, *tensors: Tensor
    ) -> State:
        ctx.work = loss, shapes, inner, steps, width
        ctx.save_for_backward(*tensors)
        detached = [tensor.detach() for tensor in tensors]
        return _train(loss, shapes, inner, steps, tuple(detached[:width]), detached[width:], keep=False)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        loss, shapes, inner, steps, width = ctx.work
        with torch.enable_grad():
            tensors = [tensor.detach().requires_grad_() for tensor in ctx.saved_tensors]
            state = _train(loss, shapes, inner, steps, tuple(tensors[:width]), tensors[width:], keep=True)
            found = torch.autograd.grad(state, tensors, gradients, allow_unused=True)
        return (None, None, None, None, None, *found)
