"""Spaces that a table's manifest declares: chains, graphs, lists of ids."""

from __future__ import annotations

import pickle
from collections import Counter
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.spaces.declared import DeclaredSpace, space_from
from benchmarks.spaces.listed import ChoiceSpace, GraphSpace, IdSpace
from benchmarks.spaces.nb201 import NasBench201
from harness.core.errors import DataCorrupt, UsageError
from harness.core.interfaces import Encodable, Finite
from harness.core.types import Arch

LAYERS = ["conv3", "conv5", "skip"]
CHAIN = {"kind": "choices", "name": "macro-chain", "length": 4, "options": LAYERS}
CHAINS = [",".join(layers) for layers in product(LAYERS, repeat=4)]

GRAPH = {"kind": "graph", "operations": ["conv", "pool"], "nodes": 4}
GRAPHS = [
    f"{bits[:3]}|{bits[3:5]}|{bits[5]};{first},{second}"
    for bits in map("".join, product("01", repeat=6))
    for first, second in product(["conv", "pool"], repeat=2)
]

IDS = {"kind": "ids", "name": "zoo"}


def chain() -> ChoiceSpace:
    space = space_from(CHAIN, CHAINS)
    assert isinstance(space, ChoiceSpace)
    return space


def graph(members: list[str] | None = None, **changes: Any) -> GraphSpace:
    space = space_from(GRAPH | changes, GRAPHS if members is None else members)
    assert isinstance(space, GraphSpace)
    return space


EVERY_KIND = [
    pytest.param(lambda: space_from(CHAIN, CHAINS), CHAINS, id="choices"),
    pytest.param(lambda: space_from(GRAPH, GRAPHS), GRAPHS, id="graph"),
    pytest.param(lambda: space_from(IDS, ["b", "a", "c c"]), ["b", "a", "c c"], id="ids"),
]


@pytest.mark.parametrize(("build", "members"), EVERY_KIND)
def test_every_kind_lists_its_members_in_the_order_of_the_table(build: Any, members: list[str]) -> None:
    space = build()
    assert [space.arch(index) for index in range(len(space))] == members
    assert [space.index(member) for member in members] == list(range(len(members)))
    assert all(member in space for member in members)
    for stranger in ("", "nobody", None, 3, members[0] + " "):
        assert stranger not in space
    for index in (-1, len(members)):
        with pytest.raises(UsageError, match=f"give 0 to {len(members) - 1}"):
            space.arch(index)
    with pytest.raises(UsageError, match="not in the table"):
        space.index("nobody")


@pytest.mark.parametrize(("build", "members"), EVERY_KIND)
def test_every_kind_samples_its_members_uniformly(build: Any, members: list[str]) -> None:
    space = build()
    rng = np.random.default_rng(4)
    each = 400
    counts = Counter(space.sample(rng) for _ in range(each * len(members)))
    assert set(counts) == set(members)
    squares = sum((count - each) ** 2 / each for count in counts.values())
    freedom = len(members) - 1
    assert abs(squares - freedom) < 5 * np.sqrt(2 * freedom)
    assert space.sample(np.random.default_rng(9)) == build().sample(np.random.default_rng(9))


@pytest.mark.parametrize(("build", "members"), EVERY_KIND)
def test_every_kind_travels_between_processes(build: Any, members: list[str]) -> None:
    copy = pickle.loads(pickle.dumps(build()))
    assert copy.name == build().name
    assert [copy.arch(index) for index in range(len(copy))] == members


def test_only_texts_that_tell_something_have_neighbours_and_features() -> None:
    for space in (chain(), graph()):
        assert isinstance(space, Finite)
        assert isinstance(space, Encodable)
    ids = space_from(IDS, ["a"])
    assert isinstance(ids, IdSpace)
    assert not isinstance(ids, Finite)
    assert not isinstance(ids, Encodable)


def test_names_come_from_the_declaration() -> None:
    assert (chain().name, graph().name, space_from(IDS, ["a"]).name) == ("macro-chain", "graph", "zoo")


def test_neighbours_of_a_chain_change_one_position() -> None:
    space = chain()
    for arch in CHAINS:
        around = space.neighbours(Arch(arch))
        apart = [sum(a != b for a, b in zip(arch.split(","), other.split(","), strict=True)) for other in CHAINS]
        assert sorted(around) == sorted(other for other, steps in zip(CHAINS, apart, strict=True) if steps == 1)
        assert len(set(around)) == len(around) == 8
    assert list(space.neighbours(Arch("conv3,skip,conv3,conv3")))[:3] == [
        "conv5,skip,conv3,conv3",
        "skip,skip,conv3,conv3",
        "conv3,conv3,conv3,conv3",
    ]


