"""A small sound record with everything in it, and a forger who knows how to make hashes agree again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from harness.campaign import Settings, conduct
from harness.core.canonical import content_hash, sha256_text
from harness.core.codec import spec_to_json
from harness.core.interfaces import Place, Query
from harness.core.journal import GENESIS, chain
from harness.core.registry import load as load_registered
from harness.core.registry import registry
from harness.core.schema import ProtocolModel
from harness.core.types import Capability, RunSpec
from harness.environment.code_state import content
from harness.plan import CATALOGUE, expand
from harness.protocol import load
from harness.store import Study
from harness.store.files import write_json
from harness.testing.growing import MULTIPLY_ADDS
from harness.testing.toy import Failing, Toy
from harness.testing.world import GROWING, Silent, tiny_protocol
from reports.render import write

JOURNALS = ("trials.jsonl", "sealed.jsonl", "final.jsonl")
Json = dict[str, Any]


class FailingToy(Failing):
    """A toy of which every fifth trial fails."""

    @dataclass(frozen=True)
    class Config:
        """No options."""

    def __init__(self, _config: Config, place: Place, query: Query) -> None:
        super().__init__(Toy(Toy.Config(), place, query), 0.2)


class NarrowToy(Failing):
    """A toy without partial trainings, so that some methods are skipped."""

    @dataclass(frozen=True)
    class Config:
        """No options."""

    def __init__(self, _config: Config, place: Place, query: Query) -> None:
        super().__init__(Toy(Toy.Config(), place, query), 0.0)
        self.offers = self.offers - {Capability.PARTIAL}


TOYS = {
    "toy": "harness.testing.toy:Toy",
    "toy-failing": f"{__name__}:FailingToy",
    "toy-narrow": f"{__name__}:NarrowToy",
    "toy-growing": GROWING,
}


@pytest.fixture(scope="session", autouse=True)
def toys() -> Iterator[None]:
    """The toy benchmarks, registered."""
    names: Any = registry("benchmarks")
    with pytest.MonkeyPatch.context() as patch:  # others register toys too, and each leaves what it found
        for name, target in TOYS.items():
            patch.setitem(names, name, target)
        yield


def protocol() -> Json:
    """Overrun discarded and kept, one worker and several, failures, partial trainings, skips, lineages, hulls."""
    words = ["tiny", "keep", "narrow"]
    whole = tiny_protocol(
        methods=[
            *({"name": name, "tracks": words} for name in ("random_search", "hyperband", "regularized_evolution")),
            {"name": "petridish", "tracks": ["growing"]},
        ],
        ablations=[{"method": "regularized_evolution", "vary": {"kill": ["worst"]}}],
    )
    tiny = whole["tracks"][0]
    tiny["budget"]["limit"] = 355.0  # no whole number of trainings: the last one is discarded
    keep = {
        "benchmark": {"name": "toy-failing"},
        "budget": {"unit": "train_seconds", "limit": 500.0, "overrun": "keep", "repeats": "free"},
        "selection": {"rule": "best-validated"},
        "workers": 3,
    }
    narrow = {"benchmark": {"name": "toy-narrow"}, "budget": {"unit": "evaluations", "limit": 12.0}}
    growing = {
        "benchmark": {"name": "toy-growing"},
        "objective": {**tiny["objective"], "secondary": [MULTIPLY_ADDS]},
        "final": {**tiny["final"], "models": "hull", "seeds": [0, 1]},
    }
    others = {"keep": keep, "narrow": narrow, "growing": growing}
    whole["tracks"] = [tiny, *({**tiny, "id": name, **changes} for name, changes in others.items())]
    return whole


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation that nobody edits while the tests run."""
    folder = tmp_path_factory.mktemp("home")
    for package in ("harness", "methods", "benchmarks", "reports", "protocols"):
        (folder / package).mkdir()
        (folder / package / "__init__.py").write_text(f'"""The {package}."""\n')
    return folder


