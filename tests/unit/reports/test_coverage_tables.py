"""The simulation of coverage: its fast bootstrap is scipy's, and the printed figures come out again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from harness.core.errors import UsageError
from reports import coverage

DOCUMENT = Path(__file__).parents[3] / "docs/statistics.md"


def test_many_bca_intervals_at_once_are_those_of_scipy() -> None:
    samples = np.random.default_rng(0).lognormal(0, 1, (4, 15))
    found = coverage._bca(samples, np.random.default_rng(1))
    for sample, (low, high) in zip(samples, found, strict=True):
        theirs = stats.bootstrap((sample,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(2))
        width = theirs.confidence_interval.high - theirs.confidence_interval.low
        assert low == pytest.approx(theirs.confidence_interval.low, abs=0.06 * width)
        assert high == pytest.approx(theirs.confidence_interval.high, abs=0.06 * width)


@pytest.mark.parametrize("sample", list(coverage.SAMPLES))
def test_a_sample_has_the_mean_that_it_is_held_against(sample: str) -> None:
    draw, truth = coverage.SAMPLES[sample]
    values = draw(np.random.default_rng(3), (400_000,))
    assert values.mean() == pytest.approx(truth, abs=5 * values.std() / 400_000**0.5)


def test_the_printed_figures_come_out_again() -> None:
    draw, truth = coverage.SAMPLES["normal"]
    covers = coverage.mean_coverage(3, draw, truth)
    student = covers["Student's t"]
    row = f"| 3 | {student:.1f} | {covers['BCa bootstrap']:.1f} | {covers['percentile bootstrap']:.1f} |"
    text = DOCUMENT.read_text(encoding="utf-8")
    assert row in text
    assert f"| share 0.5 (Wilson) | {coverage.share_coverage(3, 0.5):.1f} |" in text


def test_student_covers_what_it_promises_and_a_bootstrap_of_three_does_not() -> None:
    draw, truth = coverage.SAMPLES["normal"]
    covers = coverage.mean_coverage(3, draw, truth)
    error = 100 * (0.95 * 0.05 / coverage.TRIALS) ** 0.5
    assert abs(covers["Student's t"] - 95) < 4 * error
    assert covers["BCa bootstrap"] < 80


def test_the_interval_of_an_improvement_holds_at_every_size() -> None:
    for n in (5, 20):
        assert coverage.improvement_coverage(n, 2.0, trials=600) > 91


def test_tables_go_between_the_marks_and_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "report", lambda: "the tables")
    page = tmp_path / "page.md"
    page.write_text(f"before\n{coverage.BEGIN}\nold\n{coverage.END}\nafter\n", encoding="utf-8")
    coverage.write(page)
    assert page.read_text() == f"before\n{coverage.BEGIN}\n\nthe tables\n\n{coverage.END}\nafter\n"
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(UsageError, match="are not both there"):
        coverage.write(page)
