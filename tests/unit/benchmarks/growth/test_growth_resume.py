"""Networks of the growth space that were killed in the middle of every phase come to the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.training.growth_benchmark import GrowthTraining
from benchmarks.training.growth_cells import build_grown
from benchmarks.training.growth_model import write_model
from benchmarks.training.growth_settings import GrowthConfig
from benchmarks.training.phases import Phase
from harness.core.canonical import canonical_json
from harness.core.codec import result_to_json
from harness.core.types import Arch, Attach, Evaluate, Grow, Trial

OpenGrowth = Callable[..., GrowthTraining]
Live = Callable[..., tuple[Any, int]]

SEED = 7
OWN = Arch("cell normal[concat(c1.sep3x3)] reduction[]")
REGULARISED = {
    "cutout": 4,
    "drop_path_keep": 0.6,
    "final_drop_path_keep": 0.5,
    "final_auxiliary": 0.4,
    "weight_decay_steps": 3,
}
SEALED = ("digits/test@3ep(114) trial", "digits/test@2ep(64) trial")


@pytest.fixture
def options(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    if request.param == "regularised":
        return REGULARISED
    if request.param != "founder":
        return {"form": request.param}
    model = tmp_path / "own.pt"
    write_model(model, build_grown(OWN, GrowthConfig(channels=2, reductions=1).skeleton(), 11), OWN)
    return {"founder": str(model)}


def lineage(benchmark: GrowthTraining, attach: int, grow: int) -> Grow:
    """Return a growth of the first seed, with an attachment and a growth of so many epochs."""
    space = benchmark.space
    (seed,) = space.seeds()
    moves = tuple(space.moves(seed)[:4])
    return Grow(Attach(Evaluate(seed, 2), moves, "sg+sf", attach), moves[:2], space.grow(seed, moves[:2]), grow)


def answered(benchmark: GrowthTraining, *works: Attach | Grow) -> list[bytes]:
    """Return the bytes of all that works are answered with, and of the weights that each left behind."""
    found = []
    for work in works:
        outcome = benchmark.evaluate(Trial(0, work, SEED))
        found.append(canonical_json([result_to_json(outcome.result), dict(outcome.sealed)]).encode())
        weights = benchmark._workshop.left_by(work, SEED).state_dict()
        found += [value.numpy().tobytes() for value in weights.values()]
    return found


@pytest.mark.parametrize("options", ["cell", "macro", "founder", "regularised"], indirect=True)
def test_kills_in_the_middle_of_a_lineage_leave_no_trace(
    open_growth: OpenGrowth, live: Live, tmp_path: Path, options: dict[str, Any]
) -> None:
    def train(cache: str) -> list[bytes]:
        benchmark = open_growth(cache=tmp_path / cache, sealed=SEALED, final_epochs=3, **options)
        grown = lineage(benchmark, attach=3, grow=3)
        return answered(benchmark, grown.after, grown)

    expected = train("whole")
    found, deaths = live(lambda: train("killed"), steps=5)
    # Two steps make an epoch, or four where candidates have an optimiser too. The five kept steps of each life are the
    # founder's two epochs and a half step, an epoch of the attachment and a half step (three times), two and a half
    # epochs of the growth.
    assert deaths == 5
    assert found == expected


@pytest.mark.parametrize("options", ["cell", "macro", "regularised"], indirect=True)
def test_kills_in_the_middle_of_the_final_training_leave_no_trace(
    open_growth: OpenGrowth, live: Live, tmp_path: Path, options: dict[str, Any]
) -> None:
    def train(cache: str) -> dict[str, float]:
        benchmark = open_growth(cache=tmp_path / cache, sealed=SEALED, final_epochs=3, **options)
        return dict(benchmark.final(lineage(benchmark, 1, 1).arch, SEED))

    expected = train("whole")
    found, deaths = live(lambda: train("killed"), steps=5)  # four an epoch, and one in vain
    assert deaths == 3
    assert found == expected
    assert set(found) == set(SEALED)


def forgets(part: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Return the fault of going on from a checkpoint without a part of it."""

    def fault(monkeypatch: pytest.MonkeyPatch) -> None:
        restore = Phase.restore

        def wrong(phase: Phase, state: dict[str, Any]) -> None:
            restore(phase, state | {part: phase.state()[part]})

        monkeypatch.setattr(Phase, "restore", wrong)

    return fault


def forgets_stream(name: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Return the fault of going on from a checkpoint without the state of one generator."""

    def fault(monkeypatch: pytest.MonkeyPatch) -> None:
        restore = Phase.restore

        def wrong(phase: Phase, state: dict[str, Any]) -> None:
            fresh = phase.state()["generators"][name]
            restore(phase, state | {"generators": state["generators"] | {name: fresh}})

        monkeypatch.setattr(Phase, "restore", wrong)

    return fault


WHOLE = [None, forgets("network"), forgets("optimisers"), forgets("generators")]
STREAMS = ["augment", "cutout", "drop-path", "drop-path of candidates"]


@pytest.mark.parametrize(
    ("options", "sound"),
    [
        *(pytest.param("macro", fault, id=f"macro-{number}") for number, fault in enumerate(WHOLE)),
        pytest.param("regularised", None, id="regularised"),
        *(pytest.param("regularised", forgets_stream(name), id=name) for name in STREAMS),
    ],
    indirect=True,
)
def test_a_checkpoint_that_lacks_a_part_is_seen(
    open_growth: OpenGrowth, live: Live, tmp_path: Path, options: dict[str, Any], sound
) -> None:
    def train(cache: str) -> list[bytes]:
        benchmark = open_growth(cache=tmp_path / cache, **options)
        return answered(benchmark, lineage(benchmark, attach=2, grow=1).after)

    expected = train("whole")
    assert (live(lambda: train("killed"), steps=5)[0] == expected) == sound
