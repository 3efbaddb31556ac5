"""The NAS-Bench-201 space against the known facts of the real table."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.spaces.nb201 import EDGES, OPERATIONS, NasBench201, Skeleton, compose, parse, unique_string
from harness.core.errors import UsageError
from harness.core.interfaces import Encodable, Finite
from harness.core.types import Arch

SPACE = NasBench201()
CELLS = st.tuples(*[st.integers(0, 4)] * 6)


@pytest.fixture(scope="module")
def table(data_dir: Path) -> pd.DataFrame:
    return pd.read_parquet(data_dir / "nb201" / "arch.parquet")


def everyone() -> list[Arch]:
    return [SPACE.arch(index) for index in range(len(SPACE))]


def test_order_of_all_cells_is_the_official_one(table: pd.DataFrame) -> None:
    assert everyone() == table["arch_str"].tolist()
    assert ["".join(map(str, parse(arch))) for arch in everyone()] == table["ops"].tolist()


def test_order_does_not_depend_on_the_python_version() -> None:
    digest = hashlib.sha256("\n".join(everyone()).encode()).hexdigest()
    assert digest == "83abc799e45cf34e9d2163654668ab998b9a54d01c39e72ca1f71f2cdf356d84"


def test_index_is_the_inverse_of_arch() -> None:
    assert [SPACE.index(arch) for arch in everyone()] == list(range(15_625))


def test_unique_strings_are_those_of_the_table(table: pd.DataFrame) -> None:
    assert [unique_string(arch) for arch in everyone()] == table["unique_str"].tolist()


def test_isomorphism_classes_are_those_of_the_table(table: pd.DataFrame) -> None:
    representatives = [SPACE.index(SPACE.representative(arch)) for arch in everyone()]
    assert representatives == table["iso_rep"].tolist()
    assert len(set(representatives)) == 6_466


def test_neighbours_differ_in_one_edge_and_are_symmetric() -> None:
    for arch in everyone():
        around = SPACE.neighbours(arch)
        assert len(set(around)) == len(around) == 24
        cell = parse(arch)
        for other in around:
            assert sum(a != b for a, b in zip(cell, parse(other), strict=True)) == 1
            assert arch in SPACE.neighbours(other)


def test_neighbours_come_by_edge_and_then_by_operation() -> None:
    cells = [parse(arch) for arch in SPACE.neighbours(compose((0, 1, 2, 3, 4, 0)))]
    assert cells == sorted(cells, key=lambda cell: _change(cell, (0, 1, 2, 3, 4, 0)))


def _change(cell: tuple[int, ...], origin: tuple[int, ...]) -> tuple[int, int]:
    edge = next(edge for edge in range(6) if cell[edge] != origin[edge])
    return edge, cell[edge]


@pytest.mark.parametrize(("classes", "data"), [(10, "c10"), (100, "c100")])
def test_counts_equal_the_table_for_every_cell(table: pd.DataFrame, classes: int, data: str) -> None:
    network = Skeleton(classes=classes)
    multiply_adds = np.array([network.multiply_adds(arch) for arch in everyone()])
    parameters = np.array([network.parameters(arch) for arch in everyone()])
    np.testing.assert_array_equal(multiply_adds, (table[f"flops_m_{data}"] * 1e6).round().astype(int))
    np.testing.assert_array_equal(parameters, (table[f"params_m_{data}"] * 1e6).round().astype(int))
    np.testing.assert_allclose(multiply_adds / 1e6, table[f"flops_m_{data}"], rtol=1e-12)
    np.testing.assert_allclose(parameters / 1e6, table[f"params_m_{data}"], rtol=1e-12)


@pytest.mark.parametrize("wrong", [{"channels": 0}, {"cells": -1}, {"image_size": 30}])
def test_a_skeleton_that_cannot_be_built_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Skeleton(**wrong)


def test_sample_is_uniform_and_repeats_with_its_seed() -> None:
    draws = [SPACE.sample(np.random.default_rng(3)) for _ in range(2)]
    assert draws[0] == draws[1]
    rng = np.random.default_rng(11)
    cells = np.array([parse(SPACE.sample(rng)) for _ in range(50_000)])
    # 10,000 of each operation are expected on each edge, with a standard deviation of 89.
    counts = np.stack([np.bincount(cells[:, edge], minlength=5) for edge in range(6)])
    assert np.abs(counts - 10_000).max() < 4.5 * 89.5
    # Distinct cells among 50,000 draws: 15,625 (1 - (1 - 1/15,625)^50,000) = 14,987 expected.
    assert abs(len({tuple(cell) for cell in cells.tolist()}) - 14_987) < 120


def test_features_are_one_hot_and_tell_all_cells_apart() -> None:
    features = np.stack([SPACE.encode(arch) for arch in everyone()])
    assert features.shape == (15_625, 30)
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features.reshape(-1, 6, 5).sum(axis=2), 1.0)
    assert features.reshape(-1, 6, 5).argmax(axis=2).tolist() == [list(parse(arch)) for arch in everyone()]


@given(CELLS)
def test_texts_round_trip(cell: tuple[int, ...]) -> None:
    assert parse(compose(cell)) == cell
    assert compose(cell) in SPACE


@given(CELLS, st.data())
def test_a_changed_text_is_a_member_only_if_it_is_canonical(cell: tuple[int, ...], data: st.DataObject) -> None:
    text = compose(cell)
    place = data.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + data.draw(st.sampled_from(["", " ", "X", text[place] * 2])) + text[place + 1 :]
    assert changed not in SPACE
    with pytest.raises(UsageError):
        parse(changed)


@pytest.mark.parametrize("stranger", [None, 3, b"", [], "", "|none~0|", compose((0,) * 6) + "\n"])
def test_membership_is_strict(stranger: object) -> None:
    assert stranger not in SPACE


def test_errors_name_the_nearest_operation_and_the_range() -> None:
    typo = compose((3,) * 6).replace("nor_conv_3x3~2", "nor_conv3x3~2")
    with pytest.raises(UsageError, match=r"did you mean 'nor_conv_3x3'"):
        SPACE.index(typo)
    for index in (-1, 15_625):
        with pytest.raises(UsageError, match="0 to 15624"):
            SPACE.arch(index)


def test_edges_follow_the_canonical_text() -> None:
    text = compose((0, 1, 2, 3, 4, 0))
    tokens = [token for node in text.split("+") for token in node.strip("|").split("|")]
    assert [token.split("~")[0] for token in tokens] == [OPERATIONS[index] for index in (0, 1, 2, 3, 4, 0)]
    assert [int(token.split("~")[1]) for token in tokens] == [source for source, _ in EDGES]
    assert [node for node, part in enumerate(text.split("+"), 1) for _ in part.strip("|").split("|")] == [
        target for _, target in EDGES
    ]


def test_space_has_its_capabilities_and_travels_between_processes() -> None:
    assert isinstance(SPACE, Finite)
    assert isinstance(SPACE, Encodable)
    assert pickle.loads(pickle.dumps(SPACE)).arch(11) == SPACE.arch(11)


def test_import_builds_nothing_and_loads_no_torch() -> None:
    code = (
        "import sys, benchmarks.spaces.nb201 as nb201;"
        "assert 'torch' not in sys.modules;"
        "assert nb201._archs.cache_info().currsize == nb201._cells.cache_info().currsize == 0"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[4])
