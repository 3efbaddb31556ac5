"""Every registered method whose needs are met searches every kind of table, within its budget."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.types import Evaluate, Think
from harness.testing import World, play, tiny_track
from harness.testing.world import attribute
from methods import METHODS

VALID, TEST = "toys/valid@9ep(25k) mean-of-trials", "toys/test@9ep(25k) mean-of-trials"
TABLE = "benchmarks.tabular.user:UserTable"


@pytest.fixture(scope="module", params=["chain", "graph", "ids"])
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, write_table_files: Callable[..., Path]
) -> World:
    folder = tmp_path_factory.mktemp(request.param)
    manifest = write_table_files(folder, request.param)
    track = tiny_track(
        benchmark={"name": "table", "options": {"manifest": str(manifest)}},
        fidelity={"search": 9, "final": 9},
        objective={"metric": VALID, "direction": "maximize"},
        budget={"unit": "train_seconds", "limit": 1500.0, "overrun": "discard"},
        final={"metrics": [TEST]},
    )
    return World(TABLE, track, cache=folder / "cache")


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_searches(method: str, world: World) -> None:
    benchmark = world.open()
    missing = attribute(method).requires - benchmark.offers
    if missing:
        pytest.skip(f"needs {', '.join(sorted(missing))}, which this table does not offer")
    book = play(method, world, benchmark=benchmark)
    counted = [entry for entry in book.trials if entry.counted]
    assert counted
    assert counted[-1].spent <= 1500.0
    assert len(book.succeeded) == len(counted)
    assert all(isinstance(entry.trial.work, Evaluate | Think) for entry in counted)
    assert all(entry.trial.work.arch in benchmark.space for entry in counted if isinstance(entry.trial.work, Evaluate))
    ((arch, _), final), *others = book.finals.items()
    assert not others
    assert arch in benchmark.space
    assert set(final) == {TEST}
    assert play(method, world, benchmark=benchmark).lines == book.lines
