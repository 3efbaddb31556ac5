from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.canonical import canonical_json, content_hash
from harness.core.codec import (
    result_from_json,
    result_to_json,
    spec_from_json,
    spec_to_json,
    work_from_json,
    work_to_json,
)
from harness.core.types import (
    Advance,
    Arch,
    Attach,
    Cost,
    Evaluate,
    Failure,
    Grow,
    Measurement,
    Move,
    Probe,
    RunSpec,
    Think,
    Work,
)

WORK: list[Work] = [
    Evaluate(Arch("a"), 12),
    Evaluate(Arch("a"), 12, start=4, parent=Arch("b")),
    Advance(3),
    Probe(Arch("a"), "naswot"),
    Attach(Evaluate(Arch("a"), 12), (Move("0-1:skip"), Move("1-2:conv")), "sg+sf", 5, penalty=0.0, scale=0.5),
    Grow(Attach(Evaluate(Arch("a"), 12), (Move("0-1:skip"),), "sf", 5), (Move("0-1:skip"),), Arch("b"), 5),
    Think("fit a forest", 1e9),
]


@pytest.mark.parametrize("work", WORK, ids=lambda work: type(work).__name__)
def test_every_kind_of_work_survives_the_journal(work: Work) -> None:
    assert work_from_json(json.loads(canonical_json(work_to_json(work)))) == work


def test_a_whole_number_and_the_same_amount_are_one_piece_of_work() -> None:
    founder = Evaluate(Arch("a"), 12)
    for whole, amount in (
        (Think("fit", 7), Think("fit", 7.0)),
        (Attach(founder, (), "sg+sf", 5, penalty=0, scale=1), Attach(founder, (), "sg+sf", 5, penalty=0.0, scale=1.0)),
    ):
        assert canonical_json(work_to_json(whole)) == canonical_json(work_to_json(amount))


def test_every_kind_of_work_is_tested() -> None:
    assert {type(work) for work in WORK} == set(Work.__args__)


finite = st.floats(allow_nan=False, allow_infinity=False)
costs = st.builds(Cost, finite, st.none() | finite, st.none() | finite)
results = st.builds(Failure, st.text(), costs) | st.builds(
    Measurement,
    finite,
    st.dictionaries(st.text(), finite),
    costs,
    st.lists(finite).map(tuple),
    st.dictionaries(st.text(), finite),
)


@given(results)
def test_every_result_survives_the_journal(result: Measurement | Failure) -> None:
    assert result_from_json(json.loads(canonical_json(result_to_json(result)))) == result


def test_a_run_specification_survives_its_manifest() -> None:
    spec = RunSpec("p", "1.0.0", "t", "row", "random_search", "base", {"population": 10}, 3, 42)
    assert spec_from_json(json.loads(canonical_json(spec_to_json(spec)))) == spec
    assert spec.id == "p@1.0.0/t/row/base/r0003"


def test_canonical_json_refuses_what_json_cannot_say() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"x": float("nan")})


def test_the_hash_does_not_depend_on_the_order_of_keys() -> None:
    assert content_hash({"a": 1, "b": [1.5, None]}) == content_hash({"b": [1.5, None], "a": 1})
    assert content_hash({"a": 1}) != content_hash({"a": 1.0000001})
