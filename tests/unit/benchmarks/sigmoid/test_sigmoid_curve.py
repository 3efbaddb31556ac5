"""The shipped curves, the benchmark that answers from them, and the training behind them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.sigmoid import curve as curves
from benchmarks.sigmoid.curve import CURVES, Definition, load, shipped, write
from benchmarks.sigmoid.table import Slopes
from benchmarks.sigmoid_slope import SigmoidSlope
from benchmarks.training import mnist, sigmoid_slope
from benchmarks.training.sigmoid_slope import Splits, open_splits, train
from harness.core.errors import DataCorrupt, DataMissing, UsageError
from harness.core.interfaces import Place, Query
from harness.core.types import Arch, Capability, Evaluate, Measurement, Trial

TINY = Definition("digits", "normal", 3, 2, 800, 499, 498, 64, epochs=1)
QUERY = Query("digits/valid@20ep(800) trial", (), ("digits/test@20ep(800) mean-of-trials",), 20, 20)


@pytest.mark.parametrize("name", CURVES)
def test_a_shipped_curve_is_whole(name: str) -> None:
    curve = load(name)
    definition = curve.definition
    assert curve.valid.shape == curve.test.shape == (definition.slopes, definition.repeats)
    assert definition.grid[0] == 0.01
    assert definition.grid[-1] == 2.01
    counts = curve.valid * definition.valid / 100
    assert np.abs(counts - counts.round()).max() < 0.01, "accuracies are counts of images"
    if definition.init == "normal":
        assert definition.repeats >= 10


def test_the_curves_from_wide_weights_have_their_peak_inside() -> None:
    for name in ("mnist", "digits"):
        truth = load(name).valid.mean(axis=1)
        assert truth.max() - max(truth[0], truth[-1]) >= 2.0


def test_a_changed_curve_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "digits.csv"
    shutil.copy(shipped("digits"), copy)
    copy.write_text(copy.read_text().replace("0.0100,", "0.0200,", 1))
    monkeypatch.setattr(curves, "FOLDER", tmp_path)
    with pytest.raises(DataCorrupt, match="data build sigmoid-digits"):
        load("digits")
    copy.unlink()
    with pytest.raises(DataMissing, match="data build sigmoid-digits"):
        load("digits")
    with pytest.raises(UsageError, match="did you mean 'digits'"):
        load("digit")


def test_a_file_of_another_shape_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "curve.csv", TINY, np.ones((2, 3, 2)))
    with pytest.raises(DataCorrupt, match="50 slopes with 12 repeats"):
        load("digits", tmp_path / "curve.csv")
    (tmp_path / "curve.csv").write_text("slope\nhigh\n")
    with pytest.raises(DataCorrupt, match="no curve"):
        load("digits", tmp_path / "curve.csv")


def test_slopes_of_the_shipped_digits_come_out_again(place: Place) -> None:
    found = sigmoid_slope.verify(load("digits"), place, 2, 0)
    assert found.passed, found


def test_a_slope_of_the_shipped_mnist_curve_comes_out_again(real_place: Place) -> None:
    found = sigmoid_slope.verify(load("mnist"), real_place, 1, 0)
    assert found.passed, found


def test_a_wrong_curve_is_found_out(place: Place) -> None:
    curve = load("digits")
    assert not sigmoid_slope.verify(replace(curve, valid=curve.valid[::-1].copy()), place, 2, 0).passed


def test_networks_train_as_plain_layers_do(place: Place) -> None:
    splits = open_splits(TINY, place)
    splits = Splits((splits.train[0][:100], splits.train[1][:100]), splits.valid, splits.test)
    slopes = (0.05, 0.7, 1.9)
    definition = replace(TINY, epochs=8)
    together, _ = train(definition, splits, slopes, 0)
    for place_, slope in enumerate(slopes):
        networks = sigmoid_slope._Networks(definition, 64, [slope], node_of(definition))
        layers = [nn.Linear(64, 100), nn.Linear(100, 100), nn.Linear(100, 10)]
        with torch.no_grad():
            first, bias1, *rest = networks._first, *networks._rest
            for layer, weight, bias in zip(
                layers, (first, rest[0][0], rest[2][0]), (bias1, rest[1], rest[3]), strict=True
            ):
                layer.weight.copy_(weight.T)
                layer.bias.copy_(bias.view(-1))
        adam = torch.optim.Adam([weight for layer in layers for weight in layer.parameters()], lr=definition.rate)

        def logits(images: torch.Tensor, layers: list[nn.Linear] = layers, slope: float = slope) -> torch.Tensor:
            hidden = torch.sigmoid(slope * layers[0](images))
            return layers[2](torch.sigmoid(slope * layers[1](hidden)))

        for _ in range(definition.epochs):
            adam.zero_grad()
            nn.functional.cross_entropy(logits(splits.train[0]), splits.train[1]).backward()
            adam.step()
        accuracy = (logits(splits.valid[0]).argmax(1) == splits.valid[1]).double().mean().item() * 100
        assert together[place_] == pytest.approx(accuracy, abs=0.5)


def node_of(definition: Definition) -> sigmoid_slope.SeedTree:
    return sigmoid_slope.SeedTree.root("sigmoid-slope", 0).child(
        definition.dataset, definition.init, "repeat", 0, "weights"
    )


def test_the_default_initialisation_is_that_of_linear_layers() -> None:
    weight, bias = sigmoid_slope._initial("default", 100, 50, torch.Generator().manual_seed(0))
    assert weight.abs().max() <= 0.1
    assert bias.abs().max() <= 0.1
    assert weight.std().item() == pytest.approx(0.1 / 3**0.5, rel=0.05)
    weight, bias = sigmoid_slope._initial("normal", 100, 50, torch.Generator().manual_seed(0))
    assert weight.std().item() == pytest.approx(1.0, rel=0.05)
    assert not bias.any()


def test_a_stopped_build_goes_on(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sigmoid_slope.build(TINY, "tiny", tmp_path / "one", place, lambda _done, _all: None)
    assert whole.shape == (2, 3, 2)
    sigmoid_slope.build(replace(TINY, repeats=1), "tiny", tmp_path / "two", place, lambda _done, _all: None)
    trained = []
    monkeypatch.setattr(sigmoid_slope, "train", lambda *given: trained.append(given[-1]) or train(*given))
    again = sigmoid_slope.build(TINY, "tiny", tmp_path / "two", place, lambda _done, _all: None)
    assert trained == [1]
    assert (again == whole).all()
    with pytest.raises(DataCorrupt, match="another recipe"):
        sigmoid_slope.build(replace(TINY, rate=0.1), "tiny", tmp_path / "two", place, lambda _done, _all: None)


def test_absent_and_damaged_mnist_files_are_named_with_their_home(tmp_path: Path) -> None:
    place = Place(tmp_path, tmp_path / "cache")
    with pytest.raises(DataMissing, match=r"train-images-idx3-ubyte\.gz.*11\.6 MB.*http"):
        open_splits(CURVES["mnist"], place)
    (tmp_path / "mnist").mkdir()
    for name in mnist.FILES:
        (tmp_path / "mnist" / name).write_bytes(b"no gzip")
    with pytest.raises(DataCorrupt, match="SHA-256"):
        open_splits(CURVES["mnist"], place)


def test_mnist_splits_are_the_official_ones(real_place: Place) -> None:
    splits = open_splits(CURVES["mnist"], real_place)
    assert [len(part[1]) for part in (splits.train, splits.valid, splits.test)] == [8_000, 10_000, 10_000]
    assert splits.train[1][:5].tolist() == [5, 0, 4, 1, 9]
    assert splits.test[1][:5].tolist() == [7, 2, 1, 0, 4]
    assert splits.train[0].max() == 1.0
    assert splits.train[0].shape[1] == 784


def test_the_space_is_a_line_of_slopes() -> None:
    space = Slopes(CURVES["digits"].grid)
    assert len(space) == 50
    assert space.arch(0) == "0.0100"
    assert space.neighbours(Arch("0.0100")) == ["0.0508"]
    assert space.neighbours(Arch("0.0508")) == ["0.0100", "0.0916"]
    assert space.encode(Arch("2.0100")).tolist() == pytest.approx([2.01])
    assert "0.5" not in space
    with pytest.raises(UsageError, match="four decimals"):
        space.encode(Arch("0.5"))


def test_the_benchmark_answers_from_the_curve(place: Place) -> None:
    benchmark = SigmoidSlope(SigmoidSlope.Config("digits"), place, QUERY)
    curve = load("digits")
    assert {Capability.FINITE, Capability.ENCODABLE, Capability.THINK} <= benchmark.offers
    result = benchmark.evaluate(Trial(0, Evaluate(Arch("0.0508"), 20), 17)).result
    assert isinstance(result, Measurement)
    assert result.value == curve.valid[1, 17 % 12]
    assert result.cost.multiply_adds == pytest.approx(curve.definition.multiply_adds)
    assert benchmark.final(Arch("0.0508"), 0) == {QUERY.sealed[0]: pytest.approx(curve.test[1].mean())}
    assert benchmark.manifest()["recipe"] == curve.definition.manifest()
    assert benchmark.think_cost(curve.definition.multiply_adds).epochs == pytest.approx(20)
