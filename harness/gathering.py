"""Read the runs of a study in several processes: reading is what a report of many runs takes longest for."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from harness.core.records import RunRecord, StudyRecord
from harness.core.types import RunSpec
from harness.executor import ProcessExecutor, ignore
from harness.store import Study

Reduce = Callable[[Iterator[RunRecord]], Any]

FEWEST = 1_000
"""From so many runs on processes are worth their start, which takes as long as some hundred runs."""

_BLOCK = 100  # runs: few enough to share out evenly, and for what a process holds at a time
_MOST = 8  # processes, each of which takes memory


def gathered(study: Study, specs: Sequence[RunSpec], workers: int) -> StudyRecord:
    """Return the record of a study, whose blocks of runs are read by up to `workers` processes where that pays."""
    record = study.record(list(specs))
    if workers <= 1 or len(specs) < FEWEST:
        return record
    return replace(record, spread=_Spread(study.folder, tuple(specs), min(workers, _MOST)))


@dataclass(frozen=True, slots=True)
class _Spread:
    """Reduce the runs of a folder block by block in processes, and hand on what comes in plan order."""

    folder: Path
    specs: tuple[RunSpec, ...]
    workers: int

    def __call__(self, reduce: Reduce) -> Iterator[Any]:
        blocks = list(_blocks(self.specs))
        early: dict[int, Any] = {}
        due = 0
        with _uncollected():
            for done in ProcessExecutor(self.workers).run(partial(_reduced, self.folder, reduce), blocks, ignore):
                early[done.index] = done.result()
                while due in early:
                    yield early.pop(due)
                    due += 1
            gc.freeze()  # what was read stays until the report is made


def _blocks(specs: Sequence[RunSpec]) -> Iterator[tuple[RunSpec, ...]]:
    """Yield consecutive runs, as few as a block should have, never a part of a replicate of a track."""
    block: list[RunSpec] = []
    for _, replicate in groupby(specs, key=lambda spec: (spec.track, spec.replicate)):
        block += replicate
        if len(block) >= _BLOCK:
            yield tuple(block)
            block = []
    if block:
        yield tuple(block)


def _reduced(folder: Path, reduce: Reduce, specs: Sequence[RunSpec], _report: Callable[[Any], None]) -> Any:
    study = Study(folder)
    with _uncollected():
        return reduce(study.run(spec) for spec in specs)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Suspend the search for cycles: records hold none, and looking through them takes as long as reading them."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
