from __future__ import annotations

import math
import os
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from benchmarks.spaces.nb201 import compose
from benchmarks.training import fit
from benchmarks.training.cells import build
from benchmarks.training.determinism import bitwise, flags
from benchmarks.training.evaluate import accuracy
from benchmarks.training.fit import Course, Fit, Job, train
from harness.core.errors import TrialFailed, UsageError
from harness.core.seeds import SeedTree
from harness.core.types import Arch


def _trained(course: Course, arch: Arch, seed: int = 1, epochs: int = 4) -> Fit:
    result = train([Job(arch, seed, epochs)], course)[0]
    assert isinstance(result, Fit)
    return result


def test_it_is_sgd_with_nesterov_momentum_written_out(course: Course, mixed: Arch) -> None:
    """The same training, image by image and parameter by parameter, with no optimiser and no gather."""
    recipe, split = course.recipe, course.train
    network = build(mixed, course.skeleton, 1).train()
    velocity: dict[str, torch.Tensor] = {}
    seeds = SeedTree.root("training", 1)
    order_rng, augment_rng = (torch.Generator().manual_seed(seeds.child(n).seed()) for n in ("order", "augment"))
    losses = []
    for epoch in range(2):
        rate = 0.1 * (1 + math.cos(math.pi * epoch / 4)) / 2
        offsets = torch.randint(0, 3, (80, 2), generator=augment_rng).tolist()
        flips = (torch.rand(80, generator=augment_rng) < 0.5).tolist()
        order = torch.randperm(80, generator=order_rng).tolist()
        total = 0.0
        for first in (0, 32, 64):
            batch = range(first, min(first + 32, 80))
            images = []
            for position in batch:
                image = split.pixels[order[position]].float()
                image = functional.pad(image.flip(2) if flips[position] else image, (1, 1, 1, 1))
                row, column = offsets[position]
                images.append((image[:, row : row + 8, column : column + 8] - 4.9) / 6.0)
            labels = split.labels[[order[position] for position in batch]]
            loss = functional.cross_entropy(network(torch.stack(images)), labels)
            total += loss.item() * len(batch)
            named = [(name, p) for name, p in network.named_parameters()]
            gradients = torch.autograd.grad(loss, [p for _, p in named], allow_unused=True)
            with torch.no_grad():
                for (name, parameter), gradient in zip(named, gradients, strict=True):
                    if gradient is None:
                        continue
                    step = gradient + recipe.weight_decay * parameter
                    velocity[name] = step if name not in velocity else 0.9 * velocity[name] + step
                    parameter.sub_(rate * (step + 0.9 * velocity[name]))
        losses.append(total / 80)
    trained = _trained(course, mixed, epochs=2)
    assert trained.train_loss == pytest.approx(losses, rel=1e-4)
    for name, value in trained.network.state_dict().items():
        assert torch.allclose(value, network.state_dict()[name], atol=1e-4), name


def test_the_order_of_images_in_memory_changes_no_more_than_the_rounding(course: Course, mixed: Arch) -> None:
    rgb = torch.randint(0, 17, (80, 3, 8, 8), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)
    split = replace(course.train, pixels=rgb)
    plain = replace(course, train=split, watch={"valid": split}, skeleton=replace(course.skeleton, image_channels=3))
    other = plain.in_layout("channels-last")
    images = other.train.images(rgb)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images, plain.train.images(rgb))
    first, second, again = (_trained(which, mixed, epochs=1) for which in (plain, other, other))
    assert second.train_loss == pytest.approx(first.train_loss, rel=1e-4)
    for name, value in second.network.state_dict().items():
        assert torch.allclose(value, first.network.state_dict()[name], atol=1e-4), name
    weights = zip(second.network.parameters(), again.network.parameters(), strict=True)
    assert all(torch.equal(one, another) for one, another in weights)


def test_training_learns(course: Course, mixed: Arch) -> None:
    recipe = replace(course.recipe, channels=8, epochs=15, flip=False, batch_size=16)
    longer = replace(course, recipe=recipe, skeleton=replace(course.skeleton, channels=8))
    result = _trained(longer, mixed, 1, 15)
    assert result.train_loss[-1] < 0.5 * result.train_loss[0]
    assert result.accuracy["valid"][-1] > 60
    assert len(result.train_loss) == len(result.accuracy["valid"]) == 15


def test_the_curve_is_the_clean_accuracy_of_the_network(course: Course, mixed: Arch) -> None:
    result = _trained(course, mixed)
    split = course.watch["valid"]
    logits = result.network.eval()((split.pixels.float() - 4.9) / 6.0)
    expected = 100 * (logits.argmax(1) == split.labels).float().mean().item()
    assert result.accuracy["valid"][-1] == pytest.approx(expected)
    assert accuracy(result.network, split) == result.accuracy["valid"][-1]


def test_watching_changes_nothing(course: Course, mixed: Arch) -> None:
    seen, unseen = _trained(course, mixed), _trained(replace(course, watch={}), mixed)
    assert seen.train_loss == unseen.train_loss
    assert unseen.accuracy == {}


