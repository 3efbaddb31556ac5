from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from harness.core.canonical import content_hash
from harness.core.later import LATER, written


@dataclass(frozen=True)
class Before:
    size: int = 3


@dataclass(frozen=True)
class After(Before):
    depth: int | None = field(default=None, metadata=LATER)
    width: float = field(default=1.0, metadata=LATER)


def test_a_later_option_at_its_default_is_not_written() -> None:
    assert content_hash(written(After())) == content_hash(written(Before()))
    assert written(After(width=1.0, depth=None)) == {"size": 3}


@pytest.mark.parametrize(("options", "expected"), [({"depth": 2}, {"depth": 2}), ({"width": 0.5}, {"width": 0.5})])
def test_another_value_of_it_is_written(options: dict[str, float], expected: dict[str, float]) -> None:
    assert written(After(**options)) == {"size": 3, **expected}
