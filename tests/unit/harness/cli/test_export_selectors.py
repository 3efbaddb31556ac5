"""Which run `export` takes, and what it says where its options name none or several."""

from __future__ import annotations

from argparse import Namespace

import pytest

from harness.cli.export import _spec
from harness.core.errors import UsageError
from harness.core.types import RunSpec


def run(track: str, method: str, variant: str = "base", replicate: int = 0) -> RunSpec:
    return RunSpec("p", "1.0.0", track, method, method, variant, {}, replicate, 0)


RUNS = [
    *(run("digits", "random_search", replicate=replicate) for replicate in range(30)),
    run("digits", "petridish"),
    run("digits", "petridish", "keep=2"),
    run("cifar10", "petridish"),
]


def chosen(track: str | None = None, method: str | None = None, variant: str = "base", replicate: int = 0) -> RunSpec:
    return _spec(RUNS, Namespace(run="runs/p", track=track, method=method, variant=variant, replicate=replicate))


def test_the_options_that_are_needed_suffice() -> None:
    assert chosen("cifar10") == run("cifar10", "petridish")
    assert chosen(variant="keep=2") == run("digits", "petridish", "keep=2")
    assert chosen(replicate=7) == run("digits", "random_search", replicate=7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"track": "digit"}, "--track: no run has 'digit' (did you mean 'digits'?); choose from: digits; cifar10"),
        (
            {"track": "cifar10", "method": "random_search"},
            "--method: no run of --track cifar10 has 'random_search'; choose from: petridish",
        ),
        (
            {"method": "petridish", "variant": "keep=3"},
            "--variant: no run of --method petridish has 'keep=3' (did you mean 'keep=2'?); choose from: base; keep=2",
        ),
        (
            {"track": "digits", "method": "petridish", "replicate": 3},
            "--replicate: no run of --track digits --method petridish --variant base has '3'; choose from: 0",
        ),
        ({"method": "random_search", "replicate": 99}, "18; 19; and 10 more"),
        (
            {"method": "petridish"},
            "--replicate 0; add one of: --track digits --method petridish; --track cifar10 --method petridish",
        ),
    ],
)
def test_the_first_option_that_fits_no_run_is_named_with_what_would(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        chosen(**options)  # type: ignore[arg-type]
    assert str(caught.value).startswith("runs/p: ")
    assert message in str(caught.value)