@pytest.fixture(scope="session")
def sound(toys: None, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """See `make_record`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.environment.hardware.code", lambda: {"content": content(home), "repository": None})
        return make_record(tmp_path_factory)


def make_record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete record in two segments, with its report; nobody may write to it."""
    folder = tmp_path_factory.mktemp("sound")
    (folder / "protocol.json").write_text(json.dumps(protocol()))
    loaded = load(str(folder / "protocol.json"), CATALOGUE)
    study = Study(folder / "study")
    settings = Settings(Place(None, folder / "cache"), workers=0)
    conduct(loaded.model, loaded.resolved, study, settings, Silent())
    shutil.rmtree(study.run_folder(expand(loaded.model)[-1]))
    conduct(loaded.model, loaded.resolved, study, settings, Silent())
    write(load_registered("reports", "summary")(study.record(expand(loaded.model))), study.folder / "report")
    return study.folder


class Forger:
    """Change a record; `rehash` then makes every hash agree with what stands there."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(
        self, method: str = "random_search", *, track: str = "tiny", variant: str = "base", number: int = 0
    ) -> Path:
        """Return the folder of a run."""
        return self.root / "runs" / track / method / variant / f"r{number:04d}"

    def read(self, file: str | Path) -> Json:
        """Return a JSON file."""
        data: Json = json.loads((self.root / file).read_bytes())
        return data

    def edit(self, file: str | Path, change: Callable[[Json], Any]) -> None:
        """Change a JSON file."""
        data = self.read(file)
        change(data)
        write_json(self.root / file, data, durable=False)

    def entries(self, path: Path) -> list[Json]:
        """Return the entries of a journal."""
        return [json.loads(line) for line in path.read_text().splitlines()]

    def put(self, path: Path, entries: list[Json]) -> None:
        """Write a journal, its chain made anew."""
        lines, previous = [], GENESIS
        for entry in entries:
            line = chain({key: value for key, value in entry.items() if key != "prev"}, previous)
            previous = sha256_text(line)
            lines.append(line + "\n")
        path.write_text("".join(lines))

    def change(self, path: Path, change: Callable[[list[Json]], Any]) -> None:
        """Change the entries of a journal."""
        entries = self.entries(path)
        change(entries)
        self.put(path, entries)

    def raw(self, path: Path, change: Callable[[list[str]], Any]) -> None:
        """Change the lines of a file as text, hashes left as they are."""
        lines = path.read_text().splitlines(keepends=True)
        change(lines)
        path.write_text("".join(lines))

    def specs(self) -> dict[str, Json]:
        """Return what the plan of the protocol in the folder says of each run, by folder."""
        plain = self.read("protocol.json")
        plain.pop("schema")
        model = load_model(plain)
        study = Study(self.root)
        return {str(study.run_folder(spec)): spec_plain(spec) for spec in expand(model)}

    def settle(self, run: Path) -> None:
        """Number the trials of a run anew, and sum up what they spent (one worker, unit epochs)."""
        spent = 0.0
        entries = self.entries(run / "trials.jsonl")
        for number, entry in enumerate(entries):
            spent += entry["result"]["cost"]["epochs"] if entry["counted"] else 0.0
            entry |= {"id": number, "spent": spent}
        self.put(run / "trials.jsonl", entries)
        self.change(run / "sealed.jsonl", lambda lines: [line.update(id=n) for n, line in enumerate(lines)])
        self.raw(run / "timings.jsonl", lambda lines: lines.__setitem__(slice(None), _timings(len(entries))))
        self.edit(run / "done.json", lambda done: done.update(trials=len(entries), spent=spent))

    def rehash(self) -> None:
        """Recompute every hash of the record."""
        digest = content_hash(self.read("protocol.json"))
        renamed = self._rename_environments()
        self.edit("study.json", lambda study: _refresh(study, digest))
        for folder in sorted(self.root.glob("runs/*/*/*/r*")):
            if (folder / "manifest.json").is_file():
                self.edit(folder / "manifest.json", lambda manifest: _readdress(manifest, digest, renamed))
                for name in JOURNALS:
                    self.change(folder / name, lambda entries: None)
            if (folder / "done.json").is_file():
                files = {name: sha256((folder / name).read_bytes()).hexdigest() for name in JOURNALS}
                self.edit(folder / "done.json", lambda done, files=files: done.update(files=files))
        self._reindex()

    def _rename_environments(self) -> dict[str, str]:
        renamed = {}
        for path in sorted((self.root / "environments").glob("*.json")):
            identity = content_hash(json.loads(path.read_bytes()))[:16]
            renamed[path.stem] = identity
            path.rename(path.with_name(f"{identity}.json"))
        if (self.root / "segments.jsonl").is_file():
            lines = self.entries(self.root / "segments.jsonl")
            texts = [line | {"environment": renamed.get(line["environment"], line["environment"])} for line in lines]
            self.write_segments(texts)
        return renamed

    def write_segments(self, segments: list[Json]) -> None:
        """Write segments.jsonl, which has no chain."""
        dumped = [json.dumps(each, sort_keys=True, separators=(",", ":"), ensure_ascii=False) for each in segments]
        (self.root / "segments.jsonl").write_text("".join(f"{line}\n" for line in dumped))

    def _reindex(self) -> None:
        index = self.root / "report" / "index.json"
        data = json.loads(index.read_bytes())
        data["files"] = {name: sha256((index.parent / name).read_bytes()).hexdigest() for name in data["files"]}
        write_json(index, data, durable=False)


def _timings(count: int) -> list[str]:
    return [f"[{number},0.1,0.1,0.1]\n" for number in range(count)]


def _refresh(study: Json, digest: str) -> None:
    study["protocol_hash"] = digest
    for track in study["tracks"].values():
        track["fingerprint"] = content_hash(track["manifest"])


def _readdress(manifest: Json, digest: str, renamed: dict[str, str]) -> None:
    manifest["protocol_hash"] = digest
    manifest["environment"] = renamed.get(manifest["environment"], manifest["environment"])


def load_model(plain: Json) -> Any:
    """Return a protocol model from its resolved form."""
    return ProtocolModel.model_validate(plain, by_alias=True, by_name=False)


def spec_plain(spec: RunSpec) -> Json:
    """Return a specification as a manifest holds it."""
    plain: Json = json.loads(json.dumps(spec_to_json(spec)))
    return plain


@pytest.fixture
def forger(sound: Path, tmp_path: Path) -> Forger:
    """A forger with a copy of the sound record."""
    root = tmp_path / "record"
    shutil.copytree(sound, root)
    return Forger(root)
