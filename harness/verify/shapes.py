"""Define the form of every file of a record, so that the rules may rely on it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from harness.core.schema import Strict

Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Metrics = dict[str, float]


class EvaluateForm(Strict):
    """An evaluation."""

    kind: Literal["evaluate"]
    arch: str
    epochs: Annotated[int, Field(ge=1)]
    start: Count = 0
    parent: str | None = None


class AdvanceForm(Strict):
    """Training of shared weights."""

    kind: Literal["advance"]
    epochs: Annotated[int, Field(ge=1)]


class ProbeForm(Strict):
    """A cheap signal."""

    kind: Literal["probe"]
    arch: str
    signal: str


class AttachForm(Strict):
    """Attached candidates."""

    kind: Literal["attach"]
    after: Annotated[EvaluateForm | GrowForm, Field(discriminator="kind")]
    moves: list[str]
    arm: str
    epochs: Annotated[int, Field(ge=1)]
    penalty: Amount
    scale: float


class GrowForm(Strict):
    """Candidates made real."""

    kind: Literal["grow"]
    after: AttachForm
    moves: list[str]
    arch: str
    epochs: Annotated[int, Field(ge=1)]
    merge: str
    inherit: str


class ThinkForm(Strict):
    """Declared computation."""

    kind: Literal["think"]
    label: str
    multiply_adds: Amount


class CostForm(Strict):
    """What a trial is charged."""

    epochs: Amount
    train_seconds: Amount | None = None
    multiply_adds: Amount | None = None


class MeasurementForm(Strict):
    """What a method was told of a success."""

    value: float
    metrics: Metrics
    cost: CostForm
    curve: list[float] = Field(default_factory=list)
    scores: Metrics = Field(default_factory=dict)


class FailureForm(Strict):
    """What a method was told of a failure."""

    failure: str
    cost: CostForm


class TrialForm(Strict):
    """A line of trials.jsonl."""

    id: Count
    work: Annotated[
        EvaluateForm | AdvanceForm | ProbeForm | AttachForm | GrowForm | ThinkForm, Field(discriminator="kind")
    ]
    seed: Count
    result: MeasurementForm | FailureForm
    spent: Amount
    counted: bool
    recommended: str | None
    prev: Digest


class SealedForm(Strict):
    """A line of sealed.jsonl."""

    id: Count
    metrics: Metrics
    prev: Digest


class FinalForm(Strict):
    """A line of final.jsonl."""

    arch: str
    seed: int
    metrics: Metrics
    cost: CostForm | None = None
    prev: Digest


class SeedsForm(Strict):
    """The seeds of a manifest."""

    replicate: list[str]
    method: Count


class ManifestForm(Strict):
    """manifest.json."""

    schema_: Literal[1] = Field(alias="schema")
    spec: dict[str, Any]
    protocol_hash: str
    environment: str
    seeds: SeedsForm


class DoneForm(Strict):
    """done.json."""

    schema_: Literal[1] = Field(alias="schema")
    reason: str
    trials: Count
    spent: Amount
    recommended: str | None
    files: dict[str, str]


class SkippedForm(Strict):
    """skipped.json."""

    schema_: Literal[1] = Field(alias="schema")
    reason: Annotated[str, Field(min_length=1)]


class TrackForm(Strict):
    """A track of study.json."""

    fingerprint: str
    manifest: dict[str, Any]
    references: dict[str, Any]
    unavailable: dict[str, str]
    skipped: str


class SettingForm(Strict):
    """A setting of a tuning."""

    setting: str
    options: dict[str, Any]
    values: list[float | None]
    mean: float | None
    charged: Amount
    evaluations: Count


class TuningForm(Strict):
    """The ledger of a tuned row in study.json."""

    benchmark: dict[str, Any]
    fingerprint: str
    manifest: dict[str, Any]
    objective: str
    direction: Literal["maximize", "minimize"]
    unit: str
    limit: Amount
    replicates: Count
    settings: list[SettingForm]
    chosen: str
    options: dict[str, Any]
    charged: Amount
    seconds: Amount


class TunedOnForm(Strict):
    """benchmark.json of a tuning."""

    fingerprint: str
    manifest: dict[str, Any]


class StudyForm(Strict):
    """study.json."""

    schema_: Literal[1] = Field(alias="schema")
    protocol_hash: str
    tracks: dict[str, TrackForm]
    tuning: dict[str, TuningForm] = Field(default_factory=dict)


class SegmentForm(Strict):
    """A line of segments.jsonl."""

    environment: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    started: str
    drift: list[str]
    sample: dict[str, Any]


class EnergyForm(Strict):
    """What energy counters counted."""

    joules: Amount
    covers: str
    method: str


class SegmentEndForm(Strict):
    """A line of segment_ends.jsonl."""

    segment: Annotated[int, Field(ge=1)]
    ended: str
    seconds: Amount
    energy: EnergyForm | None


class IndexForm(Strict):
    """index.json of a report."""

    schema_: Literal[1] = Field(alias="schema")
    document: str
    files: dict[str, str]
