"""Repeat a step of device work: plainly, or as a CUDA graph that the device replays without the host.

A step is a function without arguments that reads and writes nothing but tensors that stay where they are, of shapes
that never change, and that never waits for the device. What it does then depends on the contents of those tensors
alone, so a capture of it does the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

Step = Callable[[], None]

_WARM_UP = 3
"""Plain runs before a capture: libraries choose their kernels and take their workspaces in the first ones."""


class Capture(Protocol):
    """A way to repeat a step."""

    def __call__(self, step: Step, state: Sequence[Tensor]) -> Step:
        """Return a function that does what `step` does; `state`, all that it changes, is left as it is."""
        ...


def plainly(step: Step, state: Sequence[Tensor]) -> Step:
    """Repeat a step by calling it."""
    del state
    return step


class Graphs:
    """Repeat steps as CUDA graphs.

    All graphs of one instance share their memory: no tensor that is made within a step outlives it, so graphs that are
    replayed one after another never need it at the same time.
    """

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def __call__(self, step: Step, state: Sequence[Tensor]) -> Step:
        """Run the step a few times to warm up, undo that, and capture it."""
        kept = [tensor.clone() for tensor in state]
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            for _ in range(_WARM_UP):
                step()
                restore(state, kept)
        torch.cuda.current_stream().wait_stream(self._stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            step()
        return graph.replay


@torch.no_grad()
def restore(state: Sequence[Tensor], kept: Sequence[Tensor]) -> None:
    """Copy what was kept back to where it was."""
    for tensor, content in zip(state, kept, strict=True):
        tensor.copy_(content)


class Sweep:
    """A step over so many items in batches: one capture for the full batches, one for the last, smaller one."""

    def __init__(
        self, items: int, batch: int, step: Callable[[int], None], state: Sequence[Tensor], capture: Capture
    ) -> None:
        self._full, rest = divmod(items, batch)
        sizes = [size for size, needed in ((batch, self._full), (rest, rest)) if needed]
        self._steps = [capture(partial(step, size), state) for size in sizes]

    def run(self) -> None:
        """Run the step for every batch; `step` itself must know where it stands."""
        for _ in range(self._full):
            self._steps[0]()
        for last in self._steps[1 if self._full else 0 :]:
            last()
