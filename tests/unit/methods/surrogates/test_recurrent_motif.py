"""Recurrent cells as motifs: against a plain loop over nodes, their gradients, and a dish that ranks them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.core.errors import UsageError
from harness.core.seeds import SeedTree
from methods.surrogates.spd.artefact import Synthetic, score
from methods.surrogates.spd.dish import Dish, draw
from methods.surrogates.spd.inner import Inner
from methods.surrogates.spd.motif import MOTIFS, Params, describe, motif_of
from methods.surrogates.spd.outer import mismatch
from methods.surrogates.spd.recurrent import NODES, RecurrentMotif, random_cell
from methods.surrogates.spd.settings import DishSettings, Phase

MOTIF = RecurrentMotif(inputs=4, outputs=3, length=5)
SETTINGS = DishSettings(Inner(steps=4, rate=0.05, epsilon=1e-8), samples=3)
CELLS = [random_cell(torch.Generator().manual_seed(seed)) for seed in range(6)]


def by_hand(cell: tuple[int, ...], params: Params, sequence: Tensor) -> Tensor:
    """One cell over one sequence, node by node."""
    acts = (torch.tanh, torch.relu, torch.sigmoid, lambda value: value)
    state = torch.zeros(1, MOTIF.width, dtype=torch.float64)
    logits = []
    for element in sequence:
        nodes = [torch.tanh(element[None] @ params["input"] + state @ params["state"] + params["bias"])]
        for node in range(NODES):
            reads, act = cell[2 * node : 2 * node + 2]
            nodes.append(acts[act](nodes[reads] @ params["nodes"][node]))
        state = sum(nodes[1:], torch.zeros_like(state)) / NODES
        logits.append(state @ params["output"] + params["output_bias"])
    return torch.cat(logits)


def test_the_masked_cell_is_the_cell_written_out() -> None:
    params = MOTIF.init(torch.Generator().manual_seed(1))
    inputs = torch.randn(len(CELLS), 2, *MOTIF.input_shape, generator=torch.Generator().manual_seed(2)).double()
    batched = {name: weight.expand(len(CELLS), *weight.shape) for name, weight in params.items()}
    found = MOTIF.forward(batched, inputs, MOTIF.encode(CELLS))
    for place, cell in enumerate(CELLS):
        for sample in range(2):
            expected = by_hand(cell, params, inputs[place, sample])
            torch.testing.assert_close(found[place, sample], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("block", [None, 2])
def test_the_outer_gradient_is_that_of_central_differences(block: int | None) -> None:
    inner = replace(SETTINGS.inner, block=block)
    data = draw(MOTIF, SETTINGS, SeedTree.root("recurrent", 0))
    codes, truth = MOTIF.encode(CELLS)[None], torch.arange(len(CELLS), dtype=torch.float64)[None]

    def loss(inputs: Tensor) -> Tensor:
        return mismatch(score(MOTIF, inner, Synthetic(inputs, data.labels, data.weights), codes), truth).sum()

    inputs = data.inputs.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(inputs), inputs)
    assert torch.isfinite(gradient).all()
    step, near = 1e-6, 1e-5 * gradient.abs().max().item()
    for place in range(0, gradient.numel(), gradient.numel() // 6):
        ends = []
        for sign in (1, -1):
            moved = data.inputs.clone()
            moved.view(-1)[place] += sign * step
            ends.append(loss(moved).item())
        expected = (ends[0] - ends[1]) / (2 * step)
        assert gradient.view(-1)[place].item() == pytest.approx(expected, rel=1e-5, abs=near)


def test_a_dish_learns_to_rank_recurrent_cells() -> None:
    settings = replace(SETTINGS, phases=(Phase(15, 0.05),), restarts=2)
    truth = np.arange(len(CELLS), dtype=float)
    fitted = Dish(MOTIF, settings).fit(CELLS, truth, 0)
    untrained = Dish(MOTIF, replace(settings, phases=())).fit(CELLS, truth, 0)
    assert (fitted.reading.error < 0.7 * untrained.reading.error).all()


def test_the_default_is_about_as_large_as_the_motif_of_the_paper() -> None:
    params = RecurrentMotif().init(torch.Generator().manual_seed(0))
    assert sum(weight.numel() for name, weight in params.items() if name in ("input", "state", "nodes")) == 138
    assert RecurrentMotif().input_shape == (10, 10)


def test_multiply_adds_are_those_of_the_matrix_products() -> None:
    assert MOTIF.multiply_adds(2) == 2 * 5 * (4 * 3 + 3 * 3 + NODES * 9 + 3 * 3)


@pytest.mark.parametrize(
    "wrong", ["0" * 22, CELLS[0][:-1], (1, *CELLS[0][1:]), (*CELLS[0][:-1], 4), (0.0, *CELLS[0][1:])], ids=str
)
def test_a_description_that_is_no_cell_is_refused(wrong: Any) -> None:
    with pytest.raises(UsageError, match="22 integers"):
        MOTIF.encode([wrong])


@pytest.mark.parametrize("name", MOTIFS)
def test_every_family_is_rebuilt_from_its_record(name: str) -> None:
    family = motif_of({"name": name, "settings": {}})
    assert family.name == name
    assert motif_of(describe(family)) == family
