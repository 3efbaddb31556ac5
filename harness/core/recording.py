"""Say what the loop of a run needs of whoever records it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from harness.core.types import Cost, Outcome, Trial


class Recording(Protocol):
    """A recorder of one run.

    Attributes:
        outcomes: what an earlier attempt recorded, by trial id, in the order in which the trials landed.
        finals: the final metrics that an earlier attempt recorded, by architecture and seed.
    """

    outcomes: dict[int, Outcome]
    finals: dict[tuple[str, int], dict[str, float]]

    def append(self, trial: Trial, outcome: Outcome, spent: float, recommended: str | None, *, counted: bool) -> None:
        """Record a trial."""
        ...

    def start(self, at: float) -> None:
        """Record when an attempt at the run began, in seconds since 1970."""
        ...

    def timing(self, trial_id: int, ask: float, evaluate: float, tell: float) -> None:
        """Record the seconds of a trial."""
        ...

    def phase(self, name: str, seconds: float) -> None:
        """Record the seconds of something that is no trial."""
        ...

    def final(self, arch: str, seed: int, metrics: Mapping[str, float], cost: Cost | None = None) -> None:
        """Record final metrics and what they are charged."""
        ...

    def finish(self, reason: str, spent: float, recommended: str | None) -> None:
        """Seal the run."""
        ...
