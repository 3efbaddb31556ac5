from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import asdict
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.spaces.growth_text import parse
from benchmarks.training.growth_benchmark import GrowthTraining
from benchmarks.training.growth_cells import build_grown
from benchmarks.training.growth_model import find_model, plain, read_model, write_model
from benchmarks.training.growth_settings import GrowthConfig
from harness.core.errors import DataCorrupt, DataMissing, HarnessError, OutputUnwritable, UsageError
from harness.core.interfaces import Place
from harness.core.types import Arch, Attach, Evaluate, Grow, Measurement, Trial

OpenGrowth = Callable[..., GrowthTraining]

OWN = Arch("cell normal[concat(c1.sep3x3)] reduction[]")
SPACE = GrowthConfig(channels=2, reductions=1).space()
SKELETON = SPACE.skeleton


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "own.pt"
    write_model(path, build_grown(OWN, SKELETON, 11), OWN)
    return path


def change(path: Path, **changes: Any) -> Path:
    data = torch.load(path, weights_only=True)
    weights = {**data["weights"], **changes.pop("weights", {})}
    changed = {**data, "weights": {name: value for name, value in weights.items() if value is not None}, **changes}
    torch.save({key: value for key, value in changed.items() if value is not None}, path)
    return path


def test_a_model_comes_back_as_it_was(model: Path) -> None:
    read = read_model(model, SPACE)
    assert read.arch == OWN
    first, second = build_grown(OWN, SKELETON, 11).state_dict(), read.network().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert plain(read.network(), OWN)["weights"].keys() == first.keys()


def test_growth_begins_with_the_file(open_growth: OpenGrowth, model: Path) -> None:
    benchmark = open_growth(founder=str(model), phase_learning_rate=0.01)
    assert benchmark.space.seeds() == (OWN,)
    assert benchmark.manifest()["founder"] == read_model(model, SPACE).sha256
    assert benchmark.manifest() != open_growth(phase_learning_rate=0.01).manifest()
    founded = Evaluate(OWN, 2)
    attach = Attach(founded, tuple(benchmark.space.moves(OWN)[:2]), "sg+sf", 1)
    grow = Grow(attach, attach.moves[:1], benchmark.space.grow(OWN, attach.moves[:1]), 1)
    results = [benchmark.evaluate(Trial(0, work, 5)).result for work in (founded, attach, grow)]
    assert all(isinstance(result, Measurement) for result in results)


def test_the_weights_of_the_file_are_what_is_trained_on(open_growth: OpenGrowth, model: Path, tmp_path: Path) -> None:
    frozen = {"learning_rate": 1e-30, "weight_decay": 0.0}
    benchmark = open_growth(cache=tmp_path / "a", founder=str(model), **frozen)
    own = benchmark.network_of(Evaluate(OWN, 2), 5)
    scratch = open_growth(cache=tmp_path / "b", **frozen).network_of(Evaluate(OWN, 2), 5)
    given = build_grown(OWN, SKELETON, 11)
    assert all(
        torch.equal(value, own.state_dict()[name]) for name, value in given.named_parameters() if value.dim() > 1
    )
    assert not torch.equal(scratch.stem[0].weight, given.stem[0].weight)
    other = Arch("cell normal[] reduction[]")
    assert not torch.equal(benchmark.network_of(Evaluate(other, 2), 5).stem[0].weight, given.stem[0].weight)
    assert not torch.equal(benchmark.network(OWN, 5).stem[0].weight, given.stem[0].weight), "the final recipe"


def test_another_file_is_another_benchmark(open_growth: OpenGrowth, model: Path) -> None:
    before = open_growth(founder=str(model)).manifest()["founder"]
    write_model(model, build_grown(OWN, SKELETON, 12), OWN)
    assert open_growth(founder=str(model)).manifest()["founder"] != before


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("code of the file was run",))


def test_a_file_with_code_is_refused_and_nothing_of_it_runs(open_growth: OpenGrowth, tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    torch.save({"format": Bomb()}, path)
    with pytest.raises(DataCorrupt, match="without running code"):
        open_growth(founder=str(path))
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataCorrupt, match="without running code"):
        open_growth(founder=str(path))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"weights", b"\x80\x02}q\x00."])
