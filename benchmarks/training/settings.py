"""Define the options of the training benchmark, and the engines that they may name."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from benchmarks.training.data import facts
from benchmarks.training.recipe import Descent, Recipe
from harness.core.errors import UsageError, nearest

if TYPE_CHECKING:
    from benchmarks.training.fit import Trainer

Determinism = Literal["bitwise", "statistical"]


@dataclass(frozen=True, slots=True)
class Engine:
    """A trainer as the registry names it.

    Attributes:
        trainer: 'module:attribute' of a function with the signature of `benchmarks.training.fit.Trainer`.
        determinism: 'bitwise' where a seed gives the same bits on the same machine, after a kill and resume too;
            'statistical' where it gives the same distribution only.
        anywhere: whether it runs on every device; otherwise on the CPU only.
        layout: the order in memory of the images that it trains on, a key of `benchmarks.training.evaluate.LAYOUTS`.
    """

    trainer: str
    determinism: Determinism = "bitwise"
    anywhere: bool = True
    layout: str = "contiguous"

    def load(self) -> Trainer:
        """Return the trainer."""
        module, _, attribute = self.trainer.partition(":")
        found: Trainer = getattr(import_module(module), attribute)
        return found


ENGINES = {
    "reference": Engine("benchmarks.training.fit:train"),
    "channels-last": Engine("benchmarks.training.fit:train", anywhere=False, layout="channels-last"),
    "fused": Engine("benchmarks.training.fused:train", anywhere=False),
    "graphs": Engine("benchmarks.training.graphs:train"),
    "graphs-statistical": Engine("benchmarks.training.graphs:train_statistical", "statistical"),
}
"""Engines by name; every one must agree with 'reference', which `check-engine` measures."""


def check_engine(name: str, device: str = "cpu") -> None:
    """Refuse an engine that does not exist or does not run on a device.

    Raises:
        UsageError: with the engines that there are, or the device that it runs on.
    """
    if name not in ENGINES:
        raise UsageError(f"engine: no {name!r}{nearest(name, ENGINES)}; known: {', '.join(ENGINES)}")
    if device != "cpu" and not ENGINES[name].anywhere:
        raise UsageError(f"engine: {name!r} computes on the CPU only, not on {device!r}; give --device cpu")


@dataclass(frozen=True, slots=True)
class TrainingConfig(Descent):
    """The options of the training benchmark; the defaults train small networks on digits in about a second.

    The recipe's options are those of `benchmarks.training.recipe.Recipe`; its epochs are the protocol's fidelities.

    Attributes:
        dataset: 'digits' comes with scikit-learn; 'cifar10' must be imported once.
        engine: the trainer; every engine must agree with 'reference'.
        train_images: train on the first so many images of the training split; null for all.
        valid_images: validate on the first so many images of the validation split; null for all.
        fidelities: epochs of the search schedule at which a network may be asked for; empty for every epoch.
        phase_learning_rate: learning rate at the start of phases that go on from a trained network; null for that of
            the recipe.
        drift: whether each attachment also trains its parent without candidates, to measure how far they drove it;
            not charged.

    Raises:
        UsageError: a value is outside its range.
    """

    dataset: Literal["digits", "cifar10"] = "digits"
    engine: str = "reference"
    train_images: int | None = None
    valid_images: int | None = None
    fidelities: tuple[int, ...] = ()
    channels: int = 8
    cells: int = 1
    batch_size: int = 64
    flip: bool = False
    crop_padding: int = 1
    phase_learning_rate: float | None = None
    drift: bool = False

    def __post_init__(self) -> None:
        known = facts(self.dataset)
        check_engine(self.engine)
        for key, size in (("train_images", known.train), ("valid_images", known.valid)):
            given = getattr(self, key)
            if given is not None and not 1 <= given <= size:
                raise UsageError(f"{key} is {given}; the split has {size} images: give 1 to {size}, or null for all")
        if list(self.fidelities) != sorted({epochs for epochs in self.fidelities if epochs >= 1}):
            raise UsageError(f"fidelities are {list(self.fidelities)}; give epochs in rising order, from 1 on")
        self.recipe(1)
        self.phase_recipe()

    def phase_recipe(self) -> Recipe:
        """Return the recipe of phases; each has a schedule of its own length."""
        recipe = self.recipe(1)
        rate = self.phase_learning_rate
        return recipe if rate is None else replace(recipe, learning_rate=rate)

    def recipe(self, epochs: int) -> Recipe:
        """Return the recipe with a schedule of so many epochs."""
        shared = {field.name for field in fields(Recipe)} - {"epochs"}
        return Recipe(epochs=epochs, **{name: getattr(self, name) for name in shared})
