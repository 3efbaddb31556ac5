"""Training with candidates attached against the bare parent in one run: seconds of an epoch and memory, as ratios.

Nothing here passes or fails by time. `extra_info` of each benchmark carries `candidates`, `multiply-adds`, how many
times those of the bare network the closed form counts, `ratio`, how many times the processor's seconds of the bare
epoch it takes, and `memory`, how many times the peak of what lives on the way through a step.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional

from benchmarks.spaces.nb201_moves import GrowingNasBench201
from benchmarks.training import attach_table
from benchmarks.training.determinism import bitwise
from benchmarks.training.nb201_growing import NB201Family
from benchmarks.training.phases import Phase, Regime
from benchmarks.training.recipe import Recipe
from harness.core.seeds import SeedTree
from harness.core.types import Arch, Attach, Evaluate, Move

Timed = Any
"""The fixture of pytest-benchmark."""

SPACE = GrowingNasBench201()
DIRECT, _, _, CHAIN = SPACE.seeds()
FULL = SPACE.grow(CHAIN, [Move("upgrade 0-1 nor_conv_3x3"), Move("upgrade 1-2 nor_conv_3x3")])
PARENTS = {"one skip": DIRECT, "chain of skips": CHAIN, "two convolutions": FULL}

SECONDS: dict[str, float] = {}
MEMORY: dict[str, int] = {}
TRAINED: dict[str, dict[str, torch.Tensor]] = {}


def network_of(arch: Arch, moves: tuple[Move, ...]) -> torch.nn.Module:
    recipe = Recipe(channels=8, cells=1)
    family = NB201Family(replace(attach_table._SKELETON, channels=recipe.channels))
    return family.attach(family.found(arch, 1), Attach(Evaluate(arch, 1), moves, "sg+sf", 1), 1)


def phase_of(network: torch.nn.Module) -> Phase:
    images = attach_table.images(512)
    recipe = Recipe(channels=8, cells=1, batch_size=64, flip=False, crop_padding=1)
    return Phase(network, Regime(recipe, images, attach_table.images(64), 1, "perf"), 1, SeedTree.root("perf", 1))


def kept_for_backward(network: torch.nn.Module) -> int:
    """Bytes that one step keeps: activations for the backward pass, weights, gradients and momenta."""
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    split = attach_table.images(512)
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = network((split.pixels[:64].float() - 5.0) / 4.0)
        functional.cross_entropy(logits, split.labels[:64])
    weights = sum(parameter.numel() * parameter.element_size() for parameter in network.parameters())
    return sum(kept.values()) + 2 * weights


@pytest.mark.parametrize("parent", PARENTS)
@pytest.mark.parametrize("candidates", ["none", "all"])
def test_an_epoch_with_candidates(benchmark: Timed, parent: str, candidates: str) -> None:
    arch = PARENTS[parent]
    moves = tuple(SPACE.moves(arch)) if candidates == "all" else ()
    work = Attach(Evaluate(arch, 1), moves, "sg+sf", 1)
    family = NB201Family(replace(attach_table._SKELETON, channels=8))
    benchmark.group = parent
    with bitwise(1):
        phase, network = phase_of(network_of(arch, moves)), network_of(arch, moves)
        started = time.thread_time()
        benchmark.pedantic(phase._train_epoch, rounds=3, warmup_rounds=1)
        seconds = (time.thread_time() - started) / 4
        memory = kept_for_backward(network)
    first, least = SECONDS.setdefault(parent, seconds), MEMORY.setdefault(parent, memory)
    benchmark.extra_info |= {
        "candidates": len(moves),
        "multiply-adds": round(family.multiply_adds(work) / family.multiply_adds(work.after), 1),
        "ratio": float(f"{seconds / first:.3g}"),
        "memory": float(f"{memory / least:.3g}"),
    }
    trained = attach_table.trajectory(phase)
    assert attach_table.same(trained, TRAINED.setdefault(parent, trained))  # both stops: the parent is the same