def test_the_seed_is_all_that_differs(course: Course, mixed: Arch) -> None:
    jobs = [Job(mixed, 1, 2), Job(mixed, 2, 2), Job(mixed, 1, 2)]
    first, other, again = train(jobs, course)
    assert isinstance(first, Fit)
    assert isinstance(other, Fit)
    assert isinstance(again, Fit)
    assert first.train_loss == again.train_loss
    assert first.train_loss != other.train_loss
    weights = zip(first.network.parameters(), again.network.parameters(), strict=True)
    assert all(torch.equal(one, two) for one, two in weights)


def test_fewer_epochs_are_a_prefix(course: Course, mixed: Arch) -> None:
    assert _trained(course, mixed).train_loss[:2] == _trained(course, mixed, epochs=2).train_loss


def test_no_global_state_is_touched(course: Course, mixed: Arch, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a global generator was asked")

    for name in ("random", "rand", "randint", "permutation", "shuffle", "seed", "uniform", "normal", "choice"):
        monkeypatch.setattr(np.random, name, refuse)
    for name in ("random", "randint", "shuffle", "seed", "choice", "sample"):
        monkeypatch.setattr(random, name, refuse)
    monkeypatch.setattr(torch, "manual_seed", refuse)
    before, threads, set_flags = torch.get_rng_state(), torch.get_num_threads(), flags()
    environment = dict(os.environ)
    _trained(course, mixed, epochs=1)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    assert flags() == set_flags
    assert dict(os.environ) == environment


def test_the_deterministic_context_restores_after_an_error() -> None:
    before, inside = flags(), {}

    def fail() -> None:
        with bitwise(threads=2):
            inside.update(flags())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert inside["deterministic_algorithms"] is True
    assert inside["threads"] == 2
    assert inside["cudnn_benchmark"] is False
    assert flags() == before


def test_a_loss_that_is_not_finite_fails_and_spends_its_epoch(course: Course, mixed: Arch) -> None:
    wild = replace(course, recipe=replace(course.recipe, learning_rate=1e30))
    failure, quiet = train([Job(mixed, 1, 4), Job(compose((0,) * 6), 1, 0)], wild)
    assert isinstance(failure, TrialFailed)
    assert "not finite in epoch 1" in failure.reason
    assert failure.spent_epochs == 1
    assert isinstance(quiet, Fit)  # the failure of one stopped no other


def test_a_loss_that_is_nan_later_spends_the_epochs_before(
    course: Course, mixed: Arch, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine, calls = functional.cross_entropy, []

    def poisoned(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return genuine(logits, labels) * (math.nan if len(calls) == 8 else 1.0)  # the third epoch's second step

    monkeypatch.setattr(functional, "cross_entropy", poisoned)
    failure = train([Job(mixed, 1, 4)], course)[0]
    assert isinstance(failure, TrialFailed)
    assert failure.spent_epochs == 3


def test_a_logit_that_is_not_finite_fails(course: Course, mixed: Arch) -> None:
    spoilt = course.watch["valid"]
    spoilt = replace(spoilt, mean=torch.tensor([math.inf]))
    failure = train([Job(mixed, 1, 4)], replace(course, watch={"valid": spoilt}))[0]
    assert isinstance(failure, TrialFailed)
    assert failure.spent_epochs == 1


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to"),
    ],
)
def test_lack_of_memory_is_a_failure(
    course: Course, mixed: Arch, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    genuine, calls = functional.cross_entropy, []

    def starved(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 5:
            raise error
        return genuine(logits, labels)

    monkeypatch.setattr(functional, "cross_entropy", starved)
    failure = train([Job(mixed, 1, 4)], course)[0]
    assert isinstance(failure, TrialFailed)
    assert failure.reason == "out of memory"
    assert failure.spent_epochs == 2


def test_real_lack_of_memory_is_a_failure(course: Course, mixed: Arch) -> None:
    wide = replace(course.skeleton, channels=2**20)  # a first 3x3 convolution of 36 TiB
    failure = train([Job(mixed, 1, 4)], replace(course, skeleton=wide))[0]
    assert isinstance(failure, TrialFailed)
    assert failure.reason == "out of memory"
    assert failure.spent_epochs == 1


def test_other_errors_stop_loudly(course: Course, mixed: Arch, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr(functional, "cross_entropy", broken)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        train([Job(mixed, 1, 4)], course)


def test_the_reference_computes_in_float32_only(course: Course, mixed: Arch) -> None:
    with pytest.raises(UsageError, match=r"reference engine computes in 'fp32', not in 'bf16'"):
        train([Job(mixed, 1, 1)], replace(course, recipe=replace(course.recipe, precision="bf16")))


def test_the_last_batch_takes_what_is_left(course: Course, mixed: Arch, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine, sizes = functional.cross_entropy, []

    def counted(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        sizes.append(len(labels))
        return genuine(logits, labels)

    monkeypatch.setattr(fit.functional, "cross_entropy", counted)
    train([Job(mixed, 1, 1)], course)
    assert sizes == [32, 32, 16]
