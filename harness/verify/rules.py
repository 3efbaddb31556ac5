"""Name the rules of a sound record, one sentence each, and say how a violation is reported."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from harness.core.canonical import canonical_json

RULES = {
    "file-readable": "Every file of the record is there, is not torn, and holds JSON of its own form.",
    "line-form": "Every journal line is canonical JSON with exactly the fields of its kind.",
    "value-finite": "Every number is finite.",
    "protocol-valid": "protocol.json is a valid protocol with every default written out.",
    "protocol-hash": "study.json and every manifest hold the hash of protocol.json.",
    "folder-name": "A folder named after a protocol and its hash holds that protocol.",
    "plan-complete": "Every run of the plan is done; a row is skipped in all its replicates or in none.",
    "plan-only": "No run is there that the protocol does not ask for.",
    "manifest-spec": "Every manifest describes the run that the plan has in its place.",
    "seed-tree": "The seeds of every manifest derive from protocol, track, replicate and method.",
    "trial-seed": "The seed of every trial derives from protocol, track, replicate and work.",
    "journal-chain": "Every journal line holds the SHA-256 of the line before it.",
    "journal-hash": "done.json holds the SHA-256 of each journal.",
    "trial-order": "Trial ids count from 0 without a gap, in an order in which the track's workers can end them.",
    "budget-spent": "What is spent is the sum of the prices of the trials in the unit of the budget.",
    "budget-counted": "A trial counts if the protocol's overrun rule lets it, and none starts after the limit.",
    "end-reason": "The reason of the end follows from the journal.",
    "end-numbers": "done.json holds the numbers that its journals give.",
    "selection": "The reported architecture is the one that the selection rule chooses within the limit.",
    "recommended-known": "In a search by evaluation, what is recommended was evaluated with success by then.",
    "free-epochs": "No training goes on from epochs that its run has not paid for.",
    "cost-epochs": "A training is charged the epochs that it trains, and more where candidates are attached.",
    "lineage-moves": "Every attached move has a score, nothing else has one, and what grows is made of attached moves.",
    "cost-constant": "In a table the same training costs the same everywhere.",
    "sealed-apart": "No sealed metric stands in trials.jsonl.",
    "metric-known": "No trial measures a metric that the other trials of its track do not.",
    "objective-value": "The value of a measurement is its objective.",
    "value-range": "A metric in % lies between 0 and 100.",
    "sealed-match": "sealed.jsonl has one line per trial, in order, with the sealed metrics and no others.",
    "final-match": "final.jsonl holds what the protocol has trained finally, under each final seed, and nothing else.",
    "common-outcome": "The same work in the same replicate has the same outcome in every run.",
    "mean-constant": "In a table a mean over trials has one value for each architecture.",
    "optimum-bound": "No value is better than the recorded optimum of the space.",
    "replicates-distinct": "No replicate takes the course of another replicate of the same row.",
    "courses-distinct": "No two methods with different code take the same course.",
    "timings": "timings.jsonl has the seconds of every trial, none of them negative.",
    "segments-time": "There is a segment, each starts no earlier than the one before, and none ends before it starts.",
    "environment-hash": "Every environment record is named by its content hash.",
    "environment-known": "Every segment's environment is recorded, and every run's is that of a segment.",
    "drift-recorded": "The drift of every segment is what the environment records give.",
    "track-fingerprint": "The fingerprint of a track is the content hash of its benchmark's manifest, as pinned.",
    "track-known": "study.json knows the tracks of the protocol, and no others; a skipped one has no results.",
    "references": "The exact facts of a space agree with one another.",
    "tuning-apart": "No row is tuned on a benchmark or a data set that it is reported on.",
    "tuning-ledger": "What study.json says of a tuning is what its runs give, the chosen setting included.",
    "report-index": "Every file of a report is listed in its index with its SHA-256.",
    "nothing-else": "The folder holds no file that is no part of a record.",
    "archive-hash": "Every file of an archive is listed in its manifest with its SHA-256.",
    "archive-crate": "The archive's RO-Crate metadata describes this study.",
    "archive-code": "The archive's code is the code that the record's environments name.",
}
"""Id -> one sentence that is true of every sound record."""

OF_FOLDERS = tuple(rule for rule in RULES if not rule.startswith("archive-"))
"""The rules that a run folder is held against; an archive is held against all."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One violation of a rule.

    Attributes:
        rule: its id.
        file: path within the record.
        line: line of a journal, from 1; 0 where the finding is about the whole file.
        what: what is wrong, in a few words.
        expected: what the rest of the record implies, or an empty string.
        found: what stands there, or an empty string.
    """

    rule: str
    file: str
    line: int
    what: str
    expected: str = ""
    found: str = ""

    def __post_init__(self) -> None:
        assert self.rule in RULES, self.rule

    @property
    def place(self) -> str:
        """File and line."""
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of a verification.

    Attributes:
        findings: in the order of reading.
        runs: runs that were read.
        trials: trials that were read.
        rules: ids of the rules that were checked.
    """

    findings: tuple[Finding, ...]
    runs: int
    trials: int
    rules: tuple[str, ...]

    @property
    def violated(self) -> tuple[str, ...]:
        """The ids of the violated rules, in the order of `RULES`."""
        broken = {finding.rule for finding in self.findings}
        return tuple(rule for rule in RULES if rule in broken)

    def plain(self) -> dict[str, Any]:
        """Return the verdict as plain data."""
        return {
            "schema": 1,
            "runs": self.runs,
            "trials": self.trials,
            "rules": {rule: RULES[rule] for rule in self.rules},
            "violated": list(self.violated),
            "findings": [asdict(finding) for finding in self.findings],
        }


SHOWN = 80


def shown(value: Any) -> str:
    """Return a value as short text."""
    text = value if isinstance(value, str) else canonical_json(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
