"""The page of the machines says what a reader needs; the CSV holds the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.core.records import StudyRecord
from reports.frame import read
from reports.machines import machines_table
from reports.markdown import markdown
from reports.summary import build

BUILD = "PyTorch built with: GCC 13.3, C++ Version: 202002, OpenMP 201511"
RECORD: dict[str, Any] = {
    "hardware": {
        "cpu": {"model": "Abacus 9", "sockets": 1, "cores": 4, "threads": 8, "threads_allowed": 2, "flags": "avx"},
        "memory_bytes": 16 * 2**30,
        "memory_limit_bytes": 4 * 2**30,
        "gpus": [{"model": "Slide Rule 80", "driver": "1.2"}, {"model": "Slide Rule 80", "driver": "1.2"}],
    },
    "software": {
        "os": "Synthetic OS 2",
        "python": {"version": "3.12.1"},
        "distributions": ["numpy==2.4", "scipy==1.17", "torch==2.15", "obscure==0.1"],
    },
    "code": {
        "content": {"harness": "ab" * 32, "methods": "cd" * 32},
        "repository": {"commit": "12" * 20, "dirty": True},
    },
    "settings": {"device": "cuda:0", "threads": 2},
    "determinism": {"mode": "bitwise", "torch_build": BUILD},
}


def test_the_page_has_the_rows_that_a_reader_needs(make_study: Callable[..., StudyRecord]) -> None:
    study = replace(make_study(), environments={"e" * 64: RECORD})
    table = machines_table(read(study))
    assert dict(table.rows) == {
        "processor": "Abacus 9",
        "cores": "sockets 1, cores 4, threads 8, 2 threads allowed",
        "memory": "16.0 GiB, limited to 4.0 GiB",
        "GPUs": "2 x Slide Rule 80 (driver 1.2)",
        "system": "Synthetic OS 2",
        "Python": "3.12.1",
        "libraries": "numpy 2.4, scipy 1.17, torch 2.15",
        "code, commit": f"{'12' * 20} with uncommitted changes",
        "code, content": "harness abababababab, methods cdcdcdcdcdcd",
        "device": "cuda:0",
        "threads per run": "2",
        "determinism": "bitwise",
    }


def test_the_build_of_torch_stands_in_the_csv_and_not_on_the_page(make_study: Callable[..., StudyRecord]) -> None:
    study = replace(make_study(), environments={"e" * 64: RECORD})
    document = build(study)
    assert BUILD not in markdown(document)
    data = machines_table(read(study)).data
    assert {"environment": "e" * 12, "item": "determinism, torch build", "value": BUILD} in data


def test_what_no_environment_recorded_has_no_row(make_study: Callable[..., StudyRecord]) -> None:
    table = machines_table(read(make_study()))
    assert [row[0] for row in table.rows] == [
        "processor",
        "cores",
        "memory",
        "GPUs",
        "system",
        "Python",
        "libraries",
        "code, commit",
    ]
    assert dict(table.rows)["GPUs"] == "none"
