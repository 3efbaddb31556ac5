"""Learn synthetic data on which motif networks rank as the architectures do that they stand for."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.stats import norm, rankdata
from torch import Tensor

from harness.core.errors import UsageError
from harness.core.seeds import SeedTree
from methods.surrogates.spd.artefact import Artefact, Floats, Reading, Synthetic, moved, steady
from methods.surrogates.spd.motif import Motif
from methods.surrogates.spd.outer import FLAT, Listener, Outer, mismatch
from methods.surrogates.spd.settings import DishSettings

_LOG = logging.getLogger(__name__)


def _unheard(_done: int, _all: int) -> None:
    """Tell nobody."""


class Dish:
    """Synthetic data, fitted to the known quality of some motifs (Rawal et al. 2020, Algorithm 1).

    Every restart draws its data and the initial weights of its motifs from its own seed: what it becomes does not
    depend on how many others are trained beside it.
    """

    def __init__(self, motif: Motif, settings: DishSettings | None = None, device: str = "cpu") -> None:
        self.motif = motif
        self.settings = settings or DishSettings()
        self.device = device

    def fit(
        self, motifs: Sequence[Any], truth: Sequence[Any] | Floats, seed: int, listener: Listener = _unheard
    ) -> Artefact:
        """Learn synthetic data from the ground truth of some motifs.

        Args:
            motifs: descriptions, M of them, or as many for each restart: R rows.
            truth: their measured quality, more is better: (M,) or (R, M).
            seed: of everything that is drawn.
            listener: told of every outer step.

        Raises:
            UsageError: the shapes do not fit, fewer than two motifs, or ground truth that is all equal.
        """
        codes, goals = self._goals(motifs, np.asarray(truth, dtype=np.float64))
        tree = SeedTree.root("dish", seed)
        fitted: dict[int, _Fitted] = {}
        with steady():
            for attempt in range(self.settings.attempts + 1):
                rows = [row for row in range(len(codes)) if row not in fitted or fitted[row].diverged]
                if rows:
                    fitted |= dict(self._attempt(tree, attempt, rows, codes[rows], goals[rows], listener))
            return self._artefact([fitted[row] for row in range(len(codes))], codes, goals, seed)

    def _goals(self, motifs: Sequence[Any], truth: Floats) -> tuple[Tensor, Tensor]:
        """Return the codes, (R, M, ...), and the transformed ground truth, (R, M)."""
        restarts = self.settings.restarts
        if truth.ndim == 1:
            codes, truth = self.motif.encode(motifs), np.tile(truth, (restarts, 1))
            codes = codes.expand(restarts, *codes.shape)
        else:
            codes = torch.stack([self.motif.encode(row) for row in motifs])
        if truth.shape != codes.shape[:2] or len(truth) != restarts or truth.shape[1] < 2:  # noqa: PLR2004 - one has no rank
            raise UsageError(
                f"dish: {codes.shape[1]} motifs with ground truth of shape {truth.shape} for {restarts} restarts; give "
                "one value for each of two motifs or more, or a row of them for each restart"
            )
        if not np.isfinite(truth).all() or (truth.std(axis=1) < FLAT).any():
            raise UsageError("dish: the ground truth is not finite, or all equal; give motifs that differ in quality")
        return codes, torch.from_numpy(truth if self.settings.transform == "identity" else normal_scores(truth))

    def _attempt(
        self, tree: SeedTree, attempt: int, rows: Sequence[int], codes: Tensor, goals: Tensor, listener: Listener
    ) -> Iterator[tuple[int, _Fitted]]:
        """Train some restarts at once, from data and initial weights of this attempt."""
        nodes = [tree.child("restart", row, "attempt", attempt) for row in rows]
        data = moved(joined([draw(self.motif, self.settings, node.child("data")) for node in nodes]), self.device)
        outer = Outer(self.motif, self.settings, data, codes, goals)
        outer.run([node.child("batches").generator() for node in nodes], listener)
        for place, row in enumerate(rows):
            lost = bool(outer.lost[place])
            if lost:
                _LOG.warning("dish diverged", extra={"facts": {"restart": row, "attempt": attempt}})
            own = Synthetic.of({name: tensor[place : place + 1] for name, tensor in outer.best.tensors().items()})
            yield row, _Fitted(own, lost, attempt)

    def _artefact(self, fitted: Sequence[_Fitted], codes: Tensor, goals: Tensor, seed: int) -> Artefact:
        data = moved(joined([one.data for one in fitted]), "cpu")
        zeros = np.zeros(len(fitted))
        artefact = Artefact(
            self.motif, self.settings, data, Reading(zeros, zeros, zeros, zeros, zeros), seed,
            redrawn=tuple(one.attempt for one in fitted), diverged=tuple(one.diverged for one in fitted),
        )  # fmt: skip
        scores, truth = artefact.scores(codes, self.device), goals.numpy()
        error = mismatch(torch.from_numpy(scores), goals).numpy()
        std = np.maximum(scores.std(axis=1), FLAT)
        return replace(
            artefact, reading=Reading(scores.mean(axis=1), std, truth.mean(axis=1), truth.std(axis=1), error)
        )


@dataclass(frozen=True, slots=True)
class _Fitted:
    """One restart as it came out of its last attempt."""

    data: Synthetic
    diverged: bool
    attempt: int


def draw(motif: Motif, settings: DishSettings, node: SeedTree) -> Synthetic:
    """Draw the synthetic data and the initial weights that a restart begins with: inputs N(0, 1), fair coin labels."""
    generator = torch.Generator().manual_seed(node.seed())
    weights = motif.init(generator)
    pair = (2, settings.samples)
    inputs = torch.randn(*pair, *motif.input_shape, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 2, (*pair, *motif.output_shape), generator=generator).double()
    if settings.validation == "copy":
        inputs[1] = inputs[0]
    if settings.validation != "own":
        labels[1] = labels[0]
    tensors = Synthetic(inputs, labels, weights).tensors()
    return Synthetic.of({name: tensor.unsqueeze(0).to(settings.dtype) for name, tensor in tensors.items()})


def joined(parts: Sequence[Synthetic]) -> Synthetic:
    """Return the data of several restarts as one."""
    names = parts[0].tensors()
    return Synthetic.of({name: torch.cat([part.tensors()[name] for part in parts]) for name in names})


def normal_scores(truth: Floats) -> Floats:
    """Return the normal quantiles of the ranks in each row (Blom's positions); equal values have equal scores."""
    ranks = rankdata(truth, axis=1)
    scores: Floats = norm.ppf((ranks - 0.375) / (truth.shape[1] + 0.25))
    return scores
