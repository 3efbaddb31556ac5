"""A catalogue that stays the same whatever is registered, and a small valid protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from harness.core.errors import Mistake, ProtocolError, UsageError
from harness.core.later import LATER
from harness.protocol import Loaded, load


@dataclass(frozen=True)
class Evolution:
    population: int = 10
    sample: int = 3
    kill: Literal["oldest", "worst"] = "oldest"

    def __post_init__(self) -> None:
        if self.sample > self.population:
            raise UsageError(f"sample {self.sample} is larger than population {self.population}")


@dataclass(frozen=True)
class Nothing:
    """No options."""


@dataclass(frozen=True)
class Table:
    table: str
    sizes: tuple[int, ...] = (8, 16)
    scale: float = 1
    limit: int | None = None
    noise: float = field(default=0.0, metadata=LATER)


class FixedCatalogue:
    configs: dict[str, dict[str, type[Any]]] = {  # noqa: RUF012 - read only
        "methods": {"evolution": Evolution, "random": Nothing},
        "benchmarks": {"table": Table},
        "reports": {"summary": Nothing},
    }

    def names(self, kind: str) -> Sequence[str]:
        return sorted(self.configs[kind])

    def config(self, kind: str, name: str) -> type[Any]:
        return self.configs[kind][name]


VALID = """\
protocol: small
version: 1.0.0
tracks:
  - id: one
    benchmark: {name: table, options: {table: t}}
    splits: {train: a, search: b, final: c}
    fidelity: {search: 12, final: 200}
    objective: {metric: d/valid}
    budget:
      unit: epochs
      limit: 100
    final: {metrics: [d/test]}
    replicates: 2
methods:
  - name: random
  - name: evolution
    options:
      population: 5
ablations:
  - method: evolution
    vary: {kill: [oldest, worst]}
analysis:
  published:
    - {method: random, track: one, metric: d/test, mean: 94, std: 0.5, n: 10, source: s, provenance: primary}
"""


@pytest.fixture
def valid() -> str:
    return VALID


@pytest.fixture
def catalogue() -> FixedCatalogue:
    return FixedCatalogue()


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, catalogue: FixedCatalogue) -> Callable[..., Loaded]:
    """Load a text as `p.yaml` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def _read(text: str | bytes, file: str = "p.yaml") -> Loaded:
        Path(file).write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(f"./{file}", catalogue)

    return _read


@pytest.fixture
def mistakes(read: Callable[..., Loaded]) -> Callable[..., tuple[Mistake, ...]]:
    """Load a text that must be refused; return its mistakes."""

    def _mistakes(text: str | bytes, file: str = "p.yaml") -> tuple[Mistake, ...]:
        with pytest.raises(ProtocolError) as caught:
            read(text, file)
        return caught.value.mistakes

    return _mistakes
