"""Answer attachments and growths by training: what all benchmarks whose networks grow have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.training.attach import Attached
from benchmarks.training.determinism import bitwise
from benchmarks.training.evaluate import Resident, accuracy
from benchmarks.training.lineage import Ancestor, Lineage, Stage
from benchmarks.training.naming import Names, kind
from benchmarks.training.phases import distance
from benchmarks.training.recipe import PASSES, PROBED
from harness.core.errors import TrialFailed, UsageError
from harness.core.types import Attach, Cost, Evaluate, Failure, Grow, Measurement, Outcome, Trial


def phase_cost(work: Ancestor, per_image: float, bare: float, images: int, epochs: float, probed: int) -> Cost:
    """Return what some epochs of a phase are charged.

    Multiply-adds: three forward passes of the network that is trained, candidates included, for each training image
    and epoch, and for the images of the pass that scores candidates. Epochs: those of the bare network that so many
    multiply-adds would train, so that candidates are not free in that unit either.

    Args:
        work: the work.
        per_image: multiply-adds of one image through the network that is trained, candidates included.
        bare: the same without candidates.
        images: training images.
        epochs: that were trained.
        probed: validation images of the scoring pass.
    """
    passed = epochs * images + (min(probed, PROBED) if isinstance(work, Attach) and work.moves else 0)
    return Cost(epochs=passed * per_image / (bare * images), multiply_adds=PASSES * per_image * passed)


@dataclass(frozen=True, slots=True)
class Nursery:
    """A lineage of networks with the names of what it answers and the price of it.

    Every phase is charged as `phase_cost` says; validation is not charged, nor is the control that drift is measured
    from.

    Attributes:
        sizes: multiply-adds and parameters of a network without candidates, under their qualified names.
        objective: the qualified name that is searched for.
        test: the sealed images, opened on the first question; None where no child is tested.
        drift: whether the parent is also trained without candidates, to measure how far they drove it away.
    """

    lineage: Lineage
    names: Names
    sizes: Callable[[Ancestor], Mapping[str, float]]
    objective: str
    test: Callable[[], Resident] | None = None
    drift: bool = False

    def answer(self, trial: Trial) -> Outcome:
        """Train the phase that a trial asks for; failures are outcomes that are charged.

        A phase that diverges is charged the epochs that it began with its scoring pass, one whose network diverged
        before it an epoch of its own: nothing that is asked for is free.

        Raises:
            UsageError: a move is not legal, or the arm, the merge or the inheritance is unknown.
        """
        work = trial.work
        assert isinstance(work, Attach | Grow)
        _check_epochs(work)
        try:
            self.lineage.stage(work.after, trial.seed)
        except TrialFailed as failed:
            return Outcome(Failure(f"the training that it goes on from failed: {failed.reason}", self.cost(work, 1)))
        try:
            stage = self.lineage.stage(work, trial.seed)
        except TrialFailed as failed:
            return Outcome(Failure(failed.reason, self.cost(work, failed.spent_epochs)))
        metrics = {**self._metrics(work, trial.seed, stage), **self.sizes(work)}
        sealed = self._tested(stage) if isinstance(work, Grow) and self.test else {}
        return Outcome(self._measurement(work, stage, metrics), sealed)

    def cost(self, work: Ancestor, epochs: float | None = None) -> Cost:
        """Return what a work is charged, or some epochs of it."""
        family, regime = self.lineage.family, self.lineage.regime
        return phase_cost(
            work,
            family.multiply_adds(work),
            family.multiply_adds(Evaluate(work.arch, work.epochs)),
            len(regime.train),
            work.epochs if epochs is None else epochs,
            len(regime.valid),
        )

    def _measurement(self, work: Attach | Grow, stage: Stage, metrics: Mapping[str, float]) -> Measurement:
        report = stage.report
        curves = {"valid": report.valid[1:], "train-loss": report.train_loss}
        objective = kind(self.objective)
        known = metrics.get(self.objective, report.valid[-1])
        curve = curves.get(objective, ())
        return Measurement(curve[-1] if curve else known, metrics, self.cost(work), curve, report.scores)

    def _metrics(self, work: Attach | Grow, seed: int, stage: Stage) -> dict[str, float]:
        report, phase = stage.report, "attach" if isinstance(work, Attach) else "grow"
        seen = {"valid": report.valid[-1], "valid-before": report.valid[0]}
        if report.train_loss:
            seen["train-loss"] = report.train_loss[-1]
        if report.attached:
            seen |= {"valid-attached": report.attached[-1], "valid-attached-before": report.attached[0]}
        if self.drift and isinstance(work, Attach):
            seen |= self._drifted(work, seed, stage)
        return {self.names.phase(metric, phase): value for metric, value in seen.items()}

    def _drifted(self, work: Attach, seed: int, stage: Stage) -> dict[str, float]:
        """Return how far the candidates drove the parent; nothing where it diverges without them."""
        try:
            control = self.lineage.control(work, seed).network
        except TrialFailed:
            return {}
        assert isinstance(stage.network, Attached)
        assert isinstance(control, Attached)
        return {"drift": distance(stage.network.parent_parameters(), control.parent_parameters())}

    def _tested(self, stage: Stage) -> dict[str, float]:
        assert self.test is not None
        with bitwise(self.lineage.regime.threads):
            percent = accuracy(stage.network, self.test())
        return {self.names.phase("test", "grow"): percent} if math.isfinite(percent) else {}


def _check_epochs(work: Ancestor) -> None:
    while isinstance(work, Attach | Grow):
        least = 0 if isinstance(work, Attach) else 1  # untrained candidates have scores, an untrained child no accuracy
        if work.epochs < least:
            raise UsageError(f"{type(work).__name__.lower()}: {work.epochs} epochs; give {least} or more")
        work = work.after
