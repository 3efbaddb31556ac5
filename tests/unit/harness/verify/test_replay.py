from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from harness.core.canonical import content_hash
from harness.core.errors import DataCorrupt, StoreError, UsageError
from harness.core.interfaces import Place
from harness.core.records import TrackRecord
from harness.core.schema import ProtocolModel
from harness.plan import CATALOGUE, expand
from harness.protocol import load
from harness.replay import Replayed, _own_cache, finished, replay, sample
from harness.store import Study
from harness.testing.toy import TEST, Toy
from harness.verify import verify


def opened(root: Path) -> tuple[Study, ProtocolModel]:
    return Study(root), load(str(root / "protocol.json"), CATALOGUE).model


def replayed(root: Path, size: int = 100) -> list[Replayed]:
    study, protocol = opened(root)
    told: list[Replayed] = []
    chosen = sample(finished(study, protocol), size, 0)
    answers = replay(study, protocol, chosen, Place(None, root / "cache"), 0, told.append)
    assert sorted(answer.spec.id for answer in told) == sorted(answer.spec.id for answer in answers)
    return answers


def test_every_run_comes_out_again_and_the_record_is_left_alone(sound: Path) -> None:
    before = {path: path.read_bytes() for path in sound.rglob("*") if path.is_file()}
    answers = replayed(sound)
    assert {answer.answer for answer in answers} == {"exact"}
    assert len(answers) == 24  # of 26, one row of two is skipped
    assert {path: path.read_bytes() for path in sound.rglob("*") if path.is_file()} == before


def reported(forger: Any) -> tuple[str, float]:
    """Report another architecture, everywhere, with its true test accuracy and every hash right."""
    run = forger.run()
    works = forger.entries(run / "trials.jsonl")
    arch = works[0]["work"]["arch"]
    value = forger.entries(run / "sealed.jsonl")[0]["metrics"][TEST]
    for line in works[-2:]:
        line["recommended"] = arch
    forger.put(run / "trials.jsonl", works)
    forger.edit(run / "done.json", lambda data: data.update(recommended=arch))
    forger.put(run / "final.jsonl", [{"arch": arch, "seed": 0, "metrics": {TEST: value}}])
    forger.rehash()
    return arch, value


def test_what_a_verifier_cannot_know_a_replay_finds(forger: Any) -> None:
    """What a method would recommend is known to the method alone."""
    arch, _ = reported(forger)
    assert verify(forger.root).findings == ()
    different = [answer for answer in replayed(forger.root) if answer.answer != "exact"]
    lines = len(forger.entries(forger.run() / "trials.jsonl"))
    assert [(answer.spec.method, answer.spec.replicate) for answer in different] == [("random_search", 0)]
    assert different[0].place == f"trials.jsonl:{lines - 1}"
    assert f'"recommended":"{arch}"' in different[0].recorded
    assert f'"recommended":"{arch}"' not in different[0].again


def test_other_data_are_refused(forger: Any) -> None:
    forger.edit("study.json", lambda data: data["tracks"]["tiny"]["manifest"].update(noise=1.0))
    forger.rehash()
    with pytest.raises(DataCorrupt, match=r"tracks\.tiny: the record was made with fingerprint"):
        replayed(forger.root)


def test_a_benchmark_that_is_not_repeatable_is_not_executed(forger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = {"kind": "training", "determinism": "statistical"}
    monkeypatch.setattr(Toy, "manifest", lambda self: manifest)
    monkeypatch.setattr(Toy, "evaluate", lambda self, trial: pytest.fail("executed"))
    forger.edit("study.json", lambda data: [track.update(manifest=manifest) for track in data["tracks"].values()])
    forger.rehash()
    assert forger.read("study.json")["tracks"]["tiny"]["fingerprint"] == content_hash(manifest)
    assert {answer.answer for answer in replayed(forger.root)} == {"statistical"}


def test_a_sample_draws_every_row_before_it_draws_one_twice(sound: Path) -> None:
    specs = expand(opened(sound)[1])
    rows = {(spec.track, spec.method, spec.variant) for spec in specs}
    for size in (1, 5, len(rows), len(rows) + 3, len(specs), 10 * len(specs)):
        drawn = sample(specs, size, 3)
        counts = Counter((spec.track, spec.method, spec.variant) for spec in drawn)
        assert len(drawn) == min(size, len(specs))
        assert len(counts) == min(size, len(rows))
        assert drawn == sorted(drawn, key=specs.index)
        assert drawn == sample(specs, size, 3)
    assert sample(specs, 5, 3) != sample(specs, 5, 4)
    with pytest.raises(UsageError, match="--sample: 0 is not allowed"):
        sample(specs, 0, 0)


def test_a_study_without_a_finished_run_is_one_line(forger: Any) -> None:
    for path in forger.root.glob("runs/*/*/*/*/done.json"):
        path.unlink()
    with pytest.raises(StoreError, match="no run is done yet"):
        finished(*opened(forger.root))


def test_checkpoints_of_the_recorded_trainings_are_out_of_reach(tmp_path: Path) -> None:
    place = Place(None, tmp_path / "cache")
    training = TrackRecord("", {"kind": "training"}, {}, {})
    assert _own_cache(place, training, str(tmp_path / "scratch")).cache == tmp_path / "scratch" / "cache"
    assert _own_cache(place, TrackRecord("", {"kind": "tabular"}, {}, {}), "scratch") == place
