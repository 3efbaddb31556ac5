"""Read energy counters: those of the GPUs, else those of the processor packages (RAPL), where they may be read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.gpu import gpu_joules

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
