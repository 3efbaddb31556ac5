"""Kill a study again and again, and end with the very same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.testing.world import temp_protocol

KILLS = 10
RECORDED = ("trials.jsonl", "sealed.jsonl", "final.jsonl", "done.json")


def recorded(study: Path) -> dict[str, bytes]:
    """Everything of a study that must not depend on when it was killed."""
    runs = {path for name in RECORDED for path in study.glob(f"runs/**/{name}")}
    report = {path for path in (study / "report").iterdir() if path.suffix == ".svg" or path.name.startswith("final-")}
    return {str(path.relative_to(study)): path.read_bytes() for path in runs | report | {study / "protocol.json"}}


def children_of(process: int) -> set[int]:
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == process:
            found.add(int(status.parent.name))
    return found


def wait_for_end(processes: set[int]) -> None:
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{process}").exists() for process in processes):
        assert time.monotonic() < deadline, "workers outlive the process that started them"
        time.sleep(0.05)


@pytest.mark.slow
def test_ten_kills_leave_no_trace(
    harness, environment: Mapping[str, str], digits_protocol: Path, tmp_path: Path
) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    assert harness("run", digits_protocol, "--out", undisturbed).returncode == 0

    rng = np.random.default_rng(20)
    command = [sys.executable, "-m", "harness", "run", str(digits_protocol), "--out", str(killed)]
    ends = []
    for _ in range(KILLS):
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(rng.uniform(0.5, 8.0))
        workers = children_of(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        ends.append(process.wait())
        wait_for_end(workers)
    assert -signal.SIGKILL in ends, "no kill came in time: the study is too short for this test"

    final = harness("run", digits_protocol, "--out", killed)
    assert final.returncode == 0, final.stderr
    assert recorded(killed) == recorded(undisturbed)
    assert harness("report", killed, "--check").returncode == 0


GROWTH: dict[str, Any] = {
    "id": "growth",
    "benchmark": {
        "name": "growth-training",
        "options": {"channels": 2, "reductions": 1, "train_images": 128, "valid_images": 60, "batch_size": 32},
    },
    "splits": {"train": "digits train", "search": "digits valid", "final": "digits test"},
    "fidelity": {"search": 2, "final": 2},
    "objective": {
        "metric": "digits/valid@2ep(128) trial",
        "secondary": ["digits/multiply-adds", "digits/parameters"],
    },
    "final": {"metrics": ["digits/test@2ep(128) trial"]},
    "budget": {"unit": "evaluations", "limit": 5},
    "replicates": 1,
    "purpose": "descriptive",
}


def landed(study: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in study.glob("runs/**/trials.jsonl"))


@pytest.mark.slow
def test_petridish_that_is_killed_while_it_trains_leaves_no_trace(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    protocol = temp_protocol(tmp_path, methods=[{"name": "petridish", "options": {"eps": 1.0}}], track=GROWTH)

    def start(study: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "harness", "run", str(protocol), "--out", str(study), "--workers", "0"],
            cwd=tmp_path,
            env={**environment, "NAS_CACHE_DIR": str(tmp_path / f"cache of {study.name}")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    first, second = start(undisturbed), start(killed)
    rng, deadline = np.random.default_rng(21), time.monotonic() + 120
    trials = rng.integers(1, GROWTH["budget"]["limit"] - 1)
    while landed(killed) < trials:
        assert time.monotonic() < deadline, "no trial ever landed"
        time.sleep(0.002)
    time.sleep(rng.uniform(0, 0.1))  # into the training of the next
    second.kill()
    assert second.wait() == -signal.SIGKILL
    assert first.wait(timeout=300) == 0
    assert landed(killed) < landed(undisturbed)

    assert start(killed).wait(timeout=300) == 0
    assert recorded(killed) == recorded(undisturbed)
    assert b"digits/test@grow(128) trial" in next(killed.glob("runs/**/sealed.jsonl")).read_bytes()


@pytest.mark.slow
def test_ctrl_c_leaves_a_study_that_says_how_to_go_on(
    harness, environment: Mapping[str, str], digits_protocol: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "run", str(digits_protocol), "--out", str(folder)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not list(folder.glob("runs/**/trials.jsonl")):
        assert time.monotonic() < deadline, "no run ever started"
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert f"python -m harness resume {folder.name}" in output
    assert "Traceback" not in errors
    status = harness("status", folder)
    assert "resume" in status.stdout
    resumed = harness("resume", folder)
    assert resumed.returncode == 0, resumed.stderr
