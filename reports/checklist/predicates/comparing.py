"""Look at whether methods were compared alike: benchmark, environment, protocol, test isolation, ablations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.core.canonical import Json, canonical_json, content_hash
from reports.checklist.facts import Cell, Facts
from reports.checklist.model import Evidence, Finding
from reports.checklist.wording import NO_RUN, NO_TRACK, amount, counted, first, short
from reports.wording import trains_hull

SLACK = 0.1
"""How much further apart than one replicate the mean starts of rows may lie, as a share of the runs of a track."""


def common_outcomes(facts: Facts) -> Finding:
    """Hold if the same work in the same replicate was answered alike, whoever asked for it."""
    if not facts.done:
        return Finding(None, NO_RUN)
    exact = [track for track in facts.opened if _repeatable(facts, track)]
    contradictions = [entry for track in exact for entry in facts.meetings[track].contradictions]
    shared = sum(facts.meetings[track].shared for track in exact)
    if contradictions:
        text = f"{counted(contradictions, 'trial')} answered otherwise than in another run: {first(contradictions)}"
        return Finding(False, text, list(contradictions), facts.everything())
    text = f"{amount(shared, 'trial')} that runs have in common, all answered alike"
    return Finding(True, text, shared, facts.everything())


def _repeatable(facts: Facts, track: str) -> bool:
    return facts.study.tracks[track].manifest.get("determinism") != "statistical"


def one_fingerprint(facts: Facts) -> Finding:
    """Hold if every track in use has one benchmark, with a fingerprint, as pinned where the protocol pins one."""
    tracks = facts.opened
    if not tracks:
        return Finding(None, NO_TRACK)
    prints = {track: facts.study.tracks[track].fingerprint for track in tracks}
    evidence = facts.in_tracks(tracks, "/fingerprint")
    bare = [track for track, value in prints.items() if not value]
    if bare:
        return Finding(None, f"no fingerprint of {first(bare)}", list(bare), evidence)
    pins = {track: facts.plans[track]["benchmark"]["fingerprint"] for track in tracks}
    wrong = [track for track, pin in pins.items() if pin is not None and pin != prints[track]]
    if wrong:
        return Finding(False, f"not the benchmark that the protocol pins: {first(wrong)}", list(wrong), evidence)
    text = "; ".join(f"{track} {short(value)}" for track, value in prints.items())
    return Finding(True, f"one fingerprint for each table: {text}", dict(prints), evidence)


def rows_share_tracks(facts: Facts) -> Finding:
    """Hold if every row of the comparison has complete runs on every track."""
    if not facts.done:
        return Finding(None, NO_RUN)
    rows = [row["id"] or row["name"] for row in facts.protocol["methods"]]
    lacking = [f"{row} on {track}" for track in facts.plans for row in rows if not facts.base(track).get(row)]
    if lacking:
        return Finding(False, f"without runs: {first(lacking)}", list(lacking), facts.in_protocol("/methods"))
    text = f"{counted(rows, 'method')} on {counted(facts.plans, 'track')}"
    return Finding(True, text, list(rows), facts.in_protocol("/methods"))


def environments_equal(facts: Facts, *, fields: Sequence[str]) -> Finding:
    """Hold if the environments of all complete runs agree in these fields ('*' stands for everything below)."""
    names = facts.environments()
    if not names or any("environment" not in run.manifest for run in facts.done):
        return Finding(None, "the environment of a run is not recorded" if facts.done else NO_RUN)
    leaves = [dict(_telling(facts.environment(name), fields)) for name in names]
    compared = sorted({key for each in leaves for key in each})
    differing = [key for key in compared if len({canonical_json(each.get(key)) for each in leaves}) > 1]
    evidence = facts.in_environments()
    if differing:
        methods = {
            name: sorted({run.spec.method for run in facts.done if run.manifest["environment"] == name})
            for name in names
        }
        value: dict[str, Json] = {"differing": list(differing), "methods": dict(methods)}
        text = f"{len(differing)} of {len(compared)} fields differ between runs: {first(differing)}"
        return Finding(False, text, value, evidence)
    text = f"0 of {len(compared)} must-match fields differ over {amount(len(names), 'environment')}"
    return Finding(True, text, {"compared": list(compared)}, evidence)


def _telling(record: Mapping[str, Json], fields: Sequence[str]) -> Iterator[tuple[str, Json]]:
    flat = dict(_flat(dict(record), ""))
    for name in fields:
        if name.endswith("*"):
            yield from ((key, value) for key, value in flat.items() if key.startswith(name[:-1]))
        else:
            yield name, flat.get(name)


def _flat(value: Json, path: str) -> Iterator[tuple[str, Json]]:
    """Yield every leaf with its path; 'name==version' in a list is a leaf named after the distribution."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and path.endswith("distributions"):
        for entry in value:
            name, _, version = str(entry).partition("==")
            yield f"{path}.{name}", version
    elif isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
        for index, entry in enumerate(value):
            yield from _flat(entry, f"{path}.{index}")
    else:
        yield path, value


