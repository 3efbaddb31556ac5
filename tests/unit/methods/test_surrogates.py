"""Surrogates: what they learn, what they refuse, and that the generator steers all that is random."""

from __future__ import annotations

from importlib import import_module
from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import kendalltau

from benchmarks.spaces.listed import IdSpace
from benchmarks.spaces.nb201 import EDGES as TABLE_EDGES
from benchmarks.spaces.nb201 import OPERATIONS as TABLE_OPERATIONS
from benchmarks.spaces.nb201 import NasBench201, parse
from harness.core.errors import UsageError
from harness.core.types import Arch
from harness.testing.toy import ToySpace
from methods.surrogates import SURROGATES
from methods.surrogates.cells201 import EDGES, OPERATIONS, operations
from methods.surrogates.surrogate import Effort, normal_scores, ranks, surrogate

REGRESSIONS = ("ridge", "forest", "gaussian_process", "network")
ON_FEATURES = ("random", *REGRESSIONS)
WEIGHTS = np.array([[0.0, 1.0, 3.0, 4.0, 2.0]] * 6) * np.linspace(1, 2, 6)[:, None]


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def cells(count: int, seed: int = 0) -> list[Arch]:
    space = NasBench201()
    return [space.arch(int(index)) for index in generator(seed).choice(len(space), count, replace=False)]


def truth(archs: list[Arch]) -> np.ndarray:
    """An additive landscape."""
    return np.array([WEIGHTS[np.arange(6), parse(arch)].sum() for arch in archs])


def fitted(name: str, seed: int = 0, count: int = 60) -> np.ndarray:
    one = surrogate(name, NasBench201())
    archs = cells(count)
    one.fit(archs, truth(archs), generator(seed))
    return one.predict(cells(100, seed=9))


@pytest.mark.parametrize("name", REGRESSIONS)
def test_a_regression_learns_an_additive_landscape(name: str) -> None:
    assert kendalltau(fitted(name), truth(cells(100, seed=9))).statistic > (0.45 if name == "forest" else 0.7)


def test_chance_learns_nothing() -> None:
    taus = [kendalltau(fitted("random", seed), truth(cells(100, seed=9))).statistic for seed in range(20)]
    assert abs(float(np.mean(taus))) < 0.1


@pytest.mark.parametrize("name", ["constant_proxy", *ON_FEATURES])
def test_the_generator_steers_everything(name: str) -> None:
    assert fitted(name, 3).tobytes() == fitted(name, 3).tobytes()
    if name in ("random", "forest", "network"):
        assert fitted(name, 3).tobytes() != fitted(name, 4).tobytes()


@pytest.mark.parametrize("name", REGRESSIONS)
def test_only_the_order_of_the_values_counts(name: str) -> None:
    archs, one, other = cells(30), surrogate(name, NasBench201()), surrogate(name, NasBench201())
    one.fit(archs, truth(archs), generator())
    other.fit(archs, np.exp(truth(archs) / 4), generator())
    assert one.predict(archs).tobytes() == other.predict(archs).tobytes()


@pytest.mark.parametrize("name", ON_FEATURES)
def test_failures_stand_below_everything_and_break_nothing(name: str) -> None:
    space = ToySpace()
    archs = [space.arch(index) for index in range(0, 1000, 40)]
    values = np.where(np.arange(len(archs)) % 3 == 0, -np.inf, np.arange(len(archs)))
    one = surrogate(name, space)
    one.fit(archs, values, generator())
    assert np.isfinite(one.predict(archs)).all()


@pytest.mark.parametrize("name", REGRESSIONS)
def test_more_cells_cost_more(name: str) -> None:
    def effort(count: int) -> Effort:
        one = surrogate(name, NasBench201())
        one.fit(cells(count), truth(cells(count)), generator())
        return one.cost()

    assert 0 < effort(20).fit < effort(80).fit
    assert effort(80).prediction > 0


def test_the_constant_proxy_counts_convolutions_and_breaks_ties_by_skips() -> None:
    proxy = surrogate("constant_proxy", NasBench201())
    names = ["nor_conv_3x3", "nor_conv_1x1", "skip_connect", "avg_pool_3x3", "none"]
    scores = proxy.predict([Arch(f"|{name}~0|+|none~0|none~1|+|none~0|none~1|none~2|") for name in names])
    assert scores.tolist() == [1.0, 0.5, 0.01, 0.0, 0.0]
    assert proxy.cost() == Effort(0.0, 0.0)


def test_cells_are_read_as_the_table_writes_them() -> None:
    assert (EDGES, OPERATIONS) == (TABLE_EDGES, TABLE_OPERATIONS)
    assert all(operations(arch) == parse(arch) for arch in cells(200))


@pytest.mark.parametrize("text", ["", "|none~0|", "|nor_conv_5x5~0|+|none~0|none~1|+|none~0|none~1|none~2|"])
def test_a_text_that_is_no_cell_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no cell of NAS-Bench-201"):
        operations(text)


def test_the_oracle_is_refused_with_the_reason() -> None:
    with pytest.raises(UsageError, match=r"never paid for.*check-surrogate cells"):
        surrogate("oracle", NasBench201())


def test_an_unknown_surrogate_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"'ridg'.*'ridge'"):
        surrogate("ridg", NasBench201())


def test_a_space_that_a_surrogate_cannot_read_is_refused() -> None:
    with pytest.raises(UsageError, match="not of space 'toy'"):
        surrogate("constant_proxy", ToySpace())
    one = surrogate("ridge", IdSpace("names", ["a", "b"]))
    with pytest.raises(UsageError, match="'names' gives no features"):
        one.fit([Arch("a"), Arch("b")], np.array([1.0, 2.0]), generator())


def test_normal_scores_are_quantiles_of_mid_ranks() -> None:
    scores = normal_scores(np.array([10.0, 90.0, 10.0, 80.0]))
    quantile = NormalDist().inv_cdf
    assert scores.tolist() == [quantile(0.25), quantile(0.875), quantile(0.25), quantile(0.625)]


def test_ranks_run_from_worst_to_best() -> None:
    assert ranks(np.array([3.0, 1.0, 2.0, 2.0])).tolist() == [0.875, 0.125, 0.5, 0.5]


def test_every_registered_surrogate_loads() -> None:
    for entry in SURROGATES.values():
        module, _, kind = entry.partition(":")
        assert callable(getattr(import_module(module), kind).predict)
