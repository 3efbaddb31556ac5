"""Add options to a benchmark without changing what is already hashed.

A protocol is hashed with every option written out, so that a further option would change the hash of each protocol that
never named it. One that is marked as later is written out only where it differs from its default, which must be what
the benchmark did before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from types import MappingProxyType
from typing import Any

_KEY = "later"

LATER: Mapping[str, bool] = MappingProxyType({_KEY: True})
"""Metadata of a field of a benchmark's `Config` that came later: `field(default=..., metadata=LATER)`.

Not for methods: ablations compare each value of an option with that of the row, and need it written out.
"""


def written(config: Any) -> dict[str, Any]:
    """Return the fields of a `Config`, without later ones at their default."""
    left_out = {
        field.name
        for field in fields(config)
        if field.metadata.get(_KEY) and getattr(config, field.name) == field.default
    }
    return {name: value for name, value in asdict(config).items() if name not in left_out}
