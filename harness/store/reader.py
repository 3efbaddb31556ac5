"""Read one run back from its folder, checking every hash on the way."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import reduce
from hashlib import sha256
from itertools import islice
from operator import add
from pathlib import Path
from typing import Any

import orjson

from harness.core.codec import cost_from_json, result_from_json, spec_to_json, work_from_json
from harness.core.errors import JournalCorrupt
from harness.core.journal import entries, whole_lines
from harness.core.records import RunRecord, Status, TrialRecord
from harness.core.types import Cost, RunSpec, Trial
from harness.store.files import read_json, read_lines
from harness.store.recorder import STARTED


def read_run(folder: Path, spec: RunSpec) -> RunRecord:
    """Return a run as it stands on disk.

    Raises:
        JournalCorrupt: a journal differs from its hash, its chain is broken, or the folder holds another run.
    """
    if (folder / "skipped.json").is_file():
        return RunRecord(spec, "skipped", read_json(folder / "skipped.json")["reason"], (), "")
    if not (folder / "manifest.json").is_file():
        return RunRecord(spec, "missing", "", (), "")
    manifest = _manifest(folder, spec)
    done = read_json(folder / "done.json") if (folder / "done.json").is_file() else None
    trials, sealed, final = (_journal(folder / name, done) for name in ("trials.jsonl", "sealed.jsonl", "final.jsonl"))
    finals = _finals(folder, final.lines)
    reported = dict(islice(finals.items(), 1))  # the others of its hull stand after it
    seconds, started = _timings(folder / "timings.jsonl")
    status: Status = "partial" if done is None else "done"
    return RunRecord(
        spec=spec,
        status=status,
        reason="" if done is None else done["reason"],
        trials=_trials(folder, trials.lines, sealed.lines),
        journal=trials.hash,
        final={arch: _mean(seeds) for arch, seeds in reported.items()},
        seconds=seconds,
        started=started,
        manifest=manifest,
        final_cost=_final_cost(folder, final.lines),
        finals={arch: tuple(seeds) for arch, seeds in reported.items() if len(seeds) > 1},
        retrained={arch: tuple(seeds) for arch, seeds in finals.items()},
    )


def _manifest(folder: Path, spec: RunSpec) -> dict[str, Any]:
    """Return the manifest without the specification, which must be that of this run."""
    recorded = read_json(folder / "manifest.json")
    if recorded.pop("spec", None) != json.loads(json.dumps(spec_to_json(spec))):
        raise JournalCorrupt(
            f"{folder}/manifest.json: the folder holds another run than the protocol's plan says; it was moved or "
            "changed: restore it from a copy, or delete this run's folder and resume"
        )
    return recorded


@dataclass(frozen=True, slots=True)
class _Journal:
    """The complete lines of a journal, and the SHA-256 of all of them."""

    lines: list[str]
    hash: str


def _journal(path: Path, done: dict[str, Any] | None) -> _Journal:
    content = path.read_bytes() if path.is_file() else b""
    found = _Journal(whole_lines(content, str(path)), sha256(content[: content.rfind(b"\n") + 1]).hexdigest())
    if done is not None and found.hash != done["files"].get(path.name):
        raise JournalCorrupt(
            f"{path}: differs from the SHA-256 in done.json; the journal was changed after the run ended: restore it "
            "from a copy, or delete this run's folder and resume"
        )
    return found


def _trials(folder: Path, trials: list[str], sealed: list[str]) -> tuple[TrialRecord, ...]:
    apart = {entry["id"]: entry["metrics"] for entry in entries(sealed, f"{folder}/sealed.jsonl")}
    return tuple(
        TrialRecord(
            trial=Trial(entry["id"], work_from_json(entry["work"]), entry["seed"]),
            result=result_from_json(entry["result"]),
            spent=entry["spent"],
            counted=entry["counted"],
            recommended=entry["recommended"],
            sealed=apart.get(entry["id"], {}),
        )
        for entry in entries(trials, f"{folder}/trials.jsonl")
    )


def _finals(folder: Path, lines: list[str]) -> dict[str, list[dict[str, float]]]:
    """Return the sealed metrics under each final seed, by architecture."""
    metrics: dict[str, list[dict[str, float]]] = {}
    for entry in entries(lines, f"{folder}/final.jsonl"):
        metrics.setdefault(entry["arch"], []).append(entry["metrics"])
    return metrics


def _mean(seeds: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each metric that every final seed has: one that diverged leaves none."""
    shared = [name for name in seeds[0] if all(name in values for values in seeds)]
    return {name: sum(values[name] for values in seeds) / len(seeds) for name in shared}


def _final_cost(folder: Path, lines: list[str]) -> Cost | None:
    """Return the sum over the final evaluations; None where one of them has no cost."""
    costs = [cost_from_json(entry["cost"]) for entry in entries(lines, f"{folder}/final.jsonl") if "cost" in entry]
    return reduce(add, costs) if costs and len(costs) == len(lines) else None


def _timings(path: Path) -> tuple[dict[str, float], float | None]:
    """Return the seconds by phase, and when the first attempt began.

    The rows of trials have one column for each phase, other rows name theirs.
    """
    rows = orjson.loads(f"[{','.join(read_lines(path))}]")
    trials = [row for row in rows if not isinstance(row[0], str)]
    named = [row for row in rows if isinstance(row[0], str)]
    columns = list(zip(*trials, strict=False)) or [()] * 4
    seconds = {name: sum(columns[place]) for place, name in enumerate(("ask", "evaluate", "tell"), start=1)}
    for name, spent in (row for row in named if row[0] != STARTED):
        seconds[name] = seconds.get(name, 0.0) + spent
    return seconds, min((at for name, at in named if name == STARTED), default=None)
