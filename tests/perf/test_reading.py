"""Reading runs back, every hash checked, against the least that any reader must do: read, hash and parse the lines.

Nothing here passes or fails by time; `ratio` says how many times slower than that least the store is.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest

from harness.campaign import Settings, conduct
from harness.core.clock import Stopwatch
from harness.core.interfaces import Place
from harness.core.registry import registry
from harness.plan import CATALOGUE, expand
from harness.protocol import load
from harness.store import Study
from harness.testing.toy import FULL
from harness.testing.world import Silent, temp_protocol

Timed = Any
"""The fixture of pytest-benchmark."""

TRIALS, RUNS = 200, 20


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    names: Any = registry("benchmarks")
    monkeypatch.setitem(names, "toy", "harness.testing.toy:Toy")
    path = temp_protocol(tmp_path, track={"replicates": RUNS, "budget": {"limit": TRIALS * FULL}})
    loaded = load(str(path), CATALOGUE)
    found = Study(tmp_path / "study")
    conduct(loaded.model, loaded.resolved, found, Settings(Place(None, tmp_path), workers=0), Silent())
    return found


def least(folder: Path) -> int:
    """Read, hash and parse every line once, and make nothing of it."""
    lines = [line for name in ("trials", "sealed") for line in (folder / f"{name}.jsonl").read_bytes().splitlines()]
    return sum(len(sha256(line).hexdigest()) + len(orjson.loads(line)) for line in lines)


def test_reading_runs(study: Study, benchmark: Timed) -> None:
    specs = expand(load(str(study.folder / "protocol.json"), CATALOGUE).model)
    read = benchmark(lambda: [study.run(spec) for spec in specs])
    assert [len(run.trials) for run in read] == [TRIALS] * RUNS
    watch = Stopwatch()
    assert all(least(study.run_folder(spec)) for spec in specs)
    reference = watch.lap()
    benchmark.extra_info |= {"reference": "read, hash and parse the lines", "reference_seconds": reference}
    if benchmark.enabled:
        benchmark.extra_info["ratio"] = benchmark.stats.stats.min / reference
