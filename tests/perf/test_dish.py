"""An outer step of the dish against the same dish written motif by motif, and its memory against the unroll.

Nothing here passes or fails by time: `extra_info` of each benchmark carries the figures. `ratio` says how many times
longer the reference takes for the same gradient, which is compared first.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from harness.core.clock import Stopwatch
from harness.core.seeds import SeedTree
from methods.surrogates.spd.artefact import Synthetic, score, steady
from methods.surrogates.spd.dish import draw, joined
from methods.surrogates.spd.inner import Inner
from methods.surrogates.spd.motif import SigmoidMotif
from methods.surrogates.spd.outer import mismatch
from methods.surrogates.spd.recurrent import RecurrentMotif, random_cell
from methods.surrogates.spd.settings import DishSettings

INNER = Inner(steps=20, rate=0.05)
SETTINGS = DishSettings(INNER)
MOTIF = SigmoidMotif()

Timed = Any
"""The fixture of pytest-benchmark."""


def batched(data: Synthetic, codes: Tensor, truth: Tensor) -> Tensor:
    """One outer gradient of all restarts and motifs at once."""
    inputs = data.inputs.clone().requires_grad_()
    scores = score(MOTIF, INNER, Synthetic(inputs, data.labels, data.weights), codes)
    return torch.autograd.grad(mismatch(scores, truth).sum(), inputs)[0]


def one_by_one(data: Synthetic, codes: Tensor, truth: Tensor, gradient: Callable[..., Any]) -> Tensor:
    """The same, restart by restart and motif by motif, with one weight at a time in the update."""
    inputs = data.inputs.clone().requires_grad_()
    total = torch.zeros((), dtype=torch.float64)
    for row in range(len(inputs)):
        scores = [trained_alone(data, inputs[row], row, code, gradient) for code in codes[row]]
        total = total + mismatch(torch.stack(scores)[None], truth[row : row + 1]).sum()
    return torch.autograd.grad(total, inputs)[0]


def trained_alone(data: Synthetic, inputs: Tensor, row: int, code: Tensor, gradient: Callable[..., Any]) -> Tensor:
    weights = {name: weight[row].clone().requires_grad_() for name, weight in data.weights.items()}
    means = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    squares = dict(means)

    def loss(params: dict[str, Tensor], part: int) -> Tensor:
        alone = {name: weight[None] for name, weight in params.items()}
        logits = MOTIF.forward(alone, inputs[part][None], code[None])
        return binary_cross_entropy_with_logits(logits[0], data.labels[row, part])

    for step in range(1, INNER.steps + 1):
        found = gradient(lambda params: loss(params, 0), weights)
        for name, each in found.items():
            means[name] = INNER.beta1 * means[name] + (1 - INNER.beta1) * each
            squares[name] = INNER.beta2 * squares[name] + (1 - INNER.beta2) * each**2
            root = torch.sqrt(squares[name] / (1 - INNER.beta2**step) + INNER.epsilon)
            weights[name] = weights[name] - INNER.rate * means[name] / (1 - INNER.beta1**step) / root
    return -loss(weights, 1)


def by_autograd(loss: Callable[..., Tensor], weights: dict[str, Tensor]) -> dict[str, Tensor]:
    found = torch.autograd.grad(loss(weights), list(weights.values()), create_graph=True)
    return dict(zip(weights, found, strict=True))


def by_func(loss: Callable[..., Tensor], weights: dict[str, Tensor]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = torch.func.grad(loss)(weights)
    return found


@pytest.mark.parametrize(("motifs", "restarts"), [(4, 1), (4, 5), (18, 1), (18, 10)])
def test_an_outer_step_against_a_loop_over_motifs(benchmark: Timed, motifs: int, restarts: int) -> None:
    data = joined([draw(MOTIF, SETTINGS, SeedTree.root("perf", row)) for row in range(restarts)])
    slopes = MOTIF.encode(torch.linspace(0.4, 1.5, motifs).tolist())
    codes = slopes.expand(restarts, *slopes.shape)
    truth = torch.linspace(1, 0, motifs, dtype=torch.float64).expand(restarts, -1)
    with steady():
        gradient = benchmark(batched, data, codes, truth)
        watch = Stopwatch()
        expected = one_by_one(data, codes, truth, by_autograd)
        loop = watch.lap()
        few = joined([draw(MOTIF, SETTINGS, SeedTree.root("perf", 0))])
        again = one_by_one(few, codes[:1], truth[:1], by_func)
        func = watch.lap() * restarts
        batched(data, codes, truth)
        own = watch.lap()
    torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(gradient[:1], again, rtol=1e-6, atol=1e-8)
    benchmark.extra_info |= {
        "motifs": motifs, "restarts": restarts, "inner steps": INNER.steps,
        "reference": "the same dish, motif by motif", "ratio": round(loop / own, 1),
        "ratio to torch.func, one restart scaled up": round(func / own, 1),
    }  # fmt: skip


def test_an_outer_step_of_recurrent_cells(benchmark: Timed) -> None:
    motif, settings = RecurrentMotif(), DishSettings(Inner(steps=5, rate=0.05, epsilon=1e-8))
    data = draw(motif, settings, SeedTree.root("perf", 0))
    cells = [random_cell(torch.Generator().manual_seed(seed)) for seed in range(8)]
    truth = torch.arange(8, dtype=torch.float64)[None]

    def step(codes: Tensor, goals: Tensor) -> Tensor:
        inputs = data.inputs.clone().requires_grad_()
        scores = score(motif, settings.inner, Synthetic(inputs, data.labels, data.weights), codes)
        return torch.autograd.grad(mismatch(scores, goals).sum(), inputs)[0]

    codes = motif.encode(cells)[None]
    with steady():
        benchmark(step, codes, truth)
        watch = Stopwatch()
        for place in range(8):
            step(codes[:, place : place + 1], truth[:, place : place + 1])
        alone = watch.lap()
        step(codes, truth)
        own = watch.lap()
    benchmark.extra_info |= {"reference": "one cell at a time", "cells": 8, "ratio": round(alone / own, 1)}


PEAK = """
import re, sys, torch
from pathlib import Path
from methods.surrogates.spd.artefact import Synthetic, score
from methods.surrogates.spd.dish import draw
from methods.surrogates.spd.inner import Inner
from methods.surrogates.spd.motif import SigmoidMotif
from methods.surrogates.spd.settings import DishSettings
from harness.core.seeds import SeedTree