def test_neighbours_are_listed_ones_only() -> None:
    kept = [arch for arch in CHAINS if not arch.startswith("skip")]
    space = space_from(CHAIN, kept)
    assert isinstance(space, ChoiceSpace)
    assert set(space.neighbours(Arch("conv3,skip,skip,skip"))) <= set(kept)
    assert len(space.neighbours(Arch("conv3,skip,skip,skip"))) == 7
    with pytest.raises(UsageError, match="not in the table"):
        space.neighbours(Arch("skip,skip,skip,skip"))


def test_features_of_a_chain_are_one_hot_by_position() -> None:
    space = chain()
    features = np.stack([space.encode(Arch(arch)) for arch in CHAINS])
    assert (features.shape, features.dtype) == ((81, 12), np.float32)
    np.testing.assert_array_equal(features.reshape(81, 4, 3).sum(axis=2), 1.0)
    assert space.encode(Arch("conv3,skip,conv5,conv3")).tolist() == [1, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0]


def test_positions_may_differ_and_options_may_be_numbers() -> None:
    section = {"kind": "choices", "positions": [[8, 16], ["s", "m", "l"]], "separator": ":"}
    space = space_from(section, ["8:s", "16:l", "16:s"])
    assert isinstance(space, ChoiceSpace)
    assert list(space.neighbours(Arch("16:s"))) == ["8:s", "16:l"]
    assert space.encode(Arch("16:l")).tolist() == [0, 1, 0, 0, 1]


def test_single_characters_need_no_separator() -> None:
    texts = ["".join(digits) for digits in product("012", repeat=3)]
    space = space_from({"kind": "choices", "length": 3, "options": [0, 1, 2], "separator": ""}, texts)
    assert isinstance(space, ChoiceSpace)
    assert list(space.neighbours(Arch("012"))) == ["112", "212", "002", "022", "010", "011"]


@given(st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True), min_size=1, max_size=4), st.data())
def test_any_declared_tuple_is_a_member_with_features_of_its_own(options: list[list[int]], data: st.DataObject) -> None:
    texts = ["-".join(map(str, choice)) for choice in product(*options)]
    space = space_from({"kind": "choices", "positions": options, "separator": "-"}, texts)
    assert isinstance(space, ChoiceSpace)
    one, other = data.draw(st.sampled_from(texts)), data.draw(st.sampled_from(texts))
    distance = np.abs(space.encode(Arch(one)) - space.encode(Arch(other))).sum() / 2
    assert distance == sum(a != b for a, b in zip(one.split("-"), other.split("-"), strict=True))
    assert (Arch(other) in space.neighbours(Arch(one))) == (distance == 1)


def edits(one: str, other: str) -> int:
    """Count the edges and the operations in which two graphs with the same nodes differ."""
    changed = 0
    for a, b in zip(one.split(";"), other.split(";"), strict=True):
        parts = (a.split(","), b.split(",")) if "," in a or a.isalpha() else (a, b)
        changed += sum(left != right for left, right in zip(*parts, strict=True))
    return changed


def test_neighbours_of_a_graph_change_one_edge_or_one_operation() -> None:
    space = graph()
    for arch in GRAPHS:
        around = space.neighbours(Arch(arch))
        assert sorted(around) == sorted(other for other in GRAPHS if edits(arch, other) == 1)
        assert len(around) == 8


