"""Whole searches with real training: NAS-Bench-201 cells and the growth space, on a few digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.core.types import Attach, Evaluate, Grow, Measurement
from harness.testing import Notebook, World, play, tiny_track

METHOD = "methods.petridish:Petridish"
IMAGES = {"train_images": 64, "valid_images": 50}
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "nb201": (
        "benchmarks.training.benchmark:NB201Training",
        {"channels": 2, "cells": 1},
        {"keep": 1, "merge": "sum", "attach_epochs": 1, "grow_epochs": 1},
    ),
    "growth": (
        "benchmarks.training.growth_benchmark:GrowthTraining",
        {"channels": 2, "cells": 1, "reductions": 1},
        {"attach_epochs": 1, "grow_epochs": 1},
    ),
}


def world(kind: str, options: dict[str, Any], cache: Path, limit: float) -> World:
    track = tiny_track(
        benchmark={"options": {**options, **IMAGES}},
        fidelity={"search": 1, "final": 1},
        objective={"metric": "digits/valid@1ep(64) trial", "secondary": ["digits/multiply-adds", "digits/parameters"]},
        budget={"unit": "evaluations", "limit": limit},
        final={"metrics": ["digits/test@1ep(114) trial"]},
    )
    return World(kind=kind, track=track, cache=cache)


@pytest.mark.parametrize("case", CASES)
def test_a_search_grows_real_networks_and_resumes(case: str, tmp_path: Path) -> None:
    kind, options, method_options = CASES[case]
    founders = 4 if case == "nb201" else 1
    whole = play(METHOD, world(kind, options, tmp_path / "a", founders + 4.0), options=method_options)
    kinds = [type(entry.trial.work) for entry in whole.trials]
    assert kinds == [*[Evaluate] * founders, Attach, Grow, Attach, Grow]
    assert all(isinstance(entry.result, Measurement) for entry in whole.trials)
    check_lineage(whole)
    torn = whole.torn(founders + 1)  # killed between attachment and growth, its checkpoints lost
    again = play(METHOD, world(kind, options, tmp_path / "b", founders + 4.0), options=method_options, notebook=torn)
    assert again.lines == whole.lines


def check_lineage(book: Notebook) -> None:
    for entry in book.trials:
        work, result = entry.trial.work, entry.result
        assert isinstance(result, Measurement)
        if isinstance(work, Attach):
            assert set(work.moves) <= result.scores.keys()
            assert result.cost.epochs > work.epochs
        if isinstance(work, Grow):
            weights = {m: book.trials[entry.trial.id - 1].result.scores[m] for m in work.after.moves}  # type: ignore[union-attr]
            assert min(weights[move] for move in work.moves) > 0
