from __future__ import annotations

from harness.core.types import Evaluate
from harness.testing import GrowingSpace, play, world_for

SEED_MODEL = "methods.seed_model:SeedModel"


def test_it_trains_each_seed_once_and_recommends_the_best_of_them() -> None:
    book = play(SEED_MODEL, world_for(SEED_MODEL))
    works = [entry.trial.work for entry in book.trials]
    assert [work.arch for work in works if isinstance(work, Evaluate)] == list(GrowingSpace().seeds())
    assert book.reason == "exhausted"
    values = {entry.trial.work.arch: entry.result.value for entry in book.succeeded}
    assert book.trials[-1].recommended == max(values, key=values.__getitem__)
