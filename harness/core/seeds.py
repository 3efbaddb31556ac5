"""Derive every seed from a path of names, so that adding a consumer never shifts another."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class SeedTree:
    """A node of the seed tree, named by its path from the root."""

    path: tuple[str, ...]

    @classmethod
    def root(cls, name: str, seed: int) -> SeedTree:
        """Return the root for a study: its name and the root seed of its protocol."""
        return cls((name, str(seed)))

    def child(self, *names: str | int) -> SeedTree:
        """Return the node below this one that the names lead to."""
        return SeedTree(self.path + tuple(str(name) for name in names))

    def seed(self) -> int:
        """Return this node's seed, an integer in [0, 2**63)."""
        # Length-prefixed, so that no two paths give the same bytes.
        text = "".join(f"{len(name)}:{name}" for name in self.path)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

    def generator(self) -> np.random.Generator:
        """Return a fresh generator for this node (PCG64)."""
        return np.random.Generator(np.random.PCG64(self.seed()))
