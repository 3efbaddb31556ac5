"""K networks trained as one are the K networks that the reference trainer gives."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.spaces.nb201 import CONV_1X1, CONV_3X3, EDGES, NONE, POOL, SKIP, compose, parse
from benchmarks.training import data, fit, fused
from benchmarks.training.determinism import bitwise
from benchmarks.training.evaluate import to_device
from benchmarks.training.fit import Course, Fit, Job
from benchmarks.training.packing import assemble
from benchmarks.training.recipe import Recipe
from benchmarks.training.routes import plan_routes
from harness.core.errors import TrialFailed, UsageError
from harness.core.interfaces import Place

UNREACHED = compose((NONE, CONV_3X3, CONV_1X1, POOL, CONV_3X3, SKIP))  # a convolution out of a node of zeros
DEAD_END = compose((CONV_3X3, CONV_1X1, NONE, SKIP, NONE, NONE))  # two convolutions that lead nowhere
CUT_OFF = compose((CONV_3X3, POOL, SKIP, NONE, NONE, NONE))  # no path from the input to the output
PARALLEL = compose((CONV_3X3, CONV_3X3, CONV_3X3, CONV_3X3, CONV_3X3, CONV_3X3))
MIXED = compose((CONV_1X1, SKIP, POOL, CONV_3X3, CONV_1X1, CONV_3X3))
ARCHS = (UNREACHED, DEAD_END, CUT_OFF, PARALLEL, MIXED, MIXED)

STEPS_ALIKE = 1e-5
"""Largest difference of a weight, in float32, after the few steps of these tests."""


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
    return [Job(arch, 20 + seed, 2) for seed, arch in enumerate(ARCHS)]


@pytest.fixture(scope="module")
def fits(jobs: list[Job], course: Course) -> list[Fit]:
    return _succeeded(fused.train(jobs, course))


def _succeeded(answers: list[Fit | TrialFailed]) -> list[Fit]:
    assert all(isinstance(answer, Fit) for answer in answers)
    return [answer for answer in answers if isinstance(answer, Fit)]


def _gap(one: Fit, other: Fit, arch: str) -> float:
    """Return the largest difference of a weight or a running statistic that can reach a logit."""
    live = {f"{EDGES[edge][0]}-{EDGES[edge][1]}" for route in plan_routes([parse(arch)]) for _, edge in route.edges}
    mine, theirs = one.network.state_dict(), other.network.state_dict()
    assert mine.keys() == theirs.keys()
    # Behind a cell that is cut off nothing learns; a single network skips such weights, a bundle lets them decay.
    kept = ("stem", "stages", "head", "classifier") if live else ("head", "classifier")
    names = [name for name in mine if name.startswith(kept) and (".edges." not in name or name.split(".")[3] in live)]
    return max(float((mine[name].double() - theirs[name].double()).abs().max()) for name in names)


def test_fused_networks_equal_separate_ones(jobs: list[Job], course: Course, fits: list[Fit]) -> None:
    for job, mine, alone in zip(jobs, fits, _succeeded(fit.train(jobs, course)), strict=True):
        assert _gap(mine, alone, job.arch) < STEPS_ALIKE
        assert mine.train_loss == pytest.approx(alone.train_loss, abs=STEPS_ALIKE)
        assert mine.accuracy == alone.accuracy


def test_every_seed_has_its_own_weights_and_order(fits: list[Fit]) -> None:
    one, other = fits[-2:]
    assert one.train_loss != other.train_loss


def test_networks_do_not_depend_on_their_company(jobs: list[Job], course: Course, fits: list[Fit]) -> None:
    for company in (jobs[1:4], jobs[::-1]):
        for job, mine in zip(company, _succeeded(fused.train(company, course)), strict=True):
            assert _gap(mine, fits[jobs.index(job)], job.arch) < STEPS_ALIKE


def test_the_same_bundle_gives_the_same_bits(jobs: list[Job], course: Course, fits: list[Fit]) -> None:
    for mine, again in zip(fits, _succeeded(fused.train(jobs, course)), strict=True):
        assert (mine.train_loss, mine.accuracy) == (again.train_loss, again.accuracy)
        for one, other in zip(mine.network.state_dict().values(), again.network.state_dict().values(), strict=True):
            assert torch.equal(one, other)


def test_jobs_of_other_lengths_are_answered_in_order(jobs: list[Job], course: Course, fits: list[Fit]) -> None:
    mixed = [replace(job, epochs=1 + index % 2) for index, job in enumerate(jobs)]
    for job, mine, whole in zip(mixed, _succeeded(fused.train(mixed, course)), fits, strict=True):
        assert mine.train_loss == pytest.approx(whole.train_loss[: job.epochs], abs=STEPS_ALIKE)


def test_a_network_that_diverges_disturbs_no_other(jobs: list[Job], course: Course, fits: list[Fit]) -> None:
    training = fused.Training(jobs, course)
    spoil(training, jobs.index(jobs[3]))
    with bitwise(1):
        for _ in range(2):
            training.advance()
    answers = training.fits()
    spoilt = answers.pop(3)
    assert isinstance(spoilt, TrialFailed)
    assert "epoch 1" in str(spoilt)
    healthy = [each for index, each in enumerate(fits) if index != 3]
    for mine, whole in zip(_succeeded(answers), healthy, strict=True):
        assert mine.train_loss == whole.train_loss
        assert mine.accuracy == whole.accuracy


def spoil(training: fused.Training, position: int) -> None:
    """Put a NaN into the stem of one network."""
    wide = training.bundle.stem.conv.weight
    with torch.no_grad():
        wide[position * len(wide) // training.bundle.count] = math.nan


@pytest.mark.parametrize(("channels", "together"), [(4, [3]), (16, [1, 1, 1])])
def test_wide_networks_are_trained_one_by_one(
    jobs: list[Job], course: Course, channels: int, together: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine, sizes = fused.Training.__init__, []

    def seen(training: fused.Training, some: list[Job], common: Course) -> None:
        sizes.append(len(some))
        genuine(training, some, common)

    monkeypatch.setattr(fused.Training, "__init__", seen)
    wide = replace(course, skeleton=replace(course.skeleton, channels=channels))
    short = [replace(job, epochs=1) for job in jobs[:3]]
    assert len(_succeeded(fused.train(short, wide))) == 3
    assert sizes == together


def test_other_precisions_are_refused(jobs: list[Job], course: Course) -> None:
    with pytest.raises(UsageError, match="fp32"):
        fused.train(jobs, replace(course, recipe=replace(course.recipe, precision="bf16")))


def test_routes_hold_every_live_edge_once_and_sources_before_targets() -> None:
    cells = [parse(arch) for arch in ARCHS]
    routes = plan_routes(cells)
    edges = [pair for route in routes for pair in route.edges]
    assert len(edges) == len(set(edges))
    assert (1, 0) not in edges  # the dead end
    assert not [pair for pair in edges if pair[0] == 2]  # cut off: nothing reaches the output
    starts = [EDGES[route.edges[0][1]][0] for route in routes]
    assert all(one <= other for one, other in pairwise(starts))


def test_a_flat_vector_holds_parameters_and_gradients(course: Course) -> None:
    bundle = assemble([MIXED], course.skeleton, [3])
    before = {name: tensor.clone() for name, tensor in bundle.named_parameters()}
    flat = fused.flatten(bundle)
    assert all(torch.equal(tensor, before[name]) for name, tensor in bundle.named_parameters())
    with torch.no_grad():
        flat.zero_()
    assert not any(bool(tensor.any()) for tensor in bundle.parameters())
    logits: Tensor = bundle(torch.ones(2, 1, 8, 8))
    logits.sum().backward()
    assert flat.grad is not None
    assert bool(flat.grad.any())
