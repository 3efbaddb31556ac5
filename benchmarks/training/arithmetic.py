"""Set how numbers are computed: the precision of the recipe, and bits that stay or kernels that are fastest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from benchmarks.training.determinism import bitwise
from benchmarks.training.recipe import Precision
from benchmarks.training.settings import Determinism
from harness.core.errors import UsageError

ACTIVATIONS = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}
"""Type of the images and of all that is computed from them up to the pooling; weights and sums stay in float32."""


def check_precision(precision: Precision, device: torch.device) -> None:
    """Refuse a precision that a device does not have.

    Raises:
        UsageError: with those that it has.
    """
    if precision == "tf32" and device.type != "cuda":
        raise UsageError(
            f"recipe: precision 'tf32' is arithmetic of CUDA devices, and this is {device}; give fp32 or bf16"
        )


@contextmanager
def arithmetic(determinism: Determinism, precision: Precision, threads: int) -> Iterator[None]:
    """Compute in a precision and a mode; restore everything after.

    'bitwise' allows only algorithms that give the same bits on every call; 'statistical' lets cuDNN time its algorithms
    and take the fastest, which may differ from call to call and add in another order.
    """
    tf32 = precision == "tf32"
    matmul = torch.backends.cuda.matmul.allow_tf32
    with bitwise(threads):
        try:
            torch.backends.cuda.matmul.allow_tf32 = tf32
            with torch.backends.cudnn.flags(
                enabled=True,
                benchmark=determinism == "statistical",
                deterministic=determinism == "bitwise",
                allow_tf32=tf32,
            ):
                torch.use_deterministic_algorithms(determinism == "bitwise")
                yield
        finally:
            torch.backends.cuda.matmul.allow_tf32 = matmul
