"""The engine of accelerators, on the CPU: it computes what the others do, and every step can be captured and replayed.

A tape stands for the CUDA graph: it records the operations of one step and then repeats them, without Python, on the
same memory. What a step would ask the host for is an error, as it is on a device in debug mode.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.spaces.nb201 import CONV_1X1, CONV_3X3, NONE, POOL, SKIP, compose
from benchmarks.training import checkpoint, data, fit, fused, graphs
from benchmarks.training.arithmetic import arithmetic
from benchmarks.training.capture import Step, Sweep, plainly, restore
from benchmarks.training.checkpoint import Shelf
from benchmarks.training.evaluate import to_device
from benchmarks.training.fit import Course, Fit, Job
from benchmarks.training.landmarks import HEAVIEST, LIGHTEST
from benchmarks.training.recipe import Recipe
from harness.core.errors import TrialFailed, UsageError
from harness.core.interfaces import Place

MIXED = compose((CONV_1X1, SKIP, POOL, CONV_3X3, CONV_1X1, CONV_3X3))
UNREACHED = compose((NONE, CONV_3X3, CONV_1X1, POOL, CONV_3X3, SKIP))  # a convolution out of a node of zeros
ARCHS = (UNREACHED, HEAVIEST, MIXED, MIXED, LIGHTEST)

ALIKE = 1e-5
"""Largest difference of a loss in float32 after the few steps of these tests."""

BRAIN_FLOAT = 2**-6
"""Of the first epoch's mean loss, relative: two bits less than the eight of bfloat16, for steps of rounded sums."""

ASKS_THE_HOST = {"aten._local_scalar_dense.default", "aten.nonzero.default", "aten.is_nonzero.default"}


