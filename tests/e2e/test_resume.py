"""Kill a study again and again, and end with the very same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

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
