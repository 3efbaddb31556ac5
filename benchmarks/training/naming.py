"""Give every metric of a training benchmark its qualified name, and refuse a query that none of them answers."""

from __future__ import annotations

from dataclasses import dataclass

from harness.core.errors import UsageError, nearest
from harness.core.interfaces import Query
from harness.core.types import MetricSchema

_PHASE = ("valid", "valid-before", "train-loss")
_ATTACHED = ("valid-attached", "valid-attached-before", "drift")


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one benchmark under one query.

    A name says what was trained how: `digits/valid@3of12ep(800) trial` is the validation accuracy after 3 epochs of a
    12-epoch schedule on 800 images, of one training with the seed of the trial.

    Attributes:
        search: epochs of the search schedule.
        final: epochs of the final schedule.
        train: training images of a search trial.
        both: training images of a final network: training and validation images together.
    """

    dataset: str
    search: int
    final: int
    train: int
    both: int

    @property
    def multiply_adds(self) -> str:
        """Millions of multiply-adds of one image through the network."""
        return f"{self.dataset}/multiply-adds"

    @property
    def parameters(self) -> str:
        """Millions of trainable parameters."""
        return f"{self.dataset}/parameters"

    @property
    def final_test(self) -> str:
        """Test accuracy of a network trained under the final recipe, in percent."""
        return f"{self.dataset}/test@{self.final}ep({count(self.both)}) trial"

    def at(self, metric: str, epochs: int) -> str:
        """Return the name of 'valid', 'test' or 'train-loss' after so many epochs of the search schedule."""
        spent = f"{self.search}" if epochs == self.search else f"{epochs}of{self.search}"
        return f"{self.dataset}/{metric}@{spent}ep({count(self.train)}) trial"

    def phase(self, metric: str, phase: str) -> str:
        """Return the name of a metric of a phase, 'attach' or 'grow', which starts from a network that was trained.

        'valid' and 'train-loss' at its end, 'valid-before' at its start; of an attachment 'valid-attached' and
        'valid-attached-before' with the candidates, where they change a value, and 'drift', how far the parent went
        from where it had gone without candidates; 'test' of a child, sealed.
        """
        return f"{self.dataset}/{metric}@{phase}({count(self.train)}) trial"

    def grown(self) -> MetricSchema:
        """Return the names of what attachments and growths answer."""
        both = {self.phase(metric, phase) for metric in _PHASE for phase in ("attach", "grow")}
        attached = {self.phase(metric, "attach") for metric in _ATTACHED}
        return MetricSchema(frozenset(both | attached), frozenset({self.phase("test", "grow")}))

    def schema(self, fidelities: tuple[int, ...]) -> MetricSchema:
        """Return which names a method may learn and which are sealed."""
        learnt = {self.at(metric, epochs) for metric in ("valid", "train-loss") for epochs in fidelities}
        sealed = {self.at("test", epochs) for epochs in fidelities}
        return MetricSchema(
            frozenset(learnt | {self.multiply_adds, self.parameters}), frozenset(sealed | {self.final_test})
        )


def kind(name: str) -> str:
    """Return what a qualified name measures: 'valid', 'test', 'train-loss', 'multiply-adds' or 'parameters'."""
    return name.partition("/")[2].partition("@")[0]


def count(images: int) -> str:
    """Return a number of images as metric names write it: '25k' for 25,000, '800' for 800."""
    return f"{images // 1000}k" if images % 1000 == 0 else str(images)


def check_query(query: Query, names: Names, schema: MetricSchema) -> None:
    """Refuse a query with a name that is unknown, ambiguous or of the wrong kind.

    Raises:
        UsageError: with the name, what it must be, and the nearest names.
    """
    for name in (query.objective, *query.secondary):
        _check(name, schema.open, schema.sealed, "is sealed: no method may learn it; name it under `final`")
    for name in query.sealed:
        _check(name, schema.sealed, schema.open, "is no sealed metric; name it as an objective")
    full = {names.at("valid", names.search), names.at("train-loss", names.search)}
    if query.objective not in full | {names.multiply_adds, names.parameters}:
        raise UsageError(
            f"metric: {query.objective!r} is not of the search fidelity; the objective is one of {_listed(full)}"
        )


def _check(name: str, allowed: frozenset[str], wrong: frozenset[str], why: str) -> None:
    if name in allowed:
        return
    if name in wrong:
        raise UsageError(f"metric: {name!r} {why}")
    meant = {known for known in allowed if known.startswith(name)}
    if len(meant) > 1:
        raise UsageError(f"metric: {name!r} is ambiguous; it could be {_listed(meant)}")
    raise UsageError(f"metric: no {name!r}{nearest(name, sorted(allowed))}; known: {_listed(set(allowed))}")


def _listed(names: set[str], most: int = 6) -> str:
    # Full fidelities have the shortest names, and are what is mostly meant.
    shown = sorted(names, key=lambda name: (len(name), name))[:most]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")
