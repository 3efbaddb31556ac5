"""Look-ups against the official `nas_201_api` on the same records in one run: opening, memory, queries per second.

Both sides answer from the same synthetic release: the three official records that are there, repeated to `CELLS`
cells in the exact schema of the official `.pth` file. Nothing here passes or fails by time; `extra_info` of each
benchmark carries the figures, and `ratio` says how many times faster (or smaller) the table is.
"""

from __future__ import annotations

import bz2
import copy
import json
import pickle
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.spaces.nb201 import NasBench201
from benchmarks.tabular.nb201 import NB201Table
from harness.core.clock import Stopwatch
from harness.core.interfaces import Place, Query
from harness.core.types import Evaluate, Measurement, Trial

api = pytest.importorskip("nas_201_api")
torch = pytest.importorskip("torch")

CELLS, QUERIES = 100, 500
RECORDED = (0, 11, 284)
VALID = "cifar10/valid@12ep(25k) trial"
QUERY = Query(VALID, (), ("cifar10/test@200ep(50k) mean-of-trials",), 12, 200)
NUMPY_NAMES = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")

Timed = Any
"""The fixture of pytest-benchmark."""


@pytest.fixture(scope="module")
def release(data_dir: Path) -> dict[str, Any]:
    """The synthetic release, in memory."""
    folder = data_dir / "nb201" / "official_records"
    texts = [NasBench201().arch(index) for index in range(CELLS)]
    records = [pickle.loads(bz2.decompress((folder / f"{cell:06d}.pickle.pbz2").read_bytes())) for cell in RECORDED]
    infos: dict[int, Any] = {}
    for index, text in enumerate(texts):
        record = copy.deepcopy(records[index % len(records)])
        for results in record.values():
            results |= {"arch_index": index, "arch_str": text}
        infos[index] = {"less": record["12"], "full": record["200"]}
    return {"meta_archs": texts, "total_archs": CELLS, "arch2infos": infos, "evaluated_indexes": set(range(CELLS))}


