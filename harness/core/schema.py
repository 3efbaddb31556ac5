"""Define the protocol: every setting that can change a number, as strict frozen models.

A protocol is data only. Unknown keys are refused, nothing is coerced, and every default is written into the
resolved protocol, whose content hash is in every record. The schema is complete from its first version, since a
later field would change every hash.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from harness.core.canonical import content_hash

SCHEMA_VERSION = 1

Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=64)]
Scalar = bool | int | float | str | None
Options = dict[str, Any]


class Strict(BaseModel):
    """A frozen model that refuses unknown keys and coerces nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class BenchmarkChoice(Strict):
    """Which benchmark a track runs on."""

    name: Identifier = Field(description="a name of the benchmark registry; `harness list` shows them")
    options: Options = Field(default_factory=dict, description="the benchmark's own options")
    fingerprint: str | None = Field(
        default=None, description="if given, the content hash that the opened benchmark must have"
    )


class Splits(Strict):
    """The declared data splits: what is trained on, what the search may see, what is sealed."""

    train: str = Field(description="for instance 'cifar10 train, 25,000 images'")
    search: str = Field(description="the only split that a method sees")
    final: str = Field(description="sealed; reports only")


class Fidelity(Strict):
    """How long networks are trained."""

    search: int = Field(ge=1, description="epochs of a search trial")
    final: int = Field(ge=1, description="epochs behind the final metrics")
    rungs: list[int] = Field(
        default_factory=list, description="partial fidelities that methods may ask for; empty: what the benchmark has"
    )


class Objective(Strict):
    """What the search optimises."""

    metric: str = Field(description="qualified name of an open metric, e.g. cifar10/valid@12ep(25k)")
    direction: Literal["maximize", "minimize"] = Field(default="maximize", description="which way is better")
    secondary: list[str] = Field(
        default_factory=list, description="further open metrics for multi-objective reports (multiply-adds, parameters)"
    )


class BudgetRule(Strict):
    """How much a run may spend, and in which unit."""

    unit: Literal["train_seconds", "epochs", "multiply_adds", "evaluations"] = Field(
        description="what is charged: seconds recorded in a table, epochs, multiply-adds of the training, or trials"
    )
    limit: float = Field(gt=0, description="what one run may spend, in this unit")
    overrun: Literal["discard", "keep"] = Field(
        default="discard", description="what becomes of the trial that crosses the limit"
    )
    repeats: Literal["charge", "free"] = Field(
        default="charge", description="whether work that this run has already paid for is charged again"
    )
    max_trials: int = Field(default=100_000, ge=1, description="a stop for methods that never tire")

    @field_validator("limit", mode="before")
    @classmethod
    def _whole_numbers_are_numbers(cls, value: object) -> object:
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Selection(Strict):
    """How the architecture to report is chosen at the end of a run."""

    rule: Literal["recommended", "best-validated"] = Field(
        default="recommended", description="what the method recommends, or the best objective it was told"
    )


def _usual(models: str) -> bool:
    return models == "recommended"


class FinalEvaluation(Strict):
    """How the chosen architecture is evaluated, and which others are."""

    metrics: list[str] = Field(min_length=1, description="qualified names of sealed metrics; the first is primary")
    seeds: list[int] = Field(
        default_factory=lambda: [0], min_length=1, description="training seeds of the final networks (real training)"
    )
    models: Literal["recommended", "hull"] = Field(
        default="recommended",
        exclude_if=_usual,
        description="hull: also each network that no mixture of others beats in error and the first secondary metric",
    )


class Seeds(Strict):
    """The explicit seed list."""

    root: int = Field(default=0, ge=0, description="root of the seed tree")
    list_: list[int] | None = Field(
        default=None, alias="list", description="one seed per replicate; null: 0 to replicates - 1"
    )

    model_config = ConfigDict(populate_by_name=True)


def _simulated(schedule: str) -> bool:
    return schedule == "virtual"


class Track(Strict):
    """One benchmark under one budget."""

    id: Identifier = Field(description="the track's own name in records and reports")
    benchmark: BenchmarkChoice
    splits: Splits
    fidelity: Fidelity
    objective: Objective
    budget: BudgetRule
    final: FinalEvaluation
    replicates: int = Field(ge=1, description="independent runs of each method")
    seeds: Seeds = Field(default_factory=Seeds)
    selection: Selection = Field(default_factory=Selection)
    workers: int = Field(default=1, ge=1, description="parallel workers of one run")
    schedule: Literal["virtual", "recorded"] = Field(
        default="virtual",
        exclude_if=_simulated,
        description="virtual: workers are simulated, by what trials cost; recorded: trials are evaluated side by side, "
        "and the order in which they end is recorded",
    )
    purpose: Literal["confirmatory", "descriptive"] = Field(
        default="confirmatory", description="descriptive: too few replicates to test anything"
    )
    needs: Literal["any", "gpu"] = Field(
        default="any", description="gpu: skipped with the reason on a machine without one, unless --allow-slow"
    )

    @model_validator(mode="after")
    def _one_seed_per_replicate(self) -> Track:
        seeds = self.seeds.list_
        if seeds is not None and len(seeds) != self.replicates:
            raise ValueError(f"seeds.list has {len(seeds)} seeds for {self.replicates} replicates; give one for each")
        if seeds is not None and len(set(seeds)) != len(seeds):
            raise ValueError("seeds.list repeats a seed; replicates must be independent")
        return self

    @model_validator(mode="after")
    def _hull_over_a_cost(self) -> Track:
        if self.final.models == "hull" and not self.objective.secondary:
            raise ValueError("final.models is 'hull', but objective.secondary names no cost; name one there")
        return self

    def seed_list(self) -> list[int]:
        """Return the seed of every replicate."""
        return list(self.seeds.list_) if self.seeds.list_ is not None else list(range(self.replicates))


