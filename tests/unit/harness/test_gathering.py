"""Runs that are read in several processes come as they do in one: in plan order, with their errors."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from harness import gathering
from harness.campaign import Settings, conduct
from harness.core.errors import JournalCorrupt
from harness.core.interfaces import Place
from harness.core.registry import registry
from harness.core.types import RunSpec
from harness.gathering import gathered
from harness.plan import CATALOGUE, expand
from harness.protocol import load
from harness.store import Study
from harness.testing.world import Silent, temp_protocol
from reports.frame import read


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    names = registry("benchmarks")
    monkeypatch.setitem(names, "toy", "harness.testing.toy:Toy")  # type: ignore[arg-type]
    path = temp_protocol(tmp_path, methods=["random_search", "regularized_evolution"], track={"replicates": 5})
    loaded = load(str(path), CATALOGUE)
    found = Study(tmp_path / "study")
    conduct(loaded.model, loaded.resolved, found, Settings(Place(None, tmp_path), workers=0), Silent())
    monkeypatch.setattr(gathering, "FEWEST", 1)
    monkeypatch.setattr(gathering, "_BLOCK", 3)
    return found


def specs_of(study: Study) -> list[RunSpec]:
    return expand(load(str(study.folder / "protocol.json"), CATALOGUE).model)


def test_the_frame_is_the_same_to_the_byte_in_however_many_processes_it_is_read(study: Study) -> None:
    specs = specs_of(study)
    apart = gathered(study, specs, 2)
    assert apart.spread is not None
    frames = [read(record) for record in (study.record(specs), apart)]
    alone, together = ([pickle.dumps(pickle.loads(pickle.dumps(each))) for each in _all(frame)] for frame in frames)
    assert len(alone) == 10
    assert alone == together
    assert frames[0].journals == frames[1].journals == tuple((spec.id, study.run(spec).journal) for spec in specs)


def _all(frame: object) -> list[object]:
    return [trace for track in frame.tracks for cell in track.cells for trace in cell.traces]  # type: ignore[attr-defined]


def test_a_changed_journal_is_refused_by_the_process_that_reads_it(study: Study) -> None:
    specs = specs_of(study)
    journal = study.run_folder(specs[7]) / "trials.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b"true", b"True", 1))
    with pytest.raises(JournalCorrupt, match=r"trials\.jsonl: differs from the SHA-256 in done\.json"):
        read(gathered(study, specs, 2))


def test_few_runs_and_a_single_worker_are_read_here(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    specs = specs_of(study)
    assert gathered(study, specs, 1).spread is None
    assert gathered(study, specs, 0).spread is None
    monkeypatch.setattr(gathering, "FEWEST", 11)
    assert gathered(study, specs, 2).spread is None
