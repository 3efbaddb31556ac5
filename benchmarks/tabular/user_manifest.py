"""Define the manifest that describes any user's table: a strict schema, all mistakes reported at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmarks.tabular.names import SIZE, WORD, MetricName, Policy
from benchmarks.tabular.positions import Location, Positioned, read_yaml
from harness.core.errors import DataMissing, Mistake, ProtocolError, nearest

Word = Annotated[str, Field(pattern=rf"^{WORD}$")]
Size = Annotated[str, Field(pattern=rf"^{SIZE}$")]
Epochs = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(ge=0)] | str
"""A number for every architecture, or the name of the column that has one for each."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Curve(_Strict):
    """Where the values during the training are: in columns of the table, or in a file with one value a row."""

    epochs: list[Epochs] | None = Field(default=None, description="where it was recorded; null: the table's fidelities")
    columns: str | None = Field(
        default=None, description="a pattern with {epoch}, and with {seed} where single trials were recorded"
    )
    file: str | None = Field(default=None, description="a CSV or parquet file with one row per value")
    arch: str | None = Field(default=None, description="its column of architectures; null: as in the table")
    epoch: str = Field(default="epoch", description="its column of epochs")
    seed: str = Field(default="seed", description="its column of training seeds (policy trial)")
    value: str | None = Field(default=None, description="its column of values")


class Metric(_Strict):
    """One quantity of every architecture."""

    quantity: Word = Field(description="a split (valid, test), a split with -loss, or a cost (parameters)")
    dataset: Word | None = Field(default=None, description="null: the table's")
    epochs: Epochs | None = Field(default=None, description="length of the training schedule; null: it is a cost")
    train: Size | None = Field(default=None, description="number of training images, as text: 25k")
    policy: Policy | None = Field(default=None, description="what stands for several trials; null for costs")
    unit: str = Field(description="for instance %, M, ms, s")
    sealed: bool = Field(description="true for everything measured on test data: no method will see it")
    better: Literal["higher", "lower"] | None = Field(default=None, description="null: losses, errors, costs fall")
    column: str | None = Field(default=None, description="the column of values (mean-of-trials and costs)")
    trials: dict[str, str] | None = Field(default=None, description="training seed -> column (policy trial)")
    curve: Curve | None = None

    def name(self, dataset: str | None) -> MetricName:
        """Return its qualified name without the policy."""
        return MetricName(self.dataset or dataset, self.quantity, self.epochs, self.train)

    def mistakes(self) -> Iterator[tuple[Location, str]]:
        """Yield what does not fit together, with the key."""
        if (self.epochs is None) != (self.policy is None):
            yield ("policy",), "give it together with epochs (a result of training), or neither (a cost)"
        if self.policy == "trial" and not self.trials:
            yield ("trials",), "policy trial needs `trials`: training seed -> column"
        if self.policy != "trial" and self.trials is not None:
            yield ("trials",), "single trials need `policy: trial`; give their mean an entry of its own"
        ends = self.curve is not None and self.epochs is not None and self.epochs in (self.curve.epochs or [])
        if self.policy != "trial" and self.column is None and not ends:
            yield ("column",), "missing: the column that holds the values"
        if self.curve is not None and self.epochs is None:
            yield ("curve",), "a cost has no curve"
        if self.curve is not None and (self.curve.columns is None) == (self.curve.file is None):
            yield ("curve",), "give either `columns` (a pattern with {epoch}) or `file` with `value`"
        if self.curve is not None and self.curve.file is not None and self.curve.value is None:
            yield ("curve", "value"), "missing: the column that holds the values"


class TrainingCost(_Strict):
    """What a training costs, for budgets in seconds."""

    dataset: Word | None = Field(default=None, description="null: the table's")
    train: Size | None = Field(default=None, description="as in the metrics of this training")
    seconds_per_epoch: Amount = 0.0
    seconds_per_evaluation: Amount = 0.0


class TableManifest(_Strict):
    """A whole table."""

    table: Word = Field(description="the table's name, as records write it")
    version: str = "1"
    source: str = Field(default="not stated", description="where the results come from")
    licence: str = "not stated"
    file: str = Field(description="the CSV or parquet file, relative to this manifest")
    arch: str = Field(description="the column that holds the canonical text of each architecture")
    space: dict[str, Any] = Field(description="the search space: kind (choices, graph, ids, nb201) and its options")
    dataset: Word | None = None
    fidelities: list[Epochs] = Field(default_factory=list, description="epochs at which curves were recorded")
    metrics: list[Metric] = Field(min_length=1)
    costs: list[TrainingCost] = Field(default_factory=list)

    def mistakes(self) -> Iterator[tuple[Location, str]]:
        """Yield what does not fit together, with the key."""
        seen: set[tuple[str, str | None]] = set()
        for number, metric in enumerate(self.metrics):
            for location, message in metric.mistakes():
                yield ("metrics", number, *location), message
            if metric.dataset is None and self.dataset is None:
                yield ("metrics", number, "dataset"), "missing here and for the whole table; every metric needs one"
            name = (str(metric.name(self.dataset)), metric.policy)
            if name in seen:
                yield ("metrics", number), f"{name[0]} {name[1] or ''} is described twice; keep one"
            seen.add(name)
            if metric.curve is not None and not (metric.curve.epochs or self.fidelities):
                yield ("metrics", number, "curve", "epochs"), "missing here and as `fidelities` of the whole table"
        if self.fidelities != sorted(set(self.fidelities)):
            yield ("fidelities",), "must rise, each epoch once"
        if not any(metric.epochs is not None and not metric.sealed for metric in self.metrics):
            yield ("metrics",), "no open result of a training: a search has nothing to search for"


_KEYS = sorted({key for model in (Curve, Metric, TrainingCost, TableManifest) for key in model.model_fields})


def read_manifest(path: Path) -> tuple[TableManifest, Positioned]:
    """Read a table manifest.

    Raises:
        DataMissing: there is no such file.
        ProtocolError: every mistake in it, with file, line and key.
    """
    if not path.is_file():
        raise DataMissing(
            f"{path}: no such table manifest; docs/data.md shows how to write one for a CSV or parquet file"
        )
    text = read_yaml(path)
    try:
        manifest = TableManifest.model_validate(text.data)
    except ValidationError as error:
        raise ProtocolError([_explained(text, dict(detail)) for detail in error.errors()]) from error
    mistakes = [text.mistake(location, message) for location, message in manifest.mistakes()]
    if mistakes:
        raise ProtocolError(mistakes)
    return manifest, text


def _explained(text: Positioned, detail: dict[str, Any]) -> Mistake:
    """Return one mistake that pydantic found, in our words."""
    location = [step for step in detail["loc"] if step not in ("float", "str", "constrained-float")]
    if detail["type"] == "extra_forbidden":
        hint = nearest(str(location[-1]), _KEYS)
        return text.mistake(location, f"unknown key{hint}; docs/data.md lists the keys")
    if detail["type"] == "missing":
        return text.mistake(location, "missing; it has no default")
    return text.mistake(location, f"{detail['msg']}, given: {detail['input']!r}")
