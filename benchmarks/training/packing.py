"""Pack networks into a bundle, and take single ones out of it again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.spaces.nb201 import EDGES, Skeleton, parse
from benchmarks.training.bundle import Bundle
from benchmarks.training.cells import build
from benchmarks.training.routes import plan_routes
from benchmarks.training.wide import WideCell


@dataclass(frozen=True, slots=True)
class Piece:
    """The part of a wide tensor that belongs to one network.

    Attributes:
        wide: name of the tensor in the bundle.
        part: its rows in that tensor.
        network: the position of the network in the bundle.
        name: the name of the tensor in the network on its own.
    """

    wide: str
    part: slice
    network: int
    name: str


def assemble(archs: Sequence[str], skeleton: Skeleton, seeds: Sequence[int], device: str = "cpu") -> Bundle:
    """Return the networks that `seeds` give on their own, as one, on a device."""
    routes = plan_routes([parse(arch) for arch in archs], device)
    with torch.device("meta"):
        bundle = Bundle(routes, len(archs), skeleton)
    bundle = bundle.to_empty(device="cpu")
    wide = bundle.state_dict()
    for name, tensor in wide.items():
        if name.endswith("num_batches_tracked"):
            tensor.zero_()
    alone = [build(arch, skeleton, seed).state_dict() for arch, seed in zip(archs, seeds, strict=True)]
    for piece in pieces(bundle):
        part = wide[piece.wide][piece.part]
        part.copy_(alone[piece.network][piece.name].view(part.shape))
    return bundle.to(device)


@torch.no_grad()
def extract(bundle: Bundle, network: nn.Module, position: int) -> None:
    """Copy the weights of one network of a bundle into a module of its own.

    Edges that never reach the output of their cell are not part of a bundle and keep what they hold.
    """
    alone, wide = network.state_dict(), bundle.state_dict()
    for piece in pieces(bundle):
        if piece.network == position:
            tensor = alone[piece.name]
            tensor.copy_(wide[piece.wide][piece.part].view(tensor.shape))
    for name, tensor in alone.items():
        if name.endswith("num_batches_tracked"):
            tensor.copy_(wide["norm.num_batches_tracked"])


def pieces(bundle: Bundle) -> Iterator[Piece]:
    """Yield which rows of which tensor belong to which network."""
    everyone = range(bundle.count)
    yield from _pieces_of(bundle.stem, "stem", [(network, "stem.0", "stem.1") for network in everyone])
    for index, stage in enumerate(bundle.stages):
        prefix = f"stages.{index}"
        yield from (
            _cell_pieces(stage, prefix) if isinstance(stage, WideCell) else _block_pieces(stage, prefix, everyone)
        )
    yield from _split(bundle.norm, "norm", [(network, "head.0") for network in everyone])
    for network in everyone:
        yield Piece("weight", slice(network, network + 1), network, "classifier.weight")
        yield Piece("bias", slice(network, network + 1), network, "classifier.bias")


def _cell_pieces(cell: WideCell, prefix: str) -> Iterator[Piece]:
    index = 0
    for route, wide in cell.walk():
        if wide is not None:
            names = [(network, f"{prefix}.edges.{EDGES[edge][0]}-{EDGES[edge][1]}") for network, edge in route.edges]
            owners = [(network, f"{name}.1", f"{name}.2") for network, name in names]
            yield from _pieces_of(wide, f"{prefix}.wides.{index}", owners)
            index += 1


def _block_pieces(block: nn.Module, prefix: str, everyone: Sequence[int]) -> Iterator[Piece]:
    for name in ("first", "second"):
        owners = [(network, f"{prefix}.{name}.1", f"{prefix}.{name}.2") for network in everyone]
        yield from _pieces_of(block.get_submodule(name), f"{prefix}.{name}", owners)
    yield from _split(
        block.get_submodule("shortcut"),
        f"{prefix}.shortcut",
        [(network, f"{prefix}.shortcut.1") for network in everyone],
    )


def _pieces_of(wide: nn.Module, prefix: str, owners: Sequence[tuple[int, str, str]]) -> Iterator[Piece]:
    yield from _split(wide.get_submodule("conv"), f"{prefix}.conv", [(network, conv) for network, conv, _ in owners])
    yield from _split(wide.get_submodule("norm"), f"{prefix}.norm", [(network, norm) for network, _, norm in owners])


def _split(module: nn.Module, prefix: str, owners: Sequence[tuple[int, str]]) -> Iterator[Piece]:
    """Yield equal parts of every tensor of a module, one for each owner in turn."""
    for name, tensor in module.state_dict().items():
        if tensor.ndim:
            rows = len(tensor) // len(owners)
            for position, (network, owner) in enumerate(owners):
                yield Piece(
                    f"{prefix}.{name}", slice(position * rows, (position + 1) * rows), network, f"{owner}.{name}"
                )
