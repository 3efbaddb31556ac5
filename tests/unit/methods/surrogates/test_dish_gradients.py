"""The gradient through the inner loop: against differences, in blocks, batched, and where a weight is not used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from harness.core.seeds import SeedTree
from methods.surrogates.spd.artefact import Synthetic, score
from methods.surrogates.spd.dish import draw, joined
from methods.surrogates.spd.inner import Inner
from methods.surrogates.spd.motif import Params, SigmoidMotif
from methods.surrogates.spd.outer import mismatch
from methods.surrogates.spd.settings import DishSettings

SHORT = DishSettings(Inner(steps=5, rate=0.05), samples=3)
MOTIF = SigmoidMotif(inputs=4, outputs=3)
SLOPES = MOTIF.encode([0.1, 0.4, 0.9, 1.6])
TRUTH = torch.tensor([[0.2, 0.9, 0.6, 0.1]], dtype=torch.float64)


def data_of(settings: DishSettings, *rows: int, motif: Any = MOTIF) -> Synthetic:
    return joined([draw(motif, settings, SeedTree.root("test", row)) for row in rows])


def loss_of(settings: DishSettings, data: Synthetic, codes: Tensor = SLOPES, truth: Tensor = TRUTH) -> Tensor:
    return mismatch(score(MOTIF, settings.inner, data, codes.expand(len(truth), *codes.shape)), truth).sum()


def gradients(settings: DishSettings, data: Synthetic) -> dict[str, Tensor]:
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in data.tensors().items()}
    found = torch.autograd.grad(loss_of(settings, Synthetic.of(leaves)), list(leaves.values()))
    return dict(zip(leaves, found, strict=True))


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
@pytest.mark.parametrize("block", [None, 2])
def test_the_outer_gradient_is_that_of_central_differences(optimiser: Any, block: int | None) -> None:
    settings = replace(SHORT, inner=replace(SHORT.inner, optimiser=optimiser, block=block))
    data = data_of(settings, 0)
    step = 1e-6
    for name, gradient in gradients(settings, data).items():
        scale = float(gradient.abs().max())
        for place in range(0, gradient.numel(), max(1, gradient.numel() // 4)):
            ends = []
            for sign in (1, -1):
                tensors = {key: tensor.clone() for key, tensor in data.tensors().items()}
                tensors[name].view(-1)[place] += sign * step
                ends.append(loss_of(settings, Synthetic.of(tensors)).item())
            difference = (ends[0] - ends[1]) / (2 * step)
            assert float(gradient.view(-1)[place]) == pytest.approx(difference, rel=1e-5, abs=1e-5 * scale)


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
@pytest.mark.parametrize("block", [1, 7, 20, 50])
def test_blocks_give_the_gradient_of_the_plain_unroll(optimiser: Any, block: int) -> None:
    plain = replace(SHORT, inner=Inner(optimiser, steps=20, rate=0.05))
    data = data_of(plain, 0)
    expected = gradients(plain, data)
    found = gradients(replace(plain, inner=replace(plain.inner, block=block)), data)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-6, atol=1e-6 * float(gradient.abs().max()))


def test_motifs_and_restarts_are_batched_without_touching_one_another() -> None:
    data = data_of(SHORT, 0, 1, 2)
    together = score(MOTIF, SHORT.inner, data, SLOPES.expand(3, *SLOPES.shape)).detach()
    for row in range(3):
        own = data_of(SHORT, row)
        for place in range(len(SLOPES)):
            alone = score(MOTIF, SHORT.inner, own, SLOPES[None, place : place + 1])
            assert float(together[row, place]) == pytest.approx(alone.item(), rel=1e-10, abs=1e-10)


def test_a_batched_gradient_is_the_gradient_of_each_restart() -> None:
    truth = TRUTH.expand(2, -1)

    def found(data: Synthetic) -> Tensor:
        inputs = data.inputs.clone().requires_grad_()
        given = Synthetic(inputs, data.labels, data.weights)
        return torch.autograd.grad(loss_of(SHORT, given, truth=truth[: len(inputs)]), inputs)[0]

    together = found(data_of(SHORT, 0, 1))
    for row in range(2):
        torch.testing.assert_close(together[row], found(data_of(SHORT, row))[0], rtol=1e-10, atol=1e-12)


@dataclass(frozen=True)
class Gated:
    """A motif whose second weight is used only where its code says so."""

    name: ClassVar[str] = "gated"
    input_shape: tuple[int, ...] = (2,)
    output_shape: tuple[int, ...] = (1,)

    def init(self, generator: torch.Generator) -> Params:
        return {name: torch.randn(2, 1, generator=generator, dtype=torch.float64) for name in ("always", "gated")}

    def encode(self, descriptions: Sequence[Any]) -> Tensor:
        return torch.tensor(descriptions, dtype=torch.float64).view(-1, 1, 1)

    def forward(self, params: Params, inputs: Tensor, motifs: Tensor) -> Tensor:
        return inputs @ params["always"] + motifs * (inputs @ params["gated"])

    def multiply_adds(self, samples: int) -> float:
        return 4.0 * samples


@pytest.mark.parametrize("block", [None, 2])
@pytest.mark.parametrize("epsilon", [1e-8, 1e-16])
def test_a_weight_that_is_not_used_leaves_the_gradient_finite(block: int | None, epsilon: float) -> None:
    inner = Inner(steps=5, rate=0.05, epsilon=epsilon, block=block)
    data = data_of(SHORT, 0, motif=Gated())
    inputs = data.inputs.clone().requires_grad_()
    codes = Gated().encode([0.0, 1.0, 0.5])[None]
    scores = score(Gated(), inner, Synthetic(inputs, data.labels, data.weights), codes)
    (gradient,) = torch.autograd.grad(mismatch(scores, TRUTH[:, :3]).sum(), inputs)
    assert torch.isfinite(scores).all()
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0


def test_without_the_guard_inside_the_root_the_gradient_is_lost() -> None:
    data = data_of(SHORT, 0, motif=Gated())
    inputs = data.inputs.clone().requires_grad_()
    given = Synthetic(inputs, data.labels, data.weights)
    scores = score(Gated(), Inner(steps=2, epsilon=0.0), given, Gated().encode([0.0, 1.0])[None])
    (gradient,) = torch.autograd.grad(mismatch(scores, TRUTH[:, :2]).sum(), inputs)
    assert not torch.isfinite(gradient).all()


def test_flat_scores_and_flat_truth_give_no_nan() -> None:
    scores = torch.full((2, 3), 0.5, dtype=torch.float64, requires_grad=True)
    truth = torch.tensor([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]], dtype=torch.float64)
    loss = mismatch(scores, truth)
    (gradient,) = torch.autograd.grad(loss.sum(), scores)
    assert torch.isfinite(gradient).all()
    assert loss.tolist() == pytest.approx([1.0, 0.0])


def test_emphasis_weighs_good_motifs_more() -> None:
    truth = torch.tensor([[0.0, 1.0, 2.0, 3.0]], dtype=torch.float64)
    wrong_at_the_top = torch.tensor([[0.0, 1.0, 3.0, 2.0]], dtype=torch.float64)
    wrong_at_the_bottom = torch.tensor([[1.0, 0.0, 2.0, 3.0]], dtype=torch.float64)
    assert mismatch(wrong_at_the_top, truth).item() == pytest.approx(mismatch(wrong_at_the_bottom, truth).item())
    assert mismatch(wrong_at_the_top, truth, 1.0).item() > 2 * mismatch(wrong_at_the_bottom, truth, 1.0).item()
