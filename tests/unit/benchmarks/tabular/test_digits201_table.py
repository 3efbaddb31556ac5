"""The packed table of digits-201 opens as a benchmark: shared results, costs of each cell, learning curves."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.spaces.nb201 import SIZE, NasBench201, compose
from benchmarks.tabular import digits201
from benchmarks.tabular.digits201 import Digits201, open_packed
from benchmarks.tabular.digits201_file import SHIPPED, Packed, load
from benchmarks.tabular.digits201_import import entries
from benchmarks.training.data import facts
from harness.core.budget import Budget
from harness.core.errors import DataCorrupt, DataMissing, UsageError
from harness.core.interfaces import Place, Query
from harness.core.types import Capability, Evaluate, Failure, Measurement, Trial
from harness.testing import World, play, tiny_track
from harness.testing.world import attribute
from methods import METHODS

Invent = Callable[..., Path]

VALID, TEST = "digits/valid@9ep(640) mean-of-trials", "digits/test@9ep(640) mean-of-trials"
DRAWN = VALID.replace("mean-of-trials", "trial")
QUERY = Query(VALID, ("digits/multiply-adds", "digits/train-loss@9ep(640) mean-of-trials"), (TEST,), 9, 9)
CONV = compose((3, 0, 0, 1, 0, 0))  # skip to the output, and a convolution that leads nowhere
ISOMORPHIC = compose((0, 0, 0, 1, 3, 0))  # a convolution out of a node that nothing reaches


@pytest.fixture(scope="module")
def invent() -> Invent:
    helpers = runpy.run_path(str(Path(__file__).parents[3] / "fixtures" / "digits201_tables.py"))
    made: Invent = helpers["invent"]
    return made


@pytest.fixture(scope="module")
def packed(invent: Invent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return invent(tmp_path_factory.mktemp("packed") / "table.npz")


@pytest.fixture(scope="module")
def table_place(packed: Path) -> Place:
    return Place(None, packed.parent / "cache")


@pytest.fixture(scope="module")
def benchmark_(packed: Path, table_place: Place) -> Digits201:
    return Digits201(Digits201.Config(str(packed)), table_place, QUERY)


def _measured(benchmark: Digits201, work: Evaluate, seed: int = 0) -> Measurement:
    result = benchmark.evaluate(Trial(0, work, seed)).result
    assert isinstance(result, Measurement)
    return result


def test_answers_are_the_recorded_ones(benchmark_: Digits201, packed: Path) -> None:
    table, space = load(packed), NasBench201()
    row, cell = 1234, int(load(packed).cells[1234])
    outcome = benchmark_.evaluate(Trial(0, Evaluate(space.arch(cell), 9), 5))
    assert isinstance(outcome.result, Measurement)
    assert outcome.result.value == pytest.approx(100 * table.valid[row, :, -1].mean() / 499)
    assert outcome.result.curve == pytest.approx(100 * table.valid[row].mean(axis=0) / 499)
    assert outcome.sealed == {TEST: pytest.approx(100 * table.test[row, :, -1].mean() / 498)}
    part = _measured(benchmark_, Evaluate(space.arch(cell), 3))
    assert part.metrics["digits/valid@3of9ep(640) mean-of-trials"] == part.value == outcome.result.curve[2]
    assert part.metrics["digits/train-loss@3of9ep(640) mean-of-trials"] == pytest.approx(
        table.loss[row, :, 2].mean(dtype=float), rel=1e-6
    )


def test_single_trials_are_drawn_with_the_seed(packed: Path, table_place: Place) -> None:
    table, space = load(packed), NasBench201()
    query = Query(DRAWN, (), (DRAWN.replace("valid", "test"),), 9, 9)
    benchmark = Digits201(Digits201.Config(str(packed)), table_place, query)
    for seed in range(4):
        outcome = benchmark.evaluate(Trial(0, Evaluate(space.arch(int(table.cells[7])), 9), seed))
        assert isinstance(outcome.result, Measurement)
        assert outcome.result.value == pytest.approx(100 * table.valid[7, seed % 3, -1] / 499)
        (tested,) = outcome.sealed.values()
        assert tested == pytest.approx(100 * table.test[7, seed % 3, -1] / 498)


def test_isomorphic_cells_share_results_but_not_costs(benchmark_: Digits201) -> None:
    space = NasBench201()
    assert space.representative(CONV) == space.representative(ISOMORPHIC)
    plain = space.representative(CONV)
    answers = [_measured(benchmark_, Evaluate(cell, 9)) for cell in (plain, CONV, ISOMORPHIC)]
    assert len({answer.curve for answer in answers}) == 1
    assert benchmark_.final(CONV, 0) == benchmark_.final(ISOMORPHIC, 0) == benchmark_.final(plain, 0) != {}
    skeleton = facts("digits").skeleton(4, 1)
    for cell, answer in zip((plain, CONV, ISOMORPHIC), answers, strict=True):
        assert answer.metrics["digits/multiply-adds"] == skeleton.multiply_adds(cell) / 1e6
        assert answer.cost.multiply_adds == pytest.approx(3 * skeleton.multiply_adds(cell) * 640 * 9)
    assert any("share accuracies" in str(note) for note in benchmark_.manifest()["notes"])  # type: ignore[union-attr]


def test_seconds_are_the_cost_model_of_the_cell(benchmark_: Digits201) -> None:
    cost = _measured(benchmark_, Evaluate(compose((0, 1, 2, 3, 4, 3)), 9)).cost
    assert cost.train_seconds == pytest.approx(0.2 + 0.01 + 0.05 + 2 * 0.09 + 0.03)
    assert cost.epochs == 9
    rest = _measured(benchmark_, Evaluate(compose((0, 1, 2, 3, 4, 3)), 9, start=6)).cost
    assert rest.train_seconds == pytest.approx(cost.train_seconds / 3)


def test_it_is_a_whole_space_with_curves_and_exact_facts(benchmark_: Digits201, packed: Path) -> None:
    assert {Capability.PARTIAL, Capability.FINITE, Capability.ENCODABLE} <= benchmark_.offers
    assert benchmark_.fidelities == tuple(range(1, 10))
    assert benchmark_.manifest()["cells"] == {"recorded": SIZE, "in_space": SIZE}
    cells, rows = entries(load(packed))
    assert cells == list(range(SIZE))
    assert len(set(rows.tolist())) == 6466
    found = benchmark_.references(Budget("epochs", 900.0, "discard"))
    assert found["random_search"]["metric"] == TEST  # type: ignore[index,call-overload]
    best = load(packed).valid[..., -1].mean(axis=1).max()
    assert found["optimum"][VALID]["value"] == pytest.approx(100 * best / 499)  # type: ignore[index,call-overload]


def test_the_names_are_sealed_or_open(benchmark_: Digits201, packed: Path, table_place: Place) -> None:
    assert TEST in benchmark_.metrics.sealed
    assert {VALID, "digits/valid@1of9ep(640) trial", "digits/parameters"} <= benchmark_.metrics.open
    assert not any("test" in name for name in benchmark_.metrics.open)
    with pytest.raises(UsageError, match="sealed test metric"):
        Digits201(Digits201.Config(str(packed)), table_place, Query(TEST, (), (), 9, 9))


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_every_method_searches_it_within_its_epochs(method: str, packed: Path, table_place: Place) -> None:
    track = tiny_track(
        benchmark={"name": "digits201", "options": {"file": str(packed)}},
        fidelity={"search": 9, "final": 9},
        objective={"metric": VALID, "direction": "maximize", "secondary": ["digits/multiply-adds"]},
        budget={"unit": "epochs", "limit": 270.0, "overrun": "discard"},
        final={"metrics": [TEST]},
    )
    world = World("benchmarks.tabular.digits201:Digits201", track, cache=table_place.cache)
    missing = attribute(method).requires - world.open().offers
    if missing:
        pytest.skip(f"needs {', '.join(sorted(missing))}, which a table does not offer")
    book = play(method, world)
    counted = [entry for entry in book.trials if entry.counted]
    assert counted[-1].spent <= 270.0
    asked = {entry.trial.work.epochs for entry in counted if isinstance(entry.trial.work, Evaluate)}
    assert 9 in asked
    early = ("halving", "hyperband", "petridish_hull_tabular")
    assert (len(asked) > 1) == any(name in method for name in early)


def test_networks_that_diverged_are_gaps(invent: Invent, tmp_path: Path) -> None:
    def diverge(counts: np.ndarray) -> np.ndarray:
        counts[0, :, 4:] = -1
        counts[1, 0, 4:] = -1
        return counts

    cells = [4, 8, 15]
    path = invent(tmp_path / "table.npz", cells, valid=diverge, test=diverge)
    benchmark = Digits201(Digits201.Config(str(path)), Place(None, tmp_path), QUERY)
    space, kept = NasBench201(), load(path).valid
    result = benchmark.evaluate(Trial(0, Evaluate(space.arch(4), 9), 0)).result
    assert isinstance(result, Failure)
    assert result.cost.epochs == 9
    assert _measured(benchmark, Evaluate(space.arch(8), 9)).value == pytest.approx(100 * kept[1, 1:, -1].mean() / 499)
    assert "4 trainings diverged and are gaps" in benchmark.manifest()["notes"]  # type: ignore[operator]


def test_a_part_of_the_space_has_gaps_that_cost(invent: Invent, tmp_path: Path) -> None:
    space = NasBench201()
    cells = sorted(space.index(arch) for arch in (ISOMORPHIC, compose((3, 3, 3, 3, 3, 3))))
    path = invent(tmp_path / "table.npz", cells)
    benchmark = Digits201(Digits201.Config(path.name), Place(tmp_path, tmp_path / "cache"), QUERY)
    answered = _measured(benchmark, Evaluate(space.representative(CONV), 9))
    assert answered.cost.train_seconds is not None
    result = benchmark.evaluate(Trial(0, Evaluate(compose((4, 4, 4, 4, 4, 4)), 9), 0)).result
    assert isinstance(result, Failure)
    assert result.cost.train_seconds
    assert benchmark.references(Budget("epochs", 900.0, "discard")).get("random_search") is None


def test_an_absent_table_names_the_command_that_builds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits201, "SHIPPED", tmp_path / "nothing.npz")
    for file, said in (("", "not part of this installation"), ("mine.npz", "no such table")):
        with pytest.raises(DataMissing, match=said) as refusal:
            Digits201(Digits201.Config(file), Place(None, tmp_path), QUERY)
        assert "python -m harness data build digits201" in str(refusal.value)
        assert "\n" not in str(refusal.value)


def test_a_changed_cache_is_found_and_mended_by_deleting_it(packed: Path, tmp_path: Path) -> None:
    place = Place(None, tmp_path)
    table = open_packed(packed, place)
    victim = next(table.folder.glob("*-mean.npy"))
    damaged = bytearray(victim.read_bytes())
    damaged[200] ^= 1
    victim.write_bytes(bytes(damaged))
    with pytest.raises(DataCorrupt, match=f"delete {table.folder}"):
        open_packed(packed, place)


WRONG = {
    "schema 7": {"schema": 7},
    "without machine, seeds": None,
    "more right answers than 100 valid": {"images": {"valid": 100, "test": 498}},
    "valid is int16": {"seeds": [0, 1]},
    "prices below zero": {"seconds": {"network": -0.2, **dict.fromkeys(
        ("skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"), 0.1)}},
    "not rising": {"cells": [8, 4]},
}  # fmt: skip


@pytest.mark.parametrize("complaint", WRONG)
def test_a_file_of_another_schema_is_refused_in_one_line(complaint: str, invent: Invent, tmp_path: Path) -> None:
    changes = dict(WRONG[complaint] or {})
    path = invent(tmp_path / "table.npz", changes.pop("cells", [4, 8]), **changes)  # type: ignore[arg-type]
    if WRONG[complaint] is None:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        text = arrays["facts"].tobytes().replace(b'"machine"', b'"engine"').replace(b'"seeds"', b'"seedz"')
        np.savez_compressed(path, **arrays | {"facts": np.frombuffer(text, dtype=np.uint8)})
    with pytest.raises(DataCorrupt, match=complaint) as refusal:
        load(path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("share", range(0, 100, 7))
def test_a_flipped_byte_is_refused_or_changes_nothing(share: int, invent: Invent, tmp_path: Path) -> None:
    path = invent(tmp_path / "table.npz", list(range(0, 400, 4)))
    before, damaged = load(path), bytearray(path.read_bytes())
    damaged[share * len(damaged) // 100] ^= 255
    path.write_bytes(bytes(damaged))
    after, complaint = _tried(path)
    if after is None:
        assert "digits-201 table" in complaint
        assert "\n" not in complaint
    else:
        assert after.facts == before.facts
        assert all(np.array_equal(getattr(after, name), getattr(before, name)) for name in ("valid", "test", "loss"))


def _tried(path: Path) -> tuple[Packed | None, str]:
    try:
        return load(path), ""
    except DataCorrupt as refusal:
        return None, str(refusal)


def test_opening_it_needs_no_torch(packed: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from harness.core.interfaces import Place\n"
        "from benchmarks.tabular.digits201 import open_packed\n"
        "open_packed(Path(sys.argv[1]), Place(None, Path(sys.argv[2]))); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, str(packed), str(tmp_path)], check=True)


@pytest.mark.skipif(not SHIPPED.exists(), reason="the packed table is not part of this checkout")
def test_the_shipped_table_is_whole_and_small(tmp_path: Path) -> None:
    table = load(SHIPPED)
    assert table.valid.shape == (6466, 3, 9)
    assert (table.valid >= 0).all()
    assert SHIPPED.stat().st_size <= 5_000_000
    benchmark = Digits201(Digits201.Config(), Place(None, tmp_path), QUERY)
    assert benchmark.manifest()["cells"] == {"recorded": SIZE, "in_space": SIZE}