def no_drift(facts: Facts) -> Finding:
    """Hold if no start or resume recorded a change of the environment."""
    segments = facts.study.segments
    if not segments:
        return Finding(None, "no start of the study is recorded")
    drifted = sorted({str(name) for segment in segments for name in _drift(segment)})
    evidence = (facts.at("segments.jsonl"),)
    if drifted:
        return Finding(False, f"changed on the way: {first(drifted)}", list(drifted), evidence)
    return Finding(True, f"no drift over {counted(segments, 'segment')}", len(segments), evidence)


def _drift(segment: Mapping[str, Any]) -> Sequence[Any]:
    return list(segment.get("drift") or ())


def interleaved(facts: Facts) -> Finding:
    """Hold if the rows of a track took turns, so that the time of day, heat and neighbours fall on all of them alike.

    Where every complete run has its start, the mean place of a row's runs in the order of the starts decides: rows that
    take turns lie no further apart than one replicate takes, and a tenth of the track is allowed besides for work in
    parallel. Elsewhere the order of the plan does.
    """
    bare = [run for run in facts.done if run.started is None]
    if not facts.done or bare:
        return _planned_in_turns(facts)
    apart = {track: _apart(facts, track) for track in facts.opened}
    far = [track for track, (share, replicates) in apart.items() if share > 1 / replicates + SLACK]
    shares = [f"{track} {100 * share:.1f} %" for track, (share, _) in apart.items()]
    evidence = facts.in_runs(facts.done, "timings.jsonl")
    value: dict[str, Json] = {track: round(share, 4) for track, (share, _) in apart.items()}
    if far:
        return Finding(False, f"the rows did not take turns: mean starts lie apart by {first(shares)}", value, evidence)
    return Finding(True, f"the rows took turns: mean starts lie apart by {first(shares)} of the runs", value, evidence)


def _apart(facts: Facts, track: str) -> tuple[float, int]:
    """Return how far apart the mean places of the rows are, as a share of all runs, and the fewest runs of a row."""
    runs = sorted((run for run in facts.done if run.spec.track == track), key=lambda run: run.started or 0.0)
    places: dict[Cell, list[int]] = {}
    for place, run in enumerate(runs):
        places.setdefault(run.cell, []).append(place)
    means = [sum(found) / len(found) / len(runs) for found in places.values()]
    return max(means, default=0.0) - min(means, default=0.0), min(map(len, places.values()), default=1)


def _planned_in_turns(facts: Facts) -> Finding:
    if not facts.done:
        return Finding(None, NO_RUN)
    order = [(run.spec.track, run.spec.replicate) for run in facts.runs]
    blocks = sum(1 for before, now in zip([None, *order], order, strict=False) if before != now)
    text = "planned replicate by replicate, every method in each; when each run started is not recorded"
    if blocks == len(set(order)):
        return Finding(True, text, {"blocks": blocks}, facts.in_protocol(""))
    return Finding(False, "methods are not interleaved in the plan", {"blocks": blocks}, facts.in_protocol(""))


def nothing_to_ablate(facts: Facts) -> Finding:
    """Hold if the study proposes no new method and ablates none."""
    proposes = bool(facts.protocol["study"]["proposes_new_method"])
    ablates = bool(facts.protocol["ablations"])
    evidence = facts.in_protocol("/study/proposes_new_method")
    if proposes or ablates:
        return Finding(False, "the study proposes or ablates a method", None, evidence)
    return Finding(True, "the study proposes no new method", None, evidence)


def ablated(facts: Facts) -> Finding:
    """Hold if every proposed row (any row, where none is proposed) has a variant that differs in one option."""
    rows = {row["id"] or row["name"]: row for row in facts.protocol["methods"]}
    proposed = [key for key, row in rows.items() if row["proposed"]]
    evidence = facts.in_protocol("/ablations")
    if facts.protocol["study"]["proposes_new_method"] and not proposed:
        return Finding(False, "no row is marked as proposed", None, facts.in_protocol("/methods"))
    single: dict[str, set[str]] = {}
    for (_, method, variant), runs in facts.cells().items():
        options, base = runs[0].spec.options, facts.options(method)
        changed = [key for key in options.keys() | base.keys() if options.get(key) != base.get(key)]
        if variant != "base" and len(changed) == 1:
            single.setdefault(method, set()).add(variant)
    lacking = [key for key in proposed if key not in single]
    if lacking or not single:
        return Finding(False, f"no single-factor ablation of {first(lacking or ['any row'])}", list(lacking), evidence)
    found = {method: sorted(variants) for method, variants in single.items()}
    text = "; ".join(f"{method}: {first(variants)}" for method, variants in found.items())
    return Finding(True, f"single-factor ablations: {text}", dict(found), evidence)


def ablation_paired(facts: Facts) -> Finding:
    """Hold if every variant has complete runs for the very replicates of its base."""
    cells = facts.cells()
    seeds = {cell: sorted(run.spec.seed for run in runs if run.status == "done") for cell, runs in cells.items()}
    variants = [cell for cell in seeds if cell[2] != "base"]
    unpaired = ["/".join(cell) for cell in variants if seeds[cell] != seeds.get((*cell[:2], "base"))]
    if unpaired:
        return Finding(False, f"not the seeds of the base: {first(unpaired)}", list(unpaired), facts.everything())
    least = min((len(seeds[cell]) for cell in variants), default=0)
    if not least:
        return Finding(None, "no ablation has complete runs", 0, facts.in_protocol("/ablations"))
    return Finding(True, f"paired over the same seeds, n = {least}", least, facts.everything())


