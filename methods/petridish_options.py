"""Declare the options of Petridish, with the reference settings as defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from methods.base import check_amount, check_choice, check_count
from methods.pool import ParentRule
from methods.selection import Choice

Arm = Literal["sg+sf", "sf", "sg", "joint", "soft", "soft-gateback"]
Extent = Literal["one", "both"]
Merge = Literal["concat", "sum"]
Inherit = Literal["weights", "nothing", "all-but-merge"]
CostAxis = Literal["multiply-adds", "parameters"]


@dataclass(frozen=True)
class Options:
    """Options.

    Attributes:
        arm: which stops the candidates are attached with. 'sg+sf' is Petridish; 'sf' lets gradients through to the
            inputs, 'sg' adds the candidates to the forward pass, 'joint' does both; 'soft' has a learnable gate from 0
            in place of the stops, 'soft-gateback' gates the inputs too.
        penalty: weight of the L1 penalty on the weights of the candidates, applied as a proximal step.
        scale: factor of the gradient that reaches the candidates; the published program has 1 / (training images).
        selection: 'top' takes the largest weights, of which zero is never taken; 'random' is the control that pays for
            the same attachment and draws; 'cosine' takes the best alignment with the negative gradient, 'taylor' the
            steepest slope of the loss.
        keep: the most candidates that one growth makes real in a group of moves; 1 suits NAS-Bench-201.
        grow: 'one' grows one group of moves (a cell type) drawn at random, 'both' grows every group.
        merge: how the chosen candidates are joined: concatenated and projected, or summed; the cells of NAS-Bench-201
            know the sum alone.
        inherit: what a child starts from: the weights of parent and candidates, nothing, or all but the projection.
        parents: 'hull' walks the band above the lower hull as the published program does, 'archai' weighs it as that
            re-implementation does, 'uniform-band', 'uniform-pool' and 'greedy' are controls.
        eps: width of the band, as a share of the error of the hull.
        cost: the complexity axis of the hull: the open metric whose name ends in '/multiply-adds' or '/parameters',
            which the track must name under `objective.secondary`.
        attach_epochs: epochs of an attachment; 0: candidates are scored as they start, which suits 'cosine' and
            'taylor'; None: the search fidelity.
        grow_epochs: epochs of a growth; None: the search fidelity.
        max_growths: how often a founder's line may grow; None: as often as the space allows.
        max_cost: what costs more is no parent, in the unit of the cost metric; None: no limit.
    """

    arm: Arm = "sg+sf"
    penalty: float = 0.001
    scale: float = 1.0
    selection: Choice = "top"
    keep: int = 3
    grow: Extent = "one"
    merge: Merge = "concat"
    inherit: Inherit = "weights"
    parents: ParentRule = "hull"
    eps: float = 0.025
    cost: CostAxis = "multiply-adds"
    attach_epochs: int | None = None
    grow_epochs: int | None = None
    max_growths: int | None = None
    max_cost: float | None = None

    def __post_init__(self) -> None:
        for option, words in _WORDS.items():
            check_choice(option, getattr(self, option), get_args(words))
        check_amount("penalty", self.penalty, least=0)
        check_amount("scale", self.scale, least=0, excluded=True)
        check_amount("eps", self.eps, least=0)
        check_count("keep", self.keep, least=1)
        for option, least in (("attach_epochs", 0), ("grow_epochs", 1), ("max_growths", 1)):
            if getattr(self, option) is not None:
                check_count(option, getattr(self, option), least=least)
        if self.max_cost is not None:
            check_amount("max_cost", self.max_cost, least=0, excluded=True)


_WORDS = {
    "arm": Arm,
    "selection": Choice,
    "grow": Extent,
    "merge": Merge,
    "inherit": Inherit,
    "parents": ParentRule,
    "cost": CostAxis,
}
