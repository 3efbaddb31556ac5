"""Check one run: its identity, its seeds, its budget, its end."""

from __future__ import annotations

import json
import math
from typing import Any

from harness.core.codec import spec_to_json
from harness.core.derivation import seeds_of, work_seed
from harness.core.errors import RulesBroken
from harness.core.lineage import trained
from harness.core.types import Advance, Arch, Evaluate, Failure, Probe
from harness.verify.course import Course, chosen, follow
from harness.verify.lineages import check_lineages
from harness.verify.reading import Run, Source

COLUMNS = 4  # of a line of timings.jsonl: id, and seconds of ask, evaluate and tell
PHASE_COLUMNS = 2  # of one about something else than a trial: its name and its seconds, or when an attempt started
PHASES = ("started", "selection", "final", "wall")


def check_run(source: Source, run: Run, protocol_hash: str, environments: frozenset[str]) -> None:
    """Check everything about a run that needs no other run."""
    if not (source.root / run.folder / "manifest.json").is_file():
        return
    _check_manifest(source, run, protocol_hash, environments)
    if not run.sound:
        return
    _check_trial_seeds(source, run)
    _check_epochs(source, run)
    check_lineages(source, run)
    _check_recommended(source, run)
    _check_timings(source, run)
    try:
        course = follow(run.trials, run.track, ended=run.done is not None)
    except RulesBroken as error:
        source.note("budget-spent", run.file("trials.jsonl"), 0, str(error).partition(";")[0])
        return
    _check_course(source, run, course)
    _check_end(source, run, course)


def _check_manifest(source: Source, run: Run, protocol_hash: str, environments: frozenset[str]) -> None:
    manifest, file = run.manifest, run.file("manifest.json")
    if manifest is None:
        return
    spec = json.loads(json.dumps(spec_to_json(run.spec)))
    for key in sorted(spec.keys() | manifest.spec.keys()):
        if key not in spec or key not in manifest.spec or spec[key] != manifest.spec[key]:
            source.note("manifest-spec", file, 0, f"spec.{key}", spec.get(key), manifest.spec.get(key))
    if manifest.protocol_hash != protocol_hash:
        source.note("protocol-hash", file, 0, "protocol_hash", protocol_hash, manifest.protocol_hash)
    if manifest.environment not in environments:
        source.note("environment-known", file, 0, "the environment is that of no segment", found=manifest.environment)
    seeds = seeds_of(run.spec, run.track)
    method = seeds.child("method", run.spec.implementation).seed()
    if manifest.seeds.replicate != list(seeds.path):
        source.note("seed-tree", file, 0, "seeds.replicate", list(seeds.path), manifest.seeds.replicate)
    if manifest.seeds.method != method:
        source.note("seed-tree", file, 0, "seeds.method", method, manifest.seeds.method)


def _check_trial_seeds(source: Source, run: Run) -> None:
    seeds = seeds_of(run.spec, run.track)
    for line, (record, _) in enumerate(run.trials, start=1):
        expected = work_seed(seeds, record.trial.work)
        if record.trial.seed != expected:
            source.note("trial-seed", run.file("trials.jsonl"), line, "seed", expected, record.trial.seed)


def _check_epochs(source: Source, run: Run) -> None:
    """Check that trainings go on from paid epochs only, and are charged for the rest."""
    paid: dict[Arch, int] = {}
    order = sorted(enumerate(run.trials, start=1), key=lambda pair: pair[1][0].trial.id)
    for line, (record, _) in order:
        work, cost = record.trial.work, record.result.cost
        if not isinstance(work, Evaluate):
            continue
        if work.start > paid.get(work.arch, 0):
            source.note(
                "free-epochs", run.file("trials.jsonl"), line, "start", f"at most {paid.get(work.arch, 0)}", work.start
            )
        paid[work.arch] = max(work.epochs, paid.get(work.arch, 0))
        rest = work.epochs - work.start
        wrong = cost.epochs > max(rest, 1) if isinstance(record.result, Failure) else cost.epochs != rest
        if work.parent is None and wrong:
            source.note("cost-epochs", run.file("trials.jsonl"), line, "cost.epochs", rest, cost.epochs)


def _check_recommended(source: Source, run: Run) -> None:
    """Check recommendations against what was evaluated or grown with success, where no shared weights were trained."""
    if any(isinstance(record.trial.work, Advance | Probe) for record, _ in run.trials):
        return
    succeeded: set[str] = set()
    for line, (record, _) in enumerate(run.trials, start=1):
        arch = trained(record.trial.work)
        if record.counted and arch is not None and not isinstance(record.result, Failure):
            succeeded.add(arch)
        known = record.recommended in succeeded if succeeded else record.recommended is None
        if not known:
            source.note(
                "recommended-known",
                run.file("trials.jsonl"),
                line,
                "recommended",
                "an architecture evaluated with success by then" if succeeded else None,
                record.recommended,
            )


def _check_timings(source: Source, run: Run) -> None:
    file = run.file("timings.jsonl")
    timed: set[int] = set()
    for line, text in enumerate(source.lines(file, torn=run.done is None), start=1):
        row = _row(text)
        if row is None:
            source.note("timings", file, line, "is no list of an id and three seconds, or a phase and one", found=text)
            continue
        if row[0] not in PHASES:
            timed.add(row[0])
        if any(not 0 <= seconds < math.inf for seconds in row[1:]):
            source.note("timings", file, line, "seconds", "0 or more", row[1:])
    ids = {record.trial.id for record, _ in run.trials}
    missing = ids - timed if run.done is not None else set()
    # A kill may fall between a trial and its seconds, never the other way round.
    if missing or timed - ids:
        source.note("timings", file, 0, "ids of trials", sorted(missing) or "", sorted(timed - ids) or "")


def _row(text: str) -> list[Any] | None:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, list) or not row:
        return None
    phase = isinstance(row[0], str) and row[0] in PHASES
    if len(row) != (PHASE_COLUMNS if phase else COLUMNS) or not (phase or type(row[0]) is int):
        return None
    return row if all(type(seconds) in (int, float) for seconds in row[1:]) else None


def _check_course(source: Source, run: Run, course: Course) -> None:
    """Hold the journal against its course; only the first line that differs is told, the rest follows from it."""
    file = run.file("trials.jsonl")
    for line, (record, _) in enumerate(run.trials, start=1):
        if line > len(course.steps):
            if course.reason:
                rule = "trial-order" if course.reason == "exhausted" else "budget-counted"
                source.note(rule, file, line, f"a trial after the end of the run ({course.reason})")
            return
        step = course.steps[line - 1]
        for rule, what, expected, found in (
            ("trial-order", "id", step.id, record.trial.id),
            ("budget-counted", "counted", step.counted, record.counted),
            ("budget-spent", "spent", step.spent, record.spent),
        ):
            if expected != found:
                source.note(rule, file, line, what, expected, found)
                return


def _check_end(source: Source, run: Run, course: Course) -> None:
    done, file = run.done, run.file("done.json")
    if done is None:
        return
    if done.reason != course.reason:
        source.note("end-reason", file, 0, "reason", course.reason, done.reason)
    if done.trials != len(run.trials):
        source.note("end-numbers", file, 0, "trials", len(run.trials), done.trials)
    if done.spent != course.spent:
        source.note("end-numbers", file, 0, "spent", course.spent, done.spent)
    expected = chosen(run.trials, run.track)
    if done.recommended != expected:
        source.note("selection", file, 0, "recommended", expected, done.recommended)
