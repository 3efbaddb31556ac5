from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.campaign import Settings, conduct
from harness.core.errors import UsageError
from harness.core.interfaces import Place
from harness.core.schema import Analysis, ProtocolModel
from harness.core.types import RunSpec
from harness.plan import CATALOGUE, expand
from harness.protocol import load
from harness.repeat import Repeated, _judged, compare_studies, derive, repeat, seed_block, summary
from harness.store import Study
from harness.testing.toy import TEST
from harness.testing.world import temp_protocol
from harness.verify import verify


class Counting:
    """Count the runs that are done."""

    def __init__(self) -> None:
        self.runs = 0

    def planned(self, specs: Any, left: Any) -> None:
        """Ignore the plan."""

    def advanced(self, spec: RunSpec, share: float) -> None:
        """Ignore progress."""

    def ended(self, spec: RunSpec) -> None:
        """Count."""
        self.runs += 1


def settings(folder: Path) -> Settings:
    return Settings(Place(None, folder / "cache"), workers=0)


def original(
    folder: Path, *, limit: float = 90.0, margin: float = 5.0, replicates: int = 12
) -> tuple[Study, ProtocolModel]:
    """A study of two methods with ten evaluations a run."""
    folder.mkdir()
    track = {"budget": {"limit": limit}, "replicates": replicates}
    changes = {"methods": ["random_search", "local_search"], "analysis": {"equivalence_margin": margin}}
    loaded = load(str(temp_protocol(folder, track=track, **changes)), CATALOGUE)
    study = Study(folder / "study")
    conduct(loaded.model, loaded.resolved, study, settings(folder), Counting())
    return study, loaded.model


@pytest.fixture(autouse=True)
def steady(toys: None, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code does not change while the tests run."""
    monkeypatch.setattr("harness.environment.hardware.code", lambda: {"content": {}, "repository": None})


def test_a_repetition_has_other_seeds_and_nothing_else(tmp_path: Path) -> None:
    _, protocol = original(tmp_path / "first", replicates=2)
    derived = derive(protocol, range(100, 103))
    assert [(spec.seed, spec.replicate) for spec in expand(derived)][::2] == [(100, 0), (101, 1), (102, 2)]
    same = {"tracks", "description"}
    assert {**derived.resolved(), **dict.fromkeys(same)} == {**protocol.resolved(), **dict.fromkeys(same)}
    assert protocol.hash() in derived.description
    assert derived.hash() != protocol.hash()


def test_new_seeds_of_the_same_study_are_equivalent(tmp_path: Path) -> None:
    study, protocol = original(tmp_path / "first")
    watcher = Counting()
    again, answers = repeat(study, protocol, range(100, 112), None, settings(tmp_path), watcher)
    assert again.folder.parent == study.folder.parent
    assert again.folder.name.startswith("tiny@1.0.0-")
    assert watcher.runs == 24
    assert [answer.verdict for answer in answers] == ["equivalent", "equivalent"]
    assert all(answer.sizes == (12, 12) and 0 < answer.p_equivalence < 0.05 for answer in answers)
    assert verify(again.folder).findings == ()
    recorded = json.loads((again.folder / "repeat.json").read_text())
    assert recorded["repeats"]["protocol_hash"] == protocol.hash()
    assert [row["verdict"] for row in recorded["answers"]] == ["equivalent", "equivalent"]
    assert "2 equivalent, 0 different, 0 inconclusive, 0 not tested" in summary(answers)
    repeat(study, protocol, range(100, 112), None, settings(tmp_path), watcher)
    assert watcher.runs == 24, "it goes on where it stopped"


def test_a_margin_that_twelve_runs_cannot_show_is_inconclusive(tmp_path: Path) -> None:
    study, protocol = original(tmp_path / "first", margin=1e-6)
    _, answers = repeat(study, protocol, range(100, 112), None, settings(tmp_path), Counting())
    assert {answer.verdict for answer in answers} == {"inconclusive"}


def test_another_budget_is_different(tmp_path: Path) -> None:
    one = original(tmp_path / "first", limit=9.0, margin=0.1)
    forty = original(tmp_path / "second", limit=360.0, margin=0.1)
    answers = compare_studies(*one, *forty)
    assert {answer.verdict for answer in answers} == {"different"}
    assert all(answer.difference > 0 and answer.p_ranks < 0.01 for answer in answers)


def test_few_runs_are_not_tested(tmp_path: Path) -> None:
    study, protocol = original(tmp_path / "first", replicates=2)
    _, answers = repeat(study, protocol, range(7, 9), None, settings(tmp_path), Counting())
    assert {answer.verdict for answer in answers} == {"not tested: fewer than 10 runs"}
    assert "2 not tested" in summary(answers)


def test_seeds_that_were_used_are_refused(tmp_path: Path) -> None:
    _, protocol = original(tmp_path / "first", replicates=3)
    with pytest.raises(UsageError, match=r"track 'tiny' has used 2 already; .*for instance 3:6"):
        derive(protocol, range(2, 5))


@pytest.mark.parametrize("text", ["", "5", "5:", ":5", "5:5", "6:5", "-1:5", "a:b", "1:2:3", "1.5:2", "²:3"])
def test_what_is_no_block_of_seeds_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no block of seeds"):
        seed_block(text)


def test_a_block_of_seeds_ends_before_its_end() -> None:
    assert list(seed_block("100:103")) == [100, 101, 102]


def test_of_many_rows_the_one_that_differs_by_chance_is_not_called_different() -> None:
    chance = [0.04, *(0.2 + 0.08 * number for number in range(9))]
    rows = [Repeated("t", "m", "base", TEST, (12, 12), (0.0, 1.0), 1.0, 0.5, p, p, "") for p in chance]
    assert {row.verdict for row in _judged(rows, Analysis())} == {"inconclusive"}
    assert _judged(rows, Analysis(correction="none"))[0].verdict == "different"
    alone = _judged(rows[:1], Analysis())
    assert [(row.verdict, row.p_difference) for row in alone] == [("different", 0.04)]