def peak():
    # Not ru_maxrss, which a child inherits from the process that started it.
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

torch.set_num_threads(1)
motif, steps, block = SigmoidMotif(), int(sys.argv[1]), int(sys.argv[2]) or None
data = draw(motif, DishSettings(), SeedTree.root("perf", 0))
codes = motif.encode(torch.linspace(0.1, 2, 100).tolist())[None]

def outer(inner):
    inputs = data.inputs.clone().requires_grad_()
    torch.autograd.grad(score(motif, inner, Synthetic(inputs, data.labels, data.weights), codes).sum(), inputs)

outer(Inner(steps=2, block=block and 1))
before = peak()
outer(Inner(steps=steps, block=block))
print(peak() - before)
"""


def megabytes(steps: int, block: int) -> float:
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(steps), str(block)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def test_memory_against_the_length_of_the_unroll(benchmark: Timed) -> None:
    lengths = (50, 200)
    plain = {steps: megabytes(steps, 0) for steps in lengths}
    blocks = {steps: megabytes(steps, 20) for steps in lengths}
    benchmark.extra_info |= {
        "reference": "the plain unroll", "plain, MB": plain, "blocks of 20, MB": blocks,
        "ratio": round(plain[200] / max(blocks[200], 1.0), 1),
    }  # fmt: skip
    benchmark(lambda: None)
    assert plain[200] > 2.5 * plain[50], "a plain unroll keeps every step"
    assert blocks[200] < 0.5 * plain[200], "blocks keep one block and the states between them"
