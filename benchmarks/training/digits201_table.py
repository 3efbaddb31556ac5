"""Pack the bundles of `digits-201` into the table that is shipped, and verify it by training parts of it again."""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.spaces.nb201 import OPERATIONS, NasBench201, parse
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
from harness.core.canonical import Json, canonical_json
from harness.core.errors import DataCorrupt, DataMissing, UsageError
from harness.core.seeds import SeedTree

SCHEMA = 1

TOLERANCE = 2.5
"""Largest mean absolute difference in final validation accuracy (points) to a re-training on another machine.

Rounding grows over the steps of a training: the fused and the reference trainer end 1.5 points apart on average for the
same network and seed, without a bias, where two seeds end 2.5 points apart.
"""


@dataclass(frozen=True, slots=True)
class Table:
    """The table as arrays.

    Attributes:
        facts: recipe, data, plan and machine that it was built with, and its cost model.
        cells: official index of the trained representative of each class, rising, (classes,).
        valid: right answers after each epoch, -1 where the network had diverged, (classes, seeds, epochs); also `test`.
        loss: mean training loss of each epoch, (classes, seeds, epochs).
    """

    facts: Mapping[str, Json]
    cells: NDArray[np.uint16]
    valid: NDArray[np.int16]
    test: NDArray[np.int16]
    loss: NDArray[np.float16]


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
    """

    mode: str
    bundles: tuple[int, ...]
    networks: int
    differing: int
    mean_difference: float
    foreign: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the table holds: equal in every bit, or within the tolerance elsewhere."""
        return self.differing == 0 if self.mode == "bitwise" else self.mean_difference <= TOLERANCE


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
    facts = json.loads((folder / "circumstances.json").read_text(encoding="utf-8"))
    facts |= {"schema": SCHEMA, "images": {name: len(split) for name, split in course(definition).watch.items()}}
    facts["seconds"] = cost_model(plan(definition), [result.seconds for result in results])
    arrays = {
        name: _spread(definition, [getattr(result, name) for result in results]) for name in ("valid", "test", "loss")
    }
    _write(target, facts, trained_cells(definition), arrays)
    return target


def _write(
    target: Path, facts: Mapping[str, Json], cells: tuple[int, ...], arrays: Mapping[str, NDArray[np.generic]]
) -> None:
    partial = target.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez_compressed(
            file,
            facts=np.frombuffer(canonical_json(facts).encode(), dtype=np.uint8),
            cells=np.array(cells, dtype=np.uint16),
            valid=arrays["valid"].astype(np.int16),
            test=arrays["test"].astype(np.int16),
            loss=arrays["loss"].astype(np.float16),
        )
    partial.replace(target)


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
    """Return the seconds of one network as a constant plus a price for each operation, fitted to bundles.

    The seconds of a bundle do not tell what one network cost; their differences between bundles tell what an
    operation costs.
    """
    space = NasBench201()
    counts = np.zeros((len(bundles), len(OPERATIONS)))
    for row, bundle in zip(counts, bundles, strict=True):
        row[0] = len(bundle.cells)  # in the place of `none`, which is free
        for cell in bundle.cells:
            row[1:] += np.bincount(parse(space.arch(cell)), minlength=len(OPERATIONS))[1:]
    prices, *_ = np.linalg.lstsq(counts, np.array(seconds), rcond=None)
    return {name: float(price) for name, price in zip(("network", *OPERATIONS[1:]), prices, strict=True)}


def load(path: Path) -> Table:
    """Return a packed table.

    Raises:
        DataMissing: there is no such file.
        DataCorrupt: it is no table of this schema.
    """
    if not path.exists():
        raise DataMissing(f"{path}: no such table; build it, or reinstall the package that ships it")
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            facts = json.loads(file["facts"].tobytes())
            table = Table(facts, file["cells"], file["valid"], file["test"], file["loss"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataCorrupt(f"{path}: no digits-201 table ({error}); build it again or reinstall the package") from error
    if facts.get("schema") != SCHEMA:
        raise DataCorrupt(f"{path}: schema {facts.get('schema')}, this version reads {SCHEMA}; reinstall the package")
    return table


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


def _check_origin(path: Path, table: Table, definition: Definition) -> None:
    now = circumstances(definition)
    changed = [key for key in ("recipe", "noise", "train_images", "data", "plan") if table.facts.get(key) != now[key]]
    if changed:
        raise DataCorrupt(f"{path}: built with another {', '.join(changed)} than this version; reinstall the package")


def _compare(definition: Definition, table: Table, bundles: list[Bundle], results: list[Result]) -> Verification:
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


def checksum(path: Path) -> str:
    """Return the SHA-256 of a table's file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
