from __future__ import annotations

import hashlib
import json
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.bundle import bundle
from harness.core.errors import StoreError, VerificationFailed
from harness.store import Study
from harness.verify import RULES, verify
from harness.verify.archive import MANIFEST

OFFLINE = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "methods", "benchmarks", "reports", "matplotlib", "pandas"):
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
from pathlib import Path
from harness.verify import verify
verdict = verify(Path(sys.argv[1]))
print(len(verdict.findings), verdict.runs)
"""


@pytest.fixture(scope="module")
def archive(sound: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(Study(sound), tmp_path_factory.mktemp("archive") / "study.zip", home)


def repack(archive: Path, target: Path, change: Callable[[dict[str, bytes]], Any], *, rehash: bool) -> Path:
    """Write the archive again with other content; `rehash` makes its manifest right."""
    with zipfile.ZipFile(archive) as old:
        files = {name: old.read(name) for name in old.namelist()}
    change(files)
    if rehash:
        listed = {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files) if name != MANIFEST}
        files[MANIFEST] = "".join(f"{digest}  {name}\n" for name, digest in listed.items()).encode()
    with zipfile.ZipFile(target, "w") as new:
        for name, content in files.items():
            new.writestr(name, content)
    return target


def test_an_archive_is_sound_and_the_same_bytes_again(archive: Path, sound: Path, home: Path, tmp_path: Path) -> None:
    verdict = verify(archive)
    assert verdict.findings == ()
    assert (verdict.runs, verdict.rules) == (26, tuple(RULES))
    elsewhere = shutil.copytree(sound, tmp_path / "elsewhere")
    again = bundle(Study(elsewhere), None, home)
    assert again.parent == tmp_path
    assert again.read_bytes() == archive.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([again.name, "elsewhere"])


def test_an_archive_is_verified_without_what_made_it(archive: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(archive)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (found.stdout, found.stderr) == ("0 26\n", "")


def test_the_metadata_is_an_ro_crate(archive: Path) -> None:
    """What RO-Crate 1.1 demands: a descriptor, a root data set, and no reference to an entity that is not there."""
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
        crate = json.loads(opened.read("ro-crate-metadata.json"))
    graph = {entity["@id"]: entity for entity in crate["@graph"]}
    assert len(graph) == len(crate["@graph"])
    assert graph["ro-crate-metadata.json"]["about"] == {"@id": "./"}
    assert graph["ro-crate-metadata.json"]["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert {"name", "description", "datePublished", "hasPart"} <= graph["./"].keys()
    actions = [entity for entity in graph.values() if entity["@type"] == "CreateAction"]
    assert len(actions) == 2
    for action in actions:
        assert {"instrument", "object", "result", "startTime"} <= action.keys()
    for part in graph["./"]["hasPart"]:
        assert any(name == part["@id"] or name.startswith(part["@id"]) for name in names), part
    outside = {"https://w3id.org/ro/crate/1.1"}
    assert referenced(crate["@graph"]) - outside <= graph.keys()


def referenced(thing: Any) -> set[str]:
    if isinstance(thing, list):
        return {name for each in thing for name in referenced(each)}
    if not isinstance(thing, dict):
        return set()
    if thing.keys() == {"@id"}:
        return {thing["@id"]}
    return {name for value in thing.values() for name in referenced(value)}


def swap_code(files: dict[str, bytes]) -> None:
    files["code/methods/__init__.py"] = b"cheat = True\n"


def swap_value(files: dict[str, bytes]) -> None:
    name = "study/runs/tiny/random_search/base/r0000/trials.jsonl"
    files[name] = files[name].replace(b'"spent":18.0', b'"spent":17.0')


FORGERIES: dict[str, tuple[str, bool, Callable[[dict[str, bytes]], Any]]] = {
    "a changed file": ("archive-hash", False, swap_value),
    "a changed file, manifest made anew": ("journal-chain", True, swap_value),
    "a file more": ("archive-hash", False, lambda files: files.update({"study/notes.txt": b"x"})),
    "a file less": ("archive-hash", False, lambda files: files.pop("code/methods/__init__.py")),
    "no manifest": ("archive-hash", False, lambda files: files.pop(MANIFEST)),
    "a manifest of nonsense": ("archive-hash", False, lambda files: files.update({MANIFEST: b"\xff nonsense\n"})),
    "other code": ("archive-code", True, swap_code),
    "no code": ("archive-code", True, lambda files: [files.pop(name) for name in list(files) if "code/" in name]),
    "other metadata": (
        "archive-crate",
        True,
        lambda files: files.update(
            {"ro-crate-metadata.json": files["ro-crate-metadata.json"].replace(b"tiny", b"huge")}
        ),
    ),
    "no metadata": ("archive-crate", True, lambda files: files.pop("ro-crate-metadata.json")),
    "no segments": ("archive-crate", True, lambda files: files.update({"study/segments.jsonl": b"{}\n"})),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_archive_is_found(archive: Path, tmp_path: Path, name: str) -> None:
    rule, rehash, change = FORGERIES[name]
    violated = verify(repack(archive, tmp_path / "forged.zip", change, rehash=rehash)).violated
    assert rule in violated
    assert not rehash or "archive-hash" not in violated


def test_every_rule_of_archives_has_a_forgery() -> None:
    assert {rule for rule, _, _ in FORGERIES.values()} >= {rule for rule in RULES if rule.startswith("archive-")}


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "/outside",
        "study/../../outside",
        "a//b",
        "a\\..\\b",
        "C:/outside",
        "a/./b",
        "a\nb",
        "d/" * 20 + "f",
    ],
)
def test_an_entry_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "hostile.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("study/protocol.json", "{}")
        archive.writestr(name, "x")
    with pytest.raises(StoreError, match="no plain file in it; nothing of it is used"):
        verify(path)
    assert not (tmp_path / "outside").exists()


def test_a_link_in_an_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hostile.zip"
    entry = zipfile.ZipInfo("study")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(entry, "/etc")
    with pytest.raises(StoreError, match="no plain file"):
        verify(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "hostile.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("study/protocol.json", "{}")
        archive.writestr("study/Protocol.json", "{}")
    with pytest.raises(StoreError, match="two entries of the same name"):
        verify(path)


def test_an_archive_that_grows_too_large_is_refused(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.verify.archive.LARGEST", 10_000)
    with pytest.raises(StoreError, match="GiB when unpacked"):
        verify(archive)


def test_a_header_that_lies_about_its_size_is_found_on_unpacking(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytearray(archive.read_bytes())
    directory = content.index(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = (1).to_bytes(4, "little")
    path = tmp_path / "lying.zip"
    path.write_bytes(bytes(content))
    with pytest.raises(StoreError, match="not a whole archive"):
        verify(path)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_torn_archive_is_one_line(archive: Path, tmp_path: Path, share: float) -> None:
    content = archive.read_bytes()
    path = tmp_path / "torn.zip"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(StoreError, match="not a whole archive"):
        verify(path)


def test_an_unsound_record_is_packed_on_request_only(forger: Any, home: Path) -> None:
    forger.edit(forger.run() / "done.json", lambda data: data.update(reason="exhausted"))
    with pytest.raises(VerificationFailed, match="1 findings under end-reason"):
        bundle(Study(forger.root), None, home)
    archive = bundle(Study(forger.root), None, home, allow_findings=True)
    assert verify(archive).violated == ("end-reason",)


def test_other_code_is_packed_on_request_only(forger: Any, home: Path, tmp_path: Path) -> None:
    other = shutil.copytree(home, tmp_path / "other")
    (other / "methods" / "new.py").write_text("x = 1\n")
    with pytest.raises(VerificationFailed, match="the code installed here is not the code"):
        bundle(Study(forger.root), None, other)
    archive = bundle(Study(forger.root), None, other, allow_findings=True)
    assert verify(archive).violated == ("archive-code",)


def test_the_snapshot_is_this_installation(forger: Any) -> None:
    archive = bundle(Study(forger.root), None, allow_findings=True)
    with zipfile.ZipFile(archive) as opened:
        ours = Path(__file__).parents[4]
        assert opened.read("code/harness/bundle.py") == (ours / "harness" / "bundle.py").read_bytes()
        assert "code/protocols/quickstart.yaml" in opened.namelist()
        assert not [name for name in opened.namelist() if name.endswith(".pyc") or "/.lock" in name]
