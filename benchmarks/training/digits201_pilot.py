"""Measure how reliably candidate recipes rank random cells, the only ground on which digits-201's recipe was chosen.

`python -m benchmarks.training.digits201_pilot CSV MARKDOWN` trains the cells and writes a CSV (one that is there
is gone on from), and puts the last epoch of every candidate as a table between the two marks of the Markdown file.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from benchmarks.spaces.nb201 import NasBench201
from benchmarks.training import measured
from benchmarks.training.digits201 import DIGITS_201, Definition, course, plan, train_bundle
from harness.core.seeds import SeedTree

PART = "pilot"
"""Of the page that holds the table."""

CELLS = 64
SEEDS = (100, 101, 102, 103, 104, 105)
"""Not the seeds of the table, so that the choice saw none of its networks."""

_RECIPE = DIGITS_201.recipe
CANDIDATES: Mapping[str, Definition] = {
    "chosen": DIGITS_201,
    "no noise": replace(DIGITS_201, noise=0.0),
    "noise 0.3": replace(DIGITS_201, noise=0.3),
    "batch 64": replace(DIGITS_201, recipe=replace(_RECIPE, batch_size=64)),
    "5 epochs": replace(DIGITS_201, recipe=replace(_RECIPE, epochs=5)),
    "8 channels, 5 epochs": replace(DIGITS_201, recipe=replace(_RECIPE, channels=8, epochs=5)),
    "800 images": replace(DIGITS_201, train_images=800),
}
"""Recipes within the processor time that the table may take; each differs from the chosen one in what its name says."""

Row = dict[str, str | int | float]


def pilot(target: Path, candidates: Mapping[str, Definition] = CANDIDATES, cells: int = CELLS) -> None:
    """Append a row for each epoch of each candidate that the CSV lacks (about three minutes of one core for each)."""
    rows: list[Mapping[str, str | int | float]] = list(read(target)) if target.exists() else []
    known = {row["candidate"] for row in rows}
    for name, definition in candidates.items():
        if name in known:
            continue
        rows += _measure(name, replace(definition, seeds=SEEDS, cells=sample(cells)))
        with target.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def sample(cells: int) -> tuple[int, ...]:
    """Return the official indices of random cells of the space, rising; no cell comes twice."""
    generator = SeedTree.root("digits-201", 0).child("pilot").generator()
    space = NasBench201()
    return tuple(sorted(int(cell) for cell in generator.choice(len(space), size=cells, replace=False)))


def _measure(name: str, definition: Definition) -> list[Row]:
    start = time.thread_time()
    bundles = plan(definition)
    results = [train_bundle(definition, bundle) for bundle in bundles]
    seconds = (time.thread_time() - start) / sum(len(bundle.cells) for bundle in bundles)
    places = {cell: place for place, cell in enumerate(definition.cells)}
    right = np.empty((len(places), len(definition.seeds), definition.recipe.epochs))
    for bundle, result in zip(bundles, results, strict=True):
        right[[places[cell] for cell in bundle.cells], definition.seeds.index(bundle.seed)] = result.valid
    points = 100 * right / len(course(definition).watch["valid"])
    rows: list[Row] = []
    for epoch in range(definition.recipe.epochs):
        figures = {key: round(value, 3) for key, value in reliability(points[:, :, epoch]).items()}
        rows.append({"candidate": name, "epoch": epoch + 1, "seconds": round(seconds, 3), **figures})
    return rows


def reliability(points: NDArray[np.float64]) -> dict[str, float]:
    """Return how well seeds agree on a ranking; `points` are accuracies, (cells, seeds).

    `tau_single`: Kendall's tau-b between two seeds, mean over pairs. `tau_triples`: between the means of disjoint
    halves of the seeds, over all halvings. `tau_top`: the same among the best tenth by one half (at least eight cells).
    `tied_best`: share of cells with the best mean of a half. `seed_sd`: standard deviation over seeds, mean over cells.
    """
    seeds = range(points.shape[1])
    halves = [(half, [seed for seed in seeds if seed not in half]) for half in combinations(seeds, len(seeds) // 2)]
    means = [(points[:, list(one)].mean(1), points[:, other].mean(1)) for one, other in halves]
    best = max(8, len(points) // 10)
    tops = [np.argsort(-one, kind="stable")[:best] for one, _ in means]
    whole = points.mean(1)
    return {
        "tau_single": _mean(lambda one, other: _tau(points[:, one], points[:, other]), list(combinations(seeds, 2))),
        "tau_triples": float(np.mean([_tau(one, other) for one, other in means])),
        "tau_top": float(
            np.nanmean([_tau(one[top], other[top]) for top, (one, other) in zip(tops, means, strict=True)])
        ),
        "tied_best": float(np.mean([np.mean(one >= one.max() - 1e-9) for one, _ in means])),
        "seed_sd": float(points.std(axis=1, ddof=1).mean()),
        **{f"q{share}": float(np.quantile(whole, share / 100)) for share in (0, 10, 25, 50, 75, 90, 100)},
    }


def _mean(value: Callable[[int, int], float], pairs: Sequence[tuple[int, int]]) -> float:
    return float(np.mean([value(one, other) for one, other in pairs]))


def _tau(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(kendalltau(one, other).statistic)


def read(source: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV of `pilot`."""
    with source.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def table(source: Path) -> str:
    """Return the last epoch of every candidate as a Markdown table."""
    last = {row["candidate"]: row for row in read(source)}
    columns = (
        "recipe",
        "core-seconds of a network",
        "tau of single seeds",
        "of triples",
        "of triples, best tenth",
        "tied with the best",
        "seed deviation",
        "quartiles and best (%)",
    )
    return measured.table([columns, *(_line(name, row) for name, row in last.items())])


def _line(name: str, row: Mapping[str, str]) -> tuple[str, ...]:
    figures = [f"{float(row[key]):.2f}" for key in ("seconds", "tau_single", "tau_triples", "tau_top")]
    spread = " ".join(f"{float(row[f'q{share}']):.1f}" for share in (25, 50, 75, 100))
    return name, *figures, f"{100 * float(row['tied_best']):.1f} %", f"{float(row['seed_sd']):.1f}", spread


def _command() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training.digits201_pilot", description=__doc__)
    parser.add_argument("csv", type=Path, help="what was measured, or is to be")
    parser.add_argument("page", type=Path, help="a Markdown file")
    options = parser.parse_args()
    measured.check(options.page, PART)
    pilot(options.csv)
    measured.put(options.page, PART, table(options.csv))


if __name__ == "__main__":
    measured.answer(_command, "stopped; what was measured is kept, and the same command goes on")
