"""Make torch compute the same bits every time, within a context and without a trace after it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils import deterministic as memory

_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"


@contextmanager
def bitwise(threads: int) -> Iterator[None]:
    """Run with deterministic algorithms, full float32 and a fixed number of threads; restore everything after.

    Bits are then a function of the inputs, the library versions, the CPU or GPU model and the number of threads.
    """
    before = torch.get_num_threads()
    mode = torch.get_deterministic_debug_mode()
    fill = memory.fill_uninitialized_memory  # type: ignore[attr-defined]
    workspace = os.environ.get(_CUBLAS)
    try:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(True)
        # Filling guards against reads of uninitialised memory; nothing here allocates without writing.
        memory.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        os.environ.setdefault(_CUBLAS, ":4096:8")  # cuBLAS refuses to be deterministic without it
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_num_threads(before)
        torch.set_deterministic_debug_mode(mode)
        memory.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
        if workspace is None:
            os.environ.pop(_CUBLAS, None)


def flags() -> dict[str, str | int | bool | None]:
    """Return the flags of this process that can change bits, for the record of the environment."""
    return {
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
        "matmul_precision": torch.get_float32_matmul_precision(),
        "threads": torch.get_num_threads(),
        _CUBLAS: os.environ.get(_CUBLAS),
    }
