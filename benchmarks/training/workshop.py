"""Train, test and time the networks of the training benchmark: the part of it that loads torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property

import torch

from benchmarks.training.arithmetic import arithmetic
from benchmarks.training.calibrate import Pace, calibrate
from benchmarks.training.checkpoint import Shelf
from benchmarks.training.cifar import Images, join
from benchmarks.training.data import Dataset, facts, test_images
from benchmarks.training.determinism import bitwise, flags
from benchmarks.training.evaluate import Resident, accuracy, to_device
from benchmarks.training.fit import Course, Fit, Job, Trainer
from benchmarks.training.settings import ENGINES, TrainingConfig
from harness.core.canonical import Json, content_hash
from harness.core.errors import TrialFailed, UsageError
from harness.core.interfaces import Place, Query
from harness.core.types import Arch


class Workshop:
    """An engine, the data on the device, and the shelf of checkpoints.

    Attributes:
        search: the course of search trials.
        final: the course of final networks: training and validation images together, watched by nothing.
    """

    def __init__(
        self, config: TrainingConfig, place: Place, query: Query, data: Dataset, manifest: Mapping[str, Json]
    ) -> None:
        self._config, self._place, self._query, self._data = config, place, query, data
        self._manifest = dict(manifest)
        self._shelf = Shelf(place.cache / "checkpoints")

    def train(self, arch: Arch, seed: int, epochs: int, course: Course) -> Fit | TrialFailed:
        """Train a network for the first epochs of a course; checkpoints are continued and left."""
        return self._engine([Job(arch, seed, epochs)], course, self._shelf)[0]

    def test(self, fit: Fit) -> float:
        """Return the test accuracy in percent, or NaN where a logit is not finite."""
        with bitwise(self._place.threads):
            return accuracy(fit.network, self.tested())

    def tested(self) -> Resident:
        """Return the test images on the device."""
        return self._test

    def pace(self) -> Pace:
        """Return how fast this machine trains an average cell, from a few timed steps."""
        return calibrate(self._engine, self.search)

    def environment(self) -> dict[str, Json]:
        """Return what can change the last bits and belongs to this machine: versions, device, threads, flags."""
        device = self._place.device
        mode = ENGINES[self._config.engine].determinism
        with arithmetic(mode, self._config.precision, self._place.threads):
            facts_of_process = flags()
        return {
            "mode": mode,
            "torch": torch.__version__,
            "torch_build": torch.__config__.show(),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "device": device if device == "cpu" else torch.cuda.get_device_name(device),
            "cudnn": None if device == "cpu" else torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
            **facts_of_process,
        }

    @cached_property
    def search(self) -> Course:
        """The course of search trials, watched on the validation images."""
        return self._course(self._query.search_epochs, self._data.train, {"valid": self._resident(self._data.valid)})

    @cached_property
    def final(self) -> Course:
        """The course of final networks."""
        return self._course(self._query.final_epochs, join([self._data.train, self._data.valid]), {})

    @cached_property
    def _engine(self) -> Trainer:
        return ENGINES[self._config.engine].load()

    @cached_property
    def _test(self) -> Resident:
        return self._resident(test_images(self._config.dataset, self._place))

    def _resident(self, images: Images) -> Resident:
        layout = ENGINES[self._config.engine].layout
        return to_device(images, facts(self._config.dataset), self._place.device, layout)

    def _course(self, epochs: int, images: Images, watch: Mapping[str, Resident]) -> Course:
        return Course(
            self._config.recipe(epochs),
            facts(self._config.dataset).skeleton(self._config.channels, self._config.cells),
            self._resident(images),
            watch,
            self._place.threads,
            content_hash([self._manifest, self.environment(), epochs, len(images)]),
        )


def check_device(device: str) -> None:
    """Refuse what is not one device of this machine: with several, the order of a reduction could change bits.

    Raises:
        UsageError: with what may be given.
    """
    if device == "cpu" or (re.fullmatch(r"cuda(:\d+)?", device) and torch.cuda.is_available()):
        return
    raise UsageError(f"device: {device!r} is not on this machine; give 'cpu', or 'cuda' where torch finds a GPU")
