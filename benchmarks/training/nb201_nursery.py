"""Open the nursery of NAS-Bench-201 networks over the workshop that trains their founders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from torch import nn

from benchmarks.training.checkpoint import Shelf
from benchmarks.training.evaluate import Resident
from benchmarks.training.lineage import Ancestor, Lineage
from benchmarks.training.naming import Names
from benchmarks.training.nb201_growing import OPEN_AT, NB201Family
from benchmarks.training.nursery import Nursery
from benchmarks.training.phases import Regime
from benchmarks.training.settings import TrainingConfig
from benchmarks.training.workshop import Workshop
from harness.core.canonical import content_hash
from harness.core.errors import TrialFailed
from harness.core.types import Evaluate


def open_nursery(
    config: TrainingConfig,
    workshop: Workshop,
    names: Names,
    objective: str,
    cache: Path,
    test: Callable[[], Resident] | None = None,
) -> Nursery:
    """Return the nursery whose founders the workshop trains under the search recipe, and whose phases follow it.

    Args:
        config: the options of the benchmark.
        workshop: the engine and the data.
        names: of what is answered.
        objective: the qualified name that is searched for.
        cache: where the shelf of lineages belongs.
        test: opens the sealed images; None where no child is tested.
    """
    course = workshop.search
    recipe = config.phase_recipe()

    def founder(work: Evaluate, seed: int) -> nn.Module:
        fit = workshop.train(work.arch, seed, work.epochs, course)
        if isinstance(fit, TrialFailed):
            raise fit
        return fit.network

    def sizes(work: Ancestor) -> dict[str, float]:
        return {
            names.multiply_adds: course.skeleton.multiply_adds(work.arch) / 1e6,
            names.parameters: course.skeleton.parameters(work.arch) / 1e6,
        }

    identity = content_hash([course.identity, asdict(recipe), OPEN_AT])
    regime = Regime(recipe, course.train, course.watch["valid"], course.threads, identity)
    lineage = Lineage(NB201Family(course.skeleton), regime, Shelf(cache / "lineages"), founder)
    return Nursery(lineage, names, sizes, objective, test, config.drift)
