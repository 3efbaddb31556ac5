"""Train, grow, test and time networks of the growth space: the part of its benchmark that loads torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import torch
from torch import nn

from benchmarks.spaces.growth import GrowthSpace
from benchmarks.training.auxiliary import Assisted
from benchmarks.training.calibrate import Pace, peak
from benchmarks.training.checkpoint import Shelf
from benchmarks.training.cifar import Images, join
from benchmarks.training.data import Dataset, facts, test_images
from benchmarks.training.determinism import bitwise, flags
from benchmarks.training.evaluate import BATCH, Resident, accuracy, to_device
from benchmarks.training.growth_cells import GrownNetwork, build_grown
from benchmarks.training.growth_family import GrowthFamily
from benchmarks.training.growth_model import Model
from benchmarks.training.growth_settings import GrowthConfig
from benchmarks.training.lineage import Ancestor, Lineage, Stage
from benchmarks.training.naming import Names
from benchmarks.training.nursery import Nursery
from benchmarks.training.phases import Phase, Regime
from benchmarks.training.recipe import Recipe
from benchmarks.training.regularisation import Regularisation
from harness.core.canonical import Json, content_hash
from harness.core.clock import Stopwatch
from harness.core.errors import HarnessError, TrialFailed
from harness.core.interfaces import Place, Query
from harness.core.seeds import SeedTree
from harness.core.types import Arch, Evaluate

_ENOUGH_SECONDS = 1.0


class GrowthWorkshop:
    """The data on the device, and the lineages of searched and of final networks.

    Final networks are trained from scratch on training and validation images together; after each epoch they are looked
    at on the first of these images, for numbers that are not finite and nothing else.
    """

    def __init__(
        self,
        config: GrowthConfig,
        space: GrowthSpace,
        place: Place,
        query: Query,
        data: Dataset,
        manifest: dict[str, Json],
        founder: Model | None = None,
    ) -> None:
        self._config, self._space, self._place, self._query, self._data = config, space, place, query, data
        self._identity = content_hash([manifest, self.environment()])
        self._model = founder
        self._shelf = Shelf(place.cache / "lineages")

    def train(self, work: Evaluate, seed: int) -> Stage:
        """Return a network of a trial, trained under the search recipe; from the founder's weights if it is its.

        Raises:
            TrialFailed: it diverged or ran out of memory.
        """
        return self._searched.stage(work, seed)

    def finish(self, arch: Arch, seed: int) -> Stage:
        """Return a network trained from scratch under the final recipe.

        Raises:
            TrialFailed: it diverged or ran out of memory.
        """
        return self._final.stage(Evaluate(arch, self._query.final_epochs), seed)

    def left_by(self, work: Ancestor, seed: int) -> nn.Module:
        """Return the network that a work of a search left behind: from the shelf, or trained again to the same bits.

        Raises:
            TrialFailed: it diverged or ran out of memory.
        """
        if isinstance(work, Evaluate):
            return self.train(work, seed).network
        return self._grown.stage(work, seed).network

    def nursery(self, names: Names, *, tested: bool) -> Nursery:
        """Return what answers attachments and growths; children are tested if `tested`."""
        test: Callable[[], Resident] | None = (lambda: self._test) if tested else None
        return Nursery(self._grown, names, self._sizes(names), self._query.objective, test, self._config.drift)

    def test(self, network: nn.Module) -> float:
        """Return the test accuracy in percent, or NaN where a logit is not finite."""
        with bitwise(self._place.threads):
            return accuracy(network, self._test)

    def environment(self) -> dict[str, Json]:
        """Return what can change the last bits and belongs to this machine: versions, device, threads, flags."""
        device = self._place.device
        with bitwise(self._place.threads):
            facts_of_process = flags()
        return {
            "mode": "bitwise",
            "torch": torch.__version__,
            "torch_build": torch.__config__.show(),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "device": device if device == "cpu" else torch.cuda.get_device_name(device),
            "cudnn": None if device == "cpu" else torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
            **facts_of_process,
        }

    def pace(self, arch: Arch) -> Pace:
        """Return how fast this machine trains a network, from a step to warm up and about a second of steps.

        Raises:
            HarnessError: not even a step of it can be trained here.
        """
        regime = self._searched.regime
        batch = regime.recipe.batch_size
        try:
            with bitwise(regime.threads):
                self._timed(arch, batch)
                seconds, validation = self._timed(arch, batch)
                images = min(len(regime.train), batch * max(1, round(_ENOUGH_SECONDS / seconds)))
                if images > batch:
                    seconds, validation = self._timed(arch, images)
        except (TrialFailed, MemoryError, RuntimeError) as error:
            raise HarnessError(f"calibration: {arch!r} cannot be trained on this machine ({error})") from None
        return Pace(seconds / images, validation, peak(regime.train.pixels.device), images)

    def _timed(self, arch: Arch, images: int) -> tuple[float, float]:
        """Return the seconds of so many training images, and of one validation image."""
        whole = self._searched.regime
        regime = replace(whole, train=_first(whole.train, images), valid=_first(whole.valid, whole.recipe.batch_size))
        network = build_grown(arch, self._space.skeleton, 0).to(whole.train.pixels.device)
        watch = Stopwatch()
        phase = Phase(network, regime, 1, SeedTree.root("calibration", 0))
        validation = watch.lap()
        phase.advance()
        return max(watch.lap() - validation, 1e-9), validation / len(regime.valid)

    @cached_property
    def _searched(self) -> Lineage:
        config, query = self._config, self._query
        regime = self._regime(config.recipe(query.search_epochs), self._data.train, self._valid, "search")
        return Lineage(GrowthFamily(self._space, self._found), regime, self._shelf)

    @cached_property
    def _grown(self) -> Lineage:
        regime = self._regime(self._config.phase_recipe(), self._data.train, self._valid, "phases")
        return Lineage(
            GrowthFamily(self._space), regime, self._shelf, lambda work, seed: self.train(work, seed).network
        )

    @cached_property
    def _final(self) -> Lineage:
        config, skeleton = self._config, self._config.final_skeleton()
        images = join([self._data.train, self._data.valid])
        looked_at = _first(self._resident(images), BATCH)
        extra = config.final_regularisation()
        regime = self._regime(config.recipe(self._query.final_epochs), images, looked_at, "final", extra)

        def found(arch: Arch, seed: int) -> nn.Module:
            network = build_grown(arch, skeleton, seed)
            return Assisted(network, extra.auxiliary, seed) if extra.auxiliary else network

        return Lineage(GrowthFamily(self._space, found), regime, self._shelf)

    @cached_property
    def _valid(self) -> Resident:
        return self._resident(self._data.valid)

    @cached_property
    def _test(self) -> Resident:
        return self._resident(test_images(self._config.dataset, self._place))

    def _found(self, arch: Arch, seed: int) -> GrownNetwork:
        if self._model is not None and arch == self._model.arch:
            return self._model.network()
        return build_grown(arch, self._space.skeleton, seed)

    def _regime(
        self, recipe: Recipe, images: Images, valid: Resident, name: str, extra: Regularisation | None = None
    ) -> Regime:
        """Return a regime with the regularisation of the search, or another; both are in the manifest."""
        identity = content_hash([self._identity, name, recipe.describe(), len(images)])
        extra = extra or self._config.regularisation()
        return Regime(recipe, self._resident(images), valid, self._place.threads, identity, extra)

    def _resident(self, images: Images) -> Resident:
        return to_device(images, facts(self._config.dataset), self._place.device)

    def _sizes(self, names: Names) -> Callable[[Ancestor], dict[str, float]]:
        def sizes(work: Ancestor) -> dict[str, float]:
            count = self._space.count(work.arch)
            return {names.multiply_adds: count.multiply_adds / 1e6, names.parameters: count.parameters / 1e6}

        return sizes


def _first(split: Resident, images: int) -> Resident:
    return replace(split, pixels=split.pixels[:images], labels=split.labels[:images])
