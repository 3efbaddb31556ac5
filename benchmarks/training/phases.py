"""Train one phase of a growing network: a founder, a parent with candidates attached, or a child behind gates."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.training.attach import Attached, diagnostics, shrink
from benchmarks.training.augment import cut_out, draw, draw_centres, flip_and_crop
from benchmarks.training.checkpoint import State
from benchmarks.training.drop_path import Droppable, DropPath
from benchmarks.training.evaluate import Resident, accuracy
from benchmarks.training.recipe import GRADIENT_LIMIT, PROBED, Recipe
from benchmarks.training.regularisation import Regularisation
from harness.core.errors import TrialFailed, UsageError
from harness.core.seeds import SeedTree


@dataclass(frozen=True, slots=True)
class Regime:
    """What all phases of all networks have in common.

    Attributes:
        recipe: of every phase; the length of its schedule is that of the phase, so each starts at the full rate.
        train: the images to train on.
        valid: the images to validate on, clean.
        threads: of the CPU.
        identity: names everything beside the work and the seed that determines bits.
        regularisation: of every phase; drop-path asks that the networks are `drop_path.Droppable`.
    """

    recipe: Recipe
    train: Resident
    valid: Resident
    threads: int
    identity: str
    regularisation: Regularisation = field(default_factory=Regularisation)


@runtime_checkable
class Annealed(Protocol):
    """A network whose gates follow a schedule instead of learning."""

    def anneal(self, share: float) -> None:
        """Set the gates to where they stand after this share of the phase's steps, from 0 to 1."""
        ...


@runtime_checkable
class WithLoss(Protocol):
    """A network that is trained on more than the cross-entropy of its logits."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the loss that is trained on, a scalar."""
        ...


@dataclass(frozen=True, slots=True)
class Report:
    """What a phase was seen to do.

    Attributes:
        train_loss: mean of the loss that was trained on in each epoch, over augmented images.
        valid: accuracy in percent before the phase and after each epoch, without candidates.
        attached: the same with the candidates attached; empty where there are none or they change no value.
        scores: of each move the size of its weight, `MOVE`, the weight itself, `MOVE|omega`, and the diagnostics
            `MOVE|-cos` and `MOVE|<g,c>` (see `attach.diagnostics`).
    """

    train_loss: tuple[float, ...]
    valid: tuple[float, ...]
    attached: tuple[float, ...]
    scores: dict[str, float]


_DROP_STREAMS = ("drop-path", "drop-path of candidates")


