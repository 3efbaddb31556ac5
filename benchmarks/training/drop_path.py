"""Drop the outputs of operations in training, for each image by itself, and ever more towards the end.

As in NASNet (Zoph et al., CVPR 2018) and the program of Petridish (Hu et al., NeurIPS 2019): in step s of S, an
operation of cell l of L, all counted from 1, is kept with the probability

    1 - (l / L) (s / S) (1 - keep)

and what is kept is divided by it. `keep` is thus reached in the last cell in the last step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn


class Path(NamedTuple):
    """An operation that can be dropped.

    Attributes:
        operation: gives (n, c, h, w).
        depth: l / L of its cell.
    """

    operation: nn.Module
    depth: float


class Droppable(Protocol):
    """A network that knows which of its operations can be dropped."""

    def paths(self) -> list[Path]:
        """Return every operation of its own but identities, always in the same order."""
        ...


class DropPath:
    """What drops the operations of several networks, each of which draws from a generator of its own.

    The networks are left as they are: hooks stand on their operations while `hooked` lasts, and nothing of them gets
    into a copy, a checkpoint or an evaluation.
    """

    def __init__(self, networks: Sequence[Droppable], generators: Sequence[torch.Generator], keep: float) -> None:
        parts = [network.paths() for network in networks]
        self._operations = [path.operation for part in parts for path in part]
        self._streams = [
            (torch.tensor([path.depth * (1.0 - keep) for path in part]), generator)
            for part, generator in zip(parts, generators, strict=True)
        ]
        self._factors = torch.empty(0)

    def draw(self, share: float, images: int, device: torch.device) -> None:
        """Draw for a step what is dropped of each image of its batch.

        Args:
            share: s / S of the step.
            images: of the batch.
            device: of the networks; the draws are made on the CPU, so that every device trains alike.
        """
        drawn = [self._drawn(share * lost, images, generator) for lost, generator in self._streams]
        self._factors = torch.cat(drawn).to(device) if drawn else self._factors

    def _drawn(self, lost: Tensor, images: int, generator: torch.Generator) -> Tensor:
        """Return the factor of each operation on each image, (operations, images)."""
        kept = (1.0 - lost)[:, None]
        return (torch.rand(len(lost), images, generator=generator) < kept) / kept

    @contextmanager
    def hooked(self) -> Iterator[None]:
        """Multiply the output of each operation by what was drawn for it, as long as this lasts."""
        with ExitStack() as hooks:
            for row, operation in enumerate(self._operations):
                hooks.callback(operation.register_forward_hook(self._hook(row)).remove)
            yield

    def _hook(self, row: int) -> Any:
        def hook(_: nn.Module, __: tuple[Any, ...], output: Tensor) -> Tensor:
            return output * self._factors[row].view(-1, 1, 1, 1)

        return hook
