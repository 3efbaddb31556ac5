"""Measure real seconds; nothing that is read here enters a journal or a budget."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


def now() -> float:
    """Return the seconds since 1970, in UTC."""
    return time.time()


@dataclass(slots=True)
class Stopwatch:
    """A monotonic stopwatch that runs from its making."""

    started: float = field(default_factory=time.perf_counter)

    def reading(self) -> float:
        """Return the seconds since the last lap, which goes on."""
        return time.perf_counter() - self.started

    def lap(self) -> float:
        """Return the seconds since the last lap, and start the next."""
        lapped = time.perf_counter()
        seconds, self.started = lapped - self.started, lapped
        return seconds
