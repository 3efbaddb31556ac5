"""Run independent jobs here or in worker processes, all at once or one by one, and survive the death of a worker.

Results come as they are completed; whoever needs an order sorts by `Done.index`. Each worker has a pipe of its
own, never a shared queue: a worker that is killed while it holds a shared lock would stop all others.
"""

from __future__ import annotations

import signal
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import wait
from typing import Any, Generic, Protocol, Self, TypeVar, cast

from harness.core.clock import Stopwatch
from harness.core.errors import HarnessError, UsageError, WorkerDied
from harness.worker import Worker, start, unpack

Job = TypeVar("Job")
Value = TypeVar("Value")
Report = Callable[[Any], None]

PATIENCE = 1.0  # seconds between looks at workers that say nothing
FAILED_STARTS = 3  # workers in a row that end before their first job


class JobCrashed(Exception):
    """A job raised something that is no `HarnessError`: a fault in the code, not in what the user gave.

    Attributes:
        traceback: the traceback of the job as text; also a note of this exception.
    """

    def __init__(self, message: str, trace: str) -> None:
        super().__init__(message)
        self.traceback = trace
        self.add_note(trace)


@dataclass(frozen=True, slots=True)
class Done(Generic[Job, Value]):
    """The end of a job: a value, or the `HarnessError` that it raised.

    Attributes:
        index: position of the job in the list of jobs.
        job: the job.
        value: what the function returned; None where `error` is set.
        error: why there is no value; `WorkerDied` where its worker ended again and again.
        seconds: real seconds that the job took; 0 where its worker died.
    """

    index: int
    job: Job
    value: Value | None
    error: HarnessError | None
    seconds: float

    def result(self) -> Value:
        """Return the value, or raise the error."""
        if self.error is not None:
            raise self.error
        return cast("Value", self.value)


class Executor(Protocol):
    """Something that runs jobs."""

    def run(
        self,
        function: Callable[[Job, Report], Value],
        jobs: Sequence[Job],
        on_event: Callable[[Job, Any], None],
    ) -> Iterator[Done[Job, Value]]:
        """Yield the end of every job as it comes.

        Args:
            function: called with a job and `report`; `report(event)` sends plain data to `on_event` at once.
            jobs: the work; any order of completion.
            on_event: called in this process with the job and the event, always before that job is done.

        Raises:
            JobCrashed: a job raised something that is no `HarnessError`; all others are stopped.
        """
        ...


def ignore(_job: object, _event: object) -> None:
    """Do nothing with an event."""


@dataclass(frozen=True, slots=True)
class InlineExecutor:
    """Run the jobs one after the other in this process, where a debugger sees them."""

    def run(
        self,
        function: Callable[[Job, Report], Value],
        jobs: Sequence[Job],
        on_event: Callable[[Job, Any], None] = ignore,
    ) -> Iterator[Done[Job, Value]]:
        """Yield the end of every job, in order; see `Executor.run`."""
        for index, job in enumerate(jobs):
            watch = Stopwatch()
            try:
                value = function(job, partial(on_event, job))
            except HarnessError as error:
                yield Done(index, job, None, error, watch.lap())
            except Exception as error:
                raise _crash(_name(job), repr(error), traceback.format_exc()) from error
            else:
                yield Done(index, job, value, None, watch.lap())


@dataclass(frozen=True, slots=True)
class ProcessExecutor:
    """Run the jobs in `workers` fresh processes of `threads` threads each.

    Function, jobs, events and values must be picklable. A job whose worker dies (SIGKILL, lack of memory) is given
    to a fresh worker `retries` more times. Workers ignore Ctrl-C and end when this process does. Events go through
    the worker's pipe, so a worker that reports faster than this process reads is held back.
    """

    workers: int
    threads: int = 1
    retries: int = 2

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UsageError(f"workers: {self.workers} processes can do nothing; give 1 or more, or run inline")

    def run(
        self,
        function: Callable[[Job, Report], Value],
        jobs: Sequence[Job],
        on_event: Callable[[Job, Any], None] = ignore,
    ) -> Iterator[Done[Job, Value]]:
        """Yield the end of every job as it comes; see `Executor.run`.

        Raises:
            WorkerDied: no worker gets as far as its first job.
        """
        pool = _Pool(function, list(jobs), on_event, self.threads, self.retries)
        try:
            yield from pool.drain(self.workers)
        except BaseException:
            pool.stop(Worker.terminate)
            raise
        else:
            pool.stop(Worker.dismiss)


