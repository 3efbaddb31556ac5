"""Describe the space of a packed table as a document: distribution, reliability, the best, random search."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from benchmarks.spaces.nb201 import NasBench201
from benchmarks.tabular.digits201_file import NAME, Packed
from benchmarks.tabular.digits201_import import entries
from benchmarks.tabular.digits201_statistics import Floats, Reliability, course, reliability, tau, whole
from benchmarks.tabular.expectation import expected_best
from harness.core.canonical import Json
from harness.core.errors import UsageError
from harness.core.records import Document, Figure, Section, Series, Table

SHARES = (0, 1, 5, 25, 50, 75, 90, 95, 99, 99.9, 100)
DRAWS = (1, 3, 10, 30, 100, 300, 1000)
_LABELS = {"valid": "validation", "test": "test"}


def page(packed: Packed, sha256: str) -> Document:
    """Return the statistics of a table, a pure function of it.

    Raises:
        UsageError: no class has all its trainings.
    """
    complete = whole(packed)
    if not complete.any():
        raise UsageError("describe: no class of this table has all its trainings; nothing can be said of it")
    points = {split: packed.points(split)[complete] for split in ("valid", "test")}
    cells, rows = entries(packed)
    place = np.cumsum(complete) - 1
    kept = complete[rows]
    chosen = [cell for cell, keep in zip(cells, kept, strict=True) if keep]
    means = {split: values[:, :, -1].mean(axis=1)[place[rows[kept]]] for split, values in points.items()}
    sections = (
        Section("The table", _origin(packed, sha256, len(complete) - int(complete.sum()), len(chosen))),
        _distribution(means),
        _reliability(points),
        _learning(points["valid"]),
        _best(means, chosen),
        _random_search(means),
    )
    return Document(f"{NAME}-space", f"{NAME}: statistics of the space", sections)


def _origin(packed: Packed, sha256: str, incomplete: int, cells: int) -> str:
    recipe, machine, trained = (packed.facts[key] for key in ("recipe", "machine", "trained"))
    classes, seeds, epochs = packed.valid.shape
    return (
        f"{classes:,} classes of isomorphic cells, {seeds} seeds each, {epochs} epochs on {packed.train} images; "
        f"{cells:,} cells, which share results within a class. {recipe['channels']} channels, batch "
        f"{recipe['batch_size']}, noise {packed.facts['noise']}. Trained from {trained['first']} to {trained['last']} "
        f"in {trained['processor_seconds'] / 3600:.2f} hours of one processor core ({machine['processor']}, torch "
        f"{machine['torch']}). Classes without all trainings, left out below: {incomplete}. SHA-256 of the file: "
        f"`{sha256}`. Made by `python -m harness data describe digits201`."
    )


def _distribution(means: Mapping[str, Floats]) -> Section:
    rows = tuple(
        (f"{share:g} %", *(_points(float(np.percentile(values, share))) for values in means.values()))
        for share in SHARES
    )
    data: tuple[dict[str, Json], ...] = tuple(
        {"share": share, **{split: float(np.percentile(values, share)) for split, values in means.items()}}
        for share in SHARES
    )
    table = Table(
        "distribution",
        "Accuracies of the cells, mean over seeds (%)",
        ("quantile", *(f"{_LABELS[split]}" for split in means)),
        rows,
        note="Over all cells of the space, as random search draws them.",
        data=data,
    )
    shares = np.linspace(0.0, 100.0, 201)
    series = tuple(_line(_LABELS[split], np.percentile(values, shares), shares) for split, values in means.items())
    figure = Figure(
        "distribution-curve", "Share of the cells that reach at most an accuracy", "accuracy (%), mean over seeds",
        "cells (%)", series, note="Accuracy of a cell after the last epoch.", x_log="linear",
    )  # fmt: skip
    return Section("Distribution", tables=(table,), figures=(figure,))


_MEASURES = {
    "single": ("tau between two seeds", 1.0, "{:.2f}"),
    "pair": ("tau between the mean of the others and one seed", 1.0, "{:.2f}"),
    "mean": ("tau expected between the means of disjoint sets of as many seeds", 1.0, "{:.2f}"),
    "top": ("tau between two seeds in the best tenth by a third", 1.0, "{:.2f}"),
    "within": ("standard deviation between seeds (points)", 1.0, "{:.2f}"),
    "tied": ("classes tied with the best mean (%)", 100.0, "{:.2f}"),
    "near": ("classes not to be told from the best (%)", 100.0, "{:.1f}"),
}


def _reliability(points: Mapping[str, Floats]) -> Section:
    found = {split: reliability(values[:, :, -1]) for split, values in points.items()}
    ends = {split: values[:, :, -1].mean(axis=1) for split, values in points.items()}
    table = Table(
        "reliability",
        "Agreement of the trainings after the last epoch, over the classes",
        ("measure", *(_LABELS[split] for split in found)),
        tuple((text, *(_measure(name, one) for one in found.values())) for name, (text, _, _) in _MEASURES.items()),
        note=(
            "Kendall's tau-b. The expected tau follows from that of two seeds by the formula of Spearman and Brown, if "
            "accuracies are normal. A class is not to be told from the best where the means differ by less than 1.96 "
            "standard errors."
        ),
        data=tuple(
            {"measure": name, **{split: getattr(one, name) for split, one in found.items()}} for name in _MEASURES
        ),
    )
    text = f"Kendall's tau between the validation and the test mean of a class: {tau(ends['valid'], ends['test']):.2f}."
    return Section("Reliability of the ranking", text, (table,))


def _measure(name: str, found: Reliability) -> str:
    _, scale, form = _MEASURES[name]
    value = scale * getattr(found, name)
    return "not available" if math.isnan(value) else form.format(value)


def _learning(curves: Floats) -> Section:
    epochs = np.arange(1.0, curves.shape[2] + 1)
    means = curves.mean(axis=1)
    low, middle, high = np.percentile(means, (10, 50, 90), axis=0)
    learning = Figure(
        "learning-curves", "Learning curves of the classes", "epoch", "validation accuracy (%), mean over seeds",
        (_line("median; band: tenth to ninetieth percentile", epochs, middle, low, high),),
        note="Mean over the seeds of a class.", x_log="linear",
    )  # fmt: skip
    rising = course(curves)
    lines = {
        "means, with the last epoch": rising.final,
        "one seed with another at the same epoch": rising.seeds,
        "one seed with the last epoch of another": rising.fresh,
    }
    ranking = Figure(
        "ranking", "How early the ranking of the classes shows", "epoch", "Kendall's tau",
        tuple(_line(label, epochs, values) for label, values in lines.items() if not np.isnan(values).any()),
        note="Validation accuracy.", x_log="linear",
    )  # fmt: skip
    return Section("Learning curves", figures=(learning, ranking))


def _best(means: Mapping[str, Floats], cells: list[int]) -> Section:
    space = NasBench201()
    rows: list[tuple[str, ...]] = []
    data: list[dict[str, Json]] = []
    for split, values in means.items():
        first = int(np.argmax(values))
        ties = int((values >= values[first] - 1e-9).sum())
        figures = [float(means[name][first]) for name in means]
        rows.append((_LABELS[split], str(cells[first]), space.arch(cells[first]), *map(_points, figures), str(ties)))
        data.append({"by": split, "cell": cells[first], **dict(zip(means, figures, strict=True)), "equals": ties})
    columns = ("best by", "official index", "cell", *(f"{_LABELS[split]} (%)" for split in means), "cells as good")
    note = "Mean over seeds after the last epoch; the smallest index among equals."
    return Section("The best cells", tables=(Table("best", "The best cells", columns, tuple(rows), note, tuple(data)),))


def _random_search(means: Mapping[str, Floats]) -> Section:
    grid = np.unique(np.geomspace(1, DRAWS[-1], 60).round())
    wanted = means["valid"]
    expected = {split: expected_best(wanted, values, np.array(DRAWS)) for split, values in means.items()}
    left = {split: _left(values, expected[split]) for split, values in means.items()}
    rows = tuple(
        (str(draws), *(text for split in means for text in (_points(expected[split][at]), f"{left[split][at]:.1f}")))
        for at, draws in enumerate(DRAWS)
    )
    columns = ("draws", *(text for split in means for text in (f"{_LABELS[split]} (%)", "gap left (%)")))
    table = Table(
        "random-search",
        "Exact expectation of random search",
        columns,
        rows,
        note=(
            "Draws from all cells with replacement, kept by the mean validation accuracy. The gap reaches from the "
            "mean of the space to its best value in the same column."
        ),
        data=tuple(
            {"draws": draws, **{split: float(expected[split][at]) for split in means}} for at, draws in enumerate(DRAWS)
        ),
    )
    series = tuple(_line(_LABELS[split], grid, expected_best(wanted, means[split], grid)) for split in means)
    figure = Figure(
        "random-search-curve", "What random search is expected to find", "cells drawn", "accuracy (%)", series,
        note="Accuracy of the drawn cell with the best validation accuracy; exact expectation, no run was made.",
        lines={f"best {_LABELS[split]}": float(values.max()) for split, values in means.items()},
    )  # fmt: skip
    return Section("Random search", tables=(table,), figures=(figure,))


def _left(values: Floats, expected: Floats) -> Floats:
    gap = values.max() - values.mean()
    return 100.0 * (values.max() - expected) / gap if gap > 0 else np.full(expected.shape, math.nan)


def _points(value: float) -> str:
    return f"{value:.2f}"


def _line(label: str, x: Floats, middle: Floats, low: Floats | None = None, high: Floats | None = None) -> Series:
    below, above = middle if low is None else low, middle if high is None else high
    return Series(label, _plain(x), _plain(middle), _plain(below), _plain(above), style="line")


def _plain(values: Floats) -> tuple[float, ...]:
    return tuple(map(float, values))
