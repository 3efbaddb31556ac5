"""Name everything that can go wrong for a user, and the exit code of each.

    HarnessError                      1   any error that has a one-line message and a next step
    ├── UsageError                    2   a wrong command line
    ├── ProtocolError                 3   mistakes in a protocol file, all of them at once
    ├── DataError                     4
    │   ├── DataMissing                   a table or data set is not on this machine
    │   └── DataCorrupt                   a file differs from its checksum or its schema
    ├── StoreError                    5
    │   ├── FolderBusy                    another process is writing to the run folder
    │   ├── FolderForeign                 the run folder belongs to another protocol
    │   ├── JournalCorrupt                a journal was changed after it was written
    │   ├── OutputUnwritable              the folder is read-only or the disk is full
    │   └── DriftRefused                  code, versions or hardware changed since the first segment
    ├── ReplayDiverged                6   on resume a method asked for something else than it did before
    ├── Unsupported                   7   a benchmark was asked for work that it does not offer
    ├── WorkerDied                    8   a worker process ended again and again
    ├── RulesBroken                   9   a method or benchmark broke the rules of the loop
    └── VerificationFailed           10   a record breaks its rules, or its runs do not come out the same again

`TrialFailed` is not among them: it is a result, recorded as a `Failure`, not a fault of the study.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


class HarnessError(Exception):
    """Any error that a user can act on; its text is one line and ends in the next step."""

    exit_code = 1


class UsageError(HarnessError):
    """A wrong command line."""

    exit_code = 2


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake in a file: where it is, what is wrong, what to do."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key}: {self.message}"


class ProtocolError(HarnessError):
    """All the mistakes of a protocol file."""

    exit_code = 3

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes))
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


class DataError(HarnessError):
    """A table or data set that cannot be used."""

    exit_code = 4


class DataMissing(DataError):
    """A table or data set is not on this machine."""


class DataCorrupt(DataError):
    """A file differs from its checksum or its schema."""


class StoreError(HarnessError):
    """A run folder that cannot be used."""

    exit_code = 5


class FolderBusy(StoreError):
    """Another process is writing to the run folder."""


class FolderForeign(StoreError):
    """The run folder belongs to another protocol."""


class JournalCorrupt(StoreError):
    """A journal was changed after it was written."""


class OutputUnwritable(StoreError):
    """The output folder is read-only, or the disk is full."""


class DriftRefused(StoreError):
    """Code, versions or hardware changed since the study began."""


class ReplayDiverged(HarnessError):
    """A method asked for other work on resume than the journal holds."""

    exit_code = 6


class Unsupported(HarnessError):
    """A benchmark was asked for work that it does not offer."""

    exit_code = 7


class WorkerDied(HarnessError):
    """A worker process ended without an answer, again and again."""

    exit_code = 8


class RulesBroken(HarnessError):
    """A method or benchmark broke the rules of the loop."""

    exit_code = 9


class VerificationFailed(HarnessError):
    """A record breaks its rules, or its runs do not come out the same again."""

    exit_code = 10


class TrialFailed(Exception):
    """A trial that ended in NaN, divergence or lack of memory; `spent_epochs` were trained before that."""

    def __init__(self, reason: str, spent_epochs: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.spent_epochs = spent_epochs


def nearest(given: str, allowed: Iterable[str]) -> str:
    """Return ' (did you mean X?)' for the nearest allowed name, or an empty string."""
    matches = get_close_matches(given, list(allowed), n=1, cutoff=0.5)
    return f" (did you mean {matches[0]!r}?)" if matches else ""
