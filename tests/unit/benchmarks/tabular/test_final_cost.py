"""What a training behind the sealed metrics costs: from the table where it is recorded, unknown elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks.tabular.nb201 import NB201Table
from harness.core.errors import UsageError
from harness.core.interfaces import Place, Query
from harness.core.types import Arch, Cost


def open_small(place: Place, dataset: str, *sealed: str) -> NB201Table:
    objective = {
        "cifar10": "cifar10/valid@12ep(25k) mean-of-trials",
        "cifar100": "cifar100/valid@12ep(50k) mean-of-trials",
    }
    query = Query(objective[dataset], (), sealed, 12, 200)
    return NB201Table(NB201Table.Config(table="nats-tss", dataset=dataset), place, query)


@pytest.fixture
def row(small_nb201: Path) -> dict[str, Any]:
    """The first cell as the source has it."""
    found: dict[str, Any] = pd.read_parquet(small_nb201 / "arch.parquet").iloc[0].to_dict()
    return found


def test_recorded_seconds_are_those_of_the_schedule(small_place: Place, row: dict[str, Any]) -> None:
    benchmark = open_small(small_place, "cifar100", "cifar100/test@200ep(50k) mean-of-trials")
    epoch = row["train_s_per_epoch_c100"]
    cost = benchmark.final_cost(Arch(row["arch_str"]))
    assert cost.epochs == 200
    assert cost.train_seconds == pytest.approx(200 * epoch + row["e12_cost_s_c100"] - 12 * epoch)
    assert cost.multiply_adds == pytest.approx(3e6 * row["flops_m_c100"] * 50_000 * 200)


def test_seconds_that_nobody_recorded_are_unknown(small_place: Place, row: dict[str, Any]) -> None:
    whole = open_small(small_place, "cifar10", "cifar10/test@200ep(50k) mean-of-trials").final_cost(
        Arch(row["arch_str"])
    )
    assert (whole.epochs, whole.train_seconds) == (200, None), "only the training on half the images was timed"
    assert whole.multiply_adds == pytest.approx(3e6 * row["flops_m_c10"] * 50_000 * 200)
    half = open_small(small_place, "cifar10", "cifar10/valid@200ep(25k) mean-of-trials").final_cost(
        Arch(row["arch_str"])
    )
    assert half.train_seconds == pytest.approx(188 * row["train_s_per_epoch_c10valid"] + row["e12_cost_s_c10valid"])


def test_a_cell_without_a_row_has_no_invented_cost(small_place: Place) -> None:
    benchmark = open_small(small_place, "cifar100", "cifar100/test@200ep(50k) mean-of-trials")
    missing = next(
        arch
        for index in range(len(benchmark.space))
        if (arch := benchmark.space.arch(index)) not in benchmark.table.rows
    )
    assert benchmark.final_cost(missing) == Cost(200.0, None, None)


def test_without_a_sealed_metric_nothing_is_trained_at_the_end(small_place: Place, row: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="no sealed metric is asked for"):
        open_small(small_place, "cifar10").final_cost(Arch(row["arch_str"]))
