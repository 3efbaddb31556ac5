"""Measure what an attachment costs over training the parent alone: seconds, memory, where the time of a step goes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import torch
from measure import CIFAR, DIGITS, Section, course_of
from measure_cpu import KINDS, OTHER, OUTSIDE, shares
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional

from benchmarks.spaces.growth import GrowthSpace
from benchmarks.spaces.growth_size import GrowthSkeleton
from benchmarks.spaces.nb201_moves import GrowingNasBench201
from benchmarks.training.determinism import bitwise
from benchmarks.training.evaluate import Resident
from benchmarks.training.growth_family import GrowthFamily
from benchmarks.training.lineage import Family
from benchmarks.training.nb201_growing import NB201Family
from benchmarks.training.phases import Phase, Regime
from benchmarks.training.recipe import Recipe
from harness.core.seeds import SeedTree
from harness.core.types import Arch, Attach, Evaluate, Move

ROUNDS = 5

COST = f"""\
One thread, both stops on. Milliseconds of processor time of a step of the bare parent and of the same parent with all
its moves attached, median of {ROUNDS} rounds in which the two take turns, the ratio with the lowest and the highest in
brackets; beside it how many times the multiply-adds that an attachment is charged are those of the parent. Memory: what
a step keeps, activations for the backward pass, weights, gradients and momenta, in MB."""

COLUMNS = ("parent", "moves", "bare", "attached", "ratio", "multiply-adds", "memory, bare", "attached", "ratio")

SPENT = """\
Where the time of a step goes: the share of the kernels of each kind in the real time under the profiler, and of all
that is outside kernels, which the profiler's own cost makes too large."""


@dataclass(frozen=True)
class Setting:
    """A parent with all its moves, and the images that it is trained on."""

    name: str
    family: Family
    arch: Arch
    moves: tuple[Move, ...]
    recipe: Recipe
    split: Resident

    def phase(self, moves: Sequence[Move]) -> Phase:
        """Return the phase with these moves attached, ready to run."""
        network = self.family.found(self.arch, 1)
        attached = self.family.attach(network, self.work(moves), 1)
        few = replace(self.split, pixels=self.split.pixels[:32], labels=self.split.labels[:32])
        return Phase(
            attached, Regime(self.recipe, self.split, few, 1, "measurements"), 1, SeedTree.root("measurements", 1)
        )

    def work(self, moves: Sequence[Move]) -> Attach:
        return Attach(Evaluate(self.arch, 1), tuple(moves), "sg+sf", 1)


def settings() -> list[Setting]:
    """Return cells of NAS-Bench-201 at the scale of the hybrid protocol, and the founder of the quickstart's growth."""
    recipe = Recipe(channels=8, cells=1, batch_size=64, flip=True, crop_padding=4)
    course = course_of(recipe, 256, CIFAR).in_layout("channels-last")
    space, family = GrowingNasBench201(), NB201Family(course.skeleton)
    direct, _, _, chain = space.seeds()
    full = space.grow(chain, [Move("upgrade 0-1 nor_conv_3x3"), Move("upgrade 1-2 nor_conv_3x3")])
    cells = {"one skip": direct, "chain of skips": chain, "chain with two convolutions": full}
    found = [
        Setting(f"NAS-Bench-201, {name}", family, arch, tuple(space.moves(arch)), recipe, course.train)
        for name, arch in cells.items()
    ]
    small = Recipe(channels=4, cells=1, batch_size=64, crop_padding=1)
    growth = GrowthSpace(GrowthSkeleton(4, 1, 1, image_size=8, image_channels=1))
    founder = growth.seeds()[0]
    digits = course_of(small, 256, DIGITS).train
    moves = tuple(growth.moves(founder))
    return [*found, Setting("growth space, founder", GrowthFamily(growth), founder, moves, small, digits)]


def sections() -> list[Section]:
    """Return the costs and the profiles."""
    torch.set_num_threads(1)
    with bitwise(1):
        chosen = settings()
        costs = [cost(setting) for setting in chosen]
        spent = profiles([chosen[1], chosen[-1]])
    sides = [f"{setting.name}, {side}" for setting in (chosen[1], chosen[-1]) for side in ("bare", "attached")]
    return [(COST, COLUMNS, costs), (SPENT, ("kind", *sides), spent)]


def cost(setting: Setting) -> tuple[str, ...]:
    """Return the row of a parent."""
    bare, attached = setting.phase(()), setting.phase(setting.moves)
    rounds = [(milliseconds(bare), milliseconds(attached)) for _ in range(1 + ROUNDS)][1:]  # the first loads kernels
    ratios = [more / less for less, more in rounds]
    least, most = kept(bare.network, setting), kept(attached.network, setting)
    whole, part = (setting.family.multiply_adds(work) for work in (setting.work(setting.moves), setting.work(())))
    return (
        setting.name,
        str(len(setting.moves)),
        *(f"{median(side):.1f}" for side in zip(*rounds, strict=True)),
        f"{median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})",
        f"{whole / part:.1f}",
        f"{least / 1e6:.1f}",
        f"{most / 1e6:.1f}",
        f"{most / least:.1f}",
    )


def milliseconds(phase: Phase) -> float:
    """Train an epoch and return the processor time of a step."""
    start = time.process_time()
    phase._train_epoch()
    steps = -(-len(phase._regime.train) // phase._recipe.batch_size)
    return 1000 * (time.process_time() - start) / steps


def kept(network: nn.Module, setting: Setting) -> int:
    """Return the bytes that one step keeps."""
    seen: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    part, network = slice(0, setting.recipe.batch_size), network.train()
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = network(setting.split.images(setting.split.pixels[part]))
        functional.cross_entropy(logits, setting.split.labels[part])
    weights = sum(parameter.numel() * parameter.element_size() for parameter in network.parameters())
    return sum(seen.values()) + 2 * weights


def profiles(chosen: Sequence[Setting]) -> list[tuple[str, ...]]:
    """Return a row for each kind of kernel: medians of the shares, parents bare and with candidates."""
    phases = [setting.phase(moves) for setting in chosen for moves in ((), setting.moves)]
    for phase in phases:
        phase._train_epoch()
    rounds = [[shares(phase._train_epoch) for phase in phases] for _ in range(ROUNDS)]
    return [
        (kind, *(f"{100 * median(each[side][kind] for each in rounds):.0f} %" for side in range(len(phases))))
        for kind in (*KINDS, OTHER, OUTSIDE)
    ]
