"""Report the sigmoid experiment of the Synthetic Petri Dish: acceptance, every method, the curves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.core.canonical import Json
from harness.core.records import Document, Figure, Section, Series, Table
from reports.slope_acceptance import acceptance, spread
from reports.slope_metrics import Experiment, Floats, Scores, accuracy_of, noise_of, scores_of

REGIONS = ("left", "inside", "right")


def slope_report(experiment: Experiment) -> Document:
    """Return the report of the experiment."""
    scores = {name: scores_of(experiment, name) for name in experiment.values}
    sections = (
        Section("Acceptance", tables=(acceptance(experiment, scores),)),
        Section("Methods", _READING, (_methods(scores), _restarts(experiment, scores))),
        Section("Curves", tables=(), figures=(_curve(experiment), *_predictions(experiment))),
        Section("Search", _SEARCH, (_rounds(experiment),), (_regret(experiment),)),
        Section("Setting", tables=(_setting(experiment),)),
    )
    return Document("check-surrogate-sigmoid", "Synthetic Petri Dish: the slope of a sigmoid", sections)


_READING = (
    "Every method sees the same training slopes, drawn from the band anew for each restart; the spread is over "
    "restarts. The dish's scores are standardised with the training slopes, so that nothing of the held-out slopes is "
    "used. What makes a curve fall at the left, where nothing was trained, is the motif itself: an untrained dish "
    "shows it too."
)
_SEARCH = (
    "Each method starts from the training slopes of a split and evaluates the slope that it predicts to be best, once "
    "a round, refitted each time. A better extrapolation need not give a better search on a problem of one dimension."
)


def _methods(scores: Mapping[str, Scores]) -> Table:
    columns = (
        "method", *(f"{region}: {kind}" for region in REGIONS for kind in ("MSE (z)", "correlation")),
        "mse_renorm", "predicted best", "regret (points)",
    )  # fmt: skip
    rows = tuple(
        (
            name,
            *(spread(values[region]) for region in REGIONS for values in (found.mse, found.rho)),
            spread(found.renormalised), spread(found.choice), spread(found.regret),
        )
        for name, found in scores.items()
    )  # fmt: skip
    note = (
        "Median [smallest, largest] over restarts. mse_renorm standardises predictions with the statistics of the "
        "held-out slopes, which no user has; it is comparable with logged figures of the original only."
    )
    return Table("methods", "Every method on held-out slopes", columns, rows, note)


def _restarts(experiment: Experiment, scores: Mapping[str, Scores]) -> Table:
    data: tuple[Mapping[str, Json], ...] = tuple(
        {
            "method": name,
            "restart": row,
            "train_mse": float(experiment.train_error[name][row]),
            **{f"mse_{region}": float(found.mse[region][row]) for region in REGIONS},
            **{f"spearman_{region}": float(found.rho[region][row]) for region in REGIONS},
            "mse_renorm": float(found.renormalised[row]),
            "predicted_best": float(found.choice[row]),
            "regret_points": float(found.regret[row]),
        }
        for name, found in scores.items()
        for row in range(len(found.choice))
    )
    return Table("restarts", "Every restart", (), (), data=data)


def _curve(experiment: Experiment) -> Figure:
    values = experiment.accuracies
    mean = _series("mean of the repeats, with the lowest and highest", experiment.slopes, values)
    floor = float(values.min())
    edges = (experiment.low, experiment.high)
    band = Series("training band", edges, (floor, floor), (floor, floor), (floor, floor), "reference", "line")
    return Figure(
        "curve", "Validation accuracy by slope", "slope", "accuracy (%)", (mean, band),
        "The mean is the ground truth of every method.", x_log="linear",
    )  # fmt: skip


def _predictions(experiment: Experiment) -> list[Figure]:
    truth = tuple(experiment.truth.tolist())
    slopes = tuple(experiment.slopes.tolist())
    known = Series("ground truth", slopes, truth, truth, truth, "reference", "line")
    return [
        Figure(
            f"prediction-{number}", f"Predictions: {name}", "slope", "accuracy (%)",
            (_series("median and range of the restarts", experiment.slopes, _drawable(experiment, name).T), known),
            f"Trained between {experiment.low:g} and {experiment.high:g} only.", x_log="linear",
        )
        for number, name in enumerate(experiment.values)
    ]  # fmt: skip


def _drawable(experiment: Experiment, name: str) -> Floats:
    """Return predictions in percent, cut off where they leave the picture."""
    low, high = float(experiment.truth.min()), float(experiment.truth.max())
    room = high - low
    values: Floats = np.clip(accuracy_of(experiment, name), low - room, high + room)
    return values


def _series(label: str, slopes: Floats, values: Floats) -> Series:
    middle = np.median(values, axis=1) if "median" in label else values.mean(axis=1)
    rows = (slopes, middle, values.min(axis=1), values.max(axis=1))
    x, centre, low, high = (tuple(row.tolist()) for row in rows)
    return Series(label, x, centre, low, high, style="line")


def _rounds(experiment: Experiment) -> Table:
    regrets = {name: experiment.truth.max() - best for name, best in experiment.best.items()}
    rounds = range(next(iter(regrets.values())).shape[1])
    rows = tuple((name, *(f"{values[:, turn].mean():.3f}" for turn in rounds)) for name, values in regrets.items())
    seeds = len(next(iter(regrets.values())))
    data: tuple[Mapping[str, Json], ...] = tuple(
        {"method": name, "seed": seed, "round": turn, "regret_points": float(values[seed, turn])}
        for name, values in regrets.items()
        for seed in range(seeds)
        for turn in rounds
    )
    return Table(
        "rounds", "Regret after each round (points)", ("method", *(f"round {turn}" for turn in rounds)), rows,
        f"Means over {seeds} seeds; ground truth is the mean curve.", data,
    )  # fmt: skip


def _regret(experiment: Experiment) -> Figure:
    series = []
    for name, best in experiment.best.items():
        regret = experiment.truth.max() - best
        rounds = tuple(float(turn) for turn in range(regret.shape[1]))
        middle = tuple(regret.mean(axis=0).tolist())
        series.append(Series(name, rounds, middle, middle, middle, style="line"))
    return Figure(
        "regret", "Search: regret over rounds", "round", "regret (points)", tuple(series),
        "Mean over seeds of the best accuracy of the curve minus the best that was evaluated.", x_log="linear",
    )  # fmt: skip


def _setting(experiment: Experiment) -> Table:
    facts = {
        **experiment.setting,
        "noise of the ground truth (points)": f"{noise_of(experiment):.3f}",
        **{f"seconds, {name}, all restarts": f"{seconds:.1f}" for name, seconds in experiment.seconds.items()},
        **{f"diverged and begun again, {name}": str(count) for name, count in experiment.redrawn.items() if count},
        **{f"diverged to the end, {name}": str(count) for name, count in experiment.diverged.items() if count},
    }
    return Table("setting", "How it was run", ("setting", "value"), tuple(facts.items()))
