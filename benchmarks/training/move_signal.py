"""Measure whether the scores of candidates foretell what their moves are worth: every legal move, and no search.

`python -m benchmarks.training.move_signal CSV MARKDOWN [PARENTS]` trains parents on CIFAR-10 at a reduced scale,
attaches all their moves in every case (the arms in which candidates learn, then one setting of the attachment changed
at a time), and ranks the moves by their scores and by what NAS-Bench-201 says that each gains (the table and the
images are read from NAS_DATA_DIR). Every parent is written to the CSV as soon as it is measured, and a CSV that is
there is gone on from; then the table is put between the two marks of the Markdown file.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from benchmarks.spaces.nb201_moves import GrowingNasBench201, is_live
from benchmarks.training import measured
from benchmarks.training.hybrid import HybridConfig, NB201Hybrid
from benchmarks.training.signal_rows import Row, append, interval, kept, read, tau
from harness.core.canonical import content_hash
from harness.core.errors import UsageError
from harness.core.interfaces import Place, Query
from harness.core.seeds import SeedTree
from harness.core.types import Arch, Attach, Evaluate, Measurement, Move, Trial

PART = "signal"
"""Of the page that holds the table."""

EPOCHS = 200
QUERY = Query(f"cifar10/valid@{EPOCHS}ep(25k) mean-of-trials", ("cifar10/multiply-adds",), (), EPOCHS, EPOCHS)


@dataclass(frozen=True, slots=True)
class Case:
    """One way to train the candidates; the defaults are the reference settings of the search."""

    name: str
    arm: str = "sg+sf"
    epochs: int = 2
    penalty: float = 0.001
    scale: float = 1.0

    def attach(self, arch: Arch, moves: tuple[Move, ...]) -> Attach:
        """Return the attachment of these moves to a cell."""
        return Attach(Evaluate(arch, EPOCHS), moves, self.arm, self.epochs, self.penalty, self.scale)


CASES = (
    *(Case(arm, arm) for arm in ("sg+sf", "sf", "sg", "joint", "soft")),
    Case("never trained", epochs=0),
    Case("8 epochs", epochs=8),
    Case("no penalty", penalty=0.0),
    Case("scale 1/5,000", scale=1 / 5000),
)
"""The arms in which candidates learn (`soft-gateback` never moves), then what may take the signal away, one at a time
from `sg+sf`: too little training, the penalty, and the scale of the published program, one over the images."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is measured.

    Attributes:
        config: the table, and how parents and candidates are trained.
        cases: in which every parent's candidates are trained.
        parents: random live cells with at least `FEWEST` moves.
        seed: of the cells and of their training.
    """

    config: HybridConfig = field(
        default_factory=lambda: HybridConfig(
            dataset="cifar10",
            channels=8,
            cells=1,
            train_images=5000,
            valid_images=1000,
            batch_size=64,
            learning_rate=0.05,
            phase_learning_rate=0.025,
            cosine="step",
            flip=True,
            crop_padding=0,
            engine="channels-last",
            parent_epochs=36,
        )
    )
    cases: tuple[Case, ...] = CASES
    parents: int = 20
    seed: int = 0


FEWEST = 5
"""A rank correlation of fewer moves says next to nothing."""

Score = Callable[[Mapping[str, float], Move], float]
"""What a score of an attachment promises of a move: the more, the better."""


def _spread(scores: Mapping[str, float], move: Move) -> float:
    """Return the weight times the size of what it weighs, and times that of the gradient at the node.

    A weight alone depends on the scale of its candidate: a convolution ends in a normalisation, a pooling does not. A
    candidate whose output does not align at all counts 0, whatever its size.
    """
    cosine = -scores.get(f"{move}|-cos", math.nan)
    return scores[move] * scores.get(f"{move}|<g,c>", math.nan) / cosine if cosine else 0.0


SCORES: Mapping[str, Score] = {
    "weight": lambda scores, move: scores[move],
    "spread": _spread,
    "cosine": lambda scores, move: scores.get(f"{move}|-cos", math.nan),
    "slope": lambda scores, move: -scores.get(f"{move}|<g,c>", math.nan),
}
"""NaN where the candidate overflowed."""


def parents(setting: Setting) -> list[Arch]:
    """Return random cells without a dead edge; none comes twice."""
    generator = SeedTree.root("move-signal", setting.seed).child("parents").generator()
    space, chosen = GrowingNasBench201(), []
    for index in generator.permutation(len(space)).tolist():
        arch = space.arch(index)
        if is_live(arch) and len(space.moves(arch)) >= FEWEST:
            chosen.append(arch)
        if len(chosen) == setting.parents:
            break
    return chosen


def measure(target: Path, setting: Setting, place: Place) -> None:
    """Append a row for each parent and case that the CSV lacks; a case that diverges on a parent leaves none.

    Raises:
        DataMissing: the table or the images are absent.
        OutputUnwritable, UsageError: the CSV cannot be gone on from.
    """
    benchmark = NB201Hybrid(setting.config, place, QUERY)
    settings = {
        case.name: content_hash([benchmark.manifest(), setting.seed, asdict(case)])[:12] for case in setting.cases
    }
    rows = kept(target, ("case", "parent"), lambda row: settings.get(row["case"]))
    known = {(row["parent"], row["case"]) for row in rows}
    console = Console(stderr=True)
    for arch in track(parents(setting), "parents", console=console, disable=not console.is_terminal):
        missing = [case for case in setting.cases if (arch, case.name) not in known]
        found = _rows(benchmark, setting, arch, missing) if missing else []
        append(target, [{"setting": settings[str(figures["case"])], **figures} for figures in found])


def _rows(benchmark: NB201Hybrid, setting: Setting, arch: Arch, cases: Sequence[Case]) -> list[Row]:
    """Return a row for each case whose training did not diverge."""
    space = benchmark.space
    moves = tuple(space.moves(arch))
    start = looked_up(benchmark, arch)
    children = [looked_up(benchmark, space.grow(arch, [move])) for move in moves]
    gains = [child.value - start.value for child in children]
    tau_size = tau([child.metrics["cifar10/multiply-adds"] for child in children], gains)
    rows: list[Row] = []
    for case in cases:
        found = benchmark.evaluate(Trial(0, case.attach(arch, moves), setting.seed)).result
        if isinstance(found, Measurement):
            figures = _figures(found, moves, gains)
            rows.append({"parent": arch, "case": case.name, "moves": len(moves), **figures, "tau_size": tau_size})
    return rows


def looked_up(benchmark: NB201Hybrid, arch: Arch) -> Measurement:
    """Return what the table says of a cell that was trained from scratch."""
    found = benchmark.evaluate(Trial(0, Evaluate(arch, EPOCHS), 0)).result
    assert isinstance(found, Measurement)  # the table holds every cell
    return found


def _figures(found: Measurement, moves: Sequence[Move], gains: Sequence[float]) -> Row:
    """Return what the scores of one attachment say of the gains, which are in points.

    `tau_SCORE`: Kendall's tau-b between one of `SCORES` and the gain. `gain_chosen`: of the move with the largest
    weight, the mean where several have it; `gain_mean` and `gain_best` of all.
    """
    before = next(value for name, value in found.metrics.items() if "/valid-before@attach" in name)
    after = next(value for name, value in found.metrics.items() if "/valid@attach" in name)
    weights = np.array([found.scores[move] for move in moves])
    return {
        "valid_before": round(before, 2),
        "valid_after": round(after, 2),
        **{f"tau_{name}": tau([score(found.scores, move) for move in moves], gains) for name, score in SCORES.items()},
        "gain_chosen": round(float(np.mean(np.array(gains)[weights == weights.max()])), 4),
        "gain_mean": round(float(np.mean(gains)), 4),
        "gain_best": round(max(gains), 4),
    }


_COLUMNS = {
    "tau_weight": "tau of the weight",
    "tau_spread": "of weight times size",
    "tau_cosine": "of the cosine",
    "tau_slope": "of the slope",
    "tau_size": "of multiply-adds, untrained",
    "above_random": "chosen move above the mean move, points",
    "left": "below the best move, points",
    "lost": "parent lost while candidates were attached, points",
}


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Return means over parents with 95 % intervals (Student's t) as a Markdown table, a line for each case."""
    cases = list(dict.fromkeys(row["case"] for row in rows))
    lines: list[Sequence[str]] = [("case", "parents", *_COLUMNS.values())]
    for case in cases:
        of_case = [_derived(row) for row in rows if row["case"] == case]
        lines.append((case, str(len(of_case)), *(interval([row[key] for row in of_case]) for key in _COLUMNS)))
    return measured.table(lines)


def _derived(row: Mapping[str, str]) -> dict[str, float]:
    numbers = {key: float(value) for key, value in row.items() if key not in ("setting", "parent", "case")}
    return numbers | {
        "above_random": numbers["gain_chosen"] - numbers["gain_mean"],
        "left": numbers["gain_best"] - numbers["gain_chosen"],
        "lost": numbers["valid_before"] - numbers["valid_after"],
    }


def _command() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training.move_signal", description=__doc__)
    parser.add_argument("csv", type=Path, help="what was measured so far, gone on from")
    parser.add_argument("page", type=Path, help="a Markdown file")
    parser.add_argument("parents", type=int, nargs="?", default=Setting().parents, help="default: %(default)s")
    options = parser.parse_args()
    if options.parents < 1:
        raise UsageError(f"parents: {options.parents} measures nothing; give 1 or more")
    measured.check(options.page, PART)
    measure(options.csv, replace(Setting(), parents=options.parents), measured.place_of_environment())
    measured.put(options.page, PART, table(read(options.csv)))


if __name__ == "__main__":
    measured.answer(_command, "stopped; what was measured is kept, and the same command goes on")
