"""CUDA graphs on a device: they wait for nothing, and compute what plain steps and the reference compute.

`make gpu` runs every test of this folder, and then measures.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.spaces.nb201 import CONV_1X1, CONV_3X3, POOL, SKIP, compose
from benchmarks.training import checkpoint, data, fit, graphs
from benchmarks.training.arithmetic import arithmetic
from benchmarks.training.capture import plainly
from benchmarks.training.checkpoint import Shelf
from benchmarks.training.evaluate import to_device
from benchmarks.training.fit import Course, Fit, Job
from benchmarks.training.landmarks import AVERAGE, HEAVIEST, LIGHTEST
from benchmarks.training.recipe import Precision, Recipe
from benchmarks.training.settings import Determinism
from harness.core.errors import TrialFailed
from harness.core.interfaces import Place

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device"),
]

MIXED = compose((CONV_1X1, SKIP, POOL, CONV_3X3, CONV_1X1, CONV_3X3))
ARCHS = (AVERAGE, HEAVIEST, MIXED, MIXED, LIGHTEST)

NEAR = {"fp32": 1e-4, "tf32": 2**-9, "bf16": 2**-6}
"""Of the first epoch's mean loss, relative: a few units of the last place of each precision, over a few steps."""

MODES: tuple[Determinism, ...] = ("bitwise", "statistical")


@pytest.fixture(scope="module")
def course() -> Course:
    """Batches of 64, 64 and 32 images, and evaluations of 500 and 100."""
    images = data.open_dataset("digits", Place(None, Path()), 160, 499)
    recipe = Recipe(
        epochs=3, channels=8, cells=2, batch_size=64, learning_rate=0.01, flip=True, crop_padding=1, cosine="step"
    )
    train, valid = (to_device(part, images.facts, "cuda") for part in (images.train, images.valid))
    return Course(recipe, images.facts.skeleton(8, 2), train, {"valid": valid, "train": train}, 1, "test")


@pytest.fixture(scope="module")
def jobs() -> list[Job]:
    return [Job(arch, 20 + number // 2, 3) for number, arch in enumerate(ARCHS)]


def succeeded(answers: list[Fit | TrialFailed]) -> list[Fit]:
    assert all(isinstance(answer, Fit) for answer in answers)
    return [answer for answer in answers if isinstance(answer, Fit)]


def same(mine: Fit, other: Fit) -> bool:
    weights = zip(mine.network.state_dict().values(), other.network.state_dict().values(), strict=True)
    return (mine.train_loss, mine.accuracy) == (other.train_loss, other.accuracy) and all(
        torch.equal(one, two) for one, two in weights
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("precision", list(NEAR))
def test_an_epoch_never_waits_for_the_device(
    jobs: list[Job], course: Course, mode: Determinism, precision: Precision
) -> None:
    with arithmetic(mode, precision, 1):
        training = graphs.Training(jobs, replace(course, recipe=replace(course.recipe, precision=precision)))
        training.advance()
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            training.begin_epoch()
            training.run_epoch()
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("precision", list(NEAR))
def test_graphs_give_the_bits_of_plain_steps(jobs: list[Job], course: Course, precision: Precision) -> None:
    changed = replace(course, recipe=replace(course.recipe, precision=precision))
    with arithmetic("bitwise", precision, 1):
        plain, captured = graphs.Training(jobs, changed, plainly), graphs.Training(jobs, changed)
        for _ in range(3):
            plain.advance()
            captured.advance()
        assert all(map(same, succeeded(plain.fits()), succeeded(captured.fits())))


def test_the_same_bundle_gives_the_same_bits(jobs: list[Job], course: Course) -> None:
    first, second = (succeeded(graphs.train(jobs, course)) for _ in range(2))
    assert all(map(same, first, second))


@pytest.mark.parametrize("precision", list(NEAR))
@pytest.mark.parametrize("engine", [graphs.train, graphs.train_statistical])
def test_bundles_train_what_the_reference_trains(
    jobs: list[Job], course: Course, engine: fit.Trainer, precision: Precision
) -> None:
    changed = replace(course, recipe=replace(course.recipe, precision=precision))
    for mine, alone in zip(engine(jobs, changed, None), fit.train(jobs, course), strict=True):
        assert isinstance(mine, Fit)
        assert isinstance(alone, Fit)
        assert mine.train_loss[0] == pytest.approx(alone.train_loss[0], rel=NEAR[precision])


def test_a_killed_training_goes_on_to_the_same_bits(
    tmp_path: Path, jobs: list[Job], course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = succeeded(graphs.train(jobs, course))
    monkeypatch.setattr(checkpoint, "INTERVAL_SECONDS", 0.0)
    genuine = graphs.Training.advance

    def killed(training: graphs.Training) -> None:
        if training.epoch == 2:
            raise KeyboardInterrupt
        genuine(training)

    with monkeypatch.context() as patch:
        patch.setattr(graphs.Training, "advance", killed)
        with pytest.raises(KeyboardInterrupt):
            graphs.train(jobs, course, Shelf(tmp_path))
    assert all(map(same, expected, succeeded(graphs.train(jobs, course, Shelf(tmp_path)))))


def test_networks_that_do_not_fit_are_failures_and_the_device_is_usable_after(jobs: list[Job], course: Course) -> None:
    wide = replace(course, skeleton=replace(course.skeleton, channels=4096))
    hog = torch.empty(int(torch.cuda.mem_get_info()[0] * 0.95), dtype=torch.uint8, device="cuda")
    answers = graphs.train(jobs[:2], wide)
    del hog
    assert [str(answer) for answer in answers] == ["out of memory"] * 2
    assert len(succeeded(graphs.train(jobs[:2], course))) == 2
