"""Pack the bundles of `digits-201` into the table that is shipped, and verify it by training parts of it again."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from benchmarks.spaces.nb201 import OPERATIONS, NasBench201, parse
from benchmarks.tabular.digits201_file import NETWORK, SCHEMA, Packed, load, write
from benchmarks.training.digits201 import (
    DIGITS_201,
    Bundle,
    Definition,
    Progress,
    Result,
    circumstances,
    course,
    machine,
    path_of,
    plan,
    train_bundle,
    trained_cells,
)
from harness.core.canonical import Json
from harness.core.errors import DataCorrupt, DataMissing, UsageError
from harness.core.seeds import SeedTree

TOLERANCE = 2.5
"""Largest mean absolute difference in final validation accuracy (points) to a re-training on another machine.

Rounding grows over the steps of a training: the fused and the reference trainer end 1.5 points apart on average for the
same network and seed, without a bias, where two seeds end 2.5 points apart.
"""


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of training parts of a table again.

    Attributes:
        mode: 'bitwise' on a machine like that of the table, else 'tolerance'.
        bundles: numbers of the bundles that were trained again.
        networks: how many networks that makes.
        differing: networks of which any recorded number came out different.
        mean_difference: of the last validation accuracy, in points, over all networks.
        foreign: what differs between this machine and the table's; empty in mode 'bitwise'.
        tolerance: the most that `mean_difference` may be in mode 'tolerance', in points.
    """

    mode: Literal["bitwise", "tolerance"]
    bundles: tuple[int, ...]
    networks: int
    differing: int
    mean_difference: float
    foreign: tuple[str, ...]
    tolerance: float = TOLERANCE

    @property
    def passed(self) -> bool:
        """Whether the table holds: equal in every bit, or within the tolerance elsewhere."""
        return self.differing == 0 if self.mode == "bitwise" else self.mean_difference <= self.tolerance


def pack(folder: Path, target: Path, *, definition: Definition = DIGITS_201) -> Path:
    """Write the table of a finished build, compressed, in one move.

    Raises:
        DataMissing: bundles of the plan are not in `folder`.
    """
    missing = [bundle.number for bundle in plan(definition) if not path_of(folder, bundle).exists()]
    if missing:
        raise DataMissing(
            f"{folder}: {len(missing)} of {len(plan(definition))} bundles are not built yet; run the build again"
        )
    results = [_load_result(folder, bundle) for bundle in plan(definition)]
    arrays = {
        name: _spread(definition, [getattr(result, name) for result in results]) for name in ("valid", "test", "loss")
    }
    facts = _facts(folder, definition, [result.seconds for result in results])
    return write(target, facts, trained_cells(definition), arrays)


def _facts(folder: Path, definition: Definition, seconds: list[float]) -> dict[str, Json]:
    """Return what is known of a finished build: its circumstances, its seeds, when and how long it took, its costs."""
    facts: dict[str, Json] = json.loads((folder / "circumstances.json").read_text(encoding="utf-8"))
    times = [path_of(folder, bundle).stat().st_mtime for bundle in plan(definition)]
    first, last = (datetime.fromtimestamp(time, UTC).date().isoformat() for time in (min(times), max(times)))
    return facts | {
        "schema": SCHEMA,
        "images": {name: len(split) for name, split in course(definition).watch.items()},
        "seeds": list(definition.seeds),
        "bundle_width": definition.width,
        "trained": {"first": first, "last": last, "processor_seconds": sum(seconds)},
        "seconds": cost_model(plan(definition), seconds),
    }


def _load_result(folder: Path, bundle: Bundle) -> Result:
    with np.load(path_of(folder, bundle), allow_pickle=False) as file:
        return Result(file["valid"], file["test"], file["loss"], float(file["seconds"]))


def _spread(definition: Definition, parts: list[NDArray[np.generic]]) -> NDArray[np.generic]:
    """Return rows in the order of the plan as (classes, seeds, epochs)."""
    places = {cell: place for place, cell in enumerate(trained_cells(definition))}
    whole = np.empty((len(places), len(definition.seeds), definition.recipe.epochs), dtype=parts[0].dtype)
    for bundle, part in zip(plan(definition), parts, strict=True):
        whole[[places[cell] for cell in bundle.cells], definition.seeds.index(bundle.seed)] = part
    return whole


