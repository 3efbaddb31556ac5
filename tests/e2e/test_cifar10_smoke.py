"""Run the smoke version of the cifar10 protocol on real CIFAR-10 images and the real table."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def cifar10_data(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the table and the binary version of CIFAR-10."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "nb201").symlink_to(data_dir / "nb201")
    if (data_dir / "cifar10" / "cifar-10-batches-bin").is_dir():
        (folder / "cifar10").symlink_to(data_dir / "cifar10")
        return folder
    script = data_dir / "unpack_cifar10.py"
    if not script.is_file():
        pytest.skip(f"neither cifar-10-batches-bin nor unpack_cifar10.py is in {data_dir}")
    spec = importlib.util.spec_from_file_location("unpack_cifar10", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.main(str(folder / "cifar10")) == 0
    return folder


def trials_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_the_whole_path_on_real_images(harness, cifar10_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "smoke"
    done = harness("run", "cifar10-smoke", "--data-dir", cifar10_data, "--out", folder)
    assert done.returncode == 0, done.stderr
    assert harness("report", folder, "--check").returncode == 0
    trials = [trial for path in folder.glob("runs/training/**/trials.jsonl") for trial in trials_of(path)]
    values = [trial["result"]["value"] for trial in trials if trial["work"]["epochs"] == 3]
    assert len({trial["work"]["arch"] for trial in trials}) >= 12
    assert max(values) > 15, "real images were learned better than by chance"
    attached = [trials_of(path) for path in folder.glob("runs/hybrid/petridish_hybrid/**/trials.jsonl")]
    grown = [trials_of(path) for path in folder.glob("runs/growth/petridish/**/trials.jsonl")]
    for search in (*attached, *grown):
        assert {"attach", "grow"} <= {trial["work"]["kind"] for trial in search}
    assert (folder / "report" / "growth" / "report.html").is_file()
    skipped = {path.parent.parent.parent.name for path in folder.glob("runs/tabular/**/skipped.json")}
    assert skipped == {"hyperband"}


def test_a_track_that_needs_a_gpu_is_skipped_with_the_reason(harness, cifar10_data: Path, tmp_path: Path) -> None:
    protocol = tmp_path / "short.yaml"
    text = (Path(__file__).parents[2] / "protocols" / "cifar10.yaml").read_text()
    # The dish with nothing learned is the same row without its minutes of fitting.
    cut = {"replicates: 30": "replicates: 2", "surrogate: spd_forest,": "surrogate: spd_untrained,"}
    for whole, short in cut.items():
        assert whole in text
        text = text.replace(whole, short)
    protocol.write_text(text)
    folder = tmp_path / "run"
    done = harness("run", protocol, "--data-dir", cifar10_data, "--out", folder, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    reasons = [json.loads(path.read_text())["reason"] for path in folder.glob("runs/training/**/skipped.json")]
    assert len(reasons) == 18
    assert all("needs a GPU" in reason and "--allow-slow" in reason for reason in reasons)
    assert not list(folder.glob("runs/training/**/trials.jsonl"))
    assert len(list(folder.glob("runs/tabular/**/done.json"))) == 14
    checked = harness("check", protocol, "--data-dir", cifar10_data, "--device", "cpu")
    assert "days" in checked.stdout