class Tape(TorchDispatchMode):
    """Records the operations of a step, with the tensors that they read and wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], list[Tensor]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        assert str(func) not in ASKS_THE_HOST, f"{func} waits for the device"
        result = func(*args, **(kwargs or {}))
        written = [leaf for leaf in pytree.tree_leaves(result) if isinstance(leaf, Tensor)]
        self.calls.append((func, args, kwargs or {}, written))
        return result

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, written in self.calls:
            results = [leaf for leaf in pytree.tree_leaves(func(*args, **kwargs)) if isinstance(leaf, Tensor)]
            for place, result in zip(written, results, strict=True):
                if place.data_ptr() != result.data_ptr():
                    place.copy_(result)


def taped(step: Step, state: Sequence[Tensor]) -> Step:
    kept = [tensor.clone() for tensor in state]
    step()
    restore(state, kept)
    with Tape() as tape:
        step()
    restore(state, kept)
    return tape.replay


@pytest.fixture(scope="module")
def course() -> Course:
    images = data.open_dataset("digits", Place(None, Path()), 80, 60)
    # A small learning rate, since rounding that moves one ReLU across its kink grows with every step.
    recipe = Recipe(
        epochs=2, channels=4, cells=1, batch_size=32, learning_rate=0.01, flip=True, crop_padding=1, cosine="step"
    )
    train, valid = (to_device(part, images.facts, "cpu") for part in (images.train, images.valid))
    return Course(recipe, images.facts.skeleton(4, 1), train, {"valid": valid}, 1, "test")


@pytest.fixture(scope="module")
def jobs() -> list[Job]:
    return [Job(arch, 20 + number // 2, 2) for number, arch in enumerate(ARCHS)]


@pytest.fixture(scope="module")
def fits(jobs: list[Job], course: Course) -> list[Fit]:
    return succeeded(graphs.train(jobs, course))


def succeeded(answers: list[Fit | TrialFailed]) -> list[Fit]:
    assert all(isinstance(answer, Fit) for answer in answers)
    return [answer for answer in answers if isinstance(answer, Fit)]


def same(mine: Fit, other: Fit) -> bool:
    """Tell whether every bit of two trained networks is the same."""
    weights = zip(mine.network.state_dict().values(), other.network.state_dict().values(), strict=True)
    return (mine.train_loss, mine.accuracy) == (other.train_loss, other.accuracy) and all(
        torch.equal(one, two) for one, two in weights
    )


@pytest.mark.parametrize("engine", [fit.train, fused.train])
def test_it_trains_what_the_other_engines_train(
    jobs: list[Job], course: Course, fits: list[Fit], engine: Callable[..., list[Fit | TrialFailed]]
) -> None:
    for mine, other in zip(fits, succeeded(engine(jobs, course)), strict=True):
        assert mine.train_loss == pytest.approx(other.train_loss, abs=ALIKE)
        assert mine.accuracy == other.accuracy


def test_the_same_bundle_gives_the_same_bits(jobs: list[Job], course: Course, fits: list[Fit]) -> None:
    assert all(map(same, fits, succeeded(graphs.train(jobs, course))))


def test_captured_steps_give_the_bits_of_plain_ones(jobs: list[Job], course: Course, fits: list[Fit]) -> None:
    """80 images in batches of 32 and 60 in batches of 50: each has a last, smaller batch with a capture of its own."""
    with arithmetic("bitwise", "fp32", 1):
        training = graphs.Training(jobs, course, taped)
        for _ in range(2):
            training.advance()
        assert all(map(same, fits, succeeded(training.fits())))


def test_a_step_that_asks_the_host_is_found() -> None:
    """Or else the test above would not show that no step does."""
    counter = torch.zeros(())
    with pytest.raises(AssertionError, match="waits for the device"):
        taped(lambda: counter.add_(float(counter)) and None, [counter])


def test_a_capture_leaves_the_state_as_it_was(jobs: list[Job], course: Course) -> None:
    with arithmetic("bitwise", "fp32", 1):
        plain, captured = (graphs.Training(jobs, course, capture) for capture in (plainly, taped))
    for one, other in zip(plain._changing(), captured._changing(), strict=True):
        assert torch.equal(one, other)


def test_a_sweep_runs_each_batch_once() -> None:
    for items, expected in ((7, [3, 3, 1]), (6, [3, 3]), (2, [2])):
        sizes: list[int] = []
        Sweep(items, 3, sizes.append, [], plainly).run()
        assert sizes == expected


def test_brain_floats_stay_near_single_precision(jobs: list[Job], course: Course, fits: list[Fit]) -> None:
    half = replace(course, recipe=replace(course.recipe, precision="bf16"))
    for job, mine, single in zip(jobs, succeeded(graphs.train(jobs, half)), fits, strict=True):
        assert mine.train_loss[0] == pytest.approx(single.train_loss[0], rel=BRAIN_FLOAT)
        # Nothing that is rounded reaches the logits of a cell without a path.
        assert (mine.train_loss != single.train_loss) is (job.arch != LIGHTEST)
        assert all(weight.dtype != torch.bfloat16 for weight in mine.network.state_dict().values())


def test_a_precision_that_the_device_lacks_is_refused(jobs: list[Job], course: Course) -> None:
    with pytest.raises(UsageError, match="'tf32' is arithmetic of CUDA devices"):
        graphs.train(jobs, replace(course, recipe=replace(course.recipe, precision="tf32")))


@pytest.mark.parametrize("width", [1, 3])
def test_a_killed_training_goes_on_to_the_same_bits(
    tmp_path: Path, jobs: list[Job], course: Course, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = succeeded(graphs.train(jobs[:width], course))
    monkeypatch.setattr(checkpoint, "INTERVAL_SECONDS", 0.0)
    genuine = graphs.Training.advance

    def killed(training: graphs.Training) -> None:
        if training.epoch == 1:
            raise KeyboardInterrupt
        genuine(training)

    with monkeypatch.context() as patch:
        patch.setattr(graphs.Training, "advance", killed)
        with pytest.raises(KeyboardInterrupt):
            graphs.train(jobs[:width], course, Shelf(tmp_path))
    assert len(list(tmp_path.iterdir())) == 1
    assert all(map(same, expected, succeeded(graphs.train(jobs[:width], course, Shelf(tmp_path)))))
    assert not list(tmp_path.iterdir())


def test_a_longer_training_continues_a_shorter_one(tmp_path: Path, jobs: list[Job], course: Course) -> None:
    short = [replace(job, epochs=1) for job in jobs[:2]]
    first, shelf = succeeded(graphs.train(short, course)), Shelf(tmp_path)
    assert all(map(same, first, succeeded(graphs.train(short, course, shelf))))
    whole = succeeded(graphs.train(jobs[:2], course))
    assert all(map(same, whole, succeeded(graphs.train(jobs[:2], course, shelf))))


def test_a_network_that_diverges_disturbs_no_other(jobs: list[Job], course: Course, fits: list[Fit]) -> None:
    with arithmetic("bitwise", "fp32", 1):
        training = graphs.Training(jobs, course)
        wide = training.bundle.stem.conv.weight
        with torch.no_grad():
            wide[3 * len(wide) // len(jobs)] = math.nan
        for _ in range(2):
            training.advance()
    assert training.alive
    answers = training.fits()
    spoilt = answers.pop(3)
    assert isinstance(spoilt, TrialFailed)
    assert "epoch 1" in str(spoilt)
    assert all(map(same, [each for number, each in enumerate(fits) if number != 3], succeeded(answers)))


def test_a_bundle_without_a_living_network_stops(
    jobs: list[Job], course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine, epochs = graphs.Training.begin_epoch, []

    def poisoned(training: graphs.Training) -> None:
        genuine(training)
        epochs.append(training.epoch)
        training._rates.fill_(math.nan)

    monkeypatch.setattr(graphs.Training, "begin_epoch", poisoned)
    answers = graphs.train(jobs[:2], course)
    assert [str(answer) for answer in answers] == ["diverged: a loss or logit is not finite in epoch 1"] * 2
    assert epochs == [0]


def test_a_bundle_that_does_not_fit_is_trained_in_parts(
    jobs: list[Job], course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = graphs.Training.__init__

    def small(training: graphs.Training, some: Sequence[Job], common: Course) -> None:
        if len(some) > 1 or some[0].arch == HEAVIEST:
            raise torch.OutOfMemoryError
        genuine(training, some, common)

    monkeypatch.setattr(graphs.Training, "__init__", small)
    answers = graphs.train(jobs[:3], course)
    assert [isinstance(answer, Fit) for answer in answers] == [True, False, True]
    assert str(answers[1]) == "out of memory"


def test_both_modes_are_declared_and_leave_no_trace() -> None:
    before = torch.backends.cudnn.benchmark, torch.are_deterministic_algorithms_enabled()
    for mode, timed in (("bitwise", False), ("statistical", True)):
        with arithmetic(mode, "fp32", 1):
            assert torch.backends.cudnn.benchmark is timed
            assert torch.backends.cudnn.deterministic is not timed
            assert torch.are_deterministic_algorithms_enabled() is not timed
            assert not torch.backends.cuda.matmul.allow_tf32
    assert (torch.backends.cudnn.benchmark, torch.are_deterministic_algorithms_enabled()) == before