def cost_model(bundles: tuple[Bundle, ...], seconds: list[float]) -> dict[str, Json]:
    """Return the seconds of one network as a constant plus a price for each operation, none below zero.

    The seconds of a bundle do not tell what one network cost; their differences between bundles tell what an
    operation costs. Bundles too few to tell give every network the mean seconds.
    """
    space = NasBench201()
    counts = np.zeros((len(bundles), len(OPERATIONS)))
    for row, bundle in zip(counts, bundles, strict=True):
        row[0] = len(bundle.cells)  # in the place of `none`, which is free
        for cell in bundle.cells:
            row[1:] += np.bincount(parse(space.arch(cell)), minlength=len(OPERATIONS))[1:]
    prices, _ = nnls(counts, np.array(seconds))
    if prices[0] <= 0:
        prices = np.array([sum(seconds) / counts[:, 0].sum(), *np.zeros(len(OPERATIONS) - 1)])
    return {name: float(price) for name, price in zip((NETWORK, *OPERATIONS[1:]), prices, strict=True)}


def verify(
    path: Path, *, cells: int, seed: int, progress: Progress | None = None, definition: Definition = DIGITS_201
) -> Verification:
    """Train whole bundles again, drawn with `seed`, until at least `cells` networks are covered, and compare.

    Bundles are random samples of the classes, so a drawn bundle is a random sample of the table.

    Raises:
        UsageError: `cells` is below 1.
        DataMissing: there is no such table.
        DataCorrupt: the file is no table, or of another recipe or plan than this version builds.
    """
    if cells < 1:
        raise UsageError(f"cells is {cells}; give 1 or more")
    table = load(path)
    _check_origin(path, table, definition)
    chosen = _draw(definition, cells, seed)
    results = []
    for done, bundle in enumerate(chosen, 1):
        results.append(train_bundle(definition, bundle))
        if progress is not None:
            progress(done, len(chosen))
    return _compare(definition, table, chosen, results)


def _draw(definition: Definition, cells: int, seed: int) -> list[Bundle]:
    generator = SeedTree.root("digits-201", seed).child("verify").generator()
    count = min(len(plan(definition)), math.ceil(cells / definition.width))
    return [
        plan(definition)[index] for index in sorted(generator.choice(len(plan(definition)), size=count, replace=False))
    ]


def _check_origin(path: Path, table: Packed, definition: Definition) -> None:
    now = circumstances(definition)
    changed = [key for key in ("recipe", "noise", "train_images", "data", "plan") if table.facts.get(key) != now[key]]
    if changed:
        raise DataCorrupt(f"{path}: built with another {', '.join(changed)} than this version; reinstall the package")


def _compare(definition: Definition, table: Packed, bundles: list[Bundle], results: list[Result]) -> Verification:
    recorded = table.facts["machine"]
    assert isinstance(recorded, dict)
    foreign = tuple(key for key, value in machine().items() if recorded.get(key) != value)
    places = {int(cell): place for place, cell in enumerate(table.cells)}
    differing = 0
    gaps: list[int] = []
    for bundle, result in zip(bundles, results, strict=True):
        rows = [places[cell] for cell in bundle.cells], definition.seeds.index(bundle.seed)
        different = (table.valid[rows] != result.valid) | (table.test[rows] != result.test)
        different |= ~np.equal(table.loss[rows], result.loss.astype(np.float16)) & np.isfinite(table.loss[rows])
        differing += int(different.any(axis=1).sum())
        gaps.extend(np.abs(table.valid[rows][:, -1].astype(int) - result.valid[:, -1]))
    points = 100 * float(np.mean(gaps)) / len(course(definition).watch["valid"])
    networks = sum(len(bundle.cells) for bundle in bundles)
    numbers = tuple(bundle.number for bundle in bundles)
    return Verification("tolerance" if foreign else "bitwise", numbers, networks, differing, points, foreign)
