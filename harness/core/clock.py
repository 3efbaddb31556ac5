"""Measure real seconds; nothing that is read here enters a journal of a table run or a budget."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Stopwatch:
    """A monotonic stopwatch that runs from its making."""

    started: float = field(default_factory=time.perf_counter)

    def lap(self) -> float:
        """Return the seconds since the last lap, and start the next."""
        now = time.perf_counter()
        seconds, self.started = now - self.started, now
        return seconds
