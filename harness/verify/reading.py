"""Read the files of a record that nobody vouches for: whatever is wrong becomes a finding, never an exception."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from harness.core.canonical import canonical_json, sha256_text
from harness.core.codec import result_from_json, work_from_json, work_to_json
from harness.core.errors import JournalCorrupt
from harness.core.journal import GENESIS, whole_lines
from harness.core.records import TrialRecord
from harness.core.schema import Track
from harness.core.types import RunSpec, Trial
from harness.verify.rules import Finding, shown
from harness.verify.shapes import DoneForm, FinalForm, ManifestForm, SealedForm, SkippedForm, TrackForm, TrialForm

Form = TypeVar("Form", bound=BaseModel)

JOURNALS: dict[str, type[BaseModel]] = {
    "trials.jsonl": TrialForm,
    "sealed.jsonl": SealedForm,
    "final.jsonl": FinalForm,
}

UNREADABLE = frozenset({"file-readable", "line-form", "value-finite"})


@dataclass(slots=True)
class Source:
    """A record's folder, and what was found wrong while it was read."""

    root: Path
    findings: list[Finding] = field(default_factory=list)

    def note(self, rule: str, file: str, line: int, what: str, expected: Any = "", found: Any = "") -> None:
        """Add a finding."""
        self.findings.append(Finding(rule, file, line, what, shown(expected), shown(found)))

    def json(self, file: str) -> dict[str, Any] | None:
        """Return the JSON object in a file; None, with a finding, where there is none."""
        try:
            data = json.loads((self.root / file).read_bytes(), object_pairs_hook=_once, parse_constant=_refuse)
        except OSError as error:
            self.note("file-readable", file, 0, "cannot be read", found=error.strerror or repr(error))
        except (ValueError, RecursionError) as error:
            self.note("file-readable", file, 0, "is no JSON", found=str(error))
        else:
            if isinstance(data, dict):
                return data
            self.note("file-readable", file, 0, "is no JSON object")
        return None

    def form(self, file: str, form: type[Form]) -> Form | None:
        """Return a JSON object of a known form; None, with a finding, where it is not of that form."""
        data = self.json(file)
        if data is None:
            return None
        try:
            return form.model_validate(data)
        except ValidationError as error:
            self.note("file-readable", file, 0, _said(error))
        return None

    def lines(self, file: str, *, torn: bool = False) -> list[str]:
        """Return the whole lines of a file; a torn last line is a finding unless `torn` allows it."""
        try:
            content = (self.root / file).read_bytes()
            if content and not content.endswith(b"\n") and not torn:
                self.note("file-readable", file, content.count(b"\n") + 1, "the last line is torn")
            return whole_lines(content, file)
        except OSError as error:
            if not torn:
                self.note("file-readable", file, 0, "cannot be read", found=error.strerror or repr(error))
        except JournalCorrupt:
            self.note("file-readable", file, 0, "is not UTF-8")
        return []

    def entry(self, file: str, number: int, line: str, form: type[Form]) -> Form | None:
        """Return a line of a known form; None, with a finding, where it is not of that form."""
        try:
            entry = form.model_validate_json(line)
            if canonical_json(json.loads(line)) == line:
                return entry
            self.note("line-form", file, number, "is not canonical JSON")
        except ValidationError as error:
            finite = all(one["type"] != "finite_number" for one in error.errors())
            self.note("line-form" if finite else "value-finite", file, number, _said(error))
        except (ValueError, RecursionError) as error:
            self.note("line-form", file, number, "is no JSON", found=str(error))
        return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a key stands twice")
    return data


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number")


def _said(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(key) for key in first["loc"])
    return f"{place}: {first['msg']}" if place else str(first["msg"])


@dataclass(frozen=True, slots=True)
class Run:
    """One run as it was read.

    Attributes:
        folder: its path within the record.
        facts: what study.json says of its track; None where it says nothing.
        trials: each with its key, the canonical JSON of its work; one per line of trials.jsonl.
        sound: whether all journals could be read, so that the rules about their content apply.
    """

    spec: RunSpec
    track: Track
    facts: TrackForm | None
    folder: str
    manifest: ManifestForm | None
    done: DoneForm | None
    skipped: SkippedForm | None
    trials: tuple[tuple[TrialRecord, str], ...]
    sealed: tuple[SealedForm, ...]
    final: tuple[FinalForm, ...]
    sound: bool

    def file(self, name: str) -> str:
        """Return the path of one of its files within the record."""
        return f"{self.folder}/{name}"

    @property
    def tabular(self) -> bool:
        """Tell whether its results were looked up in a table."""
        return self.facts is not None and self.facts.manifest.get("kind") == "tabular"


def read_run(source: Source, spec: RunSpec, track: Track, facts: TrackForm | None, folder: str) -> Run:
    """Read the files of a run, and check the chains and the hashes of its journals."""
    manifest, done, skipped = (
        source.form(f"{folder}/{name}", form) if (source.root / folder / name).is_file() else None
        for name, form in (("manifest.json", ManifestForm), ("done.json", DoneForm), ("skipped.json", SkippedForm))
    )
    ended = (source.root / folder / "done.json").is_file()
    before = len(source.findings)
    begun = ended or (source.root / folder / "manifest.json").is_file()
    entries: dict[str, list[Any]] = {
        name: list(_entries(source, f"{folder}/{name}", form, torn=not ended)) if begun else []
        for name, form in JOURNALS.items()
    }
    if isinstance(done, DoneForm):
        _hashes(source, folder, done)
    return Run(
        spec=spec,
        track=track,
        facts=facts,
        folder=folder,
        manifest=manifest if isinstance(manifest, ManifestForm) else None,
        done=done if isinstance(done, DoneForm) else None,
        skipped=skipped if isinstance(skipped, SkippedForm) else None,
        trials=tuple(_trial(entry) for entry in entries["trials.jsonl"]),
        sealed=tuple(entries["sealed.jsonl"]),
        final=tuple(entries["final.jsonl"]),
        sound=all(found.rule not in UNREADABLE for found in source.findings[before:]),
    )


def _entries(source: Source, file: str, form: type[BaseModel], *, torn: bool) -> Iterator[Any]:
    previous = GENESIS
    for number, line in enumerate(source.lines(file, torn=torn), start=1):
        entry: Any = source.entry(file, number, line, form)
        if entry is not None:
            if entry.prev != previous:
                source.note("journal-chain", file, number, "does not follow the line before", previous, entry.prev)
            yield entry
        previous = sha256_text(line)


def _hashes(source: Source, folder: str, done: DoneForm) -> None:
    for name in sorted(JOURNALS.keys() | done.files.keys()):
        path = source.root / folder / name
        found = sha256_text("".join(f"{line}\n" for line in source.lines(f"{folder}/{name}", torn=True)))
        if name not in JOURNALS or not path.is_file() or done.files.get(name) != found:
            source.note(
                "journal-hash", f"{folder}/done.json", 0, f"the hash of {name}", found, done.files.get(name, "")
            )


def _trial(form: TrialForm) -> tuple[TrialRecord, str]:
    work = work_from_json(form.work.model_dump(exclude_unset=True))
    result = result_from_json(form.result.model_dump(exclude_unset=True))
    record = TrialRecord(Trial(form.id, work, form.seed), result, form.spent, form.counted, form.recommended, {})
    return record, canonical_json(work_to_json(work))
