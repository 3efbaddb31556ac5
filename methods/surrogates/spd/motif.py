"""Define motif networks: tiny networks that are trained in place of the architectures they are taken from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from itertools import pairwise
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from harness.core.canonical import Json
from harness.core.errors import DataCorrupt, UsageError, nearest

Params = dict[str, Tensor]

MOTIFS: dict[str, str] = {
    "nb201-cell": "methods.surrogates.spd.cell:CellMotif",
    "recurrent-cell": "methods.surrogates.spd.recurrent:RecurrentMotif",
    "sigmoid-slope": "methods.surrogates.spd.motif:SigmoidMotif",
}


class Motif(Protocol):
    """A family of tiny networks that share their weights' shapes and differ in structure only.

    A frozen dataclass whose fields are plain JSON, so that an artefact can name it. Many motifs are computed at once
    along a leading axis B: each has its own weights, its own inputs and its own code.
    """

    name: ClassVar[str]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one synthetic sample."""
        ...

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the logits, and of the binary labels, of one sample."""
        ...

    def init(self, generator: torch.Generator) -> Params:
        """Draw the initial weights that all motifs share: float64 tensors without motif axis."""
        ...

    def encode(self, descriptions: Sequence[Any]) -> Tensor:
        """Return the codes of motifs, (M, ...): what `forward` needs to know of each structure.

        Raises:
            UsageError: a description is none of this family.
        """
        ...

    def forward(self, params: Params, inputs: Tensor, motifs: Tensor) -> Tensor:
        """Return the logits, (B, samples, *output_shape).

        Args:
            params: weights with a leading motif axis, (B, ...) each.
            inputs: (B, samples, *input_shape).
            motifs: codes as `encode` gives them, (B, ...).
        """
        ...

    def multiply_adds(self, samples: int) -> float:
        """Return the multiply-adds of one forward pass of one motif over so many samples."""
        ...


@dataclass(frozen=True)
class SigmoidMotif:
    """A perceptron with two hidden layers of one sigmoid unit each, sigma(c z), that stands for the slope c.

    The paper's motif for MNIST: layers 10, 1, 1, 10. The slope touches the hidden layers only; the outputs are logits
    of slope 1. All weights and biases start from N(0, 1).
    """

    name: ClassVar[str] = "sigmoid-slope"
    inputs: int = 10
    width: int = 1
    outputs: int = 10

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one synthetic sample."""
        return (self.inputs,)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the logits of one sample."""
        return (self.outputs,)

    def init(self, generator: torch.Generator) -> Params:
        """Draw weights and biases from N(0, 1)."""
        sizes = (self.inputs, self.width, self.width, self.outputs)
        params: Params = {}
        for layer, (fan_in, fan_out) in enumerate(pairwise(sizes), start=1):
            params[f"weight{layer}"] = torch.randn(fan_in, fan_out, generator=generator, dtype=torch.float64)
            params[f"bias{layer}"] = torch.randn(1, fan_out, generator=generator, dtype=torch.float64)
        return params

    def encode(self, descriptions: Sequence[Any]) -> Tensor:
        """Return the slopes, (M, 1, 1)."""
        try:
            return torch.tensor([float(slope) for slope in descriptions], dtype=torch.float64).view(-1, 1, 1)
        except (TypeError, ValueError) as error:
            raise UsageError(f"motif {self.name!r}: {error}; give slopes as numbers, for instance 0.25") from error

    def forward(self, params: Params, inputs: Tensor, motifs: Tensor) -> Tensor:
        """Return the logits, (B, samples, outputs)."""
        first = torch.sigmoid(motifs * torch.baddbmm(params["bias1"], inputs, params["weight1"]))
        second = torch.sigmoid(motifs * torch.baddbmm(params["bias2"], first, params["weight2"]))
        return torch.baddbmm(params["bias3"], second, params["weight3"])

    def multiply_adds(self, samples: int) -> float:
        """Return the multiply-adds of the three layers."""
        return float(samples * self.width * (self.inputs + self.width + self.outputs))


def describe(motif: Motif) -> dict[str, Json]:
    """Return the name and the settings of a motif family, as an artefact records them."""
    return {"name": motif.name, "settings": asdict(motif)}  # type: ignore[call-overload]  # every motif is a dataclass


def motif_of(record: Mapping[str, Any]) -> Motif:
    """Return the motif family that `describe` recorded.

    Raises:
        DataCorrupt: no such family, or its settings do not fit.
    """
    name = str(record.get("name"))
    if name not in MOTIFS:
        raise DataCorrupt(f"motif {name!r}{nearest(name, MOTIFS)}; known: {', '.join(sorted(MOTIFS))}; fit a dish anew")
    module, _, attribute = MOTIFS[name].partition(":")
    try:
        family: Motif = getattr(import_module(module), attribute)(**record["settings"])
    except (KeyError, TypeError) as error:
        raise DataCorrupt(f"motif {name!r}: its settings cannot be read ({error}); fit a dish anew") from error
    return family