def test_a_file_that_is_no_model_is_refused(open_growth: OpenGrowth, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "wrong.pt"
    path.write_bytes(content)
    with pytest.raises(DataCorrupt) as caught:
        open_growth(founder=str(path))
    assert "\n" not in str(caught.value)
    assert "python -m harness export" in str(caught.value)


def test_a_missing_file_is_named(open_growth: OpenGrowth) -> None:
    with pytest.raises(DataMissing, match=r"no file 'nowhere\.pt'"):
        open_growth(founder="nowhere.pt")
    with pytest.raises(OutputUnwritable, match="no model can be written"):
        write_model(Path("/nowhere/at/all.pt"), build_grown(OWN, SKELETON, 0), OWN)


def test_a_file_that_may_not_be_read_is_named(
    open_growth: OpenGrowth, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refused)  # whoever is root may read everything
    with pytest.raises(DataMissing, match=r"founder: .*own\.pt cannot be read \(Permission denied\); allow it"):
        open_growth(founder=str(model))


def test_every_place_that_was_searched_is_named_and_the_nearest_file(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    current = tmp_path / "current"
    (current / "exports" / "run").mkdir(parents=True)
    write_model(current / "exports" / "run" / "model.pt", build_grown(OWN, SKELETON, 0), OWN)
    monkeypatch.chdir(current)
    place = Place(model.parent, tmp_path)

    def refusal(name: str, place: Place = place) -> str:
        with pytest.raises(DataMissing) as caught:
            find_model(name, place)
        return str(caught.value)

    assert f"looked in {model.parent} and in {current})" in refusal("onw.pt")
    assert "did you mean 'own.pt'" in refusal("onw.pt")
    assert "did you mean 'exports/run/model.pt'" in refusal("exports/run/modle.pt")
    assert "did you mean 'exports/run/model.pt'" in refusal("exports/run"), "a folder that holds one"
    assert f"did you mean '{model}'" in refusal(str(model.with_name("onw.pt")))
    assert f"looked in {current});" in refusal("onw.pt", Place(None, tmp_path))
    assert find_model("own.pt", place) == model
    assert find_model("exports/run/model.pt", place) == current / "exports" / "run" / "model.pt"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"format": "something"}, DataCorrupt, "no 'nas-harness growth model 1'"),
        ({"skeleton": None}, DataCorrupt, "skeleton"),
        ({"arch": 3}, DataCorrupt, "wrong type"),
        ({"arch": "cell normal[] reductoin[]"}, UsageError, "the slots are"),
        ({"arch": "cell normal[] reduction[]"}, DataCorrupt, "unlike its architecture, the weight 'cells.0.added.0"),
        ({"weights": {"stem.0.weight": None}}, DataCorrupt, "lacks the weight 'stem.0.weight'"),
        ({"weights": {"stem.0.weight": torch.zeros(2, 1, 5, 5)}}, DataCorrupt, "is torch.float32 (2, 1, 5, 5), not"),
        ({"weights": {"stem.0.weight": torch.zeros(2, 1, 3, 3).double()}}, DataCorrupt, "is torch.float64"),
        ({"weights": {"stem.0.weight": 3}}, DataCorrupt, "is int, not"),
        ({"weights": {"stem.0.weight": torch.zeros(2, 1, 3, 3).to_sparse()}}, DataCorrupt, "that is sparse"),
        ({"weights": {"stem.0.weight": torch.zeros(2, 1, 3, 3, device="meta")}}, DataCorrupt, "without values"),
        ({"weights": {"stem.0.weight": torch.full((2, 1, 3, 3), nan)}}, DataCorrupt, "'stem.0.weight' holds NaN"),
        (
            {"weights": {"stem.1.running_mean": torch.tensor([0.0, -inf])}},
            DataCorrupt,
            "running_mean' holds NaN or inf",
        ),
        ({"weights": {5: torch.zeros(1), "x": torch.zeros(1)}}, DataCorrupt, "unlike its architecture, the weight 5"),
        ({"weights": {5: torch.zeros(1), "stem.0.weight": None}}, DataCorrupt, "lacks the weight 'stem.0.weight'"),
        ({"arch": "macro 1[] 2[]"}, UsageError, "not of this space"),
        ({"skeleton": {**asdict(SKELETON), 5: 1, "x": 1}}, UsageError, "no key 5; known: channels, cells"),
        ({"skeleton": {**asdict(SKELETON), "chanels": 1}}, UsageError, "'chanels' (did you mean 'channels'?)"),
        ({"skeleton": {**asdict(SKELETON), "cells": torch.ones(2)}}, UsageError, "cells is tensor([1., 1.]) there"),
        ({"skeleton": {"channels": 3}}, UsageError, "channels is 3 there and 2 here"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(
    open_growth: OpenGrowth, model: Path, changes: dict[str, Any], error: type[HarnessError], message: str
) -> None:
    with pytest.raises(error) as caught:
        open_growth(founder=str(change(model, **changes)))
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{model}: ")


def test_a_file_of_the_other_form_or_beyond_the_limits_is_refused(open_growth: OpenGrowth, model: Path) -> None:
    with pytest.raises(UsageError, match=r"own\.pt: arch: .* not of this space"):
        open_growth(founder=str(model), form="macro")
    own = SKELETON.count(parse(OWN)).parameters
    with pytest.raises(UsageError, match=r"own\.pt: arch: .* beyond the limits"):
        open_growth(founder=str(model), max_parameters=(own - 1) / 1e6)
    assert open_growth(founder=str(model), max_parameters=own / 1e6).space.seeds() == (OWN,)
