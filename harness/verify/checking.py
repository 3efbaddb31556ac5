"""Read a record once, from the protocol to the last file, and hold it against every rule."""

from __future__ import annotations

from pathlib import Path

from harness.core.errors import StoreError
from harness.core.records import TUNING, run_folder
from harness.plan import expand
from harness.tuning import all_tuning_runs, track_of
from harness.verify.across import Across
from harness.verify.archive import check_archive, is_archive, opened
from harness.verify.leftovers import Census, check_files, check_reports
from harness.verify.metrics import Names, check_metrics
from harness.verify.reading import Run, Source, read_run
from harness.verify.rules import OF_FOLDERS, RULES, Verdict
from harness.verify.runs import check_run
from harness.verify.study import Frame, check_study
from harness.verify.tuning import check_ledgers, facts_of


def verify(path: Path) -> Verdict:
    """Check a run folder or an archive of one; nothing is run, and no data are needed.

    Raises:
        StoreError: there is no study here, or the archive would write outside its folder.
    """
    if is_archive(path):
        with opened(path) as (root, study):
            archive = check_archive(root, study)
            verdict = verify_folder(study)
            return Verdict((*archive, *verdict.findings), verdict.runs, verdict.trials, tuple(RULES))
    return verify_folder(path)


def verify_folder(folder: Path) -> Verdict:
    """Check a run folder.

    Raises:
        StoreError: there is no study in this folder.
    """
    if not (folder / "protocol.json").is_file():
        raise StoreError(
            f"{folder}: no study here (protocol.json is missing); name a folder that `run` has made, "
            "for instance one below runs/, or an archive that `bundle` has made"
        )
    source = Source(folder)
    frame = check_study(source)
    runs, trials = (0, 0) if frame.protocol is None else _check_runs(source, frame)
    check_reports(source)
    return Verdict(tuple(source.findings), runs, trials, OF_FOLDERS)


def _check_runs(source: Source, frame: Frame) -> tuple[int, int]:
    assert frame.protocol is not None
    protocol, choices = frame.protocol, {row: found.options for row, found in frame.tuning.items()}
    plan = [*all_tuning_runs(protocol), *expand(protocol, choices)]
    tracks = {spec.track: track_of(protocol, spec.track) for spec in plan}
    facts = {key: facts_of(frame.tuning, key) or frame.tracks.get(key) for key in tracks}
    names = {key: Names(track, facts[key]) for key, track in tracks.items()}
    across, census = Across(source), Census(source)
    runs = trials = 0
    tunings: dict[str, list[Run]] = {}
    for spec in plan:
        run = read_run(source, spec, tracks[spec.track], facts[spec.track], run_folder(spec))
        if spec.track.startswith(TUNING):
            tunings.setdefault(spec.method, []).append(run)
        census.add(run)
        check_run(source, run, frame.protocol_hash, frame.environments)
        if run.sound:
            check_metrics(source, run, names[spec.track])
            across.add(run, names[spec.track])
        runs, trials = runs + 1, trials + len(run.trials)
    across.close()
    census.close()
    check_ledgers(source, protocol, frame.tuning, tunings)
    check_files(source, plan)
    return runs, trials
