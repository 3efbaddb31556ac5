"""Define the options of the training benchmark over the growth space."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from math import inf
from typing import Literal

from benchmarks.spaces.growth import GrowthSpace, Limits
from benchmarks.spaces.growth_size import GrowthSkeleton
from benchmarks.training.data import facts
from benchmarks.training.recipe import Recipe
from benchmarks.training.regularisation import Regularisation
from harness.core.canonical import Json
from harness.core.errors import UsageError
from harness.core.later import LATER

FormOption = Literal["cell", "macro"]
MergeOption = Literal["concat", "sum"]
SplitOption = Literal["halves", "45k-5k"]

_LEAST_KEEP = 0.01
"""What is kept is divided by its probability, which must not come near 0."""


@dataclass(frozen=True, slots=True)
class GrowthConfig:
    """The options of `growth-training`; the defaults train small networks on digits in seconds.

    The recipe's options are those of `benchmarks.training.recipe.Recipe`; its epochs are the protocol's fidelities.

    Attributes:
        dataset: 'digits' comes with scikit-learn; 'cifar10' must be imported once.
        train_images: train on the first so many images of the training split; null for all.
        valid_images: validate on the first so many images of the validation split; null for all.
        form: 'cell' grows the two types of cells, 'macro' every cell of the network by itself.
        channels: of the first stage.
        cells: normal cells of each stage.
        reductions: reduction cells, each between two stages.
        stem_rate: channels of the stem, as a multiple of `channels`.
        max_steps: the most layers that may be added to the seed.
        max_multiply_adds: of one image, in millions; null for no limit.
        max_parameters: in millions; null for no limit.
        pairs: how many pairs of input and operation a layer of a sampled architecture joins.
        merge: how the layers of sampled architectures join them.
        founder: a model file that growth begins with in place of the seed, absolute or below the data folder.
        final_channels: of the networks of the final recipe; null for those of the search.
        final_cells: likewise; in the form 'macro' a multiple of `cells`, and each cell is repeated.
        phase_learning_rate: at the start of phases that go on from a trained network; null for that of the recipe.
        drift: whether each attachment also trains its parent without candidates, to measure how far they drove it; not
            charged.
        split: of the training images. On CIFAR-10 'halves' trains on 25,000 and validates on 25,000, '45k-5k' on 45,000
            and 5,000 in the same order.
        cutout: side in pixels of the square that is blanked in each training image; 0 for none.
        drop_path_keep: the probability with which operations of the last cell are kept in the last step of a training
            of the search; 1 drops nothing.
        final_drop_path_keep: likewise in the final recipe.
        final_auxiliary: weight of the loss of an auxiliary head in the final recipe; 0 for no head.
        weight_decay_steps: the weight decay falls to a fifth after so many steps of a training; null for a constant
            one.

    Raises:
        UsageError: a value is outside its range.
    """

    dataset: Literal["digits", "cifar10"] = "digits"
    train_images: int | None = None
    valid_images: int | None = None
    form: FormOption = "cell"
    channels: int = 8
    cells: int = 1
    reductions: int = 2
    stem_rate: int = 1
    max_steps: int = 8
    max_multiply_adds: float | None = None
    max_parameters: float | None = None
    pairs: int = 3
    merge: MergeOption = "concat"
    founder: str | None = None
    final_channels: int | None = None
    final_cells: int | None = None
    batch_size: int = 64
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    cosine: Literal["epoch", "step"] = "epoch"
    flip: bool = False
    crop_padding: int = 1
    phase_learning_rate: float | None = None
    drift: bool = False
    split: SplitOption = field(default="halves", metadata=LATER)
    cutout: int = field(default=0, metadata=LATER)
    drop_path_keep: float = field(default=1.0, metadata=LATER)
    final_drop_path_keep: float = field(default=1.0, metadata=LATER)
    final_auxiliary: float = field(default=0.0, metadata=LATER)
    weight_decay_steps: int | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        known = facts(self.dataset, self.split)
        for key, size in (("train_images", known.train), ("valid_images", known.valid)):
            given = getattr(self, key)
            if given is not None and not 1 <= given <= size:
                raise UsageError(f"{key} is {given}; the split has {size} images: give 1 to {size}, or null for all")
        if self.form == "macro" and (self.final_cells or self.cells) % self.cells:
            raise UsageError(
                f"final_cells is {self.final_cells}; in the form 'macro' each of the {self.cells} cells is repeated: "
                f"give a multiple of {self.cells}"
            )
        self.phase_recipe()
        self.final_skeleton()
        self.space()
        self._check_regularisation()

    def _check_regularisation(self) -> None:
        known = facts(self.dataset, self.split)
        if not 0 <= self.cutout <= known.image_size:
            raise UsageError(
                f"cutout is {self.cutout}; the images of {self.dataset} have {known.image_size} pixels a side: give 1 "
                f"to {known.image_size}, or 0 for none"
            )
        for key in ("drop_path_keep", "final_drop_path_keep"):
            if not _LEAST_KEEP <= getattr(self, key) <= 1:
                raise UsageError(
                    f"{key} is {getattr(self, key)}; give a probability from {_LEAST_KEEP}, or 1 to drop nothing"
                )
        if not 0 <= self.final_auxiliary < inf:
            raise UsageError(f"final_auxiliary is {self.final_auxiliary}; give a positive weight, or 0 for no head")
        if self.weight_decay_steps is not None and self.weight_decay_steps < 1:
            raise UsageError(f"weight_decay_steps is {self.weight_decay_steps}; give 1 or more, or null to keep it")
        images = (self.train_images or known.train) + (self.valid_images or known.valid)
        if self.final_auxiliary and (self.batch_size == 1 or images % self.batch_size == 1):
            raise UsageError(
                f"batch_size is {self.batch_size}; of the {images} images of the final recipe it leaves one for the "
                "last step, and final_auxiliary needs two to normalise: change either, or train_images"
            )

    def space(self, founder: str | None = None) -> GrowthSpace:
        """Return the space, whose growth begins with `founder` where that is given."""
        return GrowthSpace(
            self.skeleton(),
            form=self.form,
            limits=Limits(self.max_steps, self.max_multiply_adds or inf, self.max_parameters or inf),
            merge=self.merge,
            pairs=self.pairs,
            founder=founder,
        )

    def skeleton(self) -> GrowthSkeleton:
        """Return the network around the cells of the search."""
        known = facts(self.dataset)
        return GrowthSkeleton(
            channels=self.channels,
            cells=self.cells,
            reductions=self.reductions,
            stem_rate=self.stem_rate,
            classes=known.classes,
            image_size=known.image_size,
            image_channels=known.image_channels,
        )

    def final_skeleton(self) -> GrowthSkeleton:
        """Return the network around the cells of the final recipe."""
        cells = self.final_cells or self.cells
        repeat = cells // self.cells if self.form == "macro" else 1
        return replace(self.skeleton(), channels=self.final_channels or self.channels, cells=cells, repeat=repeat)

    def recipe(self, epochs: int) -> Recipe:
        """Return the recipe with a schedule of so many epochs."""
        shared = {field.name for field in fields(Recipe)} - {"epochs", "precision"}
        return Recipe(epochs=epochs, **{name: getattr(self, name) for name in shared})

    def phase_recipe(self) -> Recipe:
        """Return the recipe of phases that go on from a trained network; each has a schedule of its own length."""
        rate = self.phase_learning_rate
        return self.recipe(1) if rate is None else replace(self.recipe(1), learning_rate=rate)

    def regularisation(self) -> Regularisation:
        """Return what trainings of the search do against overfitting."""
        return Regularisation(self.cutout, self.drop_path_keep, weight_decay_steps=self.weight_decay_steps)

    def final_regularisation(self) -> Regularisation:
        """Return what trainings under the final recipe do against overfitting."""
        return replace(self.regularisation(), drop_path_keep=self.final_drop_path_keep, auxiliary=self.final_auxiliary)

    def regularised(self) -> dict[str, Json]:
        """Return what of both is on, for manifests."""
        both = {"regularisation": self.regularisation(), "final_regularisation": self.final_regularisation()}
        return {name: part.describe() for name, part in both.items() if part.describe()}
