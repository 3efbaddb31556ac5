"""A crew takes jobs one at a time and tells which has ended first, whatever becomes of its workers."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from harness.core.errors import DataMissing, WorkerDied
from harness.executor import Crew, JobCrashed, ProcessExecutor

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FIXTURES))
    return importlib.import_module("executor_jobs")


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    """No child process or open pipe outlives a test."""
    multiprocessing.resource_tracker.ensure_running()  # type: ignore[attr-defined]
    before = psutil.Process().num_fds()
    yield
    assert not multiprocessing.active_children()
    assert psutil.Process().num_fds() == before


def test_the_first_to_end_is_told_first(jobs):
    with Crew(jobs.wait_then_name, 2) as crew:
        crew.give(("slow", 1.5))
        crew.give(("quick", 0.0))
        assert crew.next().result() == "quick"
        crew.give(("later", 0.0))
        assert [crew.next().result() for _ in range(2)] == ["later", "slow"]


def test_processes_start_as_they_are_needed_and_stay(jobs):
    with Crew(jobs.environment, 2, threads=3) as crew:
        assert not multiprocessing.active_children()
        found = []
        for _ in range(3):
            crew.give("job")
            found.append(crew.next().result())
        assert len(multiprocessing.active_children()) == 1
    assert len({each["pid"] for each in found}) == 1
    assert found[0]["threads"] == "3"
    assert found[0]["interrupt_ignored"]


def test_workers_that_are_dismissed_are_gone_and_others_come_for_the_next_job(jobs):
    with Crew(jobs.wait_then_name, 2) as crew:
        crew.give(("first", 0.0))
        assert crew.next().result() == "first"
        crew.dismiss()
        assert not multiprocessing.active_children()
        crew.give(("second", 0.0))
        assert crew.next().result() == "second"


def test_jobs_wait_for_a_free_worker(jobs):
    with Crew(jobs.square, 2) as crew:
        for number in range(7):
            crew.give(number)
        assert sorted(crew.next().result() for _ in range(7)) == [n * n for n in range(7)]


def test_a_job_whose_worker_was_killed_is_done_by_another(jobs, tmp_path):
    with Crew(jobs.kill_once, 2) as crew:
        for number in range(4):
            crew.give((number, str(tmp_path)))
        assert sorted(crew.next().result() for _ in range(4)) == [0, 10, 20, 30]


def test_an_idle_worker_that_was_killed_is_replaced(jobs):
    with Crew(jobs.square, 1) as crew:
        crew.give(2)
        assert crew.next().result() == 4
        (idle,) = multiprocessing.active_children()
        os.kill(idle.pid, signal.SIGKILL)
        idle.join()
        crew.give(3)
        assert crew.next().result() == 9


def test_a_job_that_kills_every_worker_is_an_error(jobs):
    with Crew(jobs.kill_always, 2, retries=1) as crew:
        crew.give("doomed")
        with pytest.raises(WorkerDied, match="2 times in a row"):
            crew.next().result()
        crew.give("sound")
        assert crew.next().result() == "sound"


def test_errors_come_back(jobs):
    with Crew(jobs.odd_is_missing, 1) as crew:
        crew.give(1)
        with pytest.raises(DataMissing, match="table 1"):
            crew.next().result()


def ask(function: Any, jobs: Sequence[Any]) -> None:
    with Crew(function, 2) as crew:
        for job in jobs:
            crew.give(job)
        crew.next()


def test_a_crash_is_raised_here(jobs):
    with pytest.raises(JobCrashed, match="ZeroDivisionError"):
        ask(jobs.divide, [0])


def test_ctrl_c_ends_the_workers_in_the_middle_of_their_jobs(jobs, tmp_path):
    def interrupt() -> None:
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    started = time.monotonic()
    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        ask(jobs.sleep_and_tell, [str(tmp_path)] * 2)
    assert time.monotonic() - started < 50
    assert not any(psutil.pid_exists(int(path.name)) for path in tmp_path.iterdir())


def test_a_job_may_have_workers_of_its_own(jobs):
    assert [done.result() for done in ProcessExecutor(1).run(jobs.squares_by_others, [[1, 2, 3]])] == [[1, 4, 9]]