@dataclass(slots=True, eq=False)
class _Pool(Generic[Job, Value]):
    """The workers of one `ProcessExecutor.run` or `Crew`, and the jobs that wait for them."""

    function: Callable[[Job, Report], Value]
    jobs: list[Job]
    on_event: Callable[[Job, Any], None]
    threads: int
    retries: int
    waiting: deque[int] = field(default_factory=deque)
    workers: list[Worker] = field(default_factory=list)
    deaths: Counter[int] = field(default_factory=Counter)
    failed_starts: int = 0

    def drain(self, size: int) -> Iterator[Done[Job, Value]]:
        """Yield the end of every job."""
        self.waiting.extend(range(len(self.jobs)))
        for _ in range(min(size, len(self.jobs))):
            self.workers.append(start(self.function, self.threads))
        while self.waiting or any(worker.current is not None for worker in self.workers):
            yield from self.hear()

    def add(self, job: Job, size: int) -> None:
        """Give one more job to an idle worker, or to a new one where there are fewer than `size`."""
        self.waiting.append(len(self.jobs))
        self.jobs.append(job)
        idle = next((worker for worker in self.workers if worker.ready and worker.current is None), None)
        if idle is not None:
            self._give(idle)
        elif len(self.workers) < size:
            self.workers.append(start(self.function, self.threads))

    def hear(self) -> Iterator[Done[Job, Value]]:
        """Wait a while for workers to speak, and yield the ends of jobs that they tell."""
        for worker in self._speaking():
            yield from self._hear(worker)

    def stop(self, end: Callable[[Worker], None]) -> None:
        """End all workers and wait until they are gone."""
        for worker in self.workers:
            end(worker)
        for worker in self.workers:
            worker.bury()
        self.workers.clear()

    def _speaking(self) -> list[Worker]:
        heard = wait([worker.pipe for worker in self.workers], PATIENCE)
        # A job may have left a process behind that keeps the pipe of its dead worker open.
        return [
            worker for worker in self.workers if worker.pipe in heard or (not heard and not worker.process.is_alive())
        ]

    def _hear(self, worker: Worker) -> Iterator[Done[Job, Value]]:
        message = worker.hear()
        if message is None:
            yield from self._replace(worker)
            return
        kind, *content = message
        if kind == "event":
            self.on_event(self.jobs[worker.job], content[0])
        elif kind == "ready":
            worker.ready, self.failed_starts = True, 0
            self._give(worker)
        else:
            index = worker.job
            self._give(worker)
            yield self._done(index, kind, content)

    def _give(self, worker: Worker) -> None:
        worker.current = self.waiting.popleft() if self.waiting else None
        if worker.current is None:
            return
        with suppress(ConnectionError):  # it has just died; the end of its pipe is heard next
            worker.pipe.send(self.jobs[worker.current])

    def _done(self, index: int, kind: str, content: list[Any]) -> Done[Job, Value]:
        job = self.jobs[index]
        if kind == "crash":
            raise _crash(_name(job), *content)
        payload, seconds = content
        if kind == "error":
            return Done(index, job, None, unpack(payload), seconds)
        return Done(index, job, payload, None, seconds)

    def _replace(self, worker: Worker) -> Iterator[Done[Job, Value]]:
        self.workers.remove(worker)
        code, index = worker.bury(), worker.current
        if not worker.ready:
            self.failed_starts += 1
        if self.failed_starts == FAILED_STARTS:
            raise WorkerDied(
                f"{FAILED_STARTS} workers in a row {_fate(code)} before their first job; "
                "read what they wrote above, or use --workers 0 to see it in this process"
            )
        if index is not None:
            self.deaths[index] += 1
            if self.deaths[index] > self.retries:
                yield Done(index, self.jobs[index], None, self._died(index, code), 0.0)
            else:
                self.waiting.appendleft(index)
        if self.waiting:
            self.workers.append(start(self.function, self.threads))

    def _died(self, index: int, code: int) -> WorkerDied:
        return WorkerDied(
            f"{_name(self.jobs[index])}: its worker {_fate(code)}, {self.deaths[index]} times in a row; "
            "what is recorded is kept: free memory or give fewer --workers, then resume"
        )


class Crew(Generic[Job, Value]):
    """Worker processes that are given jobs one at a time, and tell which has ended first.

    They start with their first jobs. A context: leaving it ends them, in the middle of their jobs after an error. What
    `ProcessExecutor` says of picklable things, of dead workers and of Ctrl-C holds here too.

    Args:
        function: called with a job and a `report` that does nothing.
        workers: processes at most.
        threads: threads of each.
        retries: how often a job is given to another worker after its own has died.
    """

    def __init__(
        self, function: Callable[[Job, Report], Value], workers: int, threads: int = 1, retries: int = 2
    ) -> None:
        self._size = workers
        self._pool: _Pool[Job, Value] = _Pool(function, [], ignore, threads, retries)
        self._done: deque[Done[Job, Value]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._pool.stop(Worker.dismiss if kind is None else Worker.terminate)

    def give(self, job: Job) -> None:
        """Start a job, or let it wait for the first worker that is free."""
        self._pool.add(job, self._size)

    def dismiss(self) -> None:
        """End the workers when no job is left; the next job would start others."""
        self._pool.stop(Worker.dismiss)

    def next(self) -> Done[Job, Value]:
        """Wait for the end of a job; there must be one that was given and not told yet.

        Raises:
            JobCrashed: a job raised something that is no `HarnessError`.
            WorkerDied: no worker gets as far as its first job.
        """
        while not self._done:
            self._done.extend(self._pool.hear())
        return self._done.popleft()


def _crash(job: str, error: str, trace: str) -> JobCrashed:
    return JobCrashed(f"{job}: {error}; this is a fault in the code, see the traceback below", trace)


def _fate(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name
    why = " (by hand, or by the kernel for lack of memory)" if name == "SIGKILL" else ""
    return f"was ended by {name}{why}"


def _name(job: object) -> str:
    return str(getattr(job, "id", job))
