"""Measure what a reduced scale keeps of the order of moves: every child of a parent is trained there, from scratch.

`python -m benchmarks.training.child_signal CSV MARKDOWN [PARENTS]` takes the parents of `move_signal` in their order,
trains each of them and all its children at the scale at which its candidates are trained, and holds what a move gains
there against what the table says that it gains, and both against the scores of the candidates in the reference arm. A
parent is written to the CSV when all its moves are measured, and a CSV that is there is gone on from.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, fields, replace
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.progress import track

from benchmarks.training import measured
from benchmarks.training.benchmark import NB201Training
from benchmarks.training.hybrid import NB201Hybrid
from benchmarks.training.move_signal import (
    CASES,
    QUERY,
    SCORES,
    Case,
    Setting,
    looked_up,
    parents,
)
from benchmarks.training.naming import Names
from benchmarks.training.settings import TrainingConfig
from benchmarks.training.signal_rows import Row, append, interval, kept, read, tau
from harness.core.canonical import content_hash
from harness.core.errors import UsageError
from harness.core.interfaces import Place, Query
from harness.core.types import Arch, Evaluate, Measurement, Move, Trial

PART = "children"
"""Of the page that holds the table."""


@dataclass(frozen=True, slots=True)
class ChildSetting:
    """What is measured.

    Attributes:
        signal: the parents, their seed, and how they are trained.
        case: how the candidates are trained whose scores are compared.
        valid_images: that the networks trained from scratch are validated on, where a gain is a difference of two.
    """

    signal: Setting = field(default_factory=lambda: Setting(parents=5))
    case: Case = CASES[0]
    valid_images: int = 5000

    @property
    def epochs(self) -> int:
        """Return how long a child is trained: as long as its parent."""
        return self.signal.config.parent_epochs

    def training(self, place: Place) -> NB201Training:
        """Return the benchmark that trains parents and children from scratch, at the scale of the candidates.

        Raises:
            DataMissing: the images are absent.
        """
        local = {each.name: getattr(self.signal.config, each.name) for each in fields(TrainingConfig)}
        config = replace(TrainingConfig(**local), valid_images=self.valid_images)
        images = config.train_images
        assert images is not None  # the scale is reduced
        objective = Names(config.dataset, self.epochs, self.epochs, images, images + self.valid_images)
        query = Query(objective.at("valid", self.epochs), (), (), self.epochs, self.epochs)
        return NB201Training(config, place, query)

    def table(self, place: Place) -> NB201Hybrid:
        """Return the benchmark that trains the candidates and looks children up.

        Raises:
            DataMissing: the table or the images are absent.
        """
        return NB201Hybrid(self.signal.config, place, QUERY)


def measure(target: Path, setting: ChildSetting, place: Place, workers: int) -> None:
    """Append a row for each move of each parent that the CSV lacks; a parent of whom a training diverges leaves none.

    Raises:
        DataMissing: the table or the images are absent.
        OutputUnwritable, UsageError: the CSV cannot be gone on from.
    """
    manifests = [setting.table(place).manifest(), setting.training(place).manifest()]
    key = content_hash([*manifests, setting.epochs, setting.signal.seed, asdict(setting.case)])[:12]
    known = {row["parent"] for row in kept(target, ("parent", "move"), lambda _: key)}
    missing = [arch for arch in parents(setting.signal) if arch not in known]
    console = Console(stderr=True)
    ends = (signal.SIGINT, signal.SIG_DFL)  # so that Ctrl-C ends the workers without a traceback each
    with ProcessPoolExecutor(workers, get_context("spawn"), signal.signal, ends) as pool:
        for arch in track(missing, "parents", console=console, disable=not console.is_terminal):
            append(target, [{"setting": key, **row} for row in _rows(pool, setting, place, arch)])


def _rows(pool: Executor, setting: ChildSetting, place: Place, arch: Arch) -> list[Row]:
    """Return a row for each move, with gains in points; none where a training diverged."""
    table = setting.table(place)
    moves = tuple(table.space.moves(arch))
    children = [table.space.grow(arch, [move]) for move in moves]
    scoring = pool.submit(_scores, setting, place, arch, moves)
    here = list(pool.map(_accuracy, *zip(*((setting, place, each) for each in (arch, *children)), strict=True)))
    scores = scoring.result()
    accuracies = [value for value in here if value is not None]
    if scores is None or len(accuracies) < len(here):
        return []
    start, looked = looked_up(table, arch), [looked_up(table, child) for child in children]
    return [
        {
            "parent": arch,
            "move": move,
            "gain_here": round(accuracy - accuracies[0], 4),
            "gain_table": round(found.value - start.value, 4),
            "size": found.metrics["cifar10/multiply-adds"],
            **{name: score(scores, move) for name, score in SCORES.items()},
        }
        for move, accuracy, found in zip(moves, accuracies[1:], looked, strict=True)
    ]


def _accuracy(setting: ChildSetting, place: Place, arch: Arch) -> float | None:
    """Return the validation accuracy in percent of a cell trained from scratch; None where it diverges."""
    work = Evaluate(arch, setting.epochs)
    found = setting.training(place).evaluate(Trial(0, work, setting.signal.seed)).result
    return found.value if isinstance(found, Measurement) else None


def _scores(setting: ChildSetting, place: Place, arch: Arch, moves: tuple[Move, ...]) -> Mapping[str, float] | None:
    work = setting.case.attach(arch, moves)
    found = setting.table(place).evaluate(Trial(0, work, setting.signal.seed)).result
    return found.scores if isinstance(found, Measurement) else None


_LINES = {
    "weight": "weight",
    "spread": "weight times size",
    "cosine": "cosine",
    "slope": "slope",
    "size": "multiply-adds, untrained",
    "gain_here": "what the move gains here",
}


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Return mean taus over parents with 95 % intervals (Student's t) as a Markdown table, a line for each score."""
    of_parent: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        of_parent.setdefault(row["parent"], []).append(row)
    lines: list[Sequence[str]] = [("score of a move", "tau with its gain here", "tau with its gain in the table")]
    for name, said in _LINES.items():
        here, far = (_agreement(list(of_parent.values()), name, gain) for gain in ("gain_here", "gain_table"))
        lines.append((said, "" if name == "gain_here" else here, far))
    return measured.table(lines)


def _agreement(groups: Sequence[Sequence[Mapping[str, str]]], score: str, gain: str) -> str:
    return interval([tau([float(row[score]) for row in rows], [float(row[gain]) for row in rows]) for rows in groups])


def _command() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training.child_signal", description=__doc__)
    parser.add_argument("csv", type=Path, help="what was measured so far, gone on from")
    parser.add_argument("page", type=Path, help="a Markdown file")
    standard = ChildSetting()
    parser.add_argument("parents", type=int, nargs="?", default=standard.signal.parents, help="default: %(default)s")
    options = parser.parse_args()
    if options.parents < 1:
        raise UsageError(f"parents: {options.parents} measures nothing; give 1 or more")
    measured.check(options.page, PART)
    setting = replace(standard, signal=replace(standard.signal, parents=options.parents))
    measure(options.csv, setting, measured.place_of_environment(), len(os.sched_getaffinity(0)))
    measured.put(options.page, PART, table(read(options.csv)))


if __name__ == "__main__":
    measured.answer(_command, "stopped; parents that were measured are kept, and the same command goes on")
