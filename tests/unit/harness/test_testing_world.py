from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import BENCHMARKS
from harness.core.errors import ProtocolError, ReplayDiverged
from harness.core.registry import registry
from harness.plan import CATALOGUE
from harness.protocol import load
from harness.testing import World, play, registered, temp_protocol
from harness.testing.world import TOY
from methods import METHODS

RANDOM = METHODS["random_search"]


def test_a_temporary_protocol_loads(tmp_path: Path) -> None:
    with registered("benchmarks", TOY) as name:
        path = temp_protocol(
            tmp_path,
            methods=["local_search", {"name": "regularized_evolution", "options": {"kill": "worst"}}],
            track={"benchmark": {"name": name}, "budget": {"limit": 18}, "replicates": 3},
            title="A title",
        )
        model = load(path, CATALOGUE).model
    (track,) = model.tracks
    assert (model.title, track.budget.limit, track.budget.unit, track.replicates) == ("A title", 18.0, "epochs", 3)
    assert model.methods[0].options == {"move": "best"}
    assert model.methods[1].options == {"population": 10, "sample": 3, "kill": "worst"}


def test_a_bad_option_is_one_mistake_with_its_place(tmp_path: Path) -> None:
    with registered("benchmarks", TOY) as name:
        row = {"name": "regularized_evolution", "options": {"population": 0}}
        path = temp_protocol(tmp_path, methods=[row], track={"benchmark": {"name": name}})
        with pytest.raises(ProtocolError, match="population"):
            load(path, CATALOGUE)


def test_the_toy_is_no_registered_benchmark() -> None:
    assert TOY not in BENCHMARKS.values()


def test_registering_for_a_while_leaves_no_trace() -> None:
    before = dict(registry("benchmarks"))
    with registered("benchmarks", TOY) as name:
        assert registry("benchmarks")[name] == TOY
    assert dict(registry("benchmarks")) == before
    with registered("methods", RANDOM) as name:
        assert name == "random_search"
    assert "random_search" in METHODS


def test_a_torn_notebook_replays_without_evaluating(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    whole = play(RANDOM, world, seed=1)
    evaluated = []
    toy = world.open()
    real = type(toy).evaluate
    monkeypatch.setattr(type(toy), "evaluate", lambda self, trial: evaluated.append(trial.id) or real(self, trial))
    again = play(RANDOM, world, seed=1, notebook=whole.torn(30))
    assert again.lines == whole.lines
    assert min(evaluated) == 30


def test_a_notebook_refuses_another_course() -> None:
    whole = play(RANDOM, World(), seed=1)
    with pytest.raises(ReplayDiverged, match="line 1"):
        play(RANDOM, World(), seed=2, notebook=whole.torn(30))
