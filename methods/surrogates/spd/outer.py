"""Optimise synthetic data by the gradient that comes through the training of the motifs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from methods.surrogates.spd.artefact import Synthetic, like, score, scores_of
from methods.surrogates.spd.motif import Motif
from methods.surrogates.spd.settings import DishSettings

LOST = 1.0  # mean squared error in z-units after half the steps: a correlation of one half would do better
FLAT = 1e-9  # a deviation below this holds no order to learn

Listener = Callable[[int, int], None]
"""Told the outer steps done and their number."""


def standardised(values: Tensor) -> Tensor:
    """Return values, (R, M), with mean 0 and population deviation 1 in each row; a flat row becomes zeros."""
    centred = values - values.mean(dim=1, keepdim=True)
    # The guard stands inside the root, whose derivative at zero is infinite.
    return centred / torch.sqrt(centred.square().mean(dim=1, keepdim=True) + FLAT**2)


def mismatch(scores: Tensor, truth: Tensor, emphasis: float = 0.0) -> Tensor:
    """Return the mean squared difference of the standardised rows, (R,), tilted towards good motifs by `emphasis`.

    A row whose truth is flat has no order to learn and gives zero.
    """
    goal = standardised(truth)
    weight = torch.softmax(emphasis * goal, dim=1)
    known = truth.std(dim=1, correction=0) > FLAT
    return (weight * (standardised(scores) - goal).square()).sum(dim=1) * known


class Outer:
    """The outer loop over R restarts at once, each with its own data, motifs and ground truth.

    Attributes:
        best: the data with the smallest error so far, restart by restart.
        error: that error, (R,): the mean squared one in z-units, tilted as the loss is.
        lost: whether a restart had learned nothing after half the steps, (R,).
    """

    def __init__(self, motif: Motif, settings: DishSettings, data: Synthetic, codes: Tensor, truth: Tensor) -> None:
        self._motif, self._settings = motif, settings
        self._codes, self._truth = like(codes, data.inputs), like(truth, data.inputs)
        self._data = data
        self._leaves = self._learned(data)
        self.best = data
        self.error = torch.full((len(codes),), torch.inf, device=data.inputs.device)
        self.lost = torch.zeros(len(codes), dtype=torch.bool, device=data.inputs.device)

    def run(self, generators: Sequence[np.random.Generator], listener: Listener) -> None:
        """Take all outer steps; the generators, one a restart, draw the batches."""
        done, total = 0, self._settings.outer_steps
        for phase in self._settings.phases:
            moments: list[tuple[Tensor, Tensor]] = []
            for step in range(phase.steps):
                gradients = self._gradients(self._drawn(generators), look=done % self._settings.watch == 0)
                moments = self._update(moments, gradients, step, phase.at(step))
                done += 1
                listener(done, total)
                if done == (total + 1) // 2 and self._give_up():
                    return
        self._look()

    def _learned(self, data: Synthetic) -> dict[str, Tensor]:
        leaves = {"inputs": data.inputs}
        if self._settings.learn_labels:
            leaves["labels"] = torch.logit(data.labels, eps=0.1)
        if self._settings.learn_weights:
            leaves |= {name: weight for name, weight in data.tensors().items() if name.startswith("weights.")}
        return {name: leaf.detach().clone().requires_grad_() for name, leaf in leaves.items()}

    def _current(self) -> Synthetic:
        learned = dict(self._leaves)
        if "labels" in learned:
            learned["labels"] = torch.sigmoid(learned["labels"])
        return Synthetic.of(self._data.tensors() | learned)

    def _drawn(self, generators: Sequence[np.random.Generator]) -> Tensor | None:
        """Return the motifs of the next step, (R, batch), or None for all."""
        motifs, batch = self._truth.shape[1], self._settings.batch
        if batch is None or batch >= motifs:
            return None
        rows = np.stack([generator.permutation(motifs)[:batch] for generator in generators])
        return torch.from_numpy(rows).to(self._truth.device)

    def _gradients(self, picks: Tensor | None, *, look: bool) -> list[Tensor]:
        codes, truth = self._codes, self._truth
        if picks is not None:
            if look:
                self._look()
            restarts = torch.arange(len(picks), device=picks.device).unsqueeze(1)
            codes, truth = codes[restarts, picks], truth[restarts, picks]
        data = self._current()
        error = mismatch(score(self._motif, self._settings.inner, data, codes), truth, self._settings.emphasis)
        if picks is None:
            self._keep(error.detach())
        loss = error + self._settings.decay * data.inputs.square().flatten(1).sum(dim=1)
        return self._tamed(torch.autograd.grad(loss.sum(), list(self._leaves.values())))

    def _tamed(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """Shorten the gradient of each restart to the longest allowed; one that is not finite becomes zero."""
        squares = torch.stack([gradient.square().flatten(1).sum(dim=1) for gradient in gradients]).sum(dim=0)
        factor = torch.clamp(self._settings.clip / squares.sqrt(), max=1.0)
        sound = torch.isfinite(squares)
        return [torch.where(_beside(sound, each), each * _beside(factor, each), 0.0) for each in gradients]

    def _update(
        self, moments: list[tuple[Tensor, Tensor]], gradients: list[Tensor], step: int, rate: float
    ) -> list[tuple[Tensor, Tensor]]:
        """Take one step of Adam."""
        moments = moments or [(torch.zeros_like(each), torch.zeros_like(each)) for each in gradients]
        kept: list[tuple[Tensor, Tensor]] = []
        with torch.no_grad():
            for leaf, (mean, square), gradient in zip(self._leaves.values(), moments, gradients, strict=True):
                first = torch.lerp(mean, gradient, 0.1)
                second = torch.lerp(square, gradient.square(), 0.001)
                root = (second / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
                leaf.sub_(rate / (1 - 0.9 ** (step + 1)) * first / root)
                kept.append((first, second))
        return kept

    def _look(self) -> Tensor:
        """Measure the error on all motifs as the data are now, and keep the data where they are the best so far."""
        scores = scores_of(self._motif, self._settings.inner, self._current(), self._codes)
        error = mismatch(torch.from_numpy(scores).to(self._truth), self._truth, self._settings.emphasis)
        self._keep(error)
        return error

    def _keep(self, error: Tensor) -> None:
        better = error < self.error.to(error)
        self.error = torch.where(better, error, self.error.to(error))
        current, best = self._current().tensors(), self.best.tensors()
        self.best = Synthetic.of(
            {name: torch.where(_beside(better, best[name]), current[name].detach(), best[name]) for name in best}
        )

    def _give_up(self) -> bool:
        """Mark the restarts that are lost; tell whether all are."""
        self.lost = ~(self._look() <= LOST)
        return bool(self.lost.all())


def _beside(row: Tensor, tensor: Tensor) -> Tensor:
    """Return one value for each restart in the shape that multiplies a tensor of all restarts."""
    return row.view(-1, *(1 for _ in tensor.shape[1:]))
