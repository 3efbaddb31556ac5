"""Gains at a reduced scale are held against those of a table, move by move."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.training.child_signal import ChildSetting, _accuracy, _rows, measure, table
from benchmarks.training.hybrid import HybridConfig
from benchmarks.training.move_signal import Case, Setting, looked_up, parents
from benchmarks.training.signal_rows import read
from harness.core.errors import UsageError
from harness.core.interfaces import Place
from harness.core.types import Measurement, Move, Trial
from harness.testing.world import fresh_process

TINY = ChildSetting(
    Setting(HybridConfig(train_images=80, valid_images=60, channels=2, batch_size=32, parent_epochs=1), parents=1),
    case=Case("sg+sf", epochs=1),
    valid_images=60,
)


def line(parent: str, here: float, far: float, weight: float, size: float = 1.0) -> dict[str, str]:
    numbers = {"gain_here": here, "gain_table": far, "size": size, "weight": weight, "spread": weight}
    return {"parent": parent, **{key: str(value) for key, value in {**numbers, "cosine": 0.0, "slope": -here}.items()}}


def test_taus_are_taken_within_each_parent_and_then_averaged() -> None:
    first = [line("a", 1, 3, 0.1), line("a", 2, 2, 0.2), line("a", 3, 1, 0.3)]
    second = [line("b", 9, 30, 0.3), line("b", 8, 20, 0.2), line("b", 7, 10, 0.1)]
    found = {
        words[0]: words[1:] for row in table(first + second).splitlines() for words in [row.strip("| ").split(" | ")]
    }
    assert found["weight"][0] == "1.00 [1.00, 1.00]"
    assert found["weight"][1].startswith("0.00 [")
    assert found["slope"][0] == "-1.00 [-1.00, -1.00]"
    assert found["cosine"] == ["0.00 [0.00, 0.00]", "0.00 [0.00, 0.00]"]
    assert table(second).splitlines()[-1] == "| what the move gains here |  | 1.00 |"


def test_each_row_holds_its_own_child_and_resumes(data_dir: Path, cache_dir: Path, tmp_path: Path) -> None:
    target, place = tmp_path / "children.csv", Place(data_dir, cache_dir)
    (arch,) = parents(TINY.signal)
    with fresh_process() as pool:
        rows = _rows(pool, TINY, place, arch)
    benchmark = TINY.table(place)
    moves = benchmark.space.moves(arch)
    assert [row["move"] for row in rows] == list(moves)
    child, start = benchmark.space.grow(arch, [moves[-1]]), _accuracy(TINY, place, arch)
    trained = _accuracy(TINY, place, child)
    assert start is not None
    assert trained is not None
    assert rows[-1]["gain_here"] == round(trained - start, 4)
    assert rows[-1]["gain_table"] == round(looked_up(benchmark, child).value - looked_up(benchmark, arch).value, 4)
    attached = benchmark.evaluate(Trial(0, TINY.case.attach(arch, tuple(moves)), 0)).result
    assert isinstance(attached, Measurement)
    before = next(value for name, value in attached.metrics.items() if "/valid-before@attach" in name)
    assert before == start, "candidates were attached to the very parent that its children are compared with"
    assert [row["weight"] for row in rows] == [attached.scores[Move(move)] for move in moves]

    measure(target, TINY, place, workers=1)
    written = target.read_bytes()
    assert [float(row["weight"]) for row in read(target)] == [row["weight"] for row in rows]
    measure(target, TINY, place, workers=1)
    assert target.read_bytes() == written
    with pytest.raises(UsageError, match="another CSV"):
        measure(target, replace(TINY, valid_images=50), place, workers=1)


def test_a_parent_that_diverges_leaves_no_row(data_dir: Path, cache_dir: Path, tmp_path: Path) -> None:
    target, place = tmp_path / "children.csv", Place(data_dir, cache_dir)
    wild = replace(TINY, signal=replace(TINY.signal, config=replace(TINY.signal.config, learning_rate=1e30)))
    measure(target, wild, place, workers=1)
    assert not target.exists()
