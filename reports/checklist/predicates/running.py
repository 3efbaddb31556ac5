"""Look at the runs: curves, random search, seeds, replays, and whether all of them are accounted for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from scipy.stats import chisquare

from harness.core.canonical import Json
from reports.checklist.facts import Cell, Facts, Run
from reports.checklist.model import Finding
from reports.checklist.passage import RANDOM_SEARCH, Meeting
from reports.checklist.wording import NO_RUN, NO_TRACK, amount, counted, first, ranges

_ENDS = frozenset({"budget", "exhausted", "max_trials"})
_EXPECTED = 5  # the usual least count of a chi-square test
_LONG = 5  # trials from which two equal courses cannot be chance
_DIGITS = 6


def traces_complete(facts: Facts) -> Finding:
    """Hold if every complete run spent without ever falling, ended for a recorded reason, and reached what it says."""
    if not facts.done:
        return Finding(None, NO_RUN)
    wrong = [run for run in facts.done if not _whole(run)]
    if wrong:
        text = f"{counted(wrong, 'run')} without a whole trace, for instance {wrong[0].spec.id}"
        return Finding(False, text, len(wrong), facts.in_runs(wrong))
    ends = Counter(run.reason for run in facts.done)
    text = f"{counted(facts.done, 'run')} with traces; ended by " + first(f"{key} ({n})" for key, n in ends.items())
    return Finding(True, text, dict(ends), facts.everything())


def _whole(run: Run) -> bool:
    passage = run.passage
    ended = run.reason in _ENDS and (passage.filled or run.reason != "budget")
    return ended and passage.orderly and passage.named


def curves_shown(facts: Facts) -> Finding:
    """Hold if the study's reports draw an anytime curve of every track with complete runs."""
    wanted = [track for track in facts.opened if any(run.spec.track == track for run in facts.done)]
    if not wanted:
        return Finding(None, NO_RUN)
    sections = [section for document in facts.documents.values() for section in document.sections]
    drawn = {figure.name for section in sections for figure in section.figures}
    lacking = [track for track in wanted if f"anytime-{track}" not in drawn]
    if lacking:
        return Finding(
            False, f"no report draws a curve of {first(lacking)}", list(lacking), facts.in_protocol("/reports")
        )
    text = f"anytime curve of {counted(wanted, 'track')}"
    return Finding(True, text, list(wanted), tuple(facts.at(f"report/anytime-{track}.csv") for track in wanted))


def random_search_runs(facts: Facts) -> Finding:
    """Hold if random search has complete runs on every track, under the budget that ends the others."""
    tracks = facts.opened
    if not tracks or not facts.done:
        return Finding(None, NO_RUN if tracks else NO_TRACK)
    found = {track: [run for run in _random(facts) if run.spec.track == track] for track in tracks}
    lacking = [track for track, runs in found.items() if not runs]
    if lacking:
        return Finding(False, f"no random search on {first(lacking)}", list(lacking), facts.in_protocol("/methods"))
    short = [run for runs in found.values() for run in runs if run.reason not in ("budget", "exhausted")]
    if short:
        return Finding(
            False, f"random search did not use its budget in {counted(short, 'run')}", len(short), facts.in_runs(short)
        )
    runs = [run for each in found.values() for run in each]
    return Finding(True, f"random search under the same budget, {counted(runs, 'run')}", len(runs), facts.in_runs(runs))


def _random(facts: Facts) -> list[Run]:
    return [run for run in facts.done if run.spec.implementation == RANDOM_SEARCH and run.spec.variant == "base"]


def random_search_seeds(facts: Facts) -> Finding:
    """Hold if random search has as many complete runs on every track as any other row."""
    if not facts.done:
        return Finding(None, NO_RUN)
    fewer = []
    for track in facts.opened:
        mine = [run for run in _random(facts) if run.spec.track == track]
        if len(mine) < max((len(runs) for runs in facts.base(track).values()), default=0):
            fewer.append(track)
    if fewer:
        return Finding(
            False, f"other methods have more runs on {first(fewer)}", list(fewer), facts.in_protocol("/tracks")
        )
    return Finding(True, "as many runs as any other method", None, facts.everything())


def sampler_uniform(facts: Facts, *, alpha: float) -> Finding:
    """Hold if the draws of random search are uniform in every place of the architecture's text.

    A chi-square test for each place over the symbols that any method ever had there, with Bonferroni's correction
    over the places. Trials past the budget are among the draws.
    """
    tested = {track: _uniformity(facts.meetings[track]) for track in facts.opened if facts.meetings[track].draws}
    if not tested:
        return Finding(None, "random search drew nothing")
    bare = [f"{track} ({why})" for track, why in tested.items() if isinstance(why, str)]
    evidence = facts.in_runs(_random(facts))
    if bare:
        return Finding(None, f"cannot be tested on {first(bare)}", list(bare), evidence)
    value = {track: found for track, found in tested.items() if not isinstance(found, str)}
    worst = min(p for p, _, _ in value.values())
    text = "; ".join(
        f"{track}: p = {p:.3g} over {places} places, {draws:,} draws" for track, (p, places, draws) in value.items()
    )
    data: dict[str, Json] = {
        track: {"p": round(p, _DIGITS), "places": places, "draws": draws} for track, (p, places, draws) in value.items()
    }
    verdict = "uniform" if worst >= alpha else f"not uniform at alpha {alpha:g}"
    return Finding(worst >= alpha, f"draws {verdict}; {text}", data, evidence)


