"""Describe an archive of a study as an RO-Crate: a function of its files alone, so that it can be made again.

RO-Crate 1.1 (Soiland-Reyes et al., 2022) with one action for each segment, in the manner of the Process Run Crate
profile 0.5 (Leo et al., 2024).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.core.canonical import content_hash

METADATA = "ro-crate-metadata.json"
STUDY, CODE = "study", "code"
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
RO_CRATE = "https://w3id.org/ro/crate/1.1"
PROCESS = "https://w3id.org/ro/wfrun/process/0.5"
LICENCE = "https://spdx.org/licenses/Apache-2.0"
_JSON, _LINES = "application/json", "application/jsonl"

Entity = dict[str, Any]


def metadata_text(root: Path) -> str:
    """Return the text of ro-crate-metadata.json for the archive that is laid out in a folder."""
    return json.dumps(crate(root), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def crate(root: Path) -> Entity:
    """Return the RO-Crate metadata of an archive."""
    study = root / STUDY
    protocol = json.loads((study / "protocol.json").read_bytes())
    segments = [json.loads(line) for line in (study / "segments.jsonl").read_text(encoding="utf-8").splitlines()]
    environments = {entry["environment"] for entry in segments}
    parts = [*_files(study, environments), *_folders(root)]
    actions = [_action(number, entry, parts) for number, entry in enumerate(segments, start=1)]
    graph = [
        {
            "@id": METADATA,
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": {"@id": RO_CRATE},
        },
        _root(protocol, segments, parts, actions),
        {"@id": PROCESS, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
        {"@id": LICENCE, "@type": "CreativeWork", "name": "Apache License 2.0"},
        *parts,
        *(_software(study, identity) for identity in sorted(environments)),
        *actions,
    ]
    return {"@context": CONTEXT, "@graph": graph}


def _root(protocol: Entity, segments: list[Entity], parts: list[Entity], actions: list[Entity]) -> Entity:
    name = f"{protocol['protocol']} {protocol['version']}"
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": name,
        "description": protocol["description"] or protocol["title"] or f"Records of the study {name}",
        "datePublished": max(entry["started"] for entry in segments),
        "identifier": f"sha256:{content_hash(protocol)}",
        "conformsTo": {"@id": PROCESS},
        "hasPart": [{"@id": part["@id"]} for part in parts],
        "mentions": [{"@id": action["@id"]} for action in actions],
    }


def _files(study: Path, environments: set[str]) -> list[Entity]:
    described = {
        "protocol.json": ("The resolved protocol; running it alone repeats the study", _JSON),
        "study.json": ("Protocol hash, benchmarks and exact references", _JSON),
        "segments.jsonl": ("Every start and resume, with environment and time", _LINES),
        **{f"environments/{name}.json": ("Hardware, software and code", _JSON) for name in sorted(environments)},
    }
    return [
        {
            "@id": f"{STUDY}/{file}",
            "@type": "File",
            "name": name,
            "encodingFormat": kind,
            "contentSize": str((study / file).stat().st_size),
        }
        for file, (name, kind) in described.items()
    ]


def _folders(root: Path) -> list[Entity]:
    described = {
        f"{STUDY}/runs": "The journals of every run; each line holds the hash of the line before it",
        f"{STUDY}/report": "Reports, made from the journals",
        CODE: "Source of the packages",
    }
    folders: list[Entity] = [
        {"@id": f"{folder}/", "@type": "Dataset", "name": name}
        for folder, name in described.items()
        if (root / folder).is_dir()
    ]
    return [entity | ({"license": {"@id": LICENCE}} if entity["@id"] == f"{CODE}/" else {}) for entity in folders]


def _software(study: Path, identity: str) -> Entity:
    record = json.loads((study / "environments" / f"{identity}.json").read_bytes())
    code = record["code"]
    repository = code["repository"] or {}
    return {
        "@id": f"#nas-harness-{identity}",
        "@type": "SoftwareApplication",
        "name": "nas-harness",
        "softwareVersion": repository.get("commit") or f"content:{content_hash(code['content'])}",
        "softwareRequirements": list(record["software"]["distributions"]),
    }


def _action(number: int, segment: Entity, parts: list[Entity]) -> Entity:
    inputs = [f"{STUDY}/protocol.json", f"{STUDY}/environments/{segment['environment']}.json"]
    results = [part["@id"] for part in parts if part["@id"] in (f"{STUDY}/runs/", f"{STUDY}/study.json")]
    return {
        "@id": f"#segment-{number}",
        "@type": "CreateAction",
        "name": f"Segment {number} of the study",
        "startTime": segment["started"],
        "instrument": {"@id": f"#nas-harness-{segment['environment']}"},
        "object": [{"@id": name} for name in inputs],
        "result": [{"@id": name} for name in results],
    }
