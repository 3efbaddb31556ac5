"""Write a trained network so that it can be used without the harness: weights, a description, an exported program."""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from benchmarks.spaces import growth, nb201
from benchmarks.spaces.growth_text import parse
from benchmarks.training.augment import normalise
from benchmarks.training.cells import Network
from benchmarks.training.data import Facts
from benchmarks.training.growth_cells import GrownNetwork
from benchmarks.training.growth_model import FORMAT, write_model
from harness.core.canonical import Json
from harness.core.errors import OutputUnwritable

WEIGHTS, DESCRIPTION, PROGRAM = "model.pt", "model.json", "model.pt2"
NB201_FORMAT = "nas-harness nb201 model 1"


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        files: the files.
        missing: why there is no exported program; empty where there is one.
    """

    files: tuple[Path, ...]
    missing: str = ""


class FromPixels(nn.Module):
    """A network with the normalisation of its data set in front; it takes pixels on the scale of the bytes."""

    def __init__(self, network: nn.Module, facts: Facts) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(facts.mean))
        self.register_buffer("std", torch.tensor(facts.std))

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the logits; float pixels, (n, c, h, w), to (n, classes)."""
        return cast("Tensor", self.network(normalise(pixels, cast("Tensor", self.mean), cast("Tensor", self.std))))


def export(
    folder: Path, network: GrownNetwork | Network, arch: str, facts: Facts, origin: Mapping[str, Json]
) -> Exported:
    """Write a network into a folder: `model.pt`, `model.json`, and `model.pt2` where torch can export it.

    Args:
        folder: is made where it does not exist.
        network: is moved to the CPU and set to evaluation.
        arch: its canonical text.
        facts: of the data set that it was trained on.
        origin: where the network comes from, as plain data.

    Raises:
        OutputUnwritable: the folder is read-only or the disk is full.
    """
    network = network.cpu().eval()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_model(folder / WEIGHTS, network, arch, _format(network))
        missing = _program(folder / PROGRAM, FromPixels(network, facts).eval(), facts)
        written = [folder / WEIGHTS, *([] if missing else [folder / PROGRAM])]
        description = _description(network, arch, facts) | {
            "origin": dict(origin),
            "torch": torch.__version__,
            "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in written},
        }
        text = json.dumps(description, indent=1, ensure_ascii=False, sort_keys=True)
        (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputUnwritable(f"{folder}: nothing can be written ({error}); name another folder with --out") from None
    return Exported((*written, folder / DESCRIPTION), missing)


def _program(path: Path, model: nn.Module, facts: Facts) -> str:
    """Write the exported program; return why there is none, or an empty string."""
    example = torch.zeros(2, facts.image_channels, facts.image_size, facts.image_size)
    shapes = {"pixels": {0: torch.export.Dim("batch")}}
    try:
        with _quiet():
            torch.export.save(torch.export.export(model, (example,), dynamic_shapes=shapes), path)
    except Exception as error:  # noqa: BLE001 - torch.export raises many kinds, none of them public
        path.unlink(missing_ok=True)
        return f"torch {torch.__version__} cannot export it: {str(error).partition(chr(10))[0]}"
    return ""


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what torch has to say about itself off the terminal; an export that is wrong raises."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _format(network: GrownNetwork | Network) -> str:
    return FORMAT if isinstance(network, GrownNetwork) else NB201_FORMAT


def _sizes(network: GrownNetwork | Network, arch: str) -> dict[str, Any]:
    """Return parameters, multiply-adds of one image, and the drawing of each cell."""
    if isinstance(network, GrownNetwork):
        count = network.skeleton.count(parse(arch))
        return {
            "parameters": count.parameters,
            "multiply_adds": count.multiply_adds,
            "cells": growth.drawing(arch),
        }
    return {
        "parameters": network.skeleton.parameters(arch),
        "multiply_adds": network.skeleton.multiply_adds(arch),
        "cells": {"cell": nb201.drawing(arch)},
    }


def _description(network: GrownNetwork | Network, arch: str, facts: Facts) -> dict[str, Any]:
    return {
        "format": _format(network),
        "arch": str(arch),
        "skeleton": asdict(network.skeleton),
        **_sizes(network, arch),
        "input": {
            "dataset": facts.name,
            "shape": ["batch", facts.image_channels, facts.image_size, facts.image_size],
            "mean": list(facts.mean),
            "std": list(facts.std),
            "note": f"{PROGRAM} takes float pixels on the scale of the bytes and normalises them; the weights in "
            f"{WEIGHTS} expect (pixels - mean) / std",
        },
    }
