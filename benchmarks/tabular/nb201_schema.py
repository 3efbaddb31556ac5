"""State what the official NAS-Bench-201 trainings are: data sets, splits, sizes, schedules, trial seeds.

From Dong and Yang, "NAS-Bench-201" (ICLR 2020), Dong et al., "NATS-Bench" (TPAMI 2021), and their released files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.tabular.names import MetricName

SCHEDULES = {"12": 12, "200": 200}
"""The two schedules of the topology space: the key in the official files, and its epochs."""

CELLS = 15_625

ARCH_FILE, TRIAL_FILE = "arch.parquet", "seed_final200.parquet"
"""The two files of the extract: one row a cell, and one row a trial."""

SPACE = {"kind": "nb201"}

SEALED_SPLITS = frozenset({"test", "valid+test"})

TABLES = ("nb201-v1.1", "nats-tss")
"""Two releases of the same trainings; their means differ for about 2,500 cells, so a study uses one of them."""


@dataclass(frozen=True, slots=True)
class Training:
    """One data set as the official files train on it.

    Attributes:
        official: its name there.
        dataset: its name here.
        train: the number of training images.
        splits: official evaluation split -> split here.
        timed: the official split whose evaluation is charged once for each query.
    """

    official: str
    dataset: str
    train: str
    splits: dict[str, str]
    timed: str

    def metric(self, quantity: str, epochs: int | None = None) -> MetricName:
        """Return the qualified name (without a policy) of a quantity of this training."""
        return MetricName(self.dataset, quantity, epochs, self.train)


_HALVES = {"x-valid": "valid", "x-test": "test", "ori-test": "valid+test"}

TRAININGS = (
    Training("cifar10-valid", "cifar10", "25k", {"x-valid": "valid", "ori-test": "test"}, "x-valid"),
    Training("cifar10", "cifar10", "50k", {"ori-test": "test"}, "ori-test"),
    Training("cifar100", "cifar100", "50k", _HALVES, "x-valid"),
    Training("ImageNet16-120", "imagenet16-120", "151.7k", _HALVES, "x-valid"),
)

DATASETS = tuple(sorted({training.dataset for training in TRAININGS}))


def sealed(quantity: str) -> bool:
    """Tell whether a quantity was measured on test images."""
    return quantity.removesuffix("-loss") in SEALED_SPLITS


def official_names() -> Iterator[str]:
    """Yield every name that a complete import of the official files answers at the end of a schedule."""
    for training in TRAININGS:
        for epochs in SCHEDULES.values():
            for split in ("train", *training.splits.values()):
                for quantity in (split, f"{split}-loss"):
                    name = training.metric(quantity, epochs)
                    yield f"{name} mean-of-trials"
                    yield f"{name} trial"
    for dataset in DATASETS:
        yield from (f"{dataset}/{quantity}" for quantity in ("multiply-adds", "parameters", "gpu-latency"))
