"""Check what the schema cannot see: that names are unique, and that what is named is there.

The checks work on plain data that may be wrong in other ways too, so that all mistakes are found in one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from harness.core.errors import nearest
from harness.core.grounds import shared_ground
from harness.protocol.nodes import Keys

Add = Callable[[Keys, str], None]


def cross_check(data: dict[str, Any], reports: Sequence[str], add: Add) -> None:
    """Tell `add` every mistake in the references within a protocol."""
    tracks = _named(data, "tracks", "id", _track_id, add)
    rows = _named(data, "methods", "id", row_key, add)
    for keys, track in mappings(data, "tracks"):
        _check_seeds(keys, track, add)
        _check_rungs(keys, track, add)
        _once((*keys, "final", "metrics"), _texts(track.get("final"), "metrics"), add)
        _check_hull(keys, track, add)
        _check_schedule(keys, track, add)
    for keys, row in mappings(data, "methods"):
        _check_tracks(keys, row, tracks, add)
    for section in ("ablations", "tuning"):
        for keys, entry in mappings(data, section):
            _refer(keys, entry, "method", rows, add)
            _check_tracks(keys, entry, tracks, add)
    _check_ablations(data, rows, add)
    _check_tuning(data, add)
    _check_published(data, rows, tracks, add)
    _check_study(data, rows, add)
    for index, name in _texts(data, "reports"):
        if name not in reports:
            add(("reports", index), f"no report {name!r}{nearest(name, reports)}; known: {', '.join(reports)}")


def mappings(data: Any, *path: str) -> Iterator[tuple[Keys, dict[str, Any]]]:
    """Yield the mappings in the list at `path`, each with its keys."""
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    for index, entry in enumerate(data if isinstance(data, list) else ()):
        if isinstance(entry, dict):
            yield (*path, index), entry


def text_at(entry: Any, key: str) -> str | None:
    """Return the text under a key, or None where there is none."""
    value = entry.get(key) if isinstance(entry, dict) else None
    return value if isinstance(value, str) else None


def row_key(row: dict[str, Any]) -> str | None:
    """Return what a method's row is called in records."""
    return text_at(row, "id") or text_at(row, "name")


Entries = dict[str, dict[str, Any]]


def _track_id(track: dict[str, Any]) -> str | None:
    return text_at(track, "id")


def _named(
    data: dict[str, Any], section: str, key: str, name_of: Callable[[dict[str, Any]], str | None], add: Add
) -> Entries:
    """Return the entries of a section by name; a name given twice is a mistake."""
    found: Entries = {}
    for keys, entry in mappings(data, section):
        name = name_of(entry)
        if name is None:
            continue
        if name in found:
            add((*keys, key if key in entry else "name"), f"{name!r} is taken already; give this one another {key!r}")
        found.setdefault(name, entry)
    return found


def _texts(entry: Any, key: str) -> list[tuple[int, str]]:
    values = entry.get(key) if isinstance(entry, dict) else None
    return [
        (index, value)
        for index, value in enumerate(values if isinstance(values, list) else ())
        if isinstance(value, str)
    ]


def _once(keys: Keys, values: Iterable[tuple[int, str]], add: Add) -> None:
    seen: set[str] = set()
    for index, value in values:
        if value in seen:
            add((*keys, index), f"{value!r} is listed twice; leave one")
        seen.add(value)


def _refer(keys: Keys, entry: dict[str, Any], key: str, known: Iterable[str], add: Add) -> None:
    name, known = text_at(entry, key), list(known)
    if name is not None and name not in known:
        add((*keys, key), f"this protocol has no {key} {name!r}{nearest(name, known)}; it has: {', '.join(known)}")


def _check_tracks(keys: Keys, entry: dict[str, Any], tracks: Entries, add: Add) -> None:
    if entry.get("tracks") == []:
        add((*keys, "tracks"), "names no track; leave the key out to mean all of them")
    _once((*keys, "tracks"), _texts(entry, "tracks"), add)
    for index, name in _texts(entry, "tracks"):
        if name not in tracks:
            near = nearest(name, tracks)
            add((*keys, "tracks", index), f"this protocol has no track {name!r}{near}; it has: {', '.join(tracks)}")


def _check_seeds(keys: Keys, track: dict[str, Any], add: Add) -> None:
    seeds = track["seeds"].get("list") if isinstance(track.get("seeds"), dict) else None
    if not isinstance(seeds, list) or not all(type(seed) is int for seed in seeds):
        return
    at = (*keys, "seeds", "list")
    replicates = track.get("replicates")
    if type(replicates) is int and len(seeds) != replicates:
        add(at, f"has {len(seeds)} seeds for {replicates} replicates; give one for each, or leave the list out")
    if len(set(seeds)) != len(seeds):
        add(at, "repeats a seed; replicates must be independent")


