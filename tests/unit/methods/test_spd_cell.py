"""The masked super-cell against the same network written cell by cell, and its gradients."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.spaces.nb201 import NasBench201, compose
from harness.core.errors import UsageError
from harness.core.seeds import SeedTree
from harness.core.types import Arch
from methods.surrogates.cells201 import CONV_1X1, CONV_3X3, EDGES, NONE, POOL, SKIP, operations
from methods.surrogates.spd.artefact import load, score
from methods.surrogates.spd.cell import LEAVING, CellMotif
from methods.surrogates.spd.dish import Dish, draw
from methods.surrogates.spd.inner import Inner
from methods.surrogates.spd.motif import Params
from methods.surrogates.spd.settings import DishSettings, Phase

MOTIF = CellMotif(channels=2)
NODE = SeedTree.root("cell", 3)
QUICK = DishSettings(
    inner=Inner(steps=5, rate=0.05, epsilon=1e-8), phases=(Phase(2, 0.05),), batch=6, attempts=0, samples=5
)


def cells(count: int = 12, seed: int = 0) -> list[Arch]:
    space, rng = NasBench201(), np.random.Generator(np.random.PCG64(seed))
    return [space.arch(int(index)) for index in rng.choice(len(space), count, replace=False)]


def weights(motif: CellMotif = MOTIF) -> Params:
    return motif.init(torch.Generator().manual_seed(5))


def images(count: int = 7, size: int = 4) -> Tensor:
    return torch.randn(count, size, size, generator=torch.Generator().manual_seed(6), dtype=torch.float64)


def normalise(maps: Tensor) -> Tensor:
    return functional.batch_norm(maps, None, None, training=True, eps=1e-3)


def plainly(cell: str, params: Params, inputs: Tensor) -> Tensor:
    """The network of one cell, written out with the convolutions and poolings of torch."""
    width = params["stem"].shape[0]
    nodes = [normalise(functional.conv2d(inputs[:, None], params["stem"].view(width, 1, 3, 3), padding=1))]
    chosen = operations(cell)
    for target in (1, 2, 3):
        nodes.append(torch.zeros_like(nodes[0]))
        for edge, (source, end) in enumerate(EDGES):
            if end == target:
                nodes[target] = nodes[target] + _operation(chosen[edge], edge, source, params, nodes[source])
    pooled = functional.relu(nodes[3]).mean((2, 3))
    return pooled @ params["weight"] + params["bias"]


def _operation(operation: int, edge: int, source: int, params: Params, state: Tensor) -> Tensor:
    width, row = state.shape[1], LEAVING[source].index(edge)
    rows = slice(row * width, (row + 1) * width)
    if operation == SKIP:
        return state
    if operation == POOL:
        return functional.avg_pool2d(state, 3, 1, 1, count_include_pad=False)
    if operation == CONV_3X3:
        kernel = params[f"wide{source}"][rows].view(width, width, 3, 3)
        return normalise(functional.conv2d(functional.relu(state), kernel, padding=1))
    if operation == CONV_1X1:
        return normalise(functional.conv2d(functional.relu(state), params[f"point{source}"][rows, :, None, None]))
    assert operation == NONE
    return torch.zeros_like(state)


def together(archs: list[Arch], params: Params, inputs: Tensor, motif: CellMotif = MOTIF) -> Tensor:
    spread = {name: weight.expand(len(archs), *weight.shape) for name, weight in params.items()}
    return motif.forward(spread, inputs.expand(len(archs), *inputs.shape), motif.encode(archs))


@pytest.mark.parametrize("motif", [MOTIF, CellMotif(channels=2, size=6)], ids=["4x4", "6x6"])
def test_the_super_cell_computes_what_each_cell_computes(motif: CellMotif) -> None:
    archs, params, inputs = cells(25), weights(motif), images(size=motif.size)
    expected = torch.stack([plainly(arch, params, inputs) for arch in archs])
    torch.testing.assert_close(together(archs, params, inputs, motif), expected, rtol=1e-10, atol=1e-12)


def test_a_batch_computes_what_one_cell_computes() -> None:
    archs, params, inputs = cells(), weights(), images()
    alone = torch.cat([together([arch], params, inputs) for arch in archs])
    torch.testing.assert_close(together(archs, params, inputs), alone, rtol=1e-12, atol=1e-12)


def test_a_cell_that_is_not_connected_answers_alike_for_every_image() -> None:
    logits = together([compose([NONE] * 6)], weights(), images())[0]
    assert torch.equal(logits, weights()["bias"].expand_as(logits))


def outer_loss(inputs: Tensor, archs: list[Arch]) -> Tensor:
    data = draw(MOTIF, QUICK, NODE)
    codes = MOTIF.encode(archs).unsqueeze(0)
    found = score(MOTIF, QUICK.inner, type(data)(inputs, data.labels, data.weights), codes)
    return (found * torch.linspace(-1, 1, len(archs), dtype=torch.float64)).sum()


def test_the_outer_gradient_is_that_of_central_differences() -> None:
    archs = [*cells(6), compose([NONE] * 6), compose([SKIP] * 6), compose([CONV_1X1] * 6)]
    start = draw(MOTIF, QUICK, NODE).inputs.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(outer_loss(start, archs), start)
    assert torch.isfinite(gradient).all()
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        way = torch.randn(start.shape, generator=generator, dtype=torch.float64)
        step = 1e-6
        with torch.no_grad():
            slope = (outer_loss(start + step * way, archs) - outer_loss(start - step * way, archs)) / (2 * step)
        assert float((gradient * way).sum()) == pytest.approx(float(slope), rel=1e-5)


def test_unused_operations_give_no_nan_in_single_precision() -> None:
    archs = [compose([NONE] * 6), compose([SKIP] * 6), *cells(6)]
    dish = Dish(MOTIF, replace(QUICK, precision="float32", batch=None)).fit(archs, np.arange(8.0), seed=1)
    assert torch.isfinite(dish.data.inputs).all()
    assert np.isfinite(dish.predict(cells(20, seed=2))).all()


def test_permuted_cells_have_permuted_predictions_and_files_keep_them(tmp_path: Path) -> None:
    archs, others = cells(8), cells(9, seed=1)
    dish = Dish(MOTIF, QUICK).fit(archs, np.arange(8.0), seed=1)
    dish.save(tmp_path / "dish.npz")
    found, backwards = dish.predict(others), dish.predict(others[::-1])
    np.testing.assert_allclose(found, backwards[:, ::-1], rtol=1e-9)
    assert load(tmp_path / "dish.npz").predict(others).tobytes() == found.tobytes()


def test_a_text_that_is_no_cell_is_refused() -> None:
    with pytest.raises(UsageError, match="no cell of NAS-Bench-201"):
        MOTIF.encode(["|none~0|"])


def test_multiply_adds_grow_with_the_images() -> None:
    assert MOTIF.multiply_adds(20) == 2 * MOTIF.multiply_adds(10) > 0
