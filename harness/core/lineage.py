"""Tell which architecture a piece of work trains, whether in full, and what its lineage began with."""

from __future__ import annotations

from harness.core.types import Arch, Attach, Evaluate, Grow, Work


def trained(work: Work) -> Arch | None:
    """Return the architecture that is trained: by an evaluation, or by a growth; None for every other kind of work."""
    return work.arch if isinstance(work, Evaluate | Grow) else None


def trained_in_full(work: Work, epochs: int) -> Arch | None:
    """Return the architecture that is trained at the search fidelity: for so many epochs or more, or grown."""
    short = isinstance(work, Evaluate) and work.epochs < epochs
    return None if short else trained(work)


def founder_of(work: Work) -> Work:
    """Return the work that a lineage began with; of work without a lineage, itself."""
    while isinstance(work, Attach | Grow):
        work = work.after
    return work