@pytest.fixture(scope="module")
def pth(release: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("release") / "NAS-Bench-201-v1_1-096897.pth"
    torch.save(release, path)
    return path


@pytest.fixture(scope="module")
def official(release: dict[str, Any]) -> Any:
    return api.NASBench201API(release, verbose=False)


@pytest.fixture(scope="module")
def place(pth: Path) -> Place:
    return Place(pth.parent, pth.parent / "cache")


@pytest.fixture(scope="module")
def importing(place: Place) -> float:
    """Import the release; return the seconds that this costs once."""
    watch = Stopwatch()
    opened(place)
    return watch.lap()


@pytest.fixture(scope="module")
def ours(place: Place, importing: float) -> NB201Table:
    assert importing > 0
    return opened(place)


def opened(place: Place) -> NB201Table:
    return NB201Table(NB201Table.Config(source="official"), place, QUERY)


@pytest.fixture(scope="module")
def trials(release: dict[str, Any]) -> list[Trial]:
    rng = random.Random(0)
    return [Trial(n, Evaluate(rng.choice(release["meta_archs"]), 12), rng.getrandbits(62)) for n in range(QUERIES)]


def fastest(timed: Timed) -> float:
    """Return the fastest round: what the code takes where the machine does nothing else."""
    return float(timed.stats.stats.min)


SEEN: dict[str, float] = {}
"""The seconds of each reference, for the ratio of the benchmark that follows it."""


def compare(timed: Timed, group: str, queries: int) -> None:
    """Write queries per second, and the ratio to the reference where it was timed before, into the record."""
    seconds = fastest(timed) / queries
    timed.extra_info["per second"] = float(f"{1 / seconds:.3g}")
    if group in SEEN:
        timed.extra_info["ratio"] = round(SEEN[group] / seconds, 1)
    SEEN.setdefault(group, seconds)


def same(official: Any, ours: NB201Table, trials: list[Trial]) -> None:
    """Both sides hold the same records: every answer of ours is one of the official trials of that cell."""
    for trial in trials[:20]:
        work = trial.work
        assert isinstance(work, Evaluate)
        index = official.query_index_by_arch(str(work.arch))
        result = ours.evaluate(trial).result
        assert isinstance(result, Measurement)
        recorded = [
            official.get_more_info(index, "cifar10-valid", hp="12", is_random=seed)["valid-accuracy"]
            for seed in official.arch2infos_dict[index]["12"].get_dataset_seeds("cifar10-valid")
        ]
        assert result.value in recorded
        charged = official.simulate_train_eval(str(work.arch), "cifar10", hp="12")[2]
        assert result.cost.train_seconds == pytest.approx(charged)


@pytest.mark.benchmark(group="single query")
def test_single_query_official(benchmark: Timed, official: Any, ours: NB201Table, trials: list[Trial]) -> None:
    """`simulate_train_eval`, what the published search scripts call for each architecture."""
    same(official, ours, trials)
    arch = str(trials[0].work.arch)  # type: ignore[union-attr]
    benchmark(official.simulate_train_eval, arch, "cifar10", hp="12")
    compare(benchmark, "single", 1)


@pytest.mark.benchmark(group="single query")
def test_single_query_table(benchmark: Timed, ours: NB201Table, trials: list[Trial]) -> None:
    """`evaluate`, which also answers the curve, the sealed metrics and the cost in every unit."""
    benchmark(ours.evaluate, trials[0])
    compare(benchmark, "single", 1)


@pytest.mark.benchmark(group="batched queries")
def test_batch_official(benchmark: Timed, official: Any, trials: list[Trial]) -> None:
    archs = [str(trial.work.arch) for trial in trials]  # type: ignore[union-attr]
    benchmark.pedantic(lambda: [official.simulate_train_eval(arch, "cifar10", hp="12") for arch in archs], rounds=3)
    compare(benchmark, "batch", QUERIES)


@pytest.mark.benchmark(group="batched queries")
def test_batch_table(benchmark: Timed, ours: NB201Table, trials: list[Trial]) -> None:
    benchmark(lambda: [ours.evaluate(trial) for trial in trials])
    compare(benchmark, "batch", QUERIES)


@pytest.mark.benchmark(group="opening")
def test_opening_official(benchmark: Timed, pth: Path) -> None:
    """Safe loading from the file, and the official constructor."""
    multiarray = sys.modules["numpy._core.multiarray"]
    names = [(multiarray.scalar, name) for name in NUMPY_NAMES]  # type: ignore[attr-defined]
    numbers = [type(dtype) for dtype in map(sys.modules["numpy"].dtype, ("f8", "i8"))]

    def load() -> Any:
        with torch.serialization.safe_globals([*names, sys.modules["numpy"].dtype, *numbers]):
            return api.NASBench201API(str(pth), verbose=False)

    assert len(benchmark.pedantic(load, rounds=1)) == CELLS
    compare(benchmark, "opening", 1)


@pytest.mark.benchmark(group="opening")
def test_opening_table(benchmark: Timed, importing: float, place: Place) -> None:
    """The imported table of the same cells, every byte hashed; importing it is paid for once."""
    assert len(benchmark(opened, place).table.archs) == CELLS
    benchmark.extra_info["import, ms per cell"] = round(1000 * importing / CELLS, 1)
    compare(benchmark, "opening", 1)


@pytest.mark.benchmark(group="opening the whole table")
@pytest.mark.parametrize("table", ["nb201-v1.1", "nats-tss"])
def test_opening_all_cells(benchmark: Timed, real_place: Place, table: Any) -> None:
    """All 15,625 cells of the extract, every byte of it and of the source files hashed."""
    query = Query("cifar10/valid@12ep(25k) mean-of-trials", (), QUERY.sealed, 12, 200)
    config = NB201Table.Config(table=table)
    first = NB201Table(config, real_place, query)
    assert len(benchmark(NB201Table, config, real_place, query).table.archs) == len(first.table.archs) == 15_625
    benchmark.extra_info["milliseconds"] = round(1000 * fastest(benchmark), 1)


MEASURE = """
import json, sys, psutil
mode, path, cache = sys.argv[1:]
import torch, numpy, nas_201_api
from pathlib import Path
from benchmarks.tabular.nb201 import NB201Table
from harness.core.clock import Stopwatch
from harness.core.interfaces import Place, Query
before = psutil.Process().memory_info().rss
if mode == "official":
    scalar = sys.modules["numpy._core.multiarray"].scalar
    names = [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar")]
    numbers = [type(numpy.dtype("f8")), type(numpy.dtype("i8")), numpy.dtype]
    with torch.serialization.safe_globals(names + numbers):
        held = nas_201_api.NASBench201API(path, verbose=False)
    held.simulate_train_eval(held.arch(0), "cifar10", hp="12")
else:
    from harness.core.types import Evaluate, Trial
    query = Query("cifar10/valid@12ep(25k) trial", (), ("cifar10/test@200ep(50k) mean-of-trials",), 12, 200)
    held = NB201Table(NB201Table.Config(source="official"), Place(Path(path).parent, Path(cache)), query)
    held.evaluate(Trial(0, Evaluate(held.table.archs[0], 12), 0))
print(json.dumps(psutil.Process().memory_info().rss - before))
"""


@pytest.mark.benchmark(group="resident memory")
def test_resident_memory(benchmark: Timed, pth: Path, ours: NB201Table, place: Place) -> None:
    """Bytes that opening and one query add to a process which has everything imported already."""

    def added(mode: str) -> int:
        command = [sys.executable, "-c", MEASURE, mode, str(pth), str(place.cache)]
        root = Path(__file__).parents[2]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)  # our own script
        return int(json.loads(done.stdout))

    assert ours.manifest()
    official_bytes = added("official")
    table_bytes = benchmark.pedantic(added, ("table",), rounds=1)
    benchmark.extra_info |= {
        "official MB": round(official_bytes / 1e6, 1),
        "table MB": round(table_bytes / 1e6, 1),
        "cells": CELLS,
        "ratio": round(official_bytes / table_bytes, 1),
    }
    assert table_bytes < official_bytes
