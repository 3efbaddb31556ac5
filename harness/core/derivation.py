"""Derive the seeds of a run from names alone, so that a record can be checked without the code that made it."""

from __future__ import annotations

from harness.core.canonical import canonical_json
from harness.core.codec import work_to_json
from harness.core.lineage import founder_of
from harness.core.schema import Track
from harness.core.seeds import SeedTree
from harness.core.types import Evaluate, RunSpec, Work


def seeds_of(spec: RunSpec, track: Track) -> SeedTree:
    """Return the seed tree of a replicate on a track: shared by all methods, so that their noise is common."""
    return SeedTree.root(spec.protocol, track.seeds.root).child(track.id, "replicate", spec.seed)


def work_seed(seeds: SeedTree, work: Work) -> int:
    """Return the seed of a piece of work in a replicate: the same for every method that asks for it."""
    return seeds.child("work", _identity(work)).seed()


def _identity(work: Work) -> str:
    work = founder_of(work)  # one lineage, one seed: ablations train the very same founder
    # One network, one trajectory: the epochs asked for so far do not change the seed of an architecture.
    return f"evaluate {work.arch} {work.parent}" if isinstance(work, Evaluate) else canonical_json(work_to_json(work))
