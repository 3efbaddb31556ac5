"""What growths may ask for is refused before a search begins, and moves are those that the search can make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.spaces.growth import GrowthSpace, Limits
from benchmarks.spaces.growth_size import GrowthSkeleton
from harness.core.errors import UsageError
from harness.core.interfaces import Growths, Task
from harness.core.types import Attach, Capability, Cost, Measurement, Trial
from methods.petridish import Petridish

OFFERS = frozenset({Capability.EVALUATE, Capability.ATTACH, Capability.GROW})
SKELETON = GrowthSkeleton(channels=2, cells=1, reductions=1, classes=10, image_size=8)
TASK = Task(GrowthSpace(SKELETON), "valid", "maximize", 3, (3,), OFFERS, "epochs", 100.0)


def search(task: Task, **options: Any) -> Petridish:
    return Petridish(task, np.random.Generator(np.random.PCG64(0)), Petridish.Config(**options))


@pytest.mark.parametrize(
    ("can", "options", "said"),
    [
        (Growths(("nothing",)), {}, "inherit: 'weights' is no growth of this benchmark; give nothing"),
        (Growths(("weights", "nothing")), {"inherit": "all-but-merge"}, "inherit: .*; give weights or nothing"),
        (Growths(("weights",), merge=("sum",)), {}, "merge: 'concat' .*; give sum"),
        (Growths(("weights",), epochs=(200,)), {}, r"grow_epochs: 3 .*; give 200; .*`fidelity.search`"),
        (Growths(("weights",), epochs=(3,)), {"grow_epochs": 2}, "grow_epochs: 2 .*; give 3"),
    ],
)
def test_options_that_the_benchmark_does_not_have_are_refused_at_once(
    can: Growths, options: Mapping[str, Any], said: str
) -> None:
    search(TASK, **options)
    with pytest.raises(UsageError, match=said):
        search(replace(TASK, growths=can), **options)


def candidates(limits: Limits, merge: str, of_space: str) -> set[str]:
    """Return what a search attaches to the seed of a space whose own layers are merged in another way."""
    space = GrowthSpace(SKELETON, merge=of_space, limits=limits)
    method = search(replace(TASK, space=space), merge=merge)
    seed = method.ask()
    assert seed is not None
    method.tell(Trial(0, seed, 0), Measurement(80.0, {"t/multiply-adds": 1.0}, Cost(1)))
    work = method.ask()
    return set(work.moves) if isinstance(work, Attach) else set()


def test_only_what_fits_as_the_search_merges_it_is_attached() -> None:
    """A projection has parameters that a sum lacks, so that a limit can stand between the two."""
    space = GrowthSpace(SKELETON)
    (seed,) = space.seeds()
    move = next(move for move in space.moves(seed) if move.endswith("c1.identity"))
    summed, merged = (space.count(space.grow(seed, [move], merge)).parameters for merge in ("sum", "concat"))
    assert summed < merged
    between = Limits(parameters=(summed + merged) / 2e6)
    for of_space in ("sum", "concat"):
        assert move in candidates(between, "sum", of_space)
        assert move not in candidates(between, "concat", of_space)
    assert candidates(Limits(), "concat", "sum") == set(space.moves(seed))
