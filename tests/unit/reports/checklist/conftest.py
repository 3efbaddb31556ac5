"""Run a small real study, and let tests break its record: a draft is changed, then written anew with sound hashes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

import reports.html
import reports.inline
import reports.render
from harness.campaign import Settings, conduct
from harness.core.canonical import content_hash
from harness.core.interfaces import Place
from harness.core.records import Figure, RunRecord, StudyRecord, TrackRecord
from harness.core.schema import ProtocolModel
from harness.core.types import Failure, Outcome
from harness.plan import CATALOGUE, expand
from harness.protocol import load
from harness.store import Study
from harness.testing.world import TOY, Silent, registered, temp_protocol, tiny_protocol
from reports import summary
from reports.checklist.attestations import read_answers
from reports.checklist.evaluation import evaluate
from reports.checklist.facts import read
from reports.checklist.model import Item
from reports.inline import WIDTH, Drawing

TEST = "toy/test@9ep"
SECOND = "toy/test-error@9ep"
REPLICATES = 10
NOW = "current"  # stands for the hash of the protocol as it is written


@pytest.fixture(scope="session", autouse=True)
def drawn_once() -> Iterator[None]:
    """Draw each figure of a page once: the drafts share most of them, and drawing would take most of the time."""
    kept: dict[str, Drawing] = {}

    def drawing(figure: Figure, prefix: str, width: float = WIDTH) -> Drawing:
        key = f"{prefix} {width} {figure!r}"
        if key not in kept:
            kept[key] = reports.inline.drawing(figure, prefix, width)
        return kept[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reports.html, "drawing", drawing)
        yield


@dataclass
class Draft:
    """A whole study that can be changed and written.

    Attributes:
        environments: whole records; a run's manifest names one by its place here.
        segments: (place of the environment, facts).
        answers: attestations.json.
        replays: run id -> answer.
        final_seconds: whether the runs say how long their last training took.
        forge: changes the folder after everything is written.
    """

    protocol: dict[str, Any]
    tracks: dict[str, TrackRecord]
    environments: list[dict[str, Any]]
    segments: list[tuple[int, dict[str, Any]]]
    runs: list[RunRecord]
    answers: list[dict[str, Any]]
    replays: dict[str, str]
    final_seconds: bool = False
    forge: Callable[[Path], None] = field(default=lambda _folder: None)

    def track(self, index: int) -> dict[str, Any]:
        found: dict[str, Any] = self.protocol["tracks"][index]
        return found

    def change_manifests(self, **changes: Any) -> None:
        """Set keys of every track's manifest; None takes a key out."""
        for name, track in self.tracks.items():
            merged = {**track.manifest, **changes}
            kept = {key: value for key, value in merged.items() if value is not None}
            self.tracks[name] = replace(track, manifest=kept)

    def change_runs(self, change: Callable[[RunRecord], RunRecord], **where: Any) -> None:
        """Change the runs whose specification has these fields."""
        self.runs = [
            change(run) if all(getattr(run.spec, key) == value for key, value in where.items()) else run
            for run in self.runs
        ]

    def write(self, folder: Path) -> StudyRecord:
        """Write the study as the store does, report included, and read it back."""
        model = ProtocolModel.model_validate({key: value for key, value in self.protocol.items() if key != "schema"})
        study = Study(folder)
        folder.mkdir(parents=True)
        tracks = {
            key: replace(track, fingerprint=content_hash(dict(track.manifest))) for key, track in self.tracks.items()
        }
        study.begin(model.resolved(), tracks)
        names = [content_hash(environment)[:16] for environment in self.environments]
        for place, facts in self.segments:
            study.add_segment(self.environments[place], facts)
        for run in self.runs:
            _write_run(study, run, model.hash(), names)
        attested = {"schema": 1, "answers": self.answers}
        (folder / "attestations.json").write_text(json.dumps(attested), encoding="utf-8")
        specs = [run.spec for run in self.runs]
        journals = {spec.id: study.run(spec).journal for spec in specs}
        entries = [
            {"run": name, "journal": journals[name], "answer": said}
            for name, said in self.replays.items()
            if name in journals
        ]
        (folder / "replay.json").write_text(json.dumps({"schema": 1, "runs": entries}), encoding="utf-8")
        record = _timed(study.record(specs)) if self.final_seconds else study.record(specs)
        reports.render.write(summary.build(record), folder / "report")
        self.forge(folder)
        return record


def _timed(record: StudyRecord) -> StudyRecord:
    def runs() -> Iterator[RunRecord]:
        return (replace(run, seconds={**run.seconds, "final": 1.5}) for run in record.runs())

    return replace(record, runs=runs)


def _write_run(study: Study, run: RunRecord, protocol_hash: str, names: list[str]) -> None:
    if run.status == "missing":
        return
    if run.status == "skipped":
        study.skip(run.spec, run.reason)
        return
    facts: dict[str, Any] = dict(run.manifest)
    if isinstance(facts["environment"], int):
        facts["environment"] = names[facts["environment"]]
    if facts["protocol_hash"] == NOW:
        facts["protocol_hash"] = protocol_hash
    recorder = study.recorder(run.spec, facts, durable=False)
    for entry in run.trials:
        outcome = Outcome(entry.result, {} if isinstance(entry.result, Failure) else entry.sealed)
        recorder.append(entry.trial, outcome, entry.spent, entry.recommended, counted=entry.counted)
    if run.started is not None:
        recorder.start(run.started)
    if run.seconds:
        recorder.timing(0, *(run.seconds[phase] for phase in ("ask", "evaluate", "tell")))
    for arch, metrics in run.final.items():
        recorder.final(arch, 0, metrics)
    told = [entry for entry in run.trials if entry.counted]
    recorder.finish(run.reason, told[-1].spent, told[-1].recommended)


