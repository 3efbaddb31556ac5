"""Compute K networks with different cells as one: channels side by side, edges bucketed by source and operation.

Every network keeps its own channels from the stem to the logits: convolutions are grouped by network, normalisation
works on single channels, and the classifier is a batched product. So no number of one network depends on another, and
a network that diverges disturbs no other (the fused training of HFTA, Wang et al., MLSys 2021, for unlike networks).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmarks.spaces.nb201 import Skeleton
from benchmarks.training.routes import Route
from benchmarks.training.wide import WideCell, WideConv, WideReduction


class Bundle(nn.Module):
    """K networks as one."""

    def __init__(self, routes: Sequence[Route], networks: int, skeleton: Skeleton) -> None:
        super().__init__()
        self.count, self.width = networks, skeleton.channels * 4
        width = skeleton.channels
        self.stem = WideConv(self.count, skeleton.image_channels, width, 3)
        self.stages = nn.ModuleList()
        for stage in range(3):
            if stage:
                self.stages.append(WideReduction(self.count, width, 2 * width))
                width *= 2
            self.stages.extend(WideCell(routes, self.count, width) for _ in range(skeleton.cells))
        self.norm = nn.BatchNorm2d(self.count * width)
        self.weight = nn.Parameter(torch.empty(self.count, skeleton.classes, width))
        self.bias = nn.Parameter(torch.empty(self.count, 1, skeleton.classes))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits; (n, k * c, h, w) to (k, n, classes)."""
        features = self.stem(images)
        for stage in self.stages:
            features = stage(features)
        # In single precision from here on, whatever the precision of the images: sums and logits need it.
        pooled = self.norm(features).relu().float().mean((2, 3)).view(len(images), self.count, self.width)
        return torch.baddbmm(self.bias, pooled.transpose(0, 1), self.weight.transpose(1, 2))