def _uniformity(meeting: Meeting) -> tuple[float, int, int] | str:
    """Return the corrected p-value, the places and the draws, or why there is none."""
    words = {arch: _symbols(arch) for arch in meeting.archs}
    lengths = {len(symbols) for symbols in words.values()}
    if len(lengths) != 1:
        return "architectures differ in length"
    places = [sorted(set(place)) for place in zip(*words.values(), strict=True)]
    draws = sum(meeting.draws.values())
    free = [(index, symbols) for index, symbols in enumerate(places) if len(symbols) > 1]
    if not free:
        return "all architectures are the same"
    if draws < _EXPECTED * max(len(symbols) for _, symbols in free):
        return f"{amount(draws, 'draw')}, too few"
    smallest = 1.0
    for index, symbols in free:
        counts: Counter[str] = Counter()
        for arch, times in meeting.draws.items():
            counts[words[arch][index]] += times
        smallest = min(smallest, float(chisquare([counts[symbol] for symbol in symbols]).pvalue))
    return min(1.0, smallest * len(free)), len(free), draws


def _symbols(arch: str) -> Sequence[str]:
    words: list[str] = re.findall(r"\w+", arch)
    return words if len(words) > 1 else arch


def sampling_reference(facts: Facts, *, least: int) -> Finding:
    """Hold if every track has the exact mean of random sampling, or at least so many runs of one random draw."""
    tracks = facts.opened
    if not tracks:
        return Finding(None, NO_TRACK)
    exact = [track for track in tracks if _exact_sampling(facts, track)]
    drawn = {
        track: sum(1 for run in facts.done if run.spec.track == track and run.spec.implementation == "random_sampling")
        for track in tracks
    }
    lacking = [track for track in tracks if track not in exact and drawn[track] < least]
    evidence = facts.in_tracks(tracks, "/references/random_sampling")
    if lacking:
        text = f"neither an exact mean nor {least} random architectures on {first(lacking)}"
        return Finding(False, text, list(lacking), evidence)
    return Finding(
        True, "; ".join(f"{t}: {'exact mean' if t in exact else f'n = {drawn[t]}'}" for t in tracks), None, evidence
    )


def _exact_sampling(facts: Facts, track: str) -> bool:
    sampling = facts.study.tracks[track].references.get("random_sampling")
    known = sampling.get(facts.plans[track]["final"]["metrics"][0]) if isinstance(sampling, Mapping) else None
    return isinstance(known, Mapping) and "mean" in known


def seeds_complete(facts: Facts) -> Finding:
    """Hold if every cell has complete runs for the registered seeds, all different, none missing and none beside."""
    cells = facts.cells()
    if not facts.done:
        return Finding(None, NO_RUN)
    lacking: dict[str, Json] = {}
    for cell, runs in cells.items():
        done = [run.spec.seed for run in runs if run.status == "done"]
        registered = _registered(facts, cell)
        if sorted(done) != sorted(registered) or len(set(done)) != len(done):
            lacking["/".join(cell)] = sorted(set(registered) - set(done))
    evidence = facts.in_protocol("/tracks")
    if lacking:
        named = first(f"{cell} ({ranges(seeds) or 'others'})" for cell, seeds in _lists(lacking))
        return Finding(False, f"seeds without a complete run: {named}", lacking, evidence)
    planned = "; ".join(f"{track}: seeds {ranges(_registered(facts, (track, '', '')))}" for track in facts.plans)
    return Finding(True, f"{counted(cells, 'cell')}, none missing; {planned}", None, evidence)


def _lists(lacking: Mapping[str, Json]) -> list[tuple[str, list[int]]]:
    return [(cell, list(seeds)) for cell, seeds in lacking.items() if isinstance(seeds, list)]


def _registered(facts: Facts, cell: Cell) -> list[int]:
    plan = facts.plans[cell[0]]
    return list(range(plan["replicates"])) if plan["seeds"]["list"] is None else list(plan["seeds"]["list"])


def enough_seeds(facts: Facts, *, full: int, least: int) -> Finding:
    """Hold weakly from `least` complete runs in every cell, and fully from `full`."""
    cells = facts.cells()
    if not facts.done:
        return Finding(None, NO_RUN)
    sizes = {"/".join(cell): sum(1 for run in runs if run.status == "done") for cell, runs in cells.items()}
    fewest = min(sizes.values())
    wanted = "" if fewest >= full else f"; add {full - fewest} seeds"
    text = f"n = {fewest} in the smallest of {counted(sizes, 'cell')}{wanted}"
    return Finding(fewest >= least, text, {"fewest": fewest}, facts.everything(), weak=fewest < full)


