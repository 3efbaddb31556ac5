"""Define what a phase may do against overfitting beyond flips, crops and weight decay; as data, without torch."""

from __future__ import annotations

from dataclasses import dataclass, fields

from harness.core.canonical import Json

_DROP = 0.2
"""What a drop of the weight decay leaves of it."""


@dataclass(frozen=True, slots=True)
class Regularisation:
    """The settings by which the program of Petridish (Hu et al., NeurIPS 2019) regularises; by default none is on.

    Attributes:
        cutout: side in pixels of the square that is blanked in each training image, see `augment.cut_out`; 0 for none.
        drop_path_keep: the probability with which operations of the last cell are kept in the last step, see
            `drop_path`; 1 drops nothing.
        auxiliary: weight of the loss of an auxiliary head, see `auxiliary`; 0 for no head.
        weight_decay_steps: the weight decay falls to a fifth after so many steps of a phase, and again after as many;
            None for a constant one.
    """

    cutout: int = 0
    drop_path_keep: float = 1.0
    auxiliary: float = 0.0
    weight_decay_steps: int | None = None

    def decay(self, step: int) -> float:
        """Return the share of the weight decay that is left in a step of a phase, counted from 0."""
        return 1.0 if self.weight_decay_steps is None else _DROP ** (step // self.weight_decay_steps)

    def describe(self) -> dict[str, Json]:
        """Return what is on, as plain data for manifests."""
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {name: value for name, (value, default) in values.items() if value != default}