def one_protocol(facts: Facts) -> Finding:
    """Hold if every complete run was made under the hash of the study's protocol."""
    runs = facts.done
    if not runs:
        return Finding(None, NO_RUN)
    bare = [run for run in runs if "protocol_hash" not in run.manifest]
    if bare:
        return Finding(
            None, "a run does not say under which protocol it ran", None, facts.in_runs(bare, "manifest.json")
        )
    strange = [run for run in runs if run.manifest["protocol_hash"] != facts.study.protocol_hash]
    if strange:
        text = f"{counted(strange, 'run')} under another protocol, for instance {strange[0].spec.id}"
        return Finding(False, text, len(strange), facts.in_runs(strange, "manifest.json", "/protocol_hash"))
    text = f"{counted(runs, 'run')} under protocol {short(facts.study.protocol_hash)}"
    return Finding(True, text, facts.study.protocol_hash, facts.in_runs(runs, "manifest.json", "/protocol_hash"))


def no_leak(facts: Facts) -> Finding:
    """Hold if no sealed metric stands among what any method was told."""
    if not facts.done:
        return Finding(None, NO_RUN)
    leaks = [run for run in facts.runs if run.passage.leaked]
    if leaks:
        names = sorted({name for run in leaks for name in run.passage.leaked})
        text = f"{counted(leaks, 'run')} told the method {first(names)}"
        return Finding(False, text, list(names), facts.in_runs(leaks))
    trials = sum(run.passage.trials for run in facts.runs)
    return Finding(True, f"test metrics told during search: 0, over {amount(trials, 'trial')}", 0, facts.everything())


def splits_apart(facts: Facts) -> Finding:
    """Hold if on every track the search sees another split than the sealed one, and another metric."""
    wrong = [
        track
        for track, plan in facts.plans.items()
        if plan["splits"]["search"].strip() == plan["splits"]["final"].strip()
        or plan["objective"]["metric"] in plan["final"]["metrics"]
    ]
    evidence = facts.in_protocol("/tracks")
    if wrong:
        return Finding(False, f"the search sees what is sealed on {first(wrong)}", list(wrong), evidence)
    shown = "; ".join(f"{plan['splits']['search']} | {plan['splits']['final']}" for plan in facts.plans.values())
    return Finding(True, f"search | sealed: {shown}", None, evidence)


def one_candidate(facts: Facts) -> Finding:
    """Hold if every complete run evaluated one architecture finally: none was chosen by its sealed metric.

    Where the protocol declares that hulls are trained finally too, the first one is what the run reports.
    """
    if not facts.done:
        return Finding(None, NO_RUN)
    many = [run for run in facts.done if run.finalists > 1 and not trains_hull(facts.plans[run.spec.track])]
    if many:
        text = f"{counted(many, 'run')} with several final candidates, for instance {many[0].spec.id}"
        return Finding(False, text, len(many), facts.in_runs(many, "final.jsonl"))
    return Finding(True, "one final candidate per run", 1, facts.in_runs(facts.done, "final.jsonl"))


def data_hashed(facts: Facts) -> Finding:
    """Hold if the manifest of every track in use names its data with SHA-256."""
    tracks = facts.opened
    if not tracks:
        return Finding(None, NO_TRACK)
    found = {track: _digests(facts.study.tracks[track].manifest.get("data")) for track in tracks}
    evidence = facts.in_tracks(tracks, "/manifest/data")
    bare = [track for track, digests in found.items() if not digests]
    if bare:
        return Finding(None, f"no checksum of the data of {first(bare)}", list(bare), evidence)
    total = sum(map(len, found.values()))
    return Finding(True, f"{amount(total, 'checksum')} over {counted(tracks, 'track')}", total, evidence)


def _digests(value: Json) -> list[str]:
    if isinstance(value, dict):
        return [digest for inner in value.values() for digest in _digests(inner)]
    if isinstance(value, list):
        return [digest for inner in value for digest in _digests(inner)]
    known = (
        isinstance(value, str) and len(value) == len(content_hash(None)) and not set(value) - set("0123456789abcdef")
    )
    return [str(value)] if known else []


def fingerprint_matches(facts: Facts) -> Finding:
    """Hold if the fingerprint of every track in use is the content hash of its manifest."""
    tracks = facts.opened
    if not tracks:
        return Finding(None, NO_TRACK)
    wrong = [
        track
        for track in tracks
        if facts.study.tracks[track].fingerprint != content_hash(dict(facts.study.tracks[track].manifest))
    ]
    evidence: tuple[Evidence, ...] = facts.in_tracks(tracks, "/fingerprint")
    if wrong:
        return Finding(False, f"the fingerprint of {first(wrong)} is not that of its manifest", list(wrong), evidence)
    return Finding(True, "every fingerprint is the hash of its manifest", None, evidence)
