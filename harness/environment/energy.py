"""Read energy counters: those of the GPUs, else those of the processor packages (RAPL), where they may be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from harness.core.canonical import Json
from harness.core.clock import Stopwatch
from harness.environment.gpu import gpu_joules

POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True, slots=True)
class Energy:
    """A reading of energy counters; only the difference of two readings means anything.

    Attributes:
        readings: joules, one for each device.
        spans: where each counter starts again from zero, in joules; 0 for one that does not.
        covers: which devices are counted, and so which are not.
        method: how it was measured.
    """

    readings: tuple[float, ...]
    spans: tuple[float, ...]
    covers: str
    method: str

    @property
    def joules(self) -> float:
        """The sum of the counters."""
        return sum(self.readings)

    def since(self, earlier: Energy) -> float | None:
        """Return the joules used since an earlier reading; None where the two do not belong together.

        A counter that started again once in between is allowed for. A RAPL counter does so about every half hour
        under full load, so read it more often than that.
        """
        if (self.covers, self.method, self.spans) != (earlier.covers, earlier.method, earlier.spans):
            return None
        used = [
            now - before + (span if now < before else 0.0)
            for now, before, span in zip(self.readings, earlier.readings, self.spans, strict=True)
        ]
        return sum(used) if min(used) >= 0 else None


def energy_counter(powercap: Path = POWERCAP) -> Energy | None:
    """Return a reading of the best counter of this machine, or None where none may be read.

    With GPUs it covers the GPUs alone; without, the processor packages alone. Neither is the energy of the machine.
    """
    joules = gpu_joules()
    if joules is not None:
        return Energy(tuple(joules), (0.0,) * len(joules), f"{len(joules)} GPU(s), nothing else", "NVML counter")
    packages = list(_packages(powercap))
    if not packages:
        return None
    readings, spans = zip(*packages, strict=True)
    return Energy(readings, spans, f"{len(packages)} processor package(s), nothing else", "RAPL counter")


@dataclass(slots=True)
class Meter:
    """Sum what the counter of this machine counts, read so often that it cannot start again twice in between.

    Attributes:
        counter: reads the counter.
        every: real seconds between two readings.
    """

    counter: Callable[[], Energy | None] = energy_counter
    every: float = 60.0
    _last: Energy | None = field(init=False)
    _joules: float | None = field(init=False, default=0.0)
    _watch: Stopwatch = field(init=False, default_factory=Stopwatch)
    _waited: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._last = self.counter()

    def tick(self) -> None:
        """Read the counter if it is time to; call this often."""
        self._waited += self._watch.lap()
        if self._waited >= self.every:
            self._waited = 0.0
            self._read()

    def total(self) -> dict[str, Json] | None:
        """Return joules, what they cover and how they were measured; None where nothing could be measured."""
        self._read()
        if self._last is None or self._joules is None:
            return None
        return {"joules": round(self._joules, 3), "covers": self._last.covers, "method": self._last.method}

    def _read(self) -> None:
        now = self.counter() if self._last is not None else None
        used = now.since(self._last) if now is not None and self._last is not None else None
        # A reading that does not follow the one before makes the whole sum unknown, not smaller.
        self._joules = None if used is None or self._joules is None else self._joules + used
        self._last = now


def _packages(powercap: Path) -> Iterable[tuple[float, float]]:
    # intel-rapl:0 is a package; intel-rapl:0:1 a part of it, which would be counted twice. AMD uses the same name.
    for zone in sorted(powercap.glob("intel-rapl:[0-9]*")):
        if zone.name.count(":") == 1 and (joules := _joules(zone / "energy_uj")) is not None:
            yield joules, _joules(zone / "max_energy_range_uj") or 0.0


def _joules(path: Path) -> float | None:
    try:
        return int(path.read_text(encoding="utf-8")) / 1e6
    except (OSError, ValueError):  # only root may read it, on most systems
        return None
