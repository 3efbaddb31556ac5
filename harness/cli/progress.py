"""Show how far a study is: a bar for the study, one for each run at work, and the time left."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from harness.core.types import RunSpec

LOG = logging.getLogger("harness")
SCALE = 1000
SHOWN = 8  # bars of single runs at once


class Steps:
    """The progress of one piece of work in steps of about equal length; silent where there is no terminal."""

    def __init__(self, what: str, console: Console) -> None:
        self._what = what
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
            speed_estimate_period=600,
        )
        self._bar: TaskID | None = None
        self._before = 0

    def __enter__(self) -> Self:
        self._bars.start()
        self._bar = self._bars.add_task(self._what, total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def __call__(self, done: int, total: int) -> None:
        """Move the bar; what was done before the first step is not counted, so that the time left is honest."""
        assert self._bar is not None
        LOG.info("step", extra={"facts": {"what": self._what, "done": done, "of": total}})
        if self._bars.tasks[0].total is None:
            self._before = done - 1
        label = f"{done}/{total} {self._what}"
        self._bars.update(self._bar, description=label, total=total - self._before, completed=done - self._before)


class Display:
    """The progress of a study on a terminal; silent elsewhere, but for the log."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._study: TaskID | None = None
        self._runs: dict[str, TaskID] = {}
        self._shares: dict[str, float] = {}
        self._ended = 0
        self._left = 0

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def planned(self, specs: Sequence[RunSpec], left: Sequence[RunSpec]) -> None:
        """Start the bar of the study; only what is left is counted, so that the time left is honest on resume."""
        LOG.info("plan", extra={"facts": {"runs": len(specs), "left": len(left)}})
        if self._study is not None:  # the plan of a tuning, which is done
            self._bars.remove_task(self._study)
            self._ended = 0
        self._left = len(left)
        self._study = self._bars.add_task("study", total=SCALE * len(left), count=self._count())

    def advanced(self, spec: RunSpec, share: float) -> None:
        """Move the bar of a run."""
        LOG.debug("trial", extra={"facts": {"run": spec.id, "budget_spent": round(share, 4)}})
        if spec.id not in self._runs and len(self._runs) < SHOWN:
            label = f"{spec.track} {spec.method} {spec.variant} r{spec.replicate:04d}"
            self._runs[spec.id] = self._bars.add_task(label, total=SCALE, count="")
        if spec.id in self._runs:
            self._bars.update(self._runs[spec.id], completed=SCALE * share)
        self._shares[spec.id] = share
        self._draw()

    def ended(self, spec: RunSpec) -> None:
        """Take the bar of a run away."""
        LOG.info("done", extra={"facts": {"run": spec.id}})
        self._ended += 1
        self._shares.pop(spec.id, None)
        if spec.id in self._runs:
            self._bars.remove_task(self._runs.pop(spec.id))
        self._draw()

    def _count(self) -> str:
        return f"{self._ended}/{self._left} runs"

    def _draw(self) -> None:
        if self._study is not None:
            completed = SCALE * (self._ended + sum(self._shares.values()))
            self._bars.update(self._study, completed=completed, count=self._count())
