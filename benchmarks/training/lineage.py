"""Realise the network that a lineage of work leaves behind, from its founder on, and keep what was trained."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Protocol

from torch import nn

from benchmarks.training.attach import Attached
from benchmarks.training.checkpoint import Shelf, State
from benchmarks.training.determinism import bitwise
from benchmarks.training.fit import is_out_of_memory
from benchmarks.training.phases import Phase, Regime, Report
from harness.core.canonical import content_hash
from harness.core.codec import work_to_json
from harness.core.errors import TrialFailed
from harness.core.seeds import SeedTree
from harness.core.types import Arch, Attach, Evaluate, Grow

Ancestor = Evaluate | Attach | Grow
"""A work that leaves a network behind."""

_IN_MEMORY = 16
"""Networks that wait in memory to be gone on from; the others wait on the shelf, or are trained again."""


class Family(Protocol):
    """How the networks of one search space are built and changed.

    Each method draws what it draws from `seed`, which names the founder and the depth in the lineage and nothing else,
    so that the arms of an ablation share their candidates; a layer draws from its own name, so that a move draws the
    same whatever else is attached. Networks are built on the CPU.
    """

    def found(self, arch: Arch, seed: int) -> nn.Module:
        """Return a network of this architecture with fresh weights."""
        ...

    def attach(self, parent: nn.Module, work: Attach, seed: int) -> Attached:
        """Return the parent, its parameters the very same tensors, with the candidates of this work.

        Raises:
            UsageError: a move is not legal, or the arm is unknown.
        """
        ...

    def grow(self, attached: Attached, work: Grow, seed: int) -> nn.Module:
        """Return the child as it starts: with inherited weights it computes exactly what its parent does.

        The parameters of the parent and of the chosen candidates are the same tensors. A child whose gates follow a
        schedule is `phases.Annealed`.

        Raises:
            UsageError: the child is not what the moves give, or cannot start or be merged in this way.
        """
        ...

    def settle(self, network: nn.Module) -> nn.Module:
        """Return what a network has become at the end of its phase: itself, or without the gates that can be folded."""
        ...

    def multiply_adds(self, work: Ancestor) -> float:
        """Return the multiply-adds of one image through the network that this work trains, candidates included."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """A network as a work left it, with what was seen on the way; whoever trains it on copies it first."""

    network: nn.Module
    report: Report


Founder = Callable[[Evaluate, int], nn.Module]
"""Trains a founder with the seed of its trial; raises TrialFailed."""


def depth(work: Ancestor) -> int:
    """Return how many works came before in the lineage; 0 for a founder."""
    return 0 if isinstance(work, Evaluate) else 1 + depth(work.after)


def streams(work: Ancestor, seed: int) -> SeedTree:
    """Return the node of the seed tree that a work draws from: the same for all arms, penalties and moves."""
    return SeedTree.root("lineage", seed).child(depth(work))


class Lineage:
    """The networks of one family under one regime, each a pure function of a work and the seed of its founder.

    What a work leaves behind is kept in memory and on the shelf, where a phase that was killed goes on from its last
    epoch; whatever is missing is trained again, to the same bits. Founders are trained by the first phase unless
    `founder` trains them.
    """

    def __init__(self, family: Family, regime: Regime, shelf: Shelf, founder: Founder | None = None) -> None:
        self.family, self.regime = family, regime
        self._shelf, self._founder = shelf, founder
        self._memory: OrderedDict[str, Stage] = OrderedDict()

    def stage(self, work: Ancestor, seed: int) -> Stage:
        """Return what a work left behind.

        Raises:
            TrialFailed: this work, or one before it, diverged or ran out of memory.
        """
        key = self._key(work, seed)
        if key not in self._memory:
            with bitwise(self.regime.threads):
                self._remember(key, self._founded(work, seed, key) or self._realise(work, seed, key))
        self._memory.move_to_end(key)
        return self._memory[key]

    def remember(self, work: Evaluate, seed: int, network: nn.Module) -> None:
        """Take a founder that was trained elsewhere, as `founder` would have trained it."""
        self._remember(self._key(work, seed), Stage(network, Report((), (), (), {})))

    def control(self, work: Attach, seed: int) -> Stage:
        """Return the parent of a phase trained without candidates: what drift is measured from."""
        return self.stage(Attach(work.after, (), "sg+sf", work.epochs, 0.0, 1.0), seed)

    def _key(self, work: Ancestor, seed: int) -> str:
        return content_hash([self.regime.identity, work_to_json(work), seed])

    def _remember(self, key: str, stage: Stage) -> None:
        self._memory[key] = stage
        while len(self._memory) > _IN_MEMORY:
            self._memory.popitem(last=False)

    def _founded(self, work: Ancestor, seed: int, key: str) -> Stage | None:
        """Return a founder that is trained elsewhere; None for everything else."""
        if self._founder is None or not isinstance(work, Evaluate):
            return None
        kept = self._shelf.load(key)
        if kept is None:
            network = self._founder(work, seed)
            self._shelf.save(key, {"network": network.state_dict()})
        else:
            network = self._placed(self.family.found(work.arch, 0))
            network.load_state_dict(kept["network"])
        return Stage(network, Report((), (), (), {}))

    def _realise(self, work: Ancestor, seed: int, key: str) -> Stage:
        """Return what a work left behind: from the shelf, or by training what is left of its phase."""
        kept = self._shelf.load(key)
        if kept is not None and "report" in kept:
            network = self._placed(self.family.settle(self._shape(work, seed)))
            network.load_state_dict(kept["network"])
            return Stage(network, _report(kept["report"]))
        stage = self._train(work, seed, key, kept)
        self._shelf.save(key, {"network": stage.network.state_dict(), "report": asdict(stage.report)})
        return stage

    def _train(self, work: Ancestor, seed: int, key: str, kept: State | None) -> Stage:
        phase: Phase | None = None
        try:
            phase = Phase(
                self._placed(self._start(work, seed)),
                self.regime,
                work.epochs,
                streams(work, seed),
                penalty=work.penalty if isinstance(work, Attach) else 0.0,
            )
            if kept is not None:
                phase.restore(kept)
            while phase.epoch < work.epochs:
                phase.advance()
                if phase.epoch < work.epochs:
                    self._shelf.offer(key, phase.state)
            return Stage(self.family.settle(phase.network), phase.report())
        except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
            if not is_out_of_memory(error):
                raise
            raise TrialFailed("out of memory", 1 if phase is None else phase.epoch + 1) from None

    def _start(self, work: Ancestor, seed: int) -> nn.Module:
        """Return the network of a work before its phase, which no other work holds on to."""
        drawn = streams(work, seed).child("weights").seed()
        if isinstance(work, Evaluate):
            return self.family.found(work.arch, drawn)
        before = copy.deepcopy(self.stage(work.after, seed).network).cpu()
        return self._change(before, work, drawn)

    def _shape(self, work: Ancestor, seed: int) -> nn.Module:
        """Return a network like the one that a work trains, with weights that mean nothing."""
        drawn = streams(work, seed).child("weights").seed()
        if isinstance(work, Evaluate):
            return self.family.found(work.arch, drawn)
        return self._change(self._shape_left(work.after, seed), work, drawn)

    def _shape_left(self, work: Ancestor, seed: int) -> nn.Module:
        known = self._memory.get(self._key(work, seed))
        return copy.deepcopy(known.network).cpu() if known else self.family.settle(self._shape(work, seed))

    def _change(self, network: nn.Module, work: Attach | Grow, drawn: int) -> nn.Module:
        if isinstance(work, Attach):
            return self.family.attach(network, work, drawn)
        assert isinstance(network, Attached)
        return self.family.grow(network, work, drawn)

    def _placed(self, network: nn.Module) -> nn.Module:
        return network.to(self.regime.train.pixels.device)


def _report(kept: State) -> Report:
    return Report(tuple(kept["train_loss"]), tuple(kept["valid"]), tuple(kept["attached"]), kept["scores"])