class Phase:
    """A network on its way through one phase, with every state that its future depends on.

    The parent and the candidates have an optimiser and a limit on the norm of the gradient each, so that nothing of
    the candidates reaches the parent but through the network itself. After each step the weights of the moves shrink
    by `penalty` times the learning rate. Data order, augmentation and what drop-path drops follow from `seeds` alone;
    for candidates it draws from a stream of their own.

    Raises:
        UsageError: the recipe asks for another precision than float32.
    """

    def __init__(
        self, network: nn.Module, regime: Regime, epochs: int, seeds: SeedTree, *, penalty: float = 0.0
    ) -> None:
        if regime.recipe.precision != "fp32":
            raise UsageError(
                f"recipe: phases of growing networks compute in 'fp32', not in {regime.recipe.precision!r}; one scaler "
                "for parent and candidates would couple them: change `precision`"
            )
        self.network = network
        self._regime, self._penalty = regime, penalty
        self._recipe = replace(regime.recipe, epochs=max(1, epochs))
        self._groups = [Group(part, self._recipe) for part in _parts(network) if part]
        keep, cut = regime.regularisation.drop_path_keep, ("cutout",) if regime.regularisation.cutout else ()
        droppable = dict(zip(_DROP_STREAMS, _networks(network), strict=False)) if keep < 1 else {}
        self._generators = {
            name: torch.Generator().manual_seed(seeds.child(name).seed())
            for name in ("order", "augment", *cut, *droppable)
        }
        generators = [self._generators[name] for name in droppable]
        self._paths = DropPath(cast("list[Droppable]", list(droppable.values())), generators, keep)
        self._train_loss: list[float] = []
        self._valid = [accuracy(_bare(network), regime.valid)]
        self._attached = [accuracy(network, regime.valid)] if _changes(network) else []

    @property
    def epoch(self) -> int:
        """The epochs trained so far."""
        return len(self._train_loss)

    def advance(self) -> None:
        """Train for one epoch and validate.

        Raises:
            TrialFailed: the loss, a logit or a weight of a move is not finite; the epoch counts as spent.
        """
        loss = self._train_epoch()
        valid = accuracy(_bare(self.network), self._regime.valid)
        seen = [loss, valid]
        if _changes(self.network):
            self._attached.append(accuracy(self.network, self._regime.valid))
            seen.append(self._attached[-1])
        if isinstance(self.network, Attached):
            seen.append(float(self.network.omega.detach().sum()))
        if not all(map(math.isfinite, seen)):
            spent = self.epoch + 1
            raise TrialFailed(f"diverged: a loss, logit or weight is not finite in epoch {spent}", spent)
        self._train_loss.append(loss)
        self._valid.append(valid)

    def _train_epoch(self) -> float:
        recipe, split = self._recipe, self._regime.train
        steps = math.ceil(len(split) / recipe.batch_size)
        total = torch.zeros((), device=split.pixels.device)
        self.network.train()
        with self._paths.hooked():
            for step, (images, labels) in enumerate(self._batches()):
                if isinstance(self.network, Annealed):
                    self.network.anneal((self.epoch + step / steps) / recipe.epochs)
                self._paths.draw((self.epoch + (step + 1) / steps) / recipe.epochs, len(labels), images.device)
                loss = _loss(self.network, images, labels)
                decay = self._regime.regularisation.decay(self.epoch * steps + step)
                self.step(loss, recipe.rate(self.epoch, step, steps), decay)
                total += loss.detach() * len(labels)
        if isinstance(self.network, Annealed):
            self.network.anneal((self.epoch + 1) / recipe.epochs)
        return total.item() / len(split)

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        recipe, split = self._recipe, self._regime.train
        draws = draw(len(split), recipe, self._generators["order"], self._generators["augment"])
        order, offsets, flips = (part.to(split.pixels.device) for part in (draws.order, draws.offsets, draws.flips))
        cutout = self._regime.regularisation.cutout
        if cutout:
            centres = draw_centres(len(split), split.pixels.shape[-1], self._generators["cutout"]).to(order.device)
        for first in range(0, len(split), recipe.batch_size):
            part = slice(first, first + recipe.batch_size)
            pixels = flip_and_crop(split.pixels[order[part]], flips[part], offsets[part], recipe.crop_padding)
            images = split.images(pixels)
            if cutout:
                images = cut_out(images, centres[part], cutout)
            yield images, split.labels[order[part]]

    def step(self, loss: Tensor, rate: float, decay: float = 1.0) -> None:
        """Go one step down the gradient of a loss of this network at a learning rate, and shrink the weights.

        Args:
            loss: a scalar.
            rate: the learning rate.
            decay: the share of the weight decay that is left.
        """
        for group in self._groups:
            group.clear()
        loss.backward()  # type: ignore[no-untyped-call]
        for group in self._groups:
            group.step(rate, decay)
        if isinstance(self.network, Attached):
            shrink(self.network.omega, rate * self._penalty)

    def momentum(self) -> list[Tensor]:
        """Return the momentum of each parameter of the network, without its candidates."""
        return self._groups[0].momentum()

    def state(self) -> State:
        """Return all that is needed to go on, down to the last bit."""
        return {
            "network": self.network.state_dict(),
            "optimisers": [group.optimiser.state_dict() for group in self._groups],
            "generators": {name: generator.get_state() for name, generator in self._generators.items()},
            "train_loss": list(self._train_loss),
            "valid": list(self._valid),
            "attached": list(self._attached),
        }

    def restore(self, state: State) -> None:
        """Go back to a state of the same phase."""
        self.network.load_state_dict(state["network"])
        for group, kept in zip(self._groups, state["optimisers"], strict=True):
            group.optimiser.load_state_dict(kept)
        for name, generator in self._generators.items():
            generator.set_state(state["generators"][name])
        self._train_loss = list(state["train_loss"])
        self._valid, self._attached = list(state["valid"]), list(state["attached"])
        if isinstance(self.network, Annealed):
            self.network.anneal(self.epoch / self._recipe.epochs)

    def report(self) -> Report:
        """Return what was seen so far, with the scores of the moves as they are now."""
        scores = scores_of(self.network, self._regime.valid) if isinstance(self.network, Attached) else {}
        return Report(tuple(self._train_loss), tuple(self._valid), tuple(self._attached), scores)


