"""Nothing that stands in a record may stop the verifier: it answers with findings, or with one line."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import HarnessError, StoreError
from harness.core.seeds import SeedTree
from harness.verify import Finding, verify

# References, times and seconds are told by no other file: what is said of them has a meaning, but no hash.
HASHED = ("protocol.json", "trials.jsonl", "sealed.jsonl", "final.jsonl", "manifest.json", "done.json")


def damaged(forger: Any, rng: Any, files: list[Path]) -> Path:
    """Change one byte of one file to another one; return the file."""
    path = files[rng.integers(len(files))]
    content = bytearray(path.read_bytes())
    place = int(rng.integers(len(content)))
    content[place] = (content[place] + int(rng.integers(1, 256))) % 256
    path.write_bytes(bytes(content))
    return path


def small(forger: Any) -> frozenset[Finding]:
    """Leave one run of the record, which is quick to read; return the findings: the missing runs."""
    for path in sorted(forger.root.glob("runs/*/*/*/*")):
        if path != forger.run():
            shutil.rmtree(path)
    findings = frozenset(verify(forger.root).findings)
    assert {finding.rule for finding in findings} == {"plan-complete"}
    return findings


def test_any_flipped_byte_of_what_is_hashed_is_found(forger: Any) -> None:
    rng = SeedTree(("flips",)).generator()
    baseline = small(forger)
    run = forger.run()
    files = [forger.root / "protocol.json", *(run / name for name in HASHED if (run / name).is_file())]
    files += sorted((forger.root / "environments").iterdir())
    for _ in range(200):
        before = {path: path.read_bytes() for path in files}
        path = damaged(forger, rng, files)
        if path.suffix == ".json" and _same_json(before[path], path.read_bytes()):
            path.write_bytes(before[path])
            continue
        assert set(verify(forger.root).findings) - baseline, f"{path}: {before[path]!r} -> {path.read_bytes()!r}"
        path.write_bytes(before[path])
    assert set(verify(forger.root).findings) == baseline


def _same_json(before: bytes, after: bytes) -> bool:
    with suppress(ValueError):
        return bool(json.loads(before) == json.loads(after))
    return False


def test_no_damage_stops_the_verifier(forger: Any) -> None:
    rng = SeedTree(("damage",)).generator()
    small(forger)
    files = [path for path in sorted(forger.root.rglob("*")) if path.is_file() and "runs" not in path.parts]
    files += sorted(forger.run().iterdir())
    nonsense = (b"", b"null", b"[]", b"{}", b'{"schema":1}', b"[" * 100_000, b"1e999\n", b"\x00", b'"\\ud800"\n')
    for path in files:
        before = path.read_bytes()
        for content in nonsense:
            path.write_bytes(content)
            with suppress(HarnessError):
                verify(forger.root)
        path.write_bytes(before)
    for _ in range(40):
        path = damaged(forger, rng, files)
        with suppress(HarnessError):
            verify(forger.root)


@pytest.mark.parametrize("value", [None, [], {}, "x", -1, 1e308, True, 2**70])
def test_no_value_of_another_type_stops_the_verifier(forger: Any, value: Any) -> None:
    baseline = small(forger)
    run = forger.run()
    names = ("trials.jsonl", "sealed.jsonl", "final.jsonl")
    honest = {name: forger.entries(run / name) for name in names}
    for name in names:
        for keys in sorted(paths(honest[name][0])):
            entries = forger.entries(run / name)
            target = entries[0]
            for key in keys[:-1]:
                target = target[key]
            optional = keys[-1] in ("recommended", "train_seconds", "multiply_adds") and value is None
            if keys == ("prev",) or target[keys[-1]] == value or optional:
                continue
            target[keys[-1]] = value
            forger.put(run / name, entries)
            assert set(verify(forger.root).findings) - baseline
            forger.put(run / name, honest[name])


def paths(entry: Any, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for key, value in entry.items():
        found.append((*above, key))
        if isinstance(value, dict):
            found += paths(value, (*above, key))
    return found


def test_a_folder_that_is_no_study_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no study here"):
        verify(tmp_path)
    with pytest.raises(StoreError, match="no study here"):
        verify(tmp_path / "nowhere")