def seeds_honoured(facts: Facts) -> Finding:
    """Hold if runs of one cell with different seeds take different courses."""
    if not facts.done:
        return Finding(None, NO_RUN)
    same = []
    for cell, runs in facts.cells().items():
        done = [run for run in runs if run.status == "done"]
        courses = {run.passage.course for run in done}
        long = all(run.passage.trials >= _LONG for run in done)
        if len(done) > 1 and len(courses) < (len(done) if long else 2):
            same.append("/".join(cell))
    if same:
        text = f"runs with different seeds took the same course: {first(same)}"
        return Finding(False, text, list(same), facts.everything())
    return Finding(True, "different seeds, different courses", None, facts.everything())


def benchmark_kind(facts: Facts, *, kinds: Sequence[str], least: int) -> Finding:
    """Hold if a track of one of these kinds has at least so many complete runs in every cell."""
    found = {}
    for track in facts.opened:
        sizes = [sum(run.status == "done" for run in runs) for cell, runs in facts.cells().items() if cell[0] == track]
        found[track] = (str(facts.study.tracks[track].manifest.get("kind")), min(sizes, default=0))
    evidence = facts.in_tracks(list(found), "/manifest/kind")
    text = "; ".join(f"{track}: {kind}, n = {size}" for track, (kind, size) in found.items()) or NO_TRACK
    good = any(kind in kinds and size >= least for kind, size in found.values())
    return Finding(good if found else None, text, {track: kind for track, (kind, _) in found.items()}, evidence)


def runs_accounted(facts: Facts) -> Finding:
    """Hold if every planned run is complete, or skipped with a reason."""
    open_ = [run for run in facts.runs if run.status != "done" and not (run.status == "skipped" and run.reason)]
    if open_:
        states = Counter(run.status for run in open_)
        text = ", ".join(f"{n} {state}" for state, n in sorted(states.items()))
        return Finding(False, f"of {counted(facts.runs, 'planned run')}: {text}", dict(states), facts.everything())
    skipped = sum(1 for run in facts.runs if run.status == "skipped")
    text = f"{len(facts.done):,} complete, {skipped:,} skipped with a reason, of {counted(facts.runs, 'planned run')}"
    return Finding(True, text, {"done": len(facts.done), "skipped": skipped}, facts.everything())


def exclusions_reasoned(facts: Facts) -> Finding:
    """Hold if every run that the analysis leaves out is a run of the study, and left out for a stated reason."""
    known = {run.spec.id for run in facts.runs}
    parts = [entry.partition(":") for entry in facts.protocol["analysis"]["exclusions"]]
    wrong = [name.strip() for name, _, reason in parts if not reason.strip() or name.strip() not in known]
    evidence = facts.in_protocol("/analysis/exclusions")
    if wrong:
        return Finding(False, f"left out without a reason, or unknown: {first(wrong)}", list(wrong), evidence)
    return Finding(True, f"{counted(parts, 'declared exclusion')}", len(parts), evidence)


def failures_charged(facts: Facts) -> Finding:
    """Hold if no failed trial was free."""
    if not facts.done:
        return Finding(None, NO_RUN)
    free = [run for run in facts.runs if run.passage.free_failures]
    if free:
        return Finding(
            False, f"failed trials that cost nothing in {counted(free, 'run')}", len(free), facts.in_runs(free)
        )
    failed = sum(run.passage.failures for run in facts.runs)
    return Finding(True, f"{amount(failed, 'failed trial')}, all charged", failed, facts.everything())


def replayed(facts: Facts, *, path: str) -> Finding:
    """Hold if a run of every row was run again from these very journals, and all that were came out equal."""
    content = facts.content(path)
    entries = content.get("runs") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not facts.done:
        return Finding(None, f"no replay is recorded ({path} is missing)")
    runs = {run.spec.id: run for run in facts.done}
    verdicts = {str(entry.get("run")): entry for entry in entries if isinstance(entry, dict)}
    wrong = [name for name, entry in verdicts.items() if entry.get("answer") == "different"]
    evidence = (facts.at(path, "/runs"),)
    if wrong:
        return Finding(False, f"came out otherwise: {first(wrong)}", list(wrong), evidence)
    valid = [
        runs[name]
        for name, entry in verdicts.items()
        if name in runs and entry.get("answer") == "exact" and entry.get("journal") == runs[name].journal
    ]
    lacking = sorted({run.spec.method for run in facts.done} - {run.spec.method for run in valid})
    if lacking:
        return Finding(None, f"no replay of {first(lacking)}", list(lacking), evidence)
    return Finding(True, f"{counted(valid, 'run')} run again, equal to the byte", len(valid), evidence)
