"""Jobs are run, results and errors come back whole, and dead workers are replaced."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from types import ModuleType

import psutil
import pytest

import harness
from harness.core.errors import DataMissing, HarnessError, Mistake, ProtocolError, UsageError, WorkerDied
from harness.executor import Executor, InlineExecutor, JobCrashed, ProcessExecutor
from harness.worker import pack, unpack

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FIXTURES))
    return importlib.import_module("executor_jobs")


@pytest.fixture(params=["inline", "processes"])
def executor(request: pytest.FixtureRequest) -> Executor:
    return InlineExecutor() if request.param == "inline" else ProcessExecutor(workers=2)


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    """No child process, zombie or open pipe outlives a test."""
    multiprocessing.resource_tracker.ensure_running()  # type: ignore[attr-defined]
    before = len(psutil.Process().open_files()), psutil.Process().num_fds()
    children = {child.pid for child in psutil.Process().children()}
    yield
    assert not multiprocessing.active_children()
    assert {child.pid for child in psutil.Process().children()} <= children
    assert (len(psutil.Process().open_files()), psutil.Process().num_fds()) == before


def gone(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    return True


def test_every_job_is_done_once(executor, jobs):
    done = list(executor.run(jobs.square, range(50), lambda job, event: None))
    assert sorted((each.index, each.job, each.result()) for each in done) == [(n, n, n * n) for n in range(50)]
    assert all(each.seconds >= 0 for each in done)


def test_no_jobs_need_no_worker(executor, jobs):
    assert list(executor.run(jobs.square, [], lambda job, event: None)) == []


def test_a_pool_without_workers_is_refused():
    with pytest.raises(UsageError, match="workers: 0"):
        ProcessExecutor(0)


def test_results_come_as_they_are_completed(jobs):
    done = ProcessExecutor(2).run(jobs.wait_then_name, [("slow", 1.0), ("fast", 0.0), ("next", 0.0)])
    assert [each.result() for each in done] == ["fast", "next", "slow"]


def test_values_do_not_depend_on_the_number_of_workers(jobs):
    found = [
        sorted((each.index, each.result()) for each in ProcessExecutor(workers).run(jobs.square, range(20)))
        for workers in (1, 3)
    ]
    assert (
        found[0] == found[1] == [(each.index, each.result()) for each in InlineExecutor().run(jobs.square, range(20))]
    )


def test_events_come_in_order_and_before_the_job_is_done(executor, jobs):
    seen: list[tuple[str, object]] = []

    def note(job: str, event: object) -> None:
        seen.append((job, event))

    for done in executor.run(jobs.announce, ["a", "b", "c"], note):
        note(done.job, "done")
    for name in "abc":
        assert [what for job, what in seen if job == name] == [{"job": name, "step": step} for step in range(3)] + [
            "done"
        ]


def test_a_flood_of_events_is_held_back_and_arrives_whole(jobs):
    counts = {"a": 0, "b": 0}

    def count(job: str, event: int) -> None:
        assert event == counts[job]
        counts[job] += 1

    list(ProcessExecutor(2).run(jobs.chatter, ["a", "b"], count))
    assert counts == {"a": 20_000, "b": 20_000}


def test_jobs_and_values_larger_than_a_pipe_travel(jobs):
    payloads = [bytes([n]) * 3_000_000 for n in range(4)]
    found = {each.index: each.result() for each in ProcessExecutor(2).run(jobs.big, payloads)}
    assert found == {n: payload + b"!" for n, payload in enumerate(payloads)}


def test_harness_errors_are_results(executor, jobs):
    done = sorted(executor.run(jobs.odd_is_missing, range(4), lambda job, event: None), key=lambda each: each.index)
    assert [each.value for each in done] == [0, None, 2, None]
    assert [str(each.error) for each in done if each.error] == [
        "table 1 is not here; import it",
        "table 3 is not here; import it",
    ]
    assert all(type(each.error) is DataMissing and each.error.exit_code == 4 for each in done if each.error)
    with pytest.raises(DataMissing, match="table 1"):
        done[1].result()


def test_an_error_with_its_own_init_comes_back_whole(jobs):
    (done,) = ProcessExecutor(1).run(jobs.mistaken, ["x"])
    assert type(done.error) is ProtocolError
    assert done.error.exit_code == 3
    assert done.error.mistakes == (Mistake("a.yaml", 1, "x", "missing"), Mistake("b.yaml", 3, "tracks", "unknown"))
    assert str(done.error) == "a.yaml:1: x: missing\nb.yaml:3: tracks: unknown"


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("unpicklable_error", DataMissing, "the table is not here; import it"),
        ("local_error", HarnessError, "only here; go on"),
    ],
)
def test_an_error_that_cannot_travel_sends_its_text(jobs, name, kind, text):
    (done,) = ProcessExecutor(1).run(getattr(jobs, name), ["x"])
    assert type(done.error) is kind
    assert str(done.error) == text


def test_packing_keeps_attributes_and_notes():
    error = DataMissing("gone; import it")
    error.exit_code = 77
    error.add_note("seen on Monday")
    again = unpack(pack(error))
    assert (type(again), str(again), again.exit_code, again.__notes__) == (
        DataMissing,
        "gone; import it",
        77,
        ["seen on Monday"],
    )


def test_an_unexpected_exception_stops_everything_and_shows_its_traceback(executor, jobs):
    with pytest.raises(JobCrashed, match=r"^0: ZeroDivisionError") as caught:
        list(executor.run(jobs.divide, [0, 1, 2], lambda job, event: None))
    assert "in divide" in caught.value.traceback
    assert caught.value.__notes__ == [caught.value.traceback]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("leave", "SystemExit"),
        ("lose_the_network", "ConnectionResetError"),
        ("return_a_lock", "TypeError"),
    ],
)
def test_exceptions_that_look_like_the_end_of_a_worker_are_crashes_all_the_same(jobs, name, error):
    with pytest.raises(JobCrashed, match=error):
        list(ProcessExecutor(1).run(getattr(jobs, name), ["x"]))


def test_a_worker_killed_once_changes_no_result(jobs, tmp_path):
    done = list(ProcessExecutor(2).run(jobs.kill_once, [(n, str(tmp_path)) for n in range(12)]))
    assert sorted((each.index, each.result()) for each in done) == [(n, n * 10) for n in range(12)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["died-1", "died-5", "died-9"]


def test_a_worker_that_always_dies_is_an_error_of_that_job_alone(jobs):
    done = {each.job: each for each in ProcessExecutor(2).run(jobs.kill_always, ["a", "doomed", "b", "c"])}
    assert [done[name].result() for name in "abc"] == ["a", "b", "c"]
    error = done["doomed"].error
    assert type(error) is WorkerDied
    assert "doomed: its worker was ended by SIGKILL" in str(error)
    assert "3 times" in str(error)
    assert "\n" not in str(error)


def test_a_death_behind_a_pipe_that_stays_open_is_noticed(jobs, tmp_path):
    mark = tmp_path / "mark"
    (done,) = ProcessExecutor(1).run(jobs.die_behind_an_open_pipe, [str(mark)])
    assert done.result() == "survived"
    holder = int(mark.read_text())
    assert not gone(holder), "the pipe was not held open any more"
    os.kill(holder, signal.SIGKILL)


def test_workers_that_cannot_start_end_the_run(jobs, monkeypatch, capfd):
    function = jobs.square
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(FIXTURES)])
    with pytest.raises(WorkerDied, match="3 workers in a row ended with exit code 1 before their first job"):
        list(ProcessExecutor(2).run(function, range(10)))
    assert "executor_jobs" in capfd.readouterr().err


def test_a_worker_has_thread_limits_and_loads_nothing_heavy(jobs, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    (done,) = ProcessExecutor(1, threads=3).run(jobs.environment, ["x"])
    found = done.result()
    assert (found["threads"], found["blas"]) == ("3", "3")
    assert not found["torch"]
    assert not found["numpy"]
    assert found["interrupt_ignored"]
    assert found["pid"] != os.getpid()
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_a_worker_ignores_ctrl_c(jobs):
    assert [each.result() for each in ProcessExecutor(1).run(jobs.interrupt_self, ["x"])] == ["x"]


def test_ctrl_c_ends_the_workers_and_goes_on_up(jobs, tmp_path):
    started: list[int] = []

    def interrupt_soon(job: str, pid: int) -> None:
        started.append(pid)
        if len(started) == 2:
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        list(ProcessExecutor(2).run(jobs.sleep_and_tell, [str(tmp_path)] * 6, interrupt_soon))
    assert all(gone(pid) for pid in started)
    assert len(list(tmp_path.iterdir())) == 2, "a job was started after Ctrl-C"


def test_a_caller_that_stops_listening_ends_the_workers(jobs):
    with closing(ProcessExecutor(2).run(jobs.wait_then_name, [("a", 0.0), ("b", 30.0), ("c", 30.0)])) as done:
        assert next(done).result() == "a"
    assert not multiprocessing.active_children()


def test_an_error_in_the_callers_own_code_ends_the_workers(jobs):
    def object_to(job: str, event: object) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(ProcessExecutor(2).run(jobs.announce, ["a", "b"], object_to))
    assert not multiprocessing.active_children()


def study(folder: Path) -> subprocess.Popen[str]:
    """Start a study of its own process group, whose two workers write their ids into `folder`."""
    script = folder / "study.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys
        sys.path[:0] = [{str(FIXTURES)!r}, {str(Path(harness.__file__).parents[1])!r}]
        from executor_jobs import sleep_and_tell
        from harness.executor import ProcessExecutor
        if __name__ == "__main__":
            print("starting", flush=True)
            list(ProcessExecutor(2).run(sleep_and_tell, [{str(folder / "pids")!r}] * 2))
    """)
    )
    (folder / "pids").mkdir()
    return subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def pids_of(folder: Path, count: int) -> list[int]:
    """Wait until `count` workers are at work, and return their process ids."""
    deadline = time.monotonic() + 30
    while len(list((folder / "pids").iterdir())) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    found = [int(path.name) for path in (folder / "pids").iterdir()]
    assert len(found) >= count
    return found


def vanish(pids: list[int]) -> bool:
    deadline = time.monotonic() + 10
    while not all(gone(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    return all(gone(pid) for pid in pids)


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_their_parent(tmp_path, blow):
    with study(tmp_path) as parent:
        try:
            pids = pids_of(tmp_path, 2)
        finally:
            parent.send_signal(blow)
    assert vanish(pids)


@pytest.mark.parametrize(("workers_at_work", "delay"), [(0, 0.0), (0, 0.05), (0, 0.1), (0, 0.15), (0, 0.2), (2, 0.0)])
def test_ctrl_c_on_a_terminal_is_told_by_the_parent_alone(tmp_path, workers_at_work, delay):
    with study(tmp_path) as parent:
        try:
            assert parent.stdout.read(9) == "starting\n"
            pids_of(tmp_path, workers_at_work)
            time.sleep(delay)
        finally:
            os.killpg(parent.pid, signal.SIGINT)  # a terminal sends it to the whole group
        written = parent.stderr.read()
    assert written.count("Traceback") == 1
    assert written.rstrip().endswith("KeyboardInterrupt")
    assert parent.returncode == -signal.SIGINT
    assert vanish([int(path.name) for path in (tmp_path / "pids").iterdir()])