def protocol_of() -> dict[str, Any]:
    track = {"budget": {"limit": 14 * 9}, "replicates": REPLICATES}
    protocol = tiny_protocol(
        methods=[
            {"name": "random_search"},
            {"name": "regularized_evolution", "options": {"population": 4, "sample": 2}, "proposed": True},
        ],
        track=track,
        study={"question": "Does the checklist hold?", "proposes_new_method": True},
        ablations=[{"method": "regularized_evolution", "vary": {"kill": ["oldest", "worst"]}}],
        tuning=[
            {"method": "random_search", "source": "defaults"},
            {"method": "regularized_evolution", "source": "published", "citation": "Real et al., AAAI 2019"},
        ],
        analysis={"equivalence_margin": 5.0},
        reports=["summary", "checklist"],
    )
    other = deepcopy(protocol["tracks"][0])
    other |= {"id": "other", "splits": {"train": "other train", "search": "other valid", "final": "other test"}}
    other["benchmark"] = {"name": "toy", "options": {"noise": 1.0}}
    protocol["tracks"].append(other)
    return protocol


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> StudyRecord:
    """A study as the harness runs and records it."""
    folder = tmp_path_factory.mktemp("real")
    with registered("benchmarks", TOY) as name:
        protocol = json.loads(json.dumps(protocol_of()).replace('"name": "toy"', f'"name": "{name}"'))
        path = temp_protocol(folder)
        path.write_text(json.dumps(protocol), encoding="utf-8")
        loaded = load(str(path), CATALOGUE)
        study = Study(folder / "study")
        conduct(loaded.model, loaded.resolved, study, Settings(Place(None, folder), 0), Silent())
        record = study.record(expand(loaded.model))
        runs = tuple(record.runs())
    return replace(record, runs=lambda: iter(runs))


@pytest.fixture(scope="session")
def sound(real: StudyRecord) -> Draft:
    """The same study with all that the checklist asks for; tests take a copy of it."""
    protocol: dict[str, Any] = deepcopy(dict(real.protocol))
    for track in protocol["tracks"]:
        track["final"]["metrics"] = [TEST, SECOND]
    runs = [_enriched(run) for run in real.runs()]
    protocol["analysis"]["published"] = [_published(runs)]
    environment: Any = deepcopy(dict(next(iter(real.environments.values()))))
    environment["code"]["repository"] = {"commit": "c" * 40, "dirty": False, "url": "https://example.org/code"}
    draft = Draft(
        protocol=protocol,
        tracks=dict(real.tracks),
        environments=[environment],
        segments=[(0, {key: value for key, value in real.segments[0].items() if key != "environment"})],
        runs=runs,
        answers=[
            {
                "question": f"{rule}.public",
                "answer": "yes",
                "who": "A. Author",
                "when": "2026-01-31",
                "pointer": "https://example.org",
            }
            for rule in ("A1", "A2", "A4")
        ],
        replays={run.spec.id: "exact" for run in runs if run.spec.replicate == 0},
    )
    draft.change_manifests(
        space={"kind": "toy"},
        cells={"in_space": 1024, "recorded": 1024},
        data={"toy.npz": "ab" * 32},
        importer="toy 1",
        trials={TEST: {"missing_by_seed": {"0": 0}}},
        trainer=1,
        recipe={"optimiser": "SGD"},
        final="trained on train and valid together",
    )
    return draft


def _enriched(run: RunRecord) -> RunRecord:
    trials = tuple(replace(entry, sealed={**entry.sealed, SECOND: 100 - entry.sealed[TEST]}) for entry in run.trials)
    final = {arch: {**metrics, SECOND: 100 - metrics[TEST]} for arch, metrics in run.final.items()}
    manifest = {**run.manifest, "environment": 0, "protocol_hash": NOW}
    return replace(run, trials=trials, final=final, manifest=manifest)


def _published(runs: list[RunRecord]) -> dict[str, Any]:
    mine = [run for run in runs if run.spec.method == "random_search" and run.spec.track == "tiny"]
    mean = sum(values[TEST] for run in mine for values in run.final.values()) / len(mine)
    entry = {"method": "random_search", "track": "tiny", "metric": TEST, "mean": mean, "std": 1.0, "n": 500}
    return {**entry, "source": "A paper", "provenance": "primary"}


@pytest.fixture
def draft(sound: Draft) -> Draft:
    """A copy of the sound study that a test may break."""
    return Draft(
        protocol=deepcopy(sound.protocol),
        tracks=dict(sound.tracks),
        environments=deepcopy(sound.environments),
        segments=deepcopy(sound.segments),
        runs=list(sound.runs),
        answers=deepcopy(sound.answers),
        replays=dict(sound.replays),
    )


@pytest.fixture
def plain_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures as their data, since drawing them is slow and tested elsewhere."""
    monkeypatch.setattr(reports.render, "svg", lambda figure: repr(figure).encode())


@pytest.fixture
def judge(tmp_path: Path, plain_figures: None) -> Callable[[Draft], dict[str, Item]]:
    """A function that writes a draft, reads it back, and returns every item."""
    written = iter(range(1000))

    def judged(draft: Draft) -> dict[str, Item]:
        record = draft.write(tmp_path / f"study{next(written)}")
        return {item.rule.id: item for item in evaluate(read(record), read_answers(record.files))}

    return judged


@pytest.fixture(scope="session")
def untouched(sound: Draft, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Item]:
    """The items of the sound study."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reports.render, "svg", lambda figure: repr(figure).encode())
        record = sound.write(tmp_path_factory.mktemp("sound") / "study")
        return {item.rule.id: item for item in evaluate(read(record), read_answers(record.files))}
