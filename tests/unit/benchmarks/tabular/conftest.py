"""Tables that the tests make: a macro chain, a graph, a plain list; and a small one in the real schema."""

from __future__ import annotations

import csv
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from harness.core.interfaces import Place

FIXTURES = Path(__file__).parents[3] / "fixtures"

EPOCHS = (1, 3, 9)
SEEDS = ("1", "2")


@pytest.fixture(scope="session")
def small_nb201() -> Path:
    """A folder with the two parquet files in the real schema, cut to 60 cells."""
    return FIXTURES / "nb201"


@pytest.fixture
def small_place(tmp_path: Path) -> Place:
    """A machine whose data folder holds the 60 cells."""
    return Place(data=FIXTURES, cache=tmp_path / "cache")


def macro_chains() -> tuple[dict[str, Any], list[str]]:
    """Return a space of chains, 3^5 of them, and their texts."""
    options = ["conv3", "pool", "skip"]
    return {"kind": "choices", "length": 5, "options": options}, [
        ",".join(chain) for chain in product(options, repeat=5)
    ]


def graphs() -> tuple[dict[str, Any], list[str]]:
    """Return a space of graphs with four nodes, two of them labelled, and their texts."""
    operations = ["conv", "pool"]
    texts = [
        f"{bits[:3]}|{bits[3:5]}|{bits[5]};{first},{second}"
        for bits in map("".join, product("01", repeat=6))
        for first, second in product(operations, repeat=2)
    ]
    return {"kind": "graph", "operations": operations, "nodes": 4}, texts


def names() -> tuple[dict[str, Any], list[str]]:
    """Return a plain list of names, which look like numbers."""
    return {"kind": "ids"}, [f"{number:03d}" for number in range(50)]


SPACES: dict[str, Callable[[], tuple[dict[str, Any], list[str]]]] = {
    "chain": macro_chains,
    "graph": graphs,
    "ids": names,
}


def rows_of(texts: list[str]) -> list[dict[str, Any]]:
    """Return invented results: two trials with learning curves, their mean, a test accuracy, sizes and seconds."""
    rng = np.random.default_rng(5)
    rows = []
    for arch in texts:
        quality = rng.uniform(50, 90)
        trials = {seed: [round(quality * (1 - 0.5 / epoch) + rng.normal(), 3) for epoch in EPOCHS] for seed in SEEDS}
        row: dict[str, Any] = {"net": arch}
        for place, epoch in enumerate(EPOCHS):
            row |= {f"valid_{seed}_{epoch}": trials[seed][place] for seed in SEEDS}
            row[f"valid_{epoch}"] = float(np.mean([trials[seed][place] for seed in SEEDS]))
        row |= {"test": round(quality - 1, 3), "size": round(rng.uniform(1, 5), 3), "time": round(rng.uniform(2, 9), 3)}
        rows.append(row)
    return rows


def manifest_of(space: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest of such a table."""
    valid = {"quantity": "valid", "epochs": 9, "train": "25k", "unit": "%", "sealed": False}
    return {
        "table": "invented",
        "file": "results.csv",
        "arch": "net",
        "space": space,
        "dataset": "toys",
        "fidelities": list(EPOCHS),
        "metrics": [
            {**valid, "policy": "mean-of-trials", "column": "valid_9", "curve": {"columns": "valid_{epoch}"}},
            {
                **valid,
                "policy": "trial",
                "trials": {seed: f"valid_{seed}_9" for seed in SEEDS},
                "curve": {"columns": "valid_{seed}_{epoch}"},
            },
            {
                "quantity": "test",
                "epochs": 9,
                "train": "25k",
                "policy": "mean-of-trials",
                "unit": "%",
                "sealed": True,
                "column": "test",
            },
            {"quantity": "multiply-adds", "unit": "M", "sealed": False, "column": "size"},
        ],
        "costs": [{"train": "25k", "seconds_per_epoch": "time", "seconds_per_evaluation": 0.5}],
    }


@pytest.fixture(scope="session")
def write_table_files() -> Callable[..., Path]:
    """Return what writes a table's two files into a folder and returns the manifest."""

    def write(
        folder: Path,
        kind: str = "chain",
        change: Callable[[dict[str, Any]], None] | None = None,
        change_rows: Callable[[list[dict[str, Any]]], None] | None = None,
    ) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        space, texts = SPACES[kind]()
        manifest, rows = manifest_of(space), rows_of(texts)
        for alter, subject in ((change, manifest), (change_rows, rows)):
            if alter is not None:
                alter(subject)
        with (folder / "results.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        path = folder / f"{kind}.yaml"
        path.write_text(yaml.safe_dump(manifest, sort_keys=False), encoding="utf-8")
        return path

    return write
