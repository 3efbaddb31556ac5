"""Measure by simulation how often the intervals of the reports cover what they claim to cover.

`python -m reports.coverage FILE` writes the tables into a Markdown file, between the two marks that it must hold;
the same command gives the same bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.core.errors import UsageError
from harness.core.seeds import SeedTree
from reports import aggregate
from reports.shares import RESAMPLES as BOOTSTRAP_RESAMPLES
from reports.shares import probability_of_improvement, wilson
from reports.stats import BOOTSTRAP_FROM, CONFIDENCE, t_interval, welch_interval
from reports.variance import components

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Floats]

SIZES = (3, 5, 10, 20, 30)
TRIALS = 2_000
RESAMPLES = 2_000  # of each bootstrap in here; the reports draw 10,000, which covers no less
BEGIN, END = "<!-- coverage begins -->", "<!-- coverage ends -->"

_ROOT = SeedTree.root("coverage", 0)
_BATCH = 50  # simulated studies whose bootstraps are drawn together


def _skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Draw regrets as searches have them: most near zero, a few far from it (log-normal, sigma 1)."""
    return rng.lognormal(0.0, 1.0, shape)


def _tied(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Draw regrets of which four in ten are the same: the runs that found the optimum."""
    return np.where(rng.random(shape) < 0.4, 0.0, rng.exponential(1.0, shape))  # noqa: PLR2004 - as stated


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return rng.normal(0.0, 1.0, shape)


SAMPLES: Mapping[str, tuple[Draw, float]] = {
    "normal": (_normal, 0.0),
    "skewed (log-normal)": (_skewed, float(np.exp(0.5))),
    "four in ten at the optimum": (_tied, 0.6),
}
"""Name -> how runs are drawn, and their true mean."""


def mean_coverage(n: int, draw: Draw, truth: float, trials: int = TRIALS) -> dict[str, float]:
    """Return the share of simulated studies of n runs in which each interval of the mean covers the truth, in %."""
    rng = _ROOT.child("mean", draw.__name__, n).generator()
    samples = draw(rng, (trials, n))
    varied = samples[np.ptp(samples, axis=1) > 0]  # studies without any spread get no interval
    found = {
        "Student's t": np.array([t_interval(sample) for sample in varied]),
        "BCa bootstrap": _bca(varied, rng),
        "percentile bootstrap": _percentile(varied, rng),
    }
    return {name: _covered(ends[:, 0], ends[:, 1], truth) for name, ends in found.items()}


def _covered(low: Floats, high: Floats, truth: float) -> float:
    return 100 * float(np.mean((low <= truth) & (truth <= high)))


def _resampled_means(samples: Floats, rng: np.random.Generator) -> Floats:
    trials, n = samples.shape
    chosen = rng.integers(n, size=(trials, RESAMPLES, n))
    return np.asarray(np.take_along_axis(samples[:, None, :], chosen, axis=2).mean(axis=2))


def _percentile(samples: Floats, rng: np.random.Generator) -> Floats:
    return _in_batches(samples, rng, lambda _, means: np.tile(_tails(), (len(means), 1)))


def _bca(samples: Floats, rng: np.random.Generator) -> Floats:
    """Return the BCa interval of each row; the same formulas as scipy's, for many small samples at once."""
    return _in_batches(samples, rng, _bca_levels)


def _in_batches(samples: Floats, rng: np.random.Generator, levels: Callable[[Floats, Floats], Floats]) -> Floats:
    ends = []
    for start in range(0, len(samples), _BATCH):
        batch = samples[start : start + _BATCH]
        means = np.sort(_resampled_means(batch, rng), axis=1)
        ends += [np.quantile(row, level) for row, level in zip(means, levels(batch, means), strict=True)]
    return np.array(ends)


def _bca_levels(samples: Floats, means: Floats) -> Floats:
    n, observed = samples.shape[1], samples.mean(axis=1, keepdims=True)
    below = ((means < observed).mean(axis=1) + (means <= observed).mean(axis=1)) / 2
    left_out = (samples.sum(axis=1, keepdims=True) - samples) / (n - 1)
    gaps = left_out.mean(axis=1, keepdims=True) - left_out
    acceleration = (gaps**3).sum(axis=1) / (6 * (gaps**2).sum(axis=1) ** 1.5)
    bias = stats.norm.ppf(np.clip(below, 1 / RESAMPLES, 1 - 1 / RESAMPLES))[:, None]
    shifted = bias + stats.norm.ppf(_tails())[None, :]
    return np.asarray(stats.norm.cdf(bias + shifted / (1 - acceleration[:, None] * shifted)))


def _tails() -> Floats:
    return np.array([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])


def difference_coverage(n: int, draw: Draw, truth: float, trials: int = TRIALS) -> float:
    """Return the coverage of Welch's interval of a difference of two means, the second with twice the spread, in %."""
    rng = _ROOT.child("difference", draw.__name__, n).generator()
    pairs = draw(rng, (trials, 2, n)) * np.array([1.0, 2.0])[None, :, None]
    ends = np.array([welch_interval(first, second)[1:] for first, second in pairs])
    return _covered(ends[:, 0], ends[:, 1], truth - 2 * truth)


def improvement_coverage(n: int, shift: float, trials: int = TRIALS) -> float:
    """Return the coverage of Newcombe's interval of the probability of improvement, normal runs `shift` apart, in %."""
    rng = _ROOT.child("improvement", str(shift), n).generator()
    truth = float(stats.norm.cdf(shift / np.sqrt(2)))
    pairs = [(rng.normal(shift, 1.0, n), rng.normal(0.0, 1.0, n)) for _ in range(trials)]
    newcombe = np.array([(found.low, found.high) for found in (probability_of_improvement(*pair) for pair in pairs)])
    return _covered(newcombe[:, 0], newcombe[:, 1], truth)


def share_coverage(n: int, truth: float, trials: int = TRIALS) -> float:
    """Return the coverage of Wilson's interval of a share of n runs, in %."""
    rng = _ROOT.child("share", str(truth), n).generator()
    low, high = wilson(rng.binomial(n, truth, trials).astype(np.float64), n)
    return _covered(low, high, truth)


def aggregate_coverage(n: int, tracks: int, trials: int = TRIALS // 4) -> float:
    """Return the coverage of the stratified bootstrap of the interquartile mean of beta-distributed scores, in %."""
    rng = _ROOT.child("aggregate", tracks, n).generator()
    shapes = [(5.0 + track, 1.5) for track in range(tracks)]
    many = [rng.beta(*shape, 200_000) for shape in shapes]
    truth = float(aggregate.interquartile_mean(many))
    ends = []
    for _ in range(trials):
        scores = [rng.beta(*shape, n) for shape in shapes]
        chosen = [runs[rng.integers(n, size=(BOOTSTRAP_RESAMPLES, n))] for runs in scores]
        ends.append(np.percentile(aggregate.interquartile_mean(chosen), 100 * _tails()))
    low, high = np.array(ends).T
    return _covered(low, high, truth)


def component_coverage(runs: int, trainings: int, truth: float, trials: int = TRIALS) -> float:
    """Return the coverage of the interval of the searches' share of the variance, normal effects, in %."""
    rng = _ROOT.child("components", str(truth), runs, trainings).generator()
    searches = rng.normal(0.0, truth**0.5, (trials, runs, 1))
    values = searches + rng.normal(0.0, (1 - truth) ** 0.5, (trials, runs, trainings))
    found = [components(table) for table in values]
    return _covered(np.array([one.low for one in found]), np.array([one.high for one in found]), truth)


def report(trials: int = TRIALS) -> str:
    """Return all tables as Markdown."""
    error = 100 * (CONFIDENCE * (1 - CONFIDENCE) / trials) ** 0.5
    about = (
        f"Each figure: how many of 100 simulated studies have the true value inside the 95 % interval ({trials:,} "
        f"studies each, a quarter of it for the interquartile mean; standard error about {error:.1f}). Studies whose "
        "runs are all equal get no interval and are left out."
    )
    return "\n\n".join([about, *_mean_tables(trials), *_other_tables(trials)])


def _mean_tables(trials: int) -> list[str]:
    tables = []
    for name, (draw, truth) in SAMPLES.items():
        rows = [(n, mean_coverage(n, draw, truth, trials)) for n in SIZES]
        used = [covers["Student's t" if n < BOOTSTRAP_FROM else "BCa bootstrap"] for n, covers in rows]
        lines = [
            (str(n), *(f"{value:.1f}" for value in covers.values()), f"**{chosen:.1f}**")
            for (n, covers), chosen in zip(rows, used, strict=True)
        ]
        tables.append(f"**Mean of runs: {name}**\n\n{_table(('runs', *rows[0][1], 'what the reports use'), lines)}")
    return tables


def _other_tables(trials: int) -> list[str]:
    columns: dict[str, Callable[[int], float]] = {
        "difference of means, normal (Welch)": lambda n: difference_coverage(n, _normal, 0.0, trials),
        "difference of means, skewed (Welch)": lambda n: difference_coverage(
            n, _skewed, SAMPLES["skewed (log-normal)"][1], trials
        ),
        "P(better), truth 0.50 (Newcombe)": lambda n: improvement_coverage(n, 0.0, trials),
        "P(better), truth 0.92 (Newcombe)": lambda n: improvement_coverage(n, 2.0, trials),
        "share 0.5 (Wilson)": lambda n: share_coverage(n, 0.5, trials),
        "share 0.95 (Wilson)": lambda n: share_coverage(n, 0.95, trials),
        "interquartile mean, 1 track (bootstrap)": lambda n: aggregate_coverage(n, 1, trials // 4),
        "interquartile mean, 3 tracks (bootstrap)": lambda n: aggregate_coverage(n, 3, trials // 4),
        "searches' share of the variance, truth 0.5 (F)": lambda n: component_coverage(n, 3, 0.5, trials),
    }
    lines = [(name, *(f"{measure(n):.1f}" for n in SIZES)) for name, measure in columns.items()]
    return [f"**Everything else**\n\n{_table(('interval of', *(f'{n} runs' for n in SIZES)), lines)}"]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (columns, ["---"] * len(columns), *rows))


def write(path: Path) -> None:
    """Put the tables between the marks of a Markdown file.

    Raises:
        UsageError: the file does not hold both marks.
    """
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UsageError(f"{path}: the marks '{BEGIN}' and '{END}' are not both there; write them where tables belong")
    path.write_text(f"{before}{BEGIN}\n\n{report()}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/statistics.md"))
