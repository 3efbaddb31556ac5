"""Estimate what the published search takes: play it out with made-up accuracies, and time steps of its networks."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from statistics import median

import numpy as np
import torch
from measure import CIFAR, Section, course_of
from torch import nn

from benchmarks.spaces.growth_size import Count
from benchmarks.training.auxiliary import Assisted
from benchmarks.training.data import facts
from benchmarks.training.determinism import bitwise
from benchmarks.training.growth_cells import build_grown
from benchmarks.training.growth_family import GrowthFamily
from benchmarks.training.growth_settings import GrowthConfig
from benchmarks.training.nursery import phase_cost
from benchmarks.training.phases import Phase, Regime
from benchmarks.training.recipe import PASSES, Recipe
from benchmarks.training.regularisation import Regularisation
from harness.core.hull import finalists
from harness.core.interfaces import Task
from harness.core.schema import Track
from harness.core.seeds import SeedTree
from harness.core.types import Attach, Capability, Cost, Evaluate, Grow, Measurement, Trial, Work
from harness.plan import CATALOGUE
from harness.protocol import load
from methods.petridish import Petridish
from methods.petridish_options import Options

PROTOCOL = "petridish-paper"
PLAYS = 3
STEPS = 4
KINDS = {Evaluate: "founders", Attach: "attachments", Grow: "growths"}
FINAL = "final trainings"

SAID = f"""\
`{PROTOCOL}`: {{jobs:,}} jobs played out without any training, with accuracies made up (they rise with the logarithm of
the multiply-adds, and scatter), medians of {PLAYS} plays; then the final trainings of the hull of each. The pace is
that of {STEPS} steps of one thread of this machine, on the seed cell: bare, with all its candidates, and in the
final skeleton with its auxiliary head, regularised as the protocol says. Hours: at that pace. On a GPU they are unknown
until somebody measures the pace there."""

COLUMNS = ("job", "jobs", "multiply-adds", "pace here, 1e9 a second", "hours")


@dataclass
class Play:
    """One search: its jobs and what they are charged, by kind, and the multiply-adds of each final network."""

    jobs: Counter[str] = field(default_factory=Counter)
    charged: Counter[str] = field(default_factory=Counter)
    finals: list[int] = field(default_factory=list)


def sections() -> list[Section]:
    """Return the estimate."""
    torch.set_num_threads(1)
    model = load(PROTOCOL, CATALOGUE).model
    track, config = model.tracks[0], GrowthConfig(**model.tracks[0].benchmark.options)
    plays = [play(track, config, Options(**model.methods[0].options), seed) for seed in range(PLAYS)]
    rows = [(kind, *middle(plays, kind), pace(config, attached=kind == "attachments")) for kind in KINDS.values()]
    rows.append((FINAL, *final(track, config, plays), final_pace(config)))
    hours = [charged / speed / 3600 for _, _, charged, speed in rows]
    shown = [
        (kind, f"{jobs:,.0f}", f"{charged:.2g}", f"{speed / 1e9:.1f}", f"{taken:,.0f}")
        for (kind, jobs, charged, speed), taken in zip(rows, hours, strict=True)
    ]
    return [(SAID.format(jobs=int(track.budget.limit)), COLUMNS, [*shown, ("all", "", "", "", f"{sum(hours):,.0f}")])]


def middle(plays: list[Play], kind: str) -> tuple[float, float]:
    return median(one.jobs[kind] for one in plays), median(one.charged[kind] for one in plays)


def final(track: Track, config: GrowthConfig, plays: list[Play]) -> tuple[float, float]:
    """Return the final trainings and what they are charged."""
    known, seeds = facts(config.dataset, config.split), len(track.final.seeds)
    images = seeds * track.fidelity.final * (known.train + known.valid)
    return seeds * median(len(one.finals) for one in plays), PASSES * images * median(sum(one.finals) for one in plays)


def play(track: Track, config: GrowthConfig, options: Options, seed: int) -> Play:
    """Play a search with one job after another."""
    space, rng, found = config.space(), np.random.default_rng(seed), Play()
    task = Task(
        space, track.objective.metric, "maximize", track.fidelity.search, (track.fidelity.search,),
        frozenset(Capability), track.budget.unit, track.budget.limit,
    )  # fmt: skip
    learnt: list[tuple[Work, Measurement]] = []
    method = Petridish(task, np.random.default_rng([seed, 1]), options)
    images = facts(config.dataset, config.split).train
    for number in range(int(track.budget.limit)):
        work = method.ask()
        assert isinstance(work, Evaluate | Attach | Grow)
        kind, bare = KINDS[type(work)], space.count(work.arch).multiply_adds
        passed = space.attached(work.arch, work.moves) if isinstance(work, Attach) else bare
        cost = phase_cost(work, passed, bare, images, work.epochs, images)
        found.jobs[kind] += 1
        found.charged[kind] += int(cost.multiply_adds or 0)
        measured = answered(work, cost, space.count(work.arch), track, rng)
        method.tell(Trial(number, work, seed), measured)
        learnt.append((work, measured))
    archs = finalists(method.recommend(), learnt, track)
    found.finals = [config.final_skeleton().count(space.plan(arch)).multiply_adds for arch in archs]
    return found


def answered(
    work: Evaluate | Attach | Grow, cost: Cost, size: Count, track: Track, rng: np.random.Generator
) -> Measurement:
    """Return made-up accuracy in percent and scores."""
    value = 80.0 + 6.0 * np.log10(size.multiply_adds / 1e6) + rng.normal(0.0, 0.3)
    costs = {"cifar10/multiply-adds": size.multiply_adds / 1e6, "cifar10/parameters": size.parameters / 1e6}
    scores = {move: float(rng.random()) for move in work.moves} if isinstance(work, Attach) else {}
    return Measurement(value, {track.objective.metric: value, **costs}, cost, (value,), scores)


def pace(config: GrowthConfig, *, attached: bool) -> float:
    """Return the multiply-adds a second of training the seed cell, three passes for each image."""
    space = config.space()
    seed = space.seeds()[0]
    moves = tuple(space.moves(seed)) if attached else ()
    family = GrowthFamily(space)
    network = family.attach(family.found(seed, 1), Attach(Evaluate(seed, 1), moves, "sg+sf", 1), 1)
    return paced(network, space.attached(seed, moves), config.recipe(1), config.regularisation())


def final_pace(config: GrowthConfig) -> float:
    """Return the same of the seed cell in the final skeleton; its head takes time, and counts for nothing."""
    space, skeleton, extra = config.space(), config.final_skeleton(), config.final_regularisation()
    seed = space.seeds()[0]
    network = build_grown(seed, skeleton, 1)
    trained = Assisted(network, extra.auxiliary, 1) if extra.auxiliary else network
    return paced(trained, skeleton.count(space.plan(seed)).multiply_adds, config.recipe(1), extra)


def paced(network: nn.Module, per_image: float, recipe: Recipe, extra: Regularisation) -> float:
    """Return the multiply-adds a second of training a network, from a few steps."""
    split = course_of(recipe, STEPS * recipe.batch_size, CIFAR).train
    with bitwise(1):
        regime = Regime(recipe, split, split, 1, "measurements", extra)
        phase = Phase(network, regime, 1, SeedTree.root("measurements", 1))
        phase._train_epoch()  # the first steps load kernels
        start = time.process_time()
        phase._train_epoch()
    return PASSES * per_image * len(split) / (time.process_time() - start)
