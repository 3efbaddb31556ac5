"""Carry out the commands that hold a record to account: verify, replay, repeat, bundle."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path

from rich.console import Console

from harness.bundle import bundle
from harness.campaign import Settings
from harness.cli.parser import place_of, workers_of
from harness.cli.progress import Display
from harness.cli.tables import console, print_facts, print_table, shown
from harness.core.errors import OutputUnwritable, UsageError, VerificationFailed
from harness.core.schema import ProtocolModel
from harness.plan import CATALOGUE
from harness.protocol import load
from harness.recheck import recheck
from harness.repeat import Repeated, repeat, seed_block, summary
from harness.replay import Replayed, finished, note, replay, sample
from harness.store import Study
from harness.verify import RULES, Verdict, verify

SHOWN = 160  # characters of a journal line


def _study(folder: Path) -> tuple[Study, ProtocolModel]:
    study = Study(folder.resolve())
    study.protocol()
    return study, load(str(study.folder / "protocol.json"), CATALOGUE).model


def verify_record(options: argparse.Namespace) -> int:
    """Check a record against every rule, offline."""
    if options.data_dir is not None and options.run.is_file():
        raise UsageError(f"verify: --data-dir is for a run folder; unpack {options.run} and name its study/")
    verdict = verify(options.run)
    if options.data_dir is not None:
        verdict = _with_data(verdict, options)
    if options.json:
        sys.stdout.write(json.dumps(verdict.plain(), indent=1, ensure_ascii=False) + "\n")
    else:
        _print_findings(options.run, verdict)
    if verdict.findings:
        raise VerificationFailed(
            f"{options.run}: {len(verdict.findings)} findings under {len(verdict.violated)} rules; restore the files "
            "from a copy, let `resume` do what is missing, or do not trust this record"
        )
    return 0


def _with_data(verdict: Verdict, options: argparse.Namespace) -> Verdict:
    """Add what differs from the data; tracks that cannot be opened here are told on standard error."""
    study, protocol = _study(options.run)
    found, unopened = recheck(study, protocol, place_of(options))
    for track, reason in unopened.items():
        Console(stderr=True).print(f"track {track} not held against the data: {reason}", markup=False)
    return replace(verdict, findings=(*verdict.findings, *found))


def _print_findings(run: Path, verdict: Verdict) -> None:
    out = console()
    if verdict.findings:
        rows = [
            tuple(map(_printable, (each.rule, each.place, each.what, each.expected, each.found)))
            for each in verdict.findings
        ]
        print_table(out, f"{run}: findings", ("rule", "where", "what", "expected", "found"), rows)
        print_facts(out, "the rules", {rule: RULES[rule] for rule in verdict.violated})
    else:
        text = f"{run}: all {len(verdict.rules)} rules hold, {verdict.runs} runs with {verdict.trials} trials read"
        out.print(text, markup=False)


def _printable(text: str) -> str:
    """Return a text without control characters: what a record holds is not trusted with the terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def replay_runs(options: argparse.Namespace) -> int:
    """Execute a sample of the runs again and compare the journals byte for byte."""
    study, protocol = _study(options.run)
    done = finished(study, protocol)
    chosen = sample(done, options.sample, options.seed)
    out = console()
    out.print(f"{len(chosen)} of {len(done)} finished runs, drawn with seed {options.seed}, executed again")

    def told(answer: Replayed) -> None:
        out.print(f"{answer.spec.id}: {_wording(answer)}", markup=False)

    answers = replay(study, protocol, chosen, place_of(options), workers_of(options), told)
    _note(study, answers, out)
    different = [answer for answer in answers if answer.answer == "different"]
    if different:
        raise VerificationFailed(
            f"{options.run}: {len(different)} of {len(answers)} runs came out differently, the first "
            f"{different[0].spec.id} at {different[0].place}; compare this machine with environments/ of the record"
        )
    exact = sum(answer.answer == "exact" for answer in answers)
    out.print(f"exact reproducibility: {exact} of {len(answers)} runs gave the same bytes", markup=False)
    return 0


def _note(study: Study, answers: Sequence[Replayed], out: Console) -> None:
    try:
        note(study, answers)
    except OutputUnwritable as error:  # somebody else's record, perhaps: the answers stand on the terminal
        out.print(f"not noted for the checklist: {error}", markup=False)


def _wording(answer: Replayed) -> str:
    if answer.answer == "exact":
        return "the same bytes"
    if answer.answer == "statistical":
        return "not executed: the benchmark declares that it cannot be replayed to the byte; use `repeat`"
    lines = (f"  {name}: {line[:SHOWN]}" for name, line in (("recorded", answer.recorded), ("now", answer.again)))
    return "\n".join([f"differs at {answer.place}", *lines])


def repeat_study(options: argparse.Namespace) -> int:
    """Run the same protocol with other seeds and test for equivalence."""
    study, protocol = _study(options.run)
    settings = Settings(place_of(options), workers_of(options), options.allow_slow, options.allow_drift)
    target = None if options.out is None else options.out.resolve()
    with Display(Console(stderr=True)) as display:
        again, answers = repeat(study, protocol, seed_block(options.seeds), target, settings, display)
    out = console()
    analysis = protocol.analysis
    heading = (
        f"{options.run}: original against new seeds: margin {analysis.equivalence_margin:g}, alpha {analysis.alpha:g}"
    )
    columns = ("track", "method", "variant", "n", "original", "new seeds", "p equivalent", "p different", "p ranks")
    print_table(out, heading, (*columns, "verdict"), [tuple(_cells(answer)) for answer in answers])
    out.print(summary(answers), markup=False)
    out.print(f"run folder: {shown(again.folder)}", markup=False)
    return 0


def _cells(answer: Repeated) -> tuple[str, ...]:
    numbers = (answer.means[0], answer.means[1], answer.p_equivalence, answer.p_difference, answer.p_ranks)
    shown = (f"{value:.4g}" if isfinite(value) else "-" for value in numbers)
    sizes = f"{answer.sizes[0]}, {answer.sizes[1]}"
    return (answer.track, answer.method, answer.variant, sizes, *shown, answer.verdict)


def bundle_study(options: argparse.Namespace) -> int:
    """Pack a study into one archive."""
    target = None if options.out is None else options.out.resolve()
    archive = bundle(Study(options.run.resolve()), target, allow_findings=options.allow_findings)
    out = console()
    out.print(f"archive: {shown(archive)} ({archive.stat().st_size / 1e6:.1f} MB)", markup=False)
    out.print(f"check it anywhere with: python -m harness verify {shown(archive)}", markup=False)
    return 0
