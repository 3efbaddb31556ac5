"""Import any user's table: a CSV or parquet file and the manifest that says what its columns are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.spaces.declared import space_from
from benchmarks.tabular.files import sha256_of
from benchmarks.tabular.names import MetricName
from benchmarks.tabular.positions import Location, Positioned
from benchmarks.tabular.series import SECONDS_PER_EPOCH, SECONDS_PER_VALIDATION, Content, Floats, Series
from benchmarks.tabular.user_columns import ColumnProblem, Columns
from benchmarks.tabular.user_manifest import Amount, Curve, Metric, TableManifest, read_manifest
from harness.core.errors import DataCorrupt, Mistake, ProtocolError, UsageError
from harness.core.interfaces import Finite

_AGREE = 1e-6
"""How far the last value of a curve may be from the recorded end value, for rounding in the file."""


def import_user(path: Path) -> Content:
    """Return the content of the table that a manifest describes.

    Raises:
        DataMissing: the manifest or a file that it names does not exist.
        DataCorrupt: a file is damaged, repeats an architecture, or contradicts itself.
        ProtocolError: every mistake in the manifest, columns that do not exist or hold no numbers among them.
    """
    manifest, text = read_manifest(path)
    return _Import(path, manifest, text).content()


def files_of(path: Path) -> dict[str, str]:
    """Return the SHA-256 of the manifest and of every file that it names, by name."""
    manifest, _ = read_manifest(path)
    curves = {metric.curve.file for metric in manifest.metrics if metric.curve and metric.curve.file}
    names = [path.name, manifest.file, *sorted(curves)]
    return {name: sha256_of(path.parent / name) for name in names if (path.parent / name).is_file()}


class _Import:
    """One import: the manifest, its files, and the mistakes found so far."""

    def __init__(self, path: Path, manifest: TableManifest, text: Positioned) -> None:
        self.path, self.manifest, self.text = path, manifest, text
        self.columns = Columns(path.parent / manifest.file, [manifest.arch])
        self.mistakes: list[Mistake] = []
        self.archs = self._archs()
        self.rows = {arch: row for row, arch in enumerate(self.archs)}

    def content(self) -> Content:
        """Return everything, or raise every mistake."""
        total = self._total()
        series = _merged([*self._metrics(), *self._costs()])
        if self.mistakes:
            raise ProtocolError(self.mistakes)
        manifest = self.manifest
        return Content(
            table=manifest.table,
            space=manifest.space,
            archs=self.archs,
            total=total,
            series=series,
            sources=files_of(self.path),
            importer="user 1",
            notes=[f"version {manifest.version}; source: {manifest.source}; licence: {manifest.licence}"],
        )

    def _wrong(self, location: Location, message: str) -> None:
        self.mistakes.append(self.text.mistake(location, message))

    def _archs(self) -> list[str]:
        try:
            archs = self.columns.texts(self.manifest.arch)
        except ColumnProblem as problem:
            raise ProtocolError([self.text.mistake(("arch",), str(problem))]) from problem
        rows: dict[str, int] = {}
        for row, arch in enumerate(archs, 1):
            if "\n" in arch:
                raise DataCorrupt(
                    f"{self.columns.path}: the architecture in row {row} has a line break; give it one line"
                )
            if arch in rows:
                raise DataCorrupt(
                    f"{self.columns.path}: the architecture {arch!r} stands in rows {rows[arch]} and {row}; "
                    "each needs exactly one row (give several trainings of it a column each)"
                )
            rows[arch] = row
        if not archs:
            raise DataCorrupt(f"{self.columns.path}: no rows; a table needs at least one architecture")
        return archs

    def _total(self) -> int:
        """Return the size of the space, after checking that every row belongs to it."""
        try:
            space = space_from(self.manifest.space, self.archs)
        except (UsageError, DataCorrupt) as error:
            self._wrong(("space",), str(error))
            return len(self.archs)
        return len(space) if isinstance(space, Finite) else len(self.archs)

    def _numbers(self, location: Location, columns: Columns, name: str) -> NDArray[np.float64]:
        try:
            return columns.numbers(name)
        except ColumnProblem as problem:
            self._wrong(location, str(problem))
            return np.full(columns.rows, np.nan)

    def _metrics(self) -> Iterator[Series]:
        for number, metric in enumerate(self.manifest.metrics):
            where = ("metrics", number)
            series = Series(metric.name(self.manifest.dataset), metric.unit, metric.sealed, "", better=metric.better)
            series = self._with_values(series, metric, where)
            yield series if metric.curve is None else self._with_curve(series, metric, metric.curve, where)

    def _with_values(self, series: Series, metric: Metric, where: tuple[str, int]) -> Series:
        if metric.policy == "trial":
            named = metric.trials or {}
            columns = [self._numbers((*where, "trials", seed), self.columns, name) for seed, name in named.items()]
            trials = np.column_stack(columns)
            return replace(series, trials=trials, labels=tuple(named), source=", ".join(named.values()))
        if metric.column is None:
            return series
        values = self._numbers((*where, "column"), self.columns, metric.column)
        return replace(series, mean=values, source=metric.column)

    def _with_curve(self, series: Series, metric: Metric, curve: Curve, where: tuple[str, int]) -> Series:
        stops = tuple(sorted(curve.epochs or self.manifest.fidelities))
        if metric.epochs is None or stops[-1] > metric.epochs:
            self._wrong((*where, "curve"), f"epoch {stops[-1]} lies beyond the schedule of {metric.epochs} epochs")
            return series
        seeds: tuple[str | None, ...] = series.labels if metric.policy == "trial" else (None,)
        grid = (
            self._from_columns(curve, stops, seeds, where)
            if curve.columns
            else self._from_file(curve, stops, seeds, where)
        )
        ended = stops[-1] == metric.epochs
        if metric.policy == "trial":
            if ended and series.trials is not None:
                self._compare(series.trials, grid[:, :, -1], series.name)
            return replace(series, stops=stops, curves=grid)
        mean = series.mean if series.mean is not None else grid[:, 0, -1]
        if ended:
            self._compare(mean, grid[:, 0, -1], series.name)
        return replace(series, stops=stops, curve=grid[:, 0], mean=mean)

    def _compare(self, ends: Floats, last: Floats, name: MetricName) -> None:
        """Refuse a curve that ends elsewhere than at the recorded end value."""
        apart = np.abs(ends - last) > _AGREE * np.maximum(1.0, np.abs(ends))
        if apart.any() and not self.mistakes:
            arch = self.archs[int(np.argwhere(apart)[0][0])]
            raise DataCorrupt(
                f"{self.columns.path}: the curve of {arch!r} does not end at its {name}; mend one of them"
            )

    def _from_columns(
        self, curve: Curve, stops: tuple[int, ...], seeds: tuple[str | None, ...], where: tuple[str, int]
    ) -> NDArray[np.float64]:
        """Return (architectures, seeds, stops) from one column for each seed and stop."""
        location = (*where, "curve", "columns")
        pattern = curve.columns or ""
        needed = {"{epoch}"} | ({"{seed}"} if seeds != (None,) else set())
        if missing := [part for part in sorted(needed) if part not in pattern]:
            self._wrong(location, f"the pattern {pattern!r} lacks {' and '.join(missing)}")
            return np.full((len(self.archs), len(seeds), len(stops)), np.nan)
        names = [
            [pattern.replace("{epoch}", str(stop)).replace("{seed}", str(seed)) for stop in stops] for seed in seeds
        ]
        columns = [[self._numbers(location, self.columns, name) for name in row] for row in names]
        return np.moveaxis(np.array(columns), -1, 0)

    def _from_file(
        self, curve: Curve, stops: tuple[int, ...], seeds: tuple[str | None, ...], where: tuple[str, int]
    ) -> NDArray[np.float64]:
        """Return (architectures, seeds, stops) from a file with one value a row."""
        grid = np.full((len(self.archs), len(seeds), len(stops)), np.nan)
        arch_column = curve.arch or self.manifest.arch
        labelled = seeds != (None,)
        texts = [arch_column, curve.seed] if labelled else [arch_column]
        long = Columns(self.path.parent / (curve.file or ""), texts)
        try:
            archs = long.texts(arch_column)
            labels = long.texts(curve.seed) if labelled else [None] * len(archs)
            epochs, values = long.numbers(curve.epoch), long.numbers(curve.value or "")
        except ColumnProblem as problem:
            self._wrong((*where, "curve"), str(problem))
            return grid
        columns = {epoch: position for position, epoch in enumerate(stops)}
        places = {seed: position for position, seed in enumerate(seeds)}
        for row, (arch, label, epoch, value) in enumerate(zip(archs, labels, epochs, values, strict=True), 1):
            if arch not in self.rows or label not in places or epoch not in columns:
                continue
            place = self.rows[arch], places[label], columns[epoch]
            if not np.isnan(grid[place]):
                raise DataCorrupt(f"{long.path}: row {row} repeats {arch!r} at epoch {epoch:g}; keep one")
            grid[place] = value
        return grid

    def _costs(self) -> Iterator[Series]:
        for number, cost in enumerate(self.manifest.costs):
            amounts = {
                SECONDS_PER_EPOCH: ("seconds_per_epoch", cost.seconds_per_epoch),
                SECONDS_PER_VALIDATION: ("seconds_per_evaluation", cost.seconds_per_evaluation),
            }
            for quantity, (key, amount) in amounts.items():
                name = MetricName(cost.dataset or self.manifest.dataset, quantity, train=cost.train)
                values = self._amount(("costs", number, key), amount)
                yield Series(name, "s", sealed=False, source=str(amount), mean=values)

    def _amount(self, location: Location, amount: Amount) -> NDArray[np.float64]:
        if not isinstance(amount, str):
            return np.full(len(self.archs), float(amount))
        values = self._numbers(location, self.columns, amount)
        if (values < 0).any():
            self._wrong(location, f"column {amount!r} has a cost below 0")
        return values


def _merged(series: list[Series]) -> list[Series]:
    """Join the means and the trials of one quantity, which are two entries of a manifest."""
    merged: dict[MetricName, Series] = {}
    for entry in series:
        known = merged.get(entry.name)
        if known is None:
            merged[entry.name] = entry
            continue
        means, trials = (known, entry) if entry.trials is not None else (entry, known)
        merged[entry.name] = replace(
            means,
            source=f"{means.source}; {trials.source}",
            trials=trials.trials,
            labels=trials.labels,
            curves=trials.curves,
            stops=means.stops or trials.stops,
        )
    return list(merged.values())
