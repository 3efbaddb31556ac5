"""Start a worker process and answer its jobs, one at a time, over its own pipe.

What a worker says: `ready` once; then for each job any number of `event`, and one of `value`, `error` (a
`HarnessError`) or `crash` (anything else).
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.reduction import ForkingPickler
from threading import Thread
from typing import Any, cast

from harness.core.clock import Stopwatch
from harness.core.errors import HarnessError

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
GRACE = 5.0  # seconds that a worker may take to end before it is killed


@dataclass(slots=True, eq=False)
class Worker:
    """A worker process as its parent sees it.

    Attributes:
        current: the index of its job; None while it has none.
        ready: whether it has started up.
    """

    process: SpawnProcess
    pipe: Connection
    current: int | None = None
    ready: bool = False

    @property
    def job(self) -> int:
        """The index of the job that it is at."""
        assert self.current is not None, "a worker spoke of a job while it had none"
        return self.current

    def hear(self) -> tuple[Any, ...] | None:
        """Return the next message, which must be there already; None where the worker is dead."""
        try:
            data = self.pipe.recv_bytes() if self.pipe.poll() else b""
        except (EOFError, OSError):
            data = b""
        return cast("tuple[Any, ...]", pickle.loads(data)) if data else None  # noqa: S301 - from our own child

    def dismiss(self) -> None:
        """Let the worker end: it leaves when its pipe does."""
        self.pipe.close()

    def terminate(self) -> None:
        """End the worker in the middle of its job."""
        self.process.terminate()
        self.pipe.close()

    def bury(self) -> int:
        """Wait for the end of the process, free what it held, and return its exit code."""
        self.process.join(GRACE)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        code = self.process.exitcode or 0
        self.process.close()
        self.pipe.close()
        return code


def start(function: Callable[..., Any], threads: int) -> Worker:
    """Start a worker that answers jobs with `function`, with `threads` threads for each numerical library."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, function), daemon=True)
    limits = dict.fromkeys(THREAD_VARIABLES, str(threads))
    with _environment(limits), _interrupts_held():  # libraries read them when they are loaded, so set them before
        process.start()
    theirs.close()
    return Worker(process, ours)


def serve(pipe: Connection, function: Callable[..., Any]) -> None:
    """Answer jobs until the pipe closes; the life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent alone decides
    # A daemon may not have children, and a job may start workers of its own; they end when this process does.
    multiprocessing.current_process().daemon = False
    Thread(target=_end_with_parent, daemon=True).start()
    _say(pipe, ("ready",))
    while True:
        try:
            job = pipe.recv_bytes()
        except (EOFError, ConnectionError):
            return
        _answer(pipe, function, job)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "only a child process serves"
    wait([parent.sentinel])
    os._exit(1)


def _answer(pipe: Connection, function: Callable[..., Any], job: bytes) -> None:
    watch = Stopwatch()
    try:
        value = function(pickle.loads(job), lambda event: _say(pipe, ("event", event)))  # noqa: S301 - from our parent
        _say(pipe, ("value", value, watch.lap()))
    except HarnessError as error:
        _say(pipe, ("error", pack(error), watch.lap()))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        _say(pipe, ("crash", repr(error), traceback.format_exc()))


def _say(pipe: Connection, message: tuple[Any, ...]) -> None:
    data = ForkingPickler.dumps(message)
    try:
        pipe.send_bytes(data)
    except ConnectionError:
        os._exit(1)  # nobody listens any more


Packed = tuple[type[HarnessError], tuple[Any, ...], dict[str, Any]]


def pack(error: HarnessError) -> Packed:
    """Return what `unpack` needs; exceptions with an `__init__` of their own do not survive pickle otherwise."""
    packed = (type(error), error.args, vars(error))
    try:
        pickle.loads(pickle.dumps(packed))  # noqa: S301 - made in this line
    except Exception:  # noqa: BLE001 - pickle raises anything; the text of the error must arrive all the same
        known = next(kind for kind in type(error).__mro__ if kind.__module__ == HarnessError.__module__)
        return known, (str(error),), {}
    return packed


def unpack(packed: Packed) -> HarnessError:
    """Return the error as it was raised: type, text, exit code and attributes."""
    kind, arguments, attributes = packed
    error = kind.__new__(kind, *arguments)
    vars(error).update(attributes)
    return error


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back, here and in a child that starts meanwhile, before it can ignore it by itself."""
    resource_tracker.ensure_running()  # its start would release the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
