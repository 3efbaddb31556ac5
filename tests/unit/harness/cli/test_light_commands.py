"""Torch takes seconds and 600 MB to load: no command does before it trains a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.core.registry import load
from harness.plan import CATALOGUE
from harness.protocol import load as load_protocol
from harness.testing.world import temp_protocol

ASK = """
import json, sys
from harness.cli import main
for command in json.loads(sys.argv[1]):
    assert main(command) == 0, command
    found = {"torch", "torchvision"} & set(sys.modules)
    assert not found, f"{found} loaded by {command}"
"""

TRAINING: dict[str, Any] = {
    "benchmark": {"name": "nb201-training", "options": {"channels": 2, "train_images": 64, "valid_images": 50}},
    "fidelity": {"search": 1, "final": 1},
    "objective": {"metric": "digits/valid@1ep(64) trial"},
    "final": {"metrics": ["digits/test@1ep(64) trial"]},
    "budget": {"limit": 2},
}

RESULTS = 'net,valid,test,seconds\n"conv,conv",80.4,79.9,12.5\n"conv,pool",77.3,76.8,9.1\n"pool,pool",33.1,33.0,5.2\n'
MANIFEST = """
{table: two-layers, version: "1", source: made up, licence: CC0, file: results.csv, arch: net, dataset: digits,
 space: {kind: ids}, fidelities: [10], metrics: [
 {quantity: valid, epochs: 10, train: "1k", policy: mean-of-trials, unit: "%", sealed: false, column: valid},
 {quantity: test, epochs: 10, train: "1k", policy: mean-of-trials, unit: "%", sealed: true, column: test}],
 costs: [{train: "1k", seconds_per_epoch: seconds, seconds_per_evaluation: 0.2}]}
"""
TABLE: dict[str, Any] = {
    "fidelity": {"search": 10, "final": 10},
    "objective": {"metric": "digits/valid@10ep(1k) mean-of-trials"},
    "final": {"metrics": ["digits/test@10ep(1k) mean-of-trials"]},
    "budget": {"limit": 50},
}


def stay_light(folder: Path, *commands: list[object]) -> subprocess.CompletedProcess[str]:
    """Run commands in one process that ends at the first one to load torch."""
    return subprocess.run(
        [sys.executable, "-c", ASK, json.dumps([list(map(str, command)) for command in commands])],
        cwd=folder,
        env={**os.environ, "NAS_CACHE_DIR": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def training(tmp_path: Path) -> Path:
    """A protocol that trains networks."""
    return temp_protocol(tmp_path, track=TRAINING)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A protocol on a table of three architectures."""
    folder = tmp_path / "table"
    folder.mkdir()
    (folder / "results.csv").write_text(RESULTS)
    (folder / "table.yaml").write_text(MANIFEST)
    benchmark = {"name": "table", "options": {"manifest": str(folder / "table.yaml")}}
    return temp_protocol(folder, track={**TABLE, "benchmark": benchmark})


def test_everything_but_training(tmp_path: Path, table: Path, training: Path) -> None:
    trained = tmp_path / "trained"
    assert main(["run", str(training), "--out", str(trained), "--workers", "0", "--device", "cpu"]) == 0
    on_table = ["run", table, "--out", tmp_path / "run", "--workers", 0]
    light = stay_light(tmp_path, ["list"], ["schema"], ["check", table], on_table, ["report", trained])
    assert light.returncode == 0, light.stdout + light.stderr


def test_training_is_found_to_load_torch(tmp_path: Path, training: Path) -> None:
    """Or else the test above would prove nothing."""
    heavy = stay_light(tmp_path, ["run", training, "--out", tmp_path / "run", "--workers", 0])
    assert "'torch'" in heavy.stderr
    assert heavy.returncode == 1


def test_a_protocol_that_names_training_is_validated_and_its_benchmark_described(
    tmp_path: Path, training: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "benchmarks"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)  # an import of it raises
    assert load_protocol(training, CATALOGUE).model.tracks[0].benchmark.options["channels"] == 2
    assert "trained from scratch" in load("benchmarks", "nb201-training").__doc__
