"""The moves reach exactly the cells without a dead edge, and say what they do."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from benchmarks.spaces import nb201_moves
from benchmarks.spaces.nb201 import EDGES, NONE, OPERATIONS, Skeleton, compose, parse
from benchmarks.spaces.nb201_moves import GrowingNasBench201, cell_moves, is_live, live_nodes, read_moves
from harness.core.errors import UsageError
from harness.core.interfaces import Growable
from harness.core.types import Arch, Move

SPACE = GrowingNasBench201()
DIRECT, OVER_1, OVER_2, CHAIN = SPACE.seeds()


def grown(arch: Arch) -> tuple[Arch, ...]:
    return tuple(SPACE.grow(arch, [move]) for move in SPACE.moves(arch))


@cache
def reached() -> dict[Arch, int]:
    return reach()


def reach() -> dict[Arch, int]:
    """Every cell that growth reaches, with the most steps that lead to it."""
    found = dict.fromkeys(SPACE.seeds(), 0)
    order = sorted({arch for arch in everything() if is_live(arch)}, key=weight)
    for arch in order:  # a move makes a cell heavier, so each cell comes after all it grows from
        if arch in found:
            for child in grown(arch):
                found[child] = max(found.get(child, 0), found[arch] + 1)
    return found


def everything() -> list[Arch]:
    return [SPACE.arch(index) for index in range(len(SPACE))]


def weight(arch: Arch) -> int:
    return sum((operation != NONE) + (operation > 1) for operation in parse(arch))


def live_cells() -> set[Arch]:
    return {arch for arch in everything() if is_live(arch)}


def test_growth_reaches_all_live_cells_and_no_other():
    assert len(live_cells()) == 9444
    assert set(reached()) == live_cells()


@pytest.fixture
def fresh_moves() -> Iterator[None]:
    """Keep the moves of a planted fault from other tests."""
    cell_moves.cache_clear()
    yield
    cell_moves.cache_clear()


@pytest.mark.usefixtures("fresh_moves")
@pytest.mark.parametrize("missing", ["_adds", "_paths", "_upgrades"])
def test_without_one_kind_of_moves_live_cells_are_out_of_reach(missing: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(nb201_moves, missing, lambda *_: iter(()))
    assert set(reach()) < live_cells()


def test_a_cell_has_at_most_42_moves_and_grows_at_most_12_times():
    assert max(len(SPACE.moves(arch)) for arch in reached()) == 42
    assert [len(SPACE.moves(seed)) for seed in SPACE.seeds()] == [35, 42, 42, 21]
    assert max(reached().values()) <= 12
    full = [arch for arch in reached() if not SPACE.moves(arch)]
    assert full
    assert all(not {0, 1} & set(parse(arch)) for arch in full)


def test_every_move_makes_another_cell_that_costs_no_less():
    skeleton = Skeleton()
    for arch in list(reached())[::97]:
        children = grown(arch)
        assert len(set(children)) == len(children)
        assert arch not in children
        assert all(skeleton.multiply_adds(child) >= skeleton.multiply_adds(arch) for child in children)


def test_seeds_are_the_four_paths_of_skips():
    assert [sorted(live_nodes(parse(seed))) for seed in SPACE.seeds()] == [[0, 3], [0, 1, 3], [0, 2, 3], [0, 1, 2, 3]]
    assert {name for seed in SPACE.seeds() for name in map(OPERATIONS.__getitem__, parse(seed))} == {
        "none",
        "skip_connect",
    }


def test_the_three_kinds_of_moves():
    kinds = [[move.kind for move in cell_moves(seed)] for seed in SPACE.seeds()]
    assert [(found.count("add"), found.count("path"), found.count("upgrade")) for found in kinds] == [
        (0, 32, 3), (4, 32, 6), (4, 32, 6), (12, 0, 9),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "move", "after"),
    [
        (CHAIN, "add 1-3 avg_pool_3x3", {(1, 3): "avg_pool_3x3"}),
        (DIRECT, "upgrade 0-3 nor_conv_3x3", {(0, 3): "nor_conv_3x3"}),
        (DIRECT, "path 0-2-3 nor_conv_1x1 skip_connect", {(0, 2): "nor_conv_1x1", (2, 3): "skip_connect"}),
    ],
)
def test_a_move_sets_the_edges_it_names(before: Arch, move: str, after: dict):
    expected = [after.get(edge, OPERATIONS[operation]) for edge, operation in zip(EDGES, parse(before), strict=True)]
    assert SPACE.grow(before, [Move(move)]) == compose([OPERATIONS.index(name) for name in expected])
    (read,) = read_moves(before, [move])
    assert read.text == move
    assert set(read.edges) == set(after)


def test_moves_that_do_not_meet_are_made_together():
    both = [Move("add 0-2 skip_connect"), Move("upgrade 2-3 nor_conv_1x1")]
    assert SPACE.grow(CHAIN, both) == SPACE.grow(SPACE.grow(CHAIN, both[:1]), both[1:])
    assert SPACE.grow(CHAIN, both) == SPACE.grow(CHAIN, both[::-1])


@pytest.mark.parametrize(
    "moves",
    [
        ("add 0-2 skip_connect", "add 0-2 nor_conv_1x1"),
        ("add 0-2 skip_connect", "add 0-2 skip_connect"),
    ],
)
def test_moves_that_set_one_edge_twice_are_refused(moves: tuple[Move, ...]):
    with pytest.raises(UsageError, match="meet on an edge or a node"):
        SPACE.grow(CHAIN, moves)


def test_two_paths_that_wake_one_node_are_refused():
    """Together they would cross in a third path that nobody trained."""
    paths = [Move("path 0-2-3 skip_connect skip_connect"), Move("path 1-2-3 skip_connect skip_connect")]
    with pytest.raises(UsageError, match="meet on an edge or a node"):
        SPACE.grow(OVER_1, paths)


@pytest.mark.parametrize("move", ["add 0-3 skip_connect", "add 1-3 none", "path 0-1-3 skip_connect skip_connect", ""])
def test_a_move_that_is_not_legal_is_refused(move: Move):
    with pytest.raises(UsageError, match="is no move of"):
        SPACE.grow(SPACE.grow(CHAIN, [Move("add 0-3 nor_conv_1x1")]), [move])


def test_a_typing_mistake_gets_the_nearest_move():
    with pytest.raises(UsageError, match="did you mean 'upgrade 0-3 nor_conv_3x3'"):
        SPACE.grow(DIRECT, [Move("upgrade 0-3 conv_3x3")])


def test_a_cell_with_a_dead_edge_does_not_grow():
    with pytest.raises(UsageError, match="start from a live cell"):
        SPACE.moves(compose((3, NONE, NONE, 1, NONE, NONE)))


def test_the_space_says_that_it_grows():
    assert isinstance(SPACE, Growable)
    assert SPACE.name == "nb201"
    assert {SPACE.group(move) for move in SPACE.moves(CHAIN)} == {"cell"}
