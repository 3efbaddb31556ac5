"""Qualified names: one grammar, and no default anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.tabular.names import POLICIES, MetricName, parse, resolve
from harness.core.errors import UsageError

KNOWN = [
    "cifar10/multiply-adds",
    "cifar10/test@200ep(25k) mean-of-trials",
    "cifar10/test@200ep(50k) mean-of-trials",
    "cifar10/valid@12ep(25k) mean-of-trials",
    "cifar10/valid@200ep(25k) mean-of-trials",
    "cifar10/valid@200ep(25k) trial",
    "cifar100/valid+test@200ep(50k) mean-of-trials",
]

words = st.from_regex(r"[a-z0-9][a-z0-9._+-]{0,8}", fullmatch=True)
sizes = st.from_regex(r"[0-9][0-9.]{0,3}[kM]?", fullmatch=True)
epochs = st.integers(1, 999)
names = st.builds(
    MetricName,
    words | st.none(),
    words,
    epochs,
    sizes | st.none(),
    st.sampled_from(POLICIES) | st.none(),
    epochs | st.none(),
)


@given(names)
def test_parsing_is_the_inverse_of_writing(name: MetricName) -> None:
    assert parse(str(name)) == name


@pytest.mark.parametrize("text", KNOWN)
def test_a_whole_name_means_itself(text: str) -> None:
    assert resolve(text, KNOWN, "key") == text


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("cifar10/valid", KNOWN[3:6]),
        ("cifar10/valid@200ep(25k)", KNOWN[4:6]),
        ("cifar10/valid@12ep(25k)", KNOWN[3:4]),
        ("valid@200ep(25k) trial", KNOWN[5:6]),
        ("cifar10/test@200ep mean-of-trials", KNOWN[1:3]),
        ("multiply-adds", KNOWN[:1]),
    ],
)
def test_an_incomplete_name_is_refused_with_everything_it_could_mean(text: str, meant: list[str]) -> None:
    with pytest.raises(UsageError, match=r"^final\.metrics: ") as refusal:
        resolve(text, KNOWN, "final.metrics")
    listed = str(refusal.value).partition("could mean: ")[2].partition("; write one")[0]
    assert listed.split("; ") == meant


@pytest.mark.parametrize("text", ["cifar10/valid@12ep(50k) mean-of-trials", "cifra10/multiply-adds", "?!", ""])
def test_an_unknown_name_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no metric"):
        resolve(text, KNOWN, "objective.metric")


def test_an_unknown_name_gets_its_nearest() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'cifar10/valid@12ep\(25k\) mean-of-trials'"):
        resolve("cifar10/valid@13ep(25k) mean-of-trials", KNOWN, "objective.metric")


def test_an_epoch_within_a_schedule_has_a_name_of_its_own() -> None:
    name = parse(KNOWN[3])
    assert name is not None
    assert str(name.after(3)) == "cifar10/valid@3of12ep(25k) mean-of-trials"
    assert name.after(12) == name
    assert not name.after(3).means(name)