class Group:
    """Parameters that are trained by themselves: an optimiser and a limit on the norm of their gradient."""

    def __init__(self, parts: Sequence[dict[str, Any]], recipe: Recipe) -> None:
        self.optimiser = torch.optim.SGD(
            parts,
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=True,
            foreach=False,
        )
        self._parameters = [parameter for group in self.optimiser.param_groups for parameter in group["params"]]
        self._decays = [group["weight_decay"] for group in self.optimiser.param_groups]

    def clear(self) -> None:
        """Forget the last gradient."""
        self.optimiser.zero_grad(set_to_none=True)

    def step(self, rate: float, decay: float) -> None:
        """Limit the gradient of these parameters and go one step with a share of their weight decay."""
        nn.utils.clip_grad_norm_(self._parameters, GRADIENT_LIMIT, foreach=False)
        for group, own in zip(self.optimiser.param_groups, self._decays, strict=True):
            group["lr"], group["weight_decay"] = rate, decay * own
        self.optimiser.step()

    def momentum(self) -> list[Tensor]:
        """Return the momentum of each parameter."""
        return [self.optimiser.state[parameter]["momentum_buffer"] for parameter in self._parameters]


def _parts(network: nn.Module) -> Iterator[list[dict[str, Any]]]:
    """Give the parameter groups of each optimiser: the network's, then the candidates'."""
    if not isinstance(network, Attached):
        yield [{"params": list(network.parameters())}]
        return
    yield [{"params": network.parent_parameters()}]
    if network.moves:
        # Weights of moves shrink by the penalty, gates by nothing: decay is for what is scaled by a normalisation.
        mixing = {"params": network.mixing_parameters(), "weight_decay": 0.0}
        operations = network.operation_parameters()
        yield [*([{"params": operations}] if operations else []), mixing]


def _networks(network: nn.Module) -> list[nn.Module]:
    """Return the network, and after it what holds its candidates."""
    return [network.parent, network] if isinstance(network, Attached) else [network]


def _loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    if isinstance(network, WithLoss):
        return network.loss(images, labels)
    return functional.cross_entropy(network(images), labels)


def _bare(network: nn.Module) -> nn.Module:
    return network.parent if isinstance(network, Attached) else network


def _changes(network: nn.Module) -> bool:
    return isinstance(network, Attached) and bool(network.moves) and not network.arm.stop_forward


def scores_of(attached: Attached, valid: Resident) -> dict[str, float]:
    """Return the weight of each move and its diagnostics on the first validation images; the network stays as it is.

    The network is in the mode of evaluation; the candidates normalise by the batch, so that candidates that were never
    trained can be compared too. What is not finite is left out: behind a stop-forward a candidate can overflow while
    the network and the weights do not.
    """
    if not attached.moves:
        return {}
    omega = {str(move): float(weight) for move, weight in zip(attached.moves, attached.omega.detach(), strict=True)}
    weights = {move: abs(weight) for move, weight in omega.items()}
    weights |= {f"{move}|omega": weight for move, weight in omega.items()}
    probe = copy.deepcopy(attached).eval()
    probe.points.train()
    probe.record(on=True)
    part = slice(0, PROBED)
    logits = probe(valid.images(valid.pixels[part]))
    functional.cross_entropy(logits, valid.labels[part]).backward()  # type: ignore[no-untyped-call]
    return {name: score for name, score in (weights | diagnostics(probe)).items() if math.isfinite(score)}


def distance(first: Iterable[Tensor], second: Iterable[Tensor]) -> float:
    """Return the distance of the first parameters from the second, as a share of the norm of the second."""
    apart, norm = 0.0, 0.0
    for one, other in zip(first, second, strict=True):
        apart += float((one.detach().double() - other.detach().double()).square().sum())
        norm += float(other.detach().double().square().sum())
    return math.sqrt(apart / norm) if norm else 0.0
