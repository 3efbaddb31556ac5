"""Whatever a protocol file holds: it loads, or it is refused with mistakes of one line each."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.core.canonical import canonical_json
from harness.core.errors import ProtocolError
from harness.protocol import load

_LENIENT = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def digest(content: bytes, folder: Path, catalogue: Any) -> None:
    path = folder / "fuzz.yaml"
    path.write_bytes(content)
    try:
        loaded, mistakes = load(path, catalogue), None
    except ProtocolError as error:
        loaded, mistakes = None, error.mistakes
    if loaded is None:
        assert mistakes
        assert all("\n" not in str(mistake) and mistake.line >= 1 for mistake in mistakes)
        return
    path.write_text(canonical_json(loaded.resolved), encoding="utf-8")
    assert load(path, catalogue).hash == loaded.hash


@_LENIENT
@given(content=st.binary(max_size=200))
def test_any_bytes(content: bytes, tmp_path: Path, catalogue: Any) -> None:
    digest(content, tmp_path, catalogue)


@_LENIENT
@given(text=st.text(alphabet="ab:-[]{},#&*!|>'\"%@`?\\ \n\t0.e\ufeff\x85", max_size=60))
def test_any_soup_of_yaml_signs(text: str, tmp_path: Path, catalogue: Any) -> None:
    digest(text.encode(), tmp_path, catalogue)


@_LENIENT
@given(seed=st.integers(0, 2**32), count=st.integers(1, 6))
def test_a_valid_protocol_with_changed_bytes(seed: int, count: int, valid: str, tmp_path: Path, catalogue: Any) -> None:
    rng = random.Random(seed)
    content = bytearray(valid.encode())
    for _ in range(count):
        at = rng.randrange(len(content))
        match rng.randrange(4):
            case 0:
                content[at] = rng.randrange(256)
            case 1:
                del content[at : at + rng.randrange(1, 20)]
            case 2:
                content[at:at] = rng.choice([b": ", b"- ", b"\n", b"[", b"}", b"&a ", b"*a", b"null", b"1e9", b"  "])
            case _:
                content[at:at] = content[at : at + rng.randrange(1, 60)]
    digest(bytes(content), tmp_path, catalogue)


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@_LENIENT
@given(data=st.data())
def test_a_valid_protocol_with_one_value_of_another_shape(
    data: st.DataObject, valid: str, tmp_path: Path, catalogue: Any
) -> None:
    path = tmp_path / "whole.yaml"
    path.write_text(valid, encoding="utf-8")
    tree: Any = load(path, catalogue).resolved
    place = tree
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(_ANYTHING)
    digest(canonical_json(tree).encode("utf-8", "surrogatepass"), tmp_path, catalogue)


@pytest.mark.parametrize("shape", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_ends_in_a_mistake_and_not_in_a_crash(shape: str, tmp_path: Path, catalogue: Any) -> None:
    digest(("a:\n  " + shape * 30_000).encode(), tmp_path, catalogue)
