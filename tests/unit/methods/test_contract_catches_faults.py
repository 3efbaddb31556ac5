"""Each planted fault fails the contract test that is there for it, and the sound method passes them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import HarnessError
from harness.testing import SearcherContract, World, fresh_process
from harness.testing.toy import ERROR, VALID

CAUGHT = (AssertionError, AttributeError, HarnessError, pytest.fail.Exception)
FAULTS: list[tuple[str, str, dict[str, Any], str]] = [
    ("DrawsFromRandom", "test_uses_no_global_generator", {}, "random.seed draws from a global generator"),
    ("DrawsFromNumpy", "test_uses_no_global_generator", {}, "numpy.random.seed draws from a global generator"),
    ("DrawsFromTorch", "test_uses_no_global_generator", {}, "torch's global generator"),
    ("ReadsTheClock", "test_same_seed_same_bytes", {}, "options {}"),
    ("ReadsTheClock", "test_resumes_to_the_same_bytes", {}, "instead of|killed after"),
    ("WalksThroughASet", "test_other_process_same_bytes", {}, "options {}"),
    ("IgnoresItsSeed", "test_other_seed_other_bytes", {}, "assert 1 == 5"),
    ("RemembersOtherRuns", "test_same_seed_same_bytes", {}, "options {}"),
    ("RemembersOtherRuns", "test_resumes_to_the_same_bytes", {}, "instead of|killed after"),
    ("AsksOutsideTheSpace", "test_keeps_the_rules", {"failures": 0.0, "workers": 1}, "zzzzz"),
    ("AsksForOtherEpochs", "test_keeps_the_rules", {"failures": 0.0, "workers": 1}, "epochs=8"),
    ("StartsForFree", "test_keeps_the_rules", {"failures": 0.0, "workers": 1}, "start"),
    ("ContinuesTheFailed", "test_keeps_the_rules", {"failures": 0.3, "workers": 1}, "were not trained"),
    ("StumblesOverFailures", "test_keeps_the_rules", {"failures": 0.3, "workers": 1}, "'Failure' object"),
    ("RecommendsTheFailed", "test_keeps_the_rules", {"failures": 0.3, "workers": 1}, "was never trained"),
    ("RecommendsTheFailed", "test_keeps_the_rules", {"failures": 1.0, "workers": 1}, "although every trial failed"),
    ("RecommendsTooEarly", "test_recommends_nothing_before_it_knows_anything", {}, "is None"),
    ("WaitsForAnswers", "test_several_workers_keep_busy", {}, "exhausted"),
    ("RecommendsTheWorst", "test_is_not_worse_than_random_search", {"metric": VALID}, "of random search"),
    ("AlwaysMaximises", "test_is_not_worse_than_random_search", {"metric": ERROR}, "of random search"),
    ("TakesAnyOption", "test_refuses_bad_options", {}, "DID NOT RAISE"),
    ("HasAMutableConfig", "test_has_the_form_of_a_method", {}, "frozen"),
    ("WantsASupernet", "test_has_the_form_of_a_method", {}, "lacks .*supernet"),
]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)


@pytest.fixture
def other_process() -> Iterator[ProcessPoolExecutor]:
    with fresh_process() as pool:
        yield pool


@pytest.fixture
def check(request: pytest.FixtureRequest) -> Callable[[str, str, dict[str, Any]], None]:
    """Run one contract test on one planted method."""

    def run(name: str, test: str, arguments: dict[str, Any]) -> None:
        extra = {"other_process": request.getfixturevalue("other_process")} if "process" in test else {}
        if test != "test_refuses_bad_options":
            extra["world"] = World()
        getattr(SearcherContract(), test)(method=f"planted_faults:{name}", **extra, **arguments)

    return run


@pytest.mark.parametrize(("name", "test", "arguments", "message"), FAULTS)
def test_the_fault_is_caught(name: str, test: str, arguments: dict[str, Any], message: str, check: Any) -> None:
    with pytest.raises(CAUGHT, match=message):
        check(name, test, arguments)


@pytest.mark.parametrize(("test", "arguments"), {repr(fault[1:3]): fault[1:3] for fault in FAULTS}.values())
def test_the_sound_method_passes(test: str, arguments: dict[str, Any], check: Any) -> None:
    check("Sound", test, arguments)
