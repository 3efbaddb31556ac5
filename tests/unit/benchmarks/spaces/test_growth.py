from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from benchmarks.spaces.growth import GrowthSpace, Limits, drawing
from benchmarks.spaces.growth_size import GrowthSkeleton
from benchmarks.spaces.growth_text import OPERATIONS, compose, parse, parse_move
from harness.core.errors import UsageError
from harness.core.interfaces import Encodable, Finite
from harness.core.types import Arch, Move

SMALL = GrowthSkeleton(channels=4, cells=1, image_size=8, image_channels=1)
SEED = Arch("cell normal[] reduction[]")
GROWN = Arch("cell normal[concat(c2.max3x3+c1.sep3x3) sum(l1.identity)] reduction[concat(c2.dil-sep5x5)]")


@pytest.fixture(params=["cell", "macro"])
def space(request: pytest.FixtureRequest) -> GrowthSpace:
    return GrowthSpace(SMALL, form=request.param)


def test_texts_come_back_from_their_plans(space: GrowthSpace) -> None:
    rng = np.random.default_rng(0)
    for arch in (space.sample(rng) for _ in range(200)):
        assert compose(parse(arch)) == arch
        assert arch in space
    assert compose(parse(GROWN)) == GROWN


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cel normal[] reduction[]", "did you mean 'cell'"),
        ("", "is no form"),
        ("cell normal[]", "the form cell has normal, reduction"),
        ("cell normal[] reducton[]", "the slots are normal, reducton"),
        ("cell normal[] reduction[] x", "the slots are"),
        ("macro", "the slots are none"),
        ("macro 1[] 3[]", "the form macro has 1, 2"),
        ("cell normal[cat(c1.sep3x3)] reduction[]", "did you mean 'concat'"),
        ("cell normal[concat(l1.sep3x3)] reduction[]", "'l1' is no input here"),
        ("cell normal[concat(c1.sep3x3) sum(l2.sep3x3)] reduction[]", "allowed: c2, c1, l1"),
        ("cell normal[concat(c1.sep3x4)] reduction[]", "layer 1: 'sep3x4' is no operation (did you mean 'sep3x3'?)"),
        ("cell normal[concat(c1.sep3x3+c1.sep3x3)] reduction[]", "named twice"),
        ("cell normal[concat()] reduction[]", "'' is no input here"),
        ("cell normal[concat(c1.sep3x3] reduction[]", "is no list of layers"),
        ("cell normal[concat(c1.sep3x3+c2.sep3x3)] reduction[]", "write 'cell normal[concat(c2.sep3x3+c1.sep3x3)]"),
        ("cell  normal[] reduction[]", "write 'cell normal[] reduction[]'"),
    ],
)
def test_what_is_no_text_is_refused_with_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert text not in GrowthSpace(SMALL)


def test_a_text_of_the_other_form_is_not_of_the_space() -> None:
    with pytest.raises(UsageError, match=r"written macro 1\[\.\.\.\] 2\["):
        GrowthSpace(SMALL, form="macro").plan(SEED)
    with pytest.raises(UsageError, match="not of this space"):
        GrowthSpace(SMALL, form="macro").plan("macro 1[] 2[]")


def test_the_seed_can_grow_by_every_pair(space: GrowthSpace) -> None:
    (seed,) = space.seeds()
    assert seed in space
    moves = space.moves(seed)
    slots = 2 if space.form == "cell" else 5
    assert len(moves) == len(set(moves)) == slots * 2 * len(OPERATIONS)
    for move in moves:
        child = space.grow(seed, [move])
        assert child in space
        assert parse(child).steps == 1