def test_graphs_of_several_sizes_have_features_of_one_length() -> None:
    members = ["1", "11|0;conv", "01|1;pool", "011|01|1;conv,pool"]
    space = graph(members)
    features = {member: space.encode(Arch(member)).tolist() for member in members}
    # Edges 0-1, 0-2, 0-3, 1-2, 1-3, 2-3 of four nodes, then the operations of nodes 1 and 2; node 3 is the output.
    assert features == {
        "1": [0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
        "11|0;conv": [1, 0, 1, 0, 0, 0, 1, 0, 0, 0],
        "01|1;pool": [0, 0, 1, 0, 1, 0, 0, 1, 0, 0],
        "011|01|1;conv,pool": [0, 1, 1, 0, 1, 1, 1, 0, 0, 1],
    }
    assert list(space.neighbours(Arch("1"))) == []


def test_features_of_a_graph_count_its_edits() -> None:
    space = graph()
    features = {arch: space.encode(Arch(arch)) for arch in GRAPHS}
    for one, other in combinations(GRAPHS[::7], 2):
        apart = np.abs(features[one] - features[other])
        assert apart[:6].sum() + apart[6:].sum() / 2 == edits(one, other)


def test_all_nodes_may_have_an_operation() -> None:
    space = graph(["1;conv,pool", "1;pool,pool", "0;conv,pool"], nodes=3, labelled="all")
    assert list(space.neighbours(Arch("1;conv,pool"))) == ["0;conv,pool", "1;pool,pool"]
    assert space.encode(Arch("1;conv,pool")).tolist() == [0, 1, 0, 1, 0, 0, 0, 0, 1]


def test_the_nas_bench_201_space_is_whole_whatever_the_table_lists() -> None:
    cell = NasBench201().arch(7)
    space: DeclaredSpace = space_from({"kind": "nb201"}, [cell])
    assert isinstance(space, NasBench201)
    assert len(space) == 15_625
    with pytest.raises(DataCorrupt, match="'cell-1' is no cell"):
        space_from({"kind": "nb201"}, [cell, "cell-1"])


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({}, "space.kind: None is no kind of space; choose from choices, graph, ids, nb201"),
        ({"kind": "choice"}, "did you mean 'choices'"),
        ({"kind": ["ids"]}, "is no kind of space"),
        ({"kind": "ids", "nmae": "x"}, r"space\.nmae: unknown key \(did you mean 'name'\?\)"),
        ({"kind": "ids", "name": "Not A Name"}, r"space\.name: .*'Not A Name'"),
        ({"kind": "nb201", "name": "x"}, r"space\.name: unknown key"),
        ({"kind": "choices"}, "give either `length` and `options`, or `positions`"),
        ({"kind": "choices", "length": 2}, "give either"),
        ({"kind": "choices", "length": 1, "options": ["a"], "positions": [["a"]]}, "give either"),
        ({"kind": "choices", "length": True, "options": ["a"]}, r"space\.length: .*True"),
        ({"kind": "choices", "length": 0, "options": ["a"]}, r"space\.length"),
        ({"kind": "choices", "length": 2, "options": [1.5]}, r"space\.options\.0: .*1\.5"),
        ({"kind": "choices", "length": 2, "options": ["a", "a"]}, "comes twice"),
        ({"kind": "choices", "length": 2, "options": ["a", "b,c"]}, "must not contain the separator"),
        ({"kind": "choices", "length": 2, "options": ["a", "bc"], "separator": ""}, "needs one character"),
        ({"kind": "choices", "length": 2, "options": ["a", ""]}, "''"),
        ({"kind": "graph", "nodes": 4}, r"space\.operations: missing"),
        ({"kind": "graph", "operations": ["a"]}, r"space\.nodes: missing"),
        ({"kind": "graph", "nodes": 1, "operations": ["a"]}, r"space\.nodes"),
        ({"kind": "graph", "nodes": 4, "operations": ["a;b"]}, "must not contain the separator ';'"),
        ({"kind": "graph", "nodes": 4, "operations": ["a"], "labelled": "some"}, r"space\.labelled"),
    ],
)
def test_a_malformed_declaration_is_refused_in_one_line(section: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        space_from(section, ["a,a"])
    assert "\n" not in str(caught.value)


def test_all_mistakes_of_a_declaration_are_told_at_once() -> None:
    with pytest.raises(UsageError, match=r"space\.operations: missing.*space\.size: unknown key"):
        space_from({"kind": "graph", "nodes": 4, "size": 3}, GRAPHS)


@pytest.mark.parametrize(
    ("section", "members", "message"),
    [
        (IDS, [], "lists no architecture"),
        (IDS, ["a", "b", "a"], "'a' is listed more than once"),
        (IDS, ["a", ""], "architecture 2 of the table"),
        (CHAIN, ["conv3,conv3,conv3"], "3 choices where the space declares 4 positions"),
        (CHAIN, ["conv3,conv3,conv3,conv7"], "position 4 holds 'conv7'; declared are conv3, conv5, skip"),
        (CHAIN, ["conv3, conv3,conv3,conv3"], "position 2 holds ' conv3'"),
        (GRAPH, ["011|01;conv,pool"], "no upper triangle"),
        (GRAPH, ["0x1|01|1;conv,pool"], "no upper triangle"),
        (GRAPH, ["0011|011|01|1;conv,pool,conv"], "5 nodes where the space declares at most 4"),
        (GRAPH, ["011|01|1;conv"], "1 operations where 4 nodes need 2"),
        (GRAPH, ["011|01|1"], "0 operations where 4 nodes need 2"),
        (GRAPH, ["1;"], "after one ';'"),
        (GRAPH, ["011|01|1;conv,relu"], "'relu' is no operation; declared are conv, pool"),
        (GRAPH, ["011|01|1;conv;pool"], "operations"),
    ],
)
def test_a_table_that_does_not_fit_its_declaration_is_refused(
    section: dict[str, Any], members: list[str], message: str
) -> None:
    with pytest.raises(DataCorrupt, match=message):
        space_from(section, members)
