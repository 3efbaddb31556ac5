"""Give the command line bad input and bad places: one line, the next step, an exit code, never a traceback."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.core.canonical import content_hash


def refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> str:
    """Check that a command ended with this code and one plain message that holds the words; return it."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stderr.startswith("error: ")
    for word in words:
        assert word in done.stderr
    return done.stderr


def journals(study: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(study)): path.read_bytes()
        for path in study.glob("runs/**/*.jsonl")
        if "timing" not in path.name
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["protocol.yaml"]),
        ("protocol: [", ["protocol.yaml:1"]),
        ("a: &x [1]\nb: *x", ["protocol.yaml:"]),
        ("\x00\x01", ["protocol.yaml"]),
    ],
)
def test_a_malformed_protocol_is_refused(harness, tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "protocol.yaml"
    path.write_text(text)
    refused(harness("run", path), 3, *words)


def test_all_mistakes_of_a_protocol_are_told_at_once(harness, table_protocol: Path) -> None:
    plain = json.loads(table_protocol.read_text())
    plain["methods"][1]["name"] = "regularised_evolution"
    plain["methods"][0]["options"] = {"drawss": "with-replacement"}
    plain["tracks"][0]["budget"]["limit"] = "much"
    plain["sead"] = 1
    table_protocol.write_text(json.dumps(plain, indent=1))
    message = refused(harness("run", table_protocol), 3, "regularized_evolution", "draws", "budget.limit", "sead")
    assert len(message.strip().splitlines()) == 4


def test_an_unknown_protocol_names_the_nearest(harness) -> None:
    assert "quickstart" in harness("run", "quikstart").stderr


def test_absent_tables_are_told_with_home_size_and_command(harness, table_protocol: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    done = harness("run", table_protocol, "--data-dir", empty, "--cache-dir", tmp_path / "cache")
    refused(done, 4, "arch.parquet", "MB", "https://", "python -m harness data import")


def test_a_data_folder_that_is_none_is_refused(harness, table_protocol: Path, tmp_path: Path) -> None:
    refused(harness("run", table_protocol, "--data-dir", tmp_path / "nowhere"), 2, "nowhere", "--data-dir")


def test_a_flipped_byte_in_a_table_is_found(harness, data_dir: Path, table_protocol: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert harness("check", table_protocol, "--data-dir", data_dir, "--cache-dir", cache).returncode == 0
    column = max(cache.glob("tables/*/*.npy"), key=lambda path: path.stat().st_size)
    content = bytearray(column.read_bytes())
    content[len(content) // 2] ^= 1
    column.chmod(0o644)
    column.write_bytes(content)
    done = harness("run", table_protocol, "--data-dir", data_dir, "--cache-dir", cache, "--out", tmp_path / "run")
    refused(done, 4, column.name, "data import")


def test_a_file_in_the_way_of_the_run_folder_is_told(
    harness, data_dir: Path, table_protocol: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    refused(harness("run", table_protocol, "--data-dir", data_dir, "--out", tmp_path / "file" / "run"), 5, "--out")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_with_other_files_is_left_alone(harness, data_dir: Path, table_protocol: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    refused(
        harness("run", table_protocol, "--data-dir", data_dir, "--out", tmp_path / "mine"), 5, "thesis.tex", "--out"
    )


def test_a_study_of_another_protocol_is_not_touched(
    harness, data_dir: Path, table_protocol: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    assert harness("run", table_protocol, "--data-dir", data_dir, "--out", folder).returncode == 0
    before = journals(folder)
    plain = json.loads(table_protocol.read_text())
    plain["tracks"][0]["budget"]["limit"] = 3000.0
    table_protocol.write_text(json.dumps(plain))
    refused(harness("run", table_protocol, "--data-dir", data_dir, "--out", folder), 5, "protocol hash", "--out")
    assert journals(folder) == before


def test_two_processes_never_share_a_run_folder(harness, data_dir: Path, table_protocol: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with (folder / ".lock").open("w") as stream:
        stream.write("process 7")
        stream.flush()
        fcntl.flock(stream, fcntl.LOCK_EX)
        done = harness("run", table_protocol, "--data-dir", data_dir, "--out", folder)
    refused(done, 5, "process 7", "--out")


def test_drift_is_refused_unless_it_is_allowed_and_then_recorded(
    harness, data_dir: Path, table_protocol: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    assert harness("run", table_protocol, "--data-dir", data_dir, "--out", folder).returncode == 0
    forget_last_run(folder)
    pretend_another_processor(folder)
    refused(harness("resume", folder, "--data-dir", data_dir), 5, "Babbage", "--allow-drift")
    allowed = harness("resume", folder, "--data-dir", data_dir, "--allow-drift")
    assert allowed.returncode == 0, allowed.stderr
    segments = [json.loads(line) for line in (folder / "segments.jsonl").read_text().splitlines()]
    assert [bool(segment["drift"]) for segment in segments] == [False, True]
    assert harness("resume", folder, "--data-dir", data_dir).returncode == 0, "a known environment is no drift"


def forget_last_run(folder: Path) -> None:
    run = max(folder.glob("runs/*/*/*/r*"))
    for path in run.iterdir():
        path.unlink()
    run.rmdir()


def pretend_another_processor(folder: Path) -> None:
    path = next((folder / "environments").iterdir())
    record = json.loads(path.read_text())
    record["hardware"]["cpu"]["model"] = "Babbage Engine No. 2"
    identity = content_hash(record)[:16]
    path.with_name(f"{identity}.json").write_text(json.dumps(record))
    segments = (folder / "segments.jsonl").read_text().replace(path.stem, identity)
    (folder / "segments.jsonl").write_text(segments)
    path.unlink()


@pytest.mark.parametrize("name", ["trials.jsonl", "sealed.jsonl"])
def test_a_changed_journal_stops_the_report(
    harness, data_dir: Path, table_protocol: Path, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "run"
    assert harness("run", table_protocol, "--data-dir", data_dir, "--out", folder).returncode == 0
    journal = min(folder.glob(f"runs/**/{name}"))
    journal.write_text(journal.read_text().replace("9", "8", 1))
    refused(harness("report", folder), 5, name)


def test_a_folder_without_a_study_is_told(harness, tmp_path: Path) -> None:
    for command in ("resume", "status", "report"):
        refused(harness(command, tmp_path), 5, "protocol.json")


def test_a_worker_that_dies_changes_nothing(
    harness, environment: Mapping[str, str], digits_protocol: Path, tmp_path: Path
) -> None:
    quiet, disturbed = tmp_path / "quiet", tmp_path / "disturbed"
    assert harness("run", digits_protocol, "--out", quiet).returncode == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "run", str(digits_protocol), "--out", str(disturbed)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    killed: list[int] = []
    assassin = threading.Thread(target=kill_one_worker, args=(process.pid, disturbed, killed))
    assassin.start()
    _, errors = process.communicate(timeout=240)
    assassin.join()
    assert killed, "no worker was killed: the study is too short for this test"
    assert process.returncode == 0, errors
    assert journals(disturbed) == journals(quiet)


def kill_one_worker(parent: int, study: Path, killed: list[int]) -> None:
    """Kill a worker once the first trial is on disk."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(study.glob("runs/**/trials.jsonl")):
        time.sleep(0.02)
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
            command = (path.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == parent and b"spawn_main" in command:
            os.kill(int(path.parent.name), signal.SIGKILL)
            killed.append(int(path.parent.name))
            return


@pytest.fixture
def small_disk(tmp_path: Path):
    """A disk of 160 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this machine does not let a test mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_loses_nothing(
    harness, data_dir: Path, table_protocol: Path, tmp_path: Path, small_disk: Path
) -> None:
    plain = json.loads(table_protocol.read_text())
    plain["tracks"][0]["replicates"] = 20
    table_protocol.write_text(json.dumps(plain))
    done = harness("run", table_protocol, "--data-dir", data_dir, "--out", small_disk / "run")
    refused(done, 5, "the disk is full", "--out")
    kept = journals(small_disk / "run")
    roomy = tmp_path / "roomy"
    assert harness("run", table_protocol, "--data-dir", data_dir, "--out", roomy).returncode == 0
    whole = journals(roomy)
    assert kept
    assert all(whole[name] == content for name, content in kept.items())


def test_a_command_line_that_makes_no_sense_is_refused(harness) -> None:
    done = harness("run")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    refused(harness("data", "import"), 2, "nb201-v1.1", "cifar10")
    refused(harness("data", "import", "nb301"), 2, "nb301")


def test_a_reader_that_goes_away_is_no_error(environment: Mapping[str, str], tmp_path: Path) -> None:
    pipeline = f"{sys.executable} -m harness schema | head -c 10"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", pipeline], env=environment, capture_output=True, check=False)
    assert b"Traceback" not in done.stderr
    assert done.stdout.startswith(b"{")
