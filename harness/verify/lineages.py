"""Check the lineages of a run: networks go on from paid trainings, by moves that were attached and scored."""

from __future__ import annotations

from collections.abc import Iterator

from harness.core.codec import work_to_json
from harness.core.types import Attach, Failure, Grow, Measurement, Work
from harness.verify.reading import Run, Source

_ROUNDING = 1e-9  # of a quotient of multiply-adds


def check_lineages(source: Source, run: Run) -> None:
    """Check every attachment and growth of a run, in the order in which they were asked for."""
    file = run.file("trials.jsonl")
    paid: set[Work] = set()
    for line, (record, _) in sorted(enumerate(run.trials, start=1), key=lambda pair: pair[1][0].trial.id):
        work = record.trial.work
        if isinstance(work, Attach | Grow):
            if work.after not in paid:
                source.note("free-epochs", file, line, "goes on from", "work of this run", work_to_json(work.after))
            if not _priced_by_a_table(run):
                _check_price(source, file, line, work, record.result)
        for what, expected, found in _moves(work, record.result):
            source.note("lineage-moves", file, line, what, expected, found)
        paid.add(work)


def _priced_by_a_table(run: Run) -> bool:
    """Tell whether candidates are trained on another network than the table's, and charged at the table's pace."""
    return run.facts is not None and "local" in run.facts.manifest


def _check_price(source: Source, file: str, line: int, work: Attach | Grow, result: Measurement | Failure) -> None:
    """A phase is charged its epochs at least: candidates cost on top, and a failure may end it early."""
    if not isinstance(result, Failure) and result.cost.epochs < work.epochs * (1 - _ROUNDING):
        source.note("cost-epochs", file, line, "cost.epochs", f"at least {work.epochs}", result.cost.epochs)


def _moves(work: Work, result: Measurement | Failure) -> Iterator[tuple[str, object, object]]:
    """Yield what is wrong with the moves of a piece of work and with their scores: what, expected, found."""
    scores = {} if isinstance(result, Failure) else result.scores
    moves = set(work.moves) if isinstance(work, Attach) else set()
    if isinstance(work, Attach) and isinstance(result, Measurement) and not moves <= scores.keys():
        yield "moves without a score", "none", sorted(moves - scores.keys())
    strangers = sorted(key for key in scores if key.partition("|")[0] not in moves)
    if strangers:
        yield "scores of moves that were not attached", "none", strangers
    if isinstance(work, Grow) and not (work.moves and set(work.moves) <= set(work.after.moves)):
        yield "moves", sorted(work.after.moves), sorted(work.moves)
