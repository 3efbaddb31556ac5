"""Regress accuracy on a slope: what the dish of the sigmoid experiment has to beat.

Every control takes the training slopes, (R, M), and their standardised accuracies, (R, M), one row for each restart,
and returns its predictions for a grid, (R, G), in the same units.
"""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
import torch
from numpy.polynomial import Polynomial
from torch import Tensor

from harness.core.seeds import SeedTree
from methods.surrogates.spd.artefact import Floats, steady

HIDDEN = 10
STEPS = 4000
RATE = 0.01

Activation = Literal["tanh", "relu"]


def network(slopes: Floats, goals: Floats, grid: Floats, seed: int, activation: Activation) -> Floats:
    """Predict with a perceptron 1-10-10-1, trained on the squared error by 4,000 full-batch steps of Adam at 0.01.

    'tanh': the input is standardised, weights start from N(0, 1 / fan-in). 'relu': the input is the raw slope, weights
    start from N(0, 2 / fan-in). Biases start at zero and are learned. All rows are trained at once.
    """
    if activation == "tanh":
        mean, std = slopes.mean(axis=1, keepdims=True), slopes.std(axis=1, keepdims=True)
        slopes, points = (slopes - mean) / std, (grid - mean) / std
    else:
        points = np.tile(grid, (len(slopes), 1))
    with steady():
        weights = _weights(len(slopes), 1.0 if activation == "tanh" else 2.0, seed)
        inputs, targets = torch.from_numpy(slopes).unsqueeze(2), torch.from_numpy(goals).unsqueeze(2)
        adam = torch.optim.Adam(weights, lr=RATE)
        for _ in range(STEPS):
            adam.zero_grad(set_to_none=True)
            torch.autograd.backward((_answers(weights, inputs, activation) - targets).square().mean(dim=(1, 2)).sum())
            adam.step()
        with torch.no_grad():
            answers: Floats = _answers(weights, torch.from_numpy(points).unsqueeze(2), activation).squeeze(2).numpy()
    return answers


def _weights(rows: int, gain: float, seed: int) -> list[Tensor]:
    tensors: list[Tensor] = []
    for layer, (fan_in, fan_out) in enumerate(((1, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, 1))):
        seeds = [SeedTree.root("slope-network", seed).child(row, layer).seed() for row in range(rows)]
        drawn = [
            torch.randn(fan_in, fan_out, generator=torch.Generator().manual_seed(one), dtype=torch.float64)
            for one in seeds
        ]
        tensors += [torch.stack(drawn) * (gain / fan_in) ** 0.5, torch.zeros(rows, 1, fan_out, dtype=torch.float64)]
    return [tensor.requires_grad_() for tensor in tensors]


def _answers(weights: list[Tensor], inputs: Tensor, activation: Activation) -> Tensor:
    act = torch.tanh if activation == "tanh" else torch.relu
    first = act(torch.baddbmm(weights[1], inputs, weights[0]))
    second = act(torch.baddbmm(weights[3], first, weights[2]))
    return torch.baddbmm(weights[5], second, weights[4])


def gaussian_process(slopes: Floats, goals: Floats, grid: Floats, seed: int) -> Floats:
    """Predict with a Gaussian process: constant times RBF plus white noise, fitted by maximum likelihood."""
    # Loaded where it is used: a second that nothing else here needs.
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
    from sklearn.gaussian_process import GaussianProcessRegressor  # noqa: PLC0415
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel  # noqa: PLC0415

    rows = []
    for row, (inputs, targets) in enumerate(zip(slopes, goals, strict=True)):
        kernel = ConstantKernel(1.0, (1e-2, 1e3)) * RBF(1.0, (1e-2, 1e2)) + WhiteKernel(1e-2, (1e-6, 1.0))
        model = GaussianProcessRegressor(kernel, n_restarts_optimizer=2, random_state=(seed + row) % 2**32)
        with warnings.catch_warnings():
            # A noise level at its lower bound is a good fit here, not a failure.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(inputs[:, None], targets)
        rows.append(model.predict(grid[:, None]))
    return np.stack(rows)


def quadratic(slopes: Floats, goals: Floats, grid: Floats, seed: int) -> Floats:  # noqa: ARG001 - nothing is drawn
    """Predict with the parabola of least squares."""
    return np.stack([Polynomial.fit(x, y, 2)(grid) for x, y in zip(slopes, goals, strict=True)])