class MethodRow(Strict):
    """One row of the comparison: a registered method with its options."""

    name: Identifier = Field(description="a name of the method registry; `harness list` shows them")
    id: Identifier | None = Field(default=None, description="the row's own name; null: the method's name")
    options: Options = Field(default_factory=dict, description="the fields of the method's Config")
    tracks: list[Identifier] | None = Field(default=None, description="the tracks it runs on; null: all")
    proposed: bool = Field(default=False, description="whether this study proposes it as new")

    @property
    def key(self) -> str:
        """The row's name in records and reports."""
        return self.id or self.name


class Ablation(Strict):
    """One-factor variants of a row: each value of each option, everything else unchanged."""

    method: Identifier = Field(description="the key of a row of `methods`")
    vary: dict[str, list[Any]] = Field(min_length=1, description="option -> values to put in place of the row's own")
    tracks: list[Identifier] | None = Field(default=None, description="the tracks it runs on; null: those of the row")


def _absent(value: object) -> bool:
    return value is None


class Tuning(Strict):
    """Hyper-parameter tuning of a row, under a budget, on other benchmarks than the reported ones."""

    method: Identifier = Field(description="the key of a row of `methods`")
    source: Literal["defaults", "published", "chosen", "tuned"] = Field(
        default="defaults", description="where the row's options come from"
    )
    citation: str = Field(default="", description="published: the paper and its setting; chosen: why these values")
    benchmark: BenchmarkChoice | None = Field(default=None, description="tuned: on which benchmark")
    fidelity: Fidelity | None = Field(
        default=None, exclude_if=_absent, description="tuned: how long networks are trained; nothing is trained finally"
    )
    objective: Objective | None = Field(
        default=None, exclude_if=_absent, description="tuned: what is searched for, and what settings are compared by"
    )
    budget: BudgetRule | None = Field(default=None, description="tuned: under which budget")
    space: dict[str, list[Any]] = Field(
        default_factory=dict,
        description="tuned: option -> values; every combination of them is a setting that is tried",
    )
    replicates: int = Field(default=1, ge=1, description="tuned: runs of each setting")


class Published(Strict):
    """A figure reported by others, for comparison only."""

    method: Identifier = Field(description="the key of a row of `methods`")
    track: Identifier = Field(description="the id of a track")
    metric: str = Field(description="one of the track's final metrics")
    mean: float = Field(description="as printed, in the metric's unit")
    std: float = Field(ge=0, description="standard deviation over the runs")
    n: int | None = Field(
        default=None, ge=1, description="how many runs; null where nobody says: the figure is shown and not tested"
    )
    source: str = Field(description="the paper, and who quotes it")
    provenance: Literal["primary", "secondary", "recalled"] = Field(
        description="read in the paper itself, quoted by another, or from memory"
    )


class Analysis(Strict):
    """The analysis plan, fixed before the first run."""

    primary: str = Field(
        default="final metric of the recommended architecture at the full budget", description="the primary endpoint"
    )
    tests: Literal["mann-whitney", "wilcoxon", "none"] = Field(
        default="mann-whitney", description="the test of two methods; wilcoxon pairs them by replicate"
    )
    correction: Literal["holm", "none"] = Field(default="holm", description="for testing several pairs at once")
    alpha: float = Field(default=0.05, gt=0, lt=1, description="level of significance")
    equivalence_margin: float = Field(
        default=0.1, gt=0, description="margin of equivalence tests, in points of the metric"
    )
    exclusions: list[str] = Field(default_factory=list, description="runs left out, each with its reason")
    published: list[Published] = Field(default_factory=list)


class Tombstone(Strict):
    """A row that was taken out, and why."""

    name: Identifier = Field(description="the row that was taken out")
    since: str = Field(description="the version of this protocol without it")
    reason: str = Field(description="why")


class StudyKind(Strict):
    """What the study is, for the checklist."""

    question: str = Field(default="", description="what the study asks, in one sentence")
    proposes_new_method: bool = Field(default=False, description="whether a row of `methods` is proposed as new")


class ProtocolModel(Strict):
    """A whole protocol."""

    protocol: Identifier = Field(description="its name, in every record")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$", description="raised on any change that can change a number")
    title: str = Field(default="", description="one line for lists and reports")
    description: str = Field(default="", description="what a reader of the report must know")
    study: StudyKind = Field(default_factory=StudyKind)
    tracks: list[Track] = Field(min_length=1)
    methods: list[MethodRow] = Field(min_length=1)
    ablations: list[Ablation] = Field(default_factory=list)
    accounting: Literal["architecture-identification", "automl"] = Field(
        default="architecture-identification",
        description="which of the two accounting variants of Lindauer and Hutter (Definitions 7 and 8) is primary",
    )
    tuning: list[Tuning] = Field(default_factory=list)
    analysis: Analysis = Field(default_factory=Analysis)
    reports: list[Identifier] = Field(default_factory=lambda: ["summary"], description="names of the report registry")
    removed: list[Tombstone] = Field(default_factory=list)

    def resolved(self) -> dict[str, Any]:
        """Return the protocol as plain data with every default written out."""
        return {"schema": SCHEMA_VERSION, **self.model_dump(mode="json", by_alias=True)}

    def hash(self) -> str:
        """Return the content hash of the resolved protocol."""
        return content_hash(self.resolved())

    def track(self, track_id: str) -> Track:
        """Return the track with this id."""
        return next(track for track in self.tracks if track.id == track_id)