def test_each_layer_is_an_input_of_the_next() -> None:
    space = GrowthSpace(SMALL)
    arch: Arch = space.seeds()[0]
    inputs = []
    for _ in range(3):
        inputs.append(sum(move.startswith("normal:") for move in space.moves(arch)) // len(OPERATIONS))
        arch = space.grow(arch, [Move("normal:c1.sep3x3"), Move("normal:c2.identity")])
    assert inputs == [2, 3, 4]
    assert arch == "cell normal[" + " ".join(["concat(c2.identity+c1.sep3x3)"] * 3) + "] reduction[]"


def test_moves_of_two_slots_grow_both_and_the_order_of_moves_does_not_matter() -> None:
    space = GrowthSpace(SMALL)
    moves = [Move("reduction:c2.dil-sep5x5"), Move("normal:c1.sep3x3"), Move("normal:c2.max3x3")]
    grown = space.grow(SEED, moves)
    assert grown == "cell normal[concat(c2.max3x3+c1.sep3x3)] reduction[concat(c2.dil-sep5x5)]"
    assert space.grow(SEED, moves[::-1]) == grown
    assert space.grow(SEED, [Move("normal:c1.sep3x3")], "sum") == "cell normal[sum(c1.sep3x3)] reduction[]"


@pytest.mark.parametrize(
    ("moves", "message"),
    [
        ([], "no step of growth"),
        (["normal:c1.sep3x3", "normal:c1.sep3x3"], "no step of growth"),
        (["normal:l1.sep3x3"], "inputs: c2, c1"),
        (["norml:c1.sep3x3"], "did you mean 'normal'"),
        (["normal:c1.sepp3x3"], "did you mean 'sep3x3'"),
        (["c1.sep3x3"], "is no move"),
    ],
)
def test_wrong_moves_are_refused(moves: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        GrowthSpace(SMALL).grow(SEED, [Move(move) for move in moves])
    assert message in str(caught.value)


def test_growth_ends_at_the_limits() -> None:
    one = GrowthSpace(SMALL, limits=Limits(steps=1))
    child = one.grow(SEED, [Move("normal:c1.sep3x3")])
    assert one.moves(child) == ()
    beyond = one.grow(child, [Move("normal:c1.sep3x3")])
    assert beyond not in one
    with pytest.raises(UsageError, match="beyond the limits: 2 layers"):
        one.plan(beyond)
    seed = SMALL.count(parse(SEED))
    tight = GrowthSpace(SMALL, limits=Limits(parameters=(seed.parameters + 400) / 1e6))
    moves = tight.moves(SEED)
    assert 0 < len(moves) < 28
    fitting = [
        move
        for move in GrowthSpace(SMALL).moves(SEED)
        if any(tight.grow(SEED, [move], merge) in tight for merge in ("concat", "sum"))
    ]
    assert list(moves) == fitting
    assert any(tight.grow(SEED, [move]) not in tight for move in moves), "a sum can fit where a projection does not"
    rng = np.random.default_rng(1)
    assert all(tight.sample(rng) in tight for _ in range(50))
    with pytest.raises(UsageError, match="the seed itself is beyond"):
        GrowthSpace(SMALL, limits=Limits(multiply_adds=seed.multiply_adds / 2e6))


def test_the_declared_depth_is_uniform_and_pairs_are_too() -> None:
    space = GrowthSpace(SMALL, limits=Limits(steps=4))
    rng = np.random.default_rng(2)
    plans = [parse(space.sample(rng)) for _ in range(2000)]
    depths = np.bincount([plan.steps for plan in plans], minlength=5)
    assert depths[0] == 0
    assert 400 < depths[1:].min() <= depths[1:].max() < 600  # 500 each; 5 standard deviations are 97
    first = [pair for plan in plans for layers in plan.layers for pair in (layers[0].pairs if layers else ())]
    counts = np.unique([str(pair) for pair in first], return_counts=True)[1]
    assert len(counts) == 14
    assert counts.max() < 1.3 * counts.min()
    assert {len(each.pairs) for plan in plans for layers in plan.layers for each in layers} == {3}


def test_a_longer_draw_begins_like_no_other_generator(space: GrowthSpace) -> None:
    first, second = (np.random.default_rng(7) for _ in range(2))
    assert [space.sample(first) for _ in range(20)] == [space.sample(second) for _ in range(20)]


def test_features_tell_networks_apart_and_have_one_length(space: GrowthSpace) -> None:
    rng = np.random.default_rng(3)
    archs = sorted({space.seeds()[0], *(space.sample(rng) for _ in range(20))})
    features = [space.encode(arch) for arch in archs]
    assert {len(row) for row in features} == {22 * (2 if space.form == "cell" else 5) + 2}
    assert all(np.any(one != other) for one, other in pairwise(features))
    assert isinstance(space, Encodable)
    assert not isinstance(space, Finite)


def test_features_count_layers_and_pairs() -> None:
    row = GrowthSpace(SMALL).encode(GROWN)
    assert row[0] == 2
    assert row[1 + OPERATIONS.index("max3x3")] == 1  # c2
    assert row[8 + OPERATIONS.index("sep3x3")] == 1  # c1
    assert row[15 + OPERATIONS.index("identity")] == 1  # a layer
    assert row[:22].sum() == 5
    assert 10 ** row[-1] == pytest.approx(SMALL.count(parse(GROWN)).parameters, rel=1e-5)


def test_more_of_anything_costs_more(space: GrowthSpace) -> None:
    (seed,) = space.seeds()
    for move in space.moves(seed):
        assert all(np.array(space.count(space.grow(seed, [move]))) > np.array(space.count(seed)))


def test_a_repeated_macro_cell_costs_like_its_copies() -> None:
    once = GrowthSkeleton(channels=4, cells=2, image_size=8)
    twice = GrowthSkeleton(channels=4, cells=4, image_size=8, repeat=2)
    assert once.macro_slots == twice.macro_slots == 8
    assert [position.slot for position in twice.positions("macro")] == [0, 0, 1, 1, 2, 3, 3, 4, 4, 5, 6, 6, 7, 7]
    assert [position.slot for position in once.positions("macro")] == list(range(8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 0}, "channels is 0"),
        ({"reductions": 4, "image_size": 8}, "cannot be halved so often"),
        ({"reductions": 0}, "reductions is 0"),
        ({"cells": 3, "repeat": 2}, "no multiple of repeat"),
    ],
)
def test_wrong_skeletons_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        GrowthSkeleton(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "makro"}, "did you mean 'macro'"),
        ({"merge": "cat"}, "merge is 'cat'"),
        ({"pairs": 15}, "joins 1 to 14"),
    ],
)
def test_wrong_options_of_the_space_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        GrowthSpace(SMALL, **options)
    with pytest.raises(UsageError, match="the limit steps is 0"):
        Limits(steps=0)


def test_moves_are_read_back() -> None:
    assert parse_move("normal:c1.dil-sep3x3") == ("normal", ("c1", "dil-sep3x3"))


def test_a_drawing_holds_every_pair_and_every_sum() -> None:
    slots = drawing(GROWN)
    normal = slots["normal"]
    assert [node["id"] for node in normal["nodes"]] == ["c2", "c1", "l1", "l2", "x"]
    assert normal["nodes"][3] == {"id": "l2", "kind": "layer", "merge": "sum"}
    assert {"from": "l1", "to": "l2", "operation": "identity"} in normal["edges"]
    assert sum(edge["to"] == "x" for edge in normal["edges"]) == 2 + 2
    assert len(slots["reduction"]["edges"]) == 2 + 1 + 1