def _check_rungs(keys: Keys, track: dict[str, Any], add: Add) -> None:
    fidelity = track.get("fidelity")
    if not isinstance(fidelity, dict):
        return
    rungs, search = fidelity.get("rungs"), fidelity.get("search")
    if not isinstance(rungs, list) or not all(type(rung) is int for rung in rungs) or type(search) is not int:
        return
    rising = all(low < high for low, high in zip([0, *rungs], rungs, strict=False))
    if rungs and (not rising or rungs[-1] > search):
        add((*keys, "fidelity", "rungs"), f"needs rising epochs from 1 up to fidelity.search ({search}), got {rungs}")


def _check_hull(keys: Keys, track: dict[str, Any], add: Add) -> None:
    if text_at(track.get("final"), "models") == "hull" and not _texts(track.get("objective"), "secondary"):
        reason = "is 'hull', a hull of error over cost, but objective.secondary names no cost"
        add((*keys, "final", "models"), f"{reason}; name an open metric there, for instance DATA/multiply-adds")


def _check_schedule(keys: Keys, track: dict[str, Any], add: Add) -> None:
    workers = track.get("workers", 1)
    if text_at(track, "schedule") == "recorded" and type(workers) is int and workers == 1:
        add((*keys, "schedule"), "is 'recorded', but one worker ends in one order only; give 2 or more workers")


def _check_ablations(data: dict[str, Any], rows: Entries, add: Add) -> None:
    seen: set[tuple[str, str]] = set()
    for keys, ablation in mappings(data, "ablations"):
        name = text_at(ablation, "method") or ""
        own = rows.get(name, {}).get("tracks")
        for index, track in _texts(ablation, "tracks"):
            if isinstance(own, list) and track not in own:
                add((*keys, "tracks", index), f"{name!r} does not run on {track!r}; add it to the row's tracks")
        for option in ablation["vary"] if isinstance(ablation.get("vary"), dict) else ():
            if (name, option) in seen:
                add((*keys, "vary", option), f"{name!r} varies {option!r} in an earlier ablation; put the values there")
            seen.add((name, option))


def _check_tuning(data: dict[str, Any], add: Add) -> None:
    needs = {
        "tuned": ("benchmark", "fidelity", "objective", "budget", "space"),
        "published": ("citation",),
        "chosen": ("citation",),
    }
    once: set[str] = set()
    for keys, tuning in mappings(data, "tuning"):
        source, row = text_at(tuning, "source") or "", text_at(tuning, "method") or ""
        if row in once:
            add((*keys, "method"), f"{row!r} has an entry already; say in one where its options come from")
        once.add(row)
        for key in needs.get(source, ()):
            if not tuning.get(key):
                add((*keys, key), f"is missing, although the source is {source!r}; add it")


def check_grounds(data: dict[str, Any], add: Add) -> None:
    """Tell `add` of every row that is tuned on what it is reported on; options must be resolved in full.

    No row may be: what is chosen on the reported table is no longer found by the method.
    """
    own = {row_key(row) or "": row.get("tracks") for _, row in mappings(data, "methods")}
    for keys, tuning in mappings(data, "tuning"):
        choice = tuning.get("benchmark")
        if text_at(tuning, "source") != "tuned" or not isinstance(choice, dict):
            continue
        tracks = own.get(text_at(tuning, "method") or "")
        for _, track in mappings(data, "tracks"):
            runs_there = not isinstance(tracks, list) or track.get("id") in tracks
            if runs_there and (shared := shared_ground(choice, track)):
                reason = f"shares {shared} with track {track.get('id')!r}, on which the row is reported"
                add((*keys, "benchmark"), f"{reason}; tune on a benchmark and a data set that no result stands on")


def _check_published(data: dict[str, Any], rows: Entries, tracks: Entries, add: Add) -> None:
    for keys, figure in mappings(data, "analysis", "published"):
        _refer(keys, figure, "method", rows, add)
        _refer(keys, figure, "track", tracks, add)
        metric, track = text_at(figure, "metric"), tracks.get(text_at(figure, "track") or "")
        measured = [name for _, name in _texts((track or {}).get("final"), "metrics")]
        if metric is not None and measured and metric not in measured:
            near = nearest(metric, measured)
            add((*keys, "metric"), f"the track does not measure {metric!r}{near}; its final metrics: {measured}")


def _check_study(data: dict[str, Any], rows: Entries, add: Add) -> None:
    study = data.get("study")
    claimed = isinstance(study, dict) and study.get("proposes_new_method") is True
    proposed = [keys for keys, row in mappings(data, "methods") if row.get("proposed") is True]
    if proposed and not claimed:
        add((*proposed[0], "proposed"), "is true, but study.proposes_new_method is not; set both or neither")
    if claimed and not proposed:
        add(("study", "proposes_new_method"), "is true, but no row has 'proposed: true'; mark the new method")
    for keys, tombstone in mappings(data, "removed"):
        if (name := text_at(tombstone, "name")) in rows:
            add((*keys, "name"), f"{name!r} is a row of this protocol too; take one of the two out")
