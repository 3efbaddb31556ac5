"""Look for code, hyper-parameters and seeds in a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.core.canonical import Json
from reports.checklist.facts import Facts, Run
from reports.checklist.model import Finding
from reports.checklist.wording import NO_RUN, NO_TRACK, counted, first, short


def manifest_names(facts: Facts, *, keys: Mapping[str, Sequence[str]], what: str) -> Finding:
    """Hold if the manifest of every track's benchmark has the keys that its kind must have, none of them empty."""
    tracks = facts.opened
    if not tracks:
        return Finding(None, NO_TRACK)
    missing: list[Json] = []
    for track in tracks:
        manifest = facts.study.tracks[track].manifest
        wanted = keys.get(str(manifest.get("kind")))
        if wanted is None:
            missing.append(f"{track}: kind {manifest.get('kind')!r} is not known")
        else:
            missing += [f"{track}: {key}" for key in wanted if manifest.get(key) in (None, "", {}, [])]
    evidence = facts.in_tracks(tracks, "/manifest")
    if missing:
        return Finding(None, f"the benchmark's manifest does not say {what} ({first(missing)})", missing, evidence)
    return Finding(True, f"{what}: in the manifest of {counted(tracks, 'track')}", list(tracks), evidence)


def code_recorded(facts: Facts, *, packages: Sequence[str]) -> Finding:
    """Hold if every environment in use has a content hash of these packages, and all have the same."""
    names = facts.environments()
    if not names:
        return Finding(None, NO_RUN)
    found = {package: {_code(facts, name, "content", package) for name in names} for package in packages}
    evidence = facts.in_environments("/code/content")
    missing = [package for package, hashes in found.items() if None in hashes]
    if missing:
        return Finding(None, f"no content hash of {first(missing)} is recorded", list(missing), evidence)
    changed = [package for package, hashes in found.items() if len(hashes) > 1]
    if changed:
        return Finding(False, f"the code of {first(changed)} changed between runs", list(changed), evidence)
    hashes = {package: str(one) for package, (one,) in found.items()}
    text = ", ".join(f"{package} {short(value)}" for package, value in hashes.items())
    return Finding(True, f"one code for all runs: {text}", dict(hashes), evidence)


def code_committed(facts: Facts) -> Finding:
    """Hold if every environment in use names a commit, and nothing was changed since."""
    names = facts.environments()
    if not names:
        return Finding(None, NO_RUN)
    evidence = facts.in_environments("/code/repository")
    states = {(_code(facts, name, "repository", "commit"), _code(facts, name, "repository", "dirty")) for name in names}
    commits = sorted(str(commit) for commit, _ in states if commit)
    if any(dirty for _, dirty in states):
        return Finding(False, "the runs were made with uncommitted changes", list(commits), evidence)
    if any(not commit or dirty is None for commit, dirty in states):
        return Finding(None, "no commit is recorded: the code did not run from a repository", None, evidence)
    return Finding(True, f"commit {first([short(commit) for commit in commits])}, clean", list(commits), evidence)


def _code(facts: Facts, environment: str, *keys: str) -> Any:
    value: Any = facts.environment(environment).get("code")
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def options_recorded(facts: Facts) -> Finding:
    """Hold if the runs of a cell have the same options, and all that the protocol's row has."""
    cells = facts.cells()
    if not cells:
        return Finding(None, NO_RUN)
    rows = {row["id"] or row["name"]: row["options"] for row in facts.protocol["methods"]}
    wrong = [
        "/".join(cell)
        for cell, runs in cells.items()
        if any(run.spec.options != runs[0].spec.options for run in runs)
        or not rows.get(cell[1], {}).keys() <= runs[0].spec.options.keys()
    ]
    evidence = facts.in_protocol("/methods")
    if wrong:
        return Finding(False, f"options differ or lack in {first(wrong)}", list(wrong), evidence)
    return Finding(True, f"resolved options of {counted(rows, 'method')}", dict(rows), evidence)


def method_seeds(facts: Facts) -> Finding:
    """Hold if every complete run records the seed of its method, and no two replicates of a cell share one."""
    runs = facts.done
    if not runs:
        return Finding(None, NO_RUN)
    bare = [run for run in runs if _method_seed(run) is None]
    if bare:
        evidence = facts.in_runs(bare, "manifest.json")
        text = f"{counted(bare, 'run')} without a recorded seed of the method, for instance {bare[0].spec.id}"
        return Finding(None, text, len(bare), evidence)
    evidence = facts.in_runs(runs, "manifest.json", "/seeds/method")
    seeds = {(run.cell, _method_seed(run)) for run in runs}
    if len(seeds) < len(runs):
        return Finding(False, "replicates of a cell share the seed of their method", len(seeds), evidence)
    return Finding(True, f"a seed of its own in each of {counted(runs, 'run')}", len(seeds), evidence)


def _method_seed(run: Run) -> int | None:
    seeds = run.manifest.get("seeds")
    seed = seeds.get("method") if isinstance(seeds, Mapping) else None
    return seed if isinstance(seed, int) else None


def final_recorded(facts: Facts) -> Finding:
    """Hold if every complete run that recommended something has a final evaluation under declared seeds."""
    named = [run for run in facts.done if run.passage.named]
    if not named:
        return Finding(None, NO_RUN)
    bare = [run for run in named if not run.final]
    if bare:
        text = f"{counted(bare, 'run')} without a final evaluation, for instance {bare[0].spec.id}"
        return Finding(None, text, len(bare), facts.in_runs(bare, "final.jsonl"))
    seeds: dict[str, Json] = {track: list(plan["final"]["seeds"]) for track, plan in facts.plans.items()}
    listed = "; ".join(f"{track} {', '.join(map(str, plan['final']['seeds']))}" for track, plan in facts.plans.items())
    text = f"final evaluation of {counted(named, 'run')}; final seeds: {listed}"
    return Finding(True, text, seeds, facts.in_runs(named, "final.jsonl"))


def space_covers(facts: Facts) -> Finding:
    """Hold if no track saw more architectures than its space is said to have."""
    if not facts.done:
        return Finding(None, NO_RUN)
    seen = {track: len(facts.meetings[track].archs) for track in facts.opened}
    sizes = {track: _size(facts.study.tracks[track].manifest) for track in seen}
    wrong = [track for track, size in sizes.items() if size is not None and seen[track] > size]
    evidence = facts.in_tracks(list(seen), "/manifest")
    if wrong:
        return Finding(False, f"more architectures than the space has on {first(wrong)}", list(wrong), evidence)
    text = "; ".join(
        f"{track}: {count:,} architectures seen" + (f" of {sizes[track]:,}" if sizes[track] else "")
        for track, count in seen.items()
    )
    return Finding(True, text, dict(seen), evidence)


def _size(manifest: Mapping[str, Any]) -> int | None:
    cells = manifest.get("cells")
    size = cells.get("in_space") if isinstance(cells, Mapping) else None
    return size if isinstance(size, int) else None
