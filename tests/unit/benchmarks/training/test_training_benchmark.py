from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from benchmarks.training import settings
from benchmarks.training.benchmark import NB201Training
from benchmarks.training.cells import build
from benchmarks.training.fit import Training
from benchmarks.training.naming import count
from benchmarks.training.settings import TrainingConfig
from harness.core.budget import Budget
from harness.core.canonical import content_hash
from harness.core.errors import Unsupported, UsageError
from harness.core.interfaces import Benchmark, Place, Query
from harness.core.types import Advance, Arch, Capability, Evaluate, Failure, Measurement, Trial
from harness.testing import BenchmarkContract, Opening

OpenTiny = Callable[..., NB201Training]

OBJECTIVE = "digits/valid@4ep(80) trial"


class TestContract(BenchmarkContract):
    draws = 3

    @pytest.fixture(scope="class")
    @classmethod
    def opening(cls, tmp_path_factory: pytest.TempPathFactory) -> Opening:
        config = TrainingConfig(train_images=80, valid_images=60, channels=2, batch_size=32)
        query = Query(OBJECTIVE, ("digits/parameters",), ("digits/test@2ep(140) trial",), 4, 2)
        place = Place(None, tmp_path_factory.mktemp("cache"))
        return Opening("benchmarks.training.benchmark:NB201Training", config, place, query)


def _measured(benchmark: Benchmark, work: Evaluate, seed: int = 5) -> Measurement:
    result = benchmark.evaluate(Trial(0, work, seed)).result
    assert isinstance(result, Measurement)
    return result


SEARCHED = ("digits/test@4ep(80) trial",)


def test_a_trial_is_answered_by_qualified_names(open_tiny: OpenTiny, mixed: Arch) -> None:
    outcome = open_tiny(sealed=SEARCHED).evaluate(Trial(0, Evaluate(mixed, 4), 5))
    result = outcome.result
    assert isinstance(result, Measurement)
    assert set(result.metrics) == {
        OBJECTIVE, "digits/train-loss@4ep(80) trial", "digits/multiply-adds", "digits/parameters",
    }  # fmt: skip
    assert result.value == result.metrics[OBJECTIVE] == result.curve[-1]
    assert len(result.curve) == 4
    assert set(outcome.sealed) == {"digits/test@4ep(80) trial"}
    assert all(0 <= value <= 100 for value in (result.value, *outcome.sealed.values()))
    part = open_tiny(sealed=SEARCHED).evaluate(Trial(0, Evaluate(mixed, 2), 5))
    assert set(part.sealed) == {"digits/test@2of4ep(80) trial"}


def test_trials_are_tested_only_where_the_query_says_so(open_tiny: OpenTiny, mixed: Arch) -> None:
    trial = Trial(0, Evaluate(mixed, 4), 5)
    untested, tested = open_tiny().evaluate(trial), open_tiny(sealed=SEARCHED).evaluate(trial)
    assert untested.sealed == {}
    assert untested.result == tested.result


def test_a_trial_costs_three_forward_passes(open_tiny: OpenTiny, mixed: Arch) -> None:
    result = _measured(open_tiny(), Evaluate(mixed, 4))
    forward = result.metrics["digits/multiply-adds"] * 1e6
    assert result.cost.epochs == 4
    assert result.cost.train_seconds is None
    assert result.cost.multiply_adds == pytest.approx(3 * forward * 80 * 4)


def test_sizes_are_millions(open_tiny: OpenTiny, mixed: Arch) -> None:
    benchmark = open_tiny()
    metrics = _measured(benchmark, Evaluate(mixed, 1)).metrics
    built = build(mixed, benchmark._skeleton, 0)
    assert metrics["digits/parameters"] * 1e6 == pytest.approx(sum(p.numel() for p in built.parameters()))


@pytest.mark.parametrize("kept", [True, False])
def test_a_partial_training_goes_on_to_the_same_end(
    open_tiny: OpenTiny, mixed: Arch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    benchmark = open_tiny()
    whole = _measured(open_tiny(tmp_path / "other"), Evaluate(mixed, 4))
    part = _measured(benchmark, Evaluate(mixed, 3))
    assert part.curve == whole.curve[:3]
    assert part.metrics["digits/valid@3of4ep(80) trial"] == part.value == whole.curve[2]
    checkpoints = list((tmp_path / "checkpoints").iterdir())
    assert len(checkpoints) == 1
    if not kept:
        checkpoints[0].unlink()
    advances: list[int] = []
    genuine = Training.advance

    def advance(self: Training) -> None:
        advances.append(1)
        genuine(self)

    monkeypatch.setattr(Training, "advance", advance)
    rest = _measured(benchmark, Evaluate(mixed, 4, start=3))
    assert (rest.value, rest.metrics, rest.curve) == (whole.value, whole.metrics, whole.curve)
    assert rest.cost.epochs == 1
    assert rest.cost.multiply_adds == pytest.approx(whole.cost.multiply_adds / 4)
    assert len(advances) == (1 if kept else 4)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_checkpoint_further_on_is_not_used_backwards(open_tiny: OpenTiny, mixed: Arch) -> None:
    benchmark = open_tiny()
    further = _measured(benchmark, Evaluate(mixed, 3))
    assert _measured(benchmark, Evaluate(mixed, 2)).curve == further.curve[:2]


def test_another_seed_or_thread_count_never_meets_a_checkpoint(open_tiny: OpenTiny, mixed: Arch) -> None:
    benchmark = open_tiny()
    _measured(benchmark, Evaluate(mixed, 2), seed=1)
    fresh = _measured(open_tiny(), Evaluate(mixed, 4), seed=2)
    assert fresh.curve == _measured(benchmark, Evaluate(mixed, 4, start=2), seed=2).curve
    two_threads = NB201Training(benchmark._config, Place(None, benchmark._place.cache, threads=2), benchmark._query)
    assert two_threads._workshop.search.identity != benchmark._workshop.search.identity


def test_a_failure_is_an_outcome_that_costs(open_tiny: OpenTiny, mixed: Arch) -> None:
    outcome = open_tiny(learning_rate=1e30).evaluate(Trial(0, Evaluate(mixed, 4), 5))
    assert isinstance(outcome.result, Failure)
    assert "not finite" in outcome.result.reason
    assert outcome.result.cost.epochs == 1
    assert outcome.result.cost.multiply_adds > 0
    assert outcome.sealed == {}


def test_a_failure_after_paid_epochs_costs_the_rest(
    open_tiny: OpenTiny, mixed: Arch, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark = open_tiny()
    _measured(benchmark, Evaluate(mixed, 2))
    genuine = functional.cross_entropy
    monkeypatch.setattr(functional, "cross_entropy", lambda logits, labels: genuine(logits, labels) * math.nan)
    result = benchmark.evaluate(Trial(0, Evaluate(mixed, 4, start=2), 5)).result
    assert isinstance(result, Failure)
    assert result.cost.epochs == 1


def test_lack_of_memory_is_an_outcome_that_costs(
    open_tiny: OpenTiny, mixed: Arch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def starved(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(functional, "cross_entropy", starved)
    result = open_tiny().evaluate(Trial(0, Evaluate(mixed, 4), 5)).result
    assert result == Failure("out of memory", result.cost)
    assert result.cost.epochs == 1


def test_the_final_network_trains_on_train_and_valid(open_tiny: OpenTiny, mixed: Arch) -> None:
    benchmark = open_tiny()
    assert len(benchmark._workshop.final.train) == 140
    first, again, other = (benchmark.final(mixed, seed) for seed in (1, 1, 2))
    assert set(first) == {"digits/test@2ep(140) trial"}
    assert first == again
    assert benchmark._workshop.final.recipe.epochs == 2
    assert set(other) == set(first)


def test_the_final_metrics_may_name_the_search_recipe(open_tiny: OpenTiny, mixed: Arch) -> None:
    sealed = ("digits/test@4ep(80) trial", "digits/test@2ep(140) trial")
    benchmark = open_tiny(sealed=sealed)
    final = benchmark.final(mixed, 5)
    assert set(final) == set(sealed)
    assert final[sealed[0]] == benchmark.evaluate(Trial(0, Evaluate(mixed, 4), 5)).sealed[sealed[0]]


def test_a_failed_final_network_has_no_metrics(open_tiny: OpenTiny, mixed: Arch) -> None:
    assert open_tiny(learning_rate=1e30).final(mixed, 1) == {}


def test_test_images_are_opened_by_the_sealed_evaluation_only(
    open_tiny: OpenTiny, mixed: Arch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object) -> None:
        raise AssertionError("the test images were opened")

    monkeypatch.setattr("benchmarks.training.workshop.test_images", closed)
    trial = Trial(0, Evaluate(mixed, 1), 5)
    benchmark = open_tiny()
    benchmark.estimate()
    assert isinstance(benchmark.evaluate(trial).result, Measurement)
    with pytest.raises(AssertionError, match="test images were opened"):
        open_tiny(sealed=SEARCHED).evaluate(trial)


def test_the_objective_may_be_the_loss_or_a_size(mixed: Arch, tmp_path: Path) -> None:
    config = TrainingConfig(train_images=80, valid_images=60, channels=2, batch_size=32)
    for objective, curve in (("digits/train-loss@4ep(80) trial", 2), ("digits/multiply-adds", 0)):
        query = Query(objective, (), ("digits/test@4ep(80) trial",), 4, 4)
        result = _measured(NB201Training(config, Place(None, tmp_path), query), Evaluate(mixed, 2))
        assert len(result.curve) == curve
        assert result.value in result.metrics.values()
        assert result.value == (result.curve[-1] if curve else result.metrics[objective])


@pytest.mark.parametrize(
    ("objective", "sealed", "message"),
    [
        ("digits/test@4ep(80) trial", "digits/test@2ep(140) trial", "is sealed: no method may learn it"),
        ("digits/valid@4ep(80) trial", "digits/valid@4ep(80) trial", "is no sealed metric"),
        ("digits/valid", "digits/test@2ep(140) trial", "is ambiguous; it could be digits/valid@4ep"),
        ("digits/valid@12ep(80) trial", "digits/test@2ep(140) trial", "did you mean"),
        ("digits/valid@2of4ep(80) trial", "digits/test@2ep(140) trial", "is not of the search fidelity"),
        ("digits/valid@4ep(80) trial", "digits/test@2ep(80) trial", "did you mean 'digits/test@"),
    ],
)
def test_a_query_that_nothing_answers_is_refused(tmp_path: Path, objective: str, sealed: str, message: str) -> None:
    config = TrainingConfig(train_images=80, valid_images=60)
    with pytest.raises(UsageError) as caught:
        NB201Training(config, Place(None, tmp_path), Query(objective, (), (sealed,), 4, 2))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (Advance(1), "cannot do Advance"),
        (Evaluate(Arch("x"), 4, parent=Arch("x")), "inherits weights"),
        (Evaluate(Arch("x"), 5), "cannot train from epoch 0 to 5; the fidelities are 1, 2, 3, 4"),
        (Evaluate(Arch("x"), 2, start=2), "from epoch 2 to 2"),
    ],
)
def test_work_that_is_not_offered_is_unsupported(open_tiny: OpenTiny, work: Evaluate, message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        open_tiny().evaluate(Trial(0, work, 1))


def test_text_that_is_no_cell_is_refused(open_tiny: OpenTiny) -> None:
    with pytest.raises(UsageError, match="is no cell of this space"):
        open_tiny().evaluate(Trial(0, Evaluate(Arch("|skip|"), 4), 1))


def test_a_single_fidelity_offers_no_partial_training(open_tiny: OpenTiny) -> None:
    benchmark = open_tiny(fidelities=(4,))
    assert benchmark.fidelities == (4,)
    assert Capability.PARTIAL not in benchmark.offers
    assert open_tiny(fidelities=(1, 4)).offers > benchmark.offers


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "referense"}, "did you mean 'reference'"),
        ({"train_images": 0}, "train_images is 0"),
        ({"valid_images": 500}, "valid_images is 500; the split has 499"),
        ({"fidelities": (3, 1)}, "rising order"),
        ({"fidelities": (0, 4)}, "rising order"),
        ({"fidelities": (1, 2)}, "they end at 2, the search schedule at 4"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_wrong_options_are_refused(open_tiny: OpenTiny, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_tiny(**options)
    assert message in str(caught.value)


def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    query = Query("digits/valid@4ep(800) trial", (), ("digits/test@2ep(1299) trial",), 4, 2)
    with pytest.raises(UsageError, match="'tpu' is not on this machine"):
        NB201Training(TrainingConfig(), Place(None, tmp_path, device="tpu"), query)


def test_the_manifest_tells_the_benchmark_and_nothing_of_the_machine(open_tiny: OpenTiny, tmp_path: Path) -> None:
    benchmark = open_tiny()
    manifest = benchmark.manifest()
    elsewhere = NB201Training(benchmark._config, Place(None, tmp_path / "x", threads=3), benchmark._query)
    assert content_hash(elsewhere.manifest()) == content_hash(manifest)
    assert elsewhere.environment() != benchmark.environment()
    assert manifest["data"]["sha256"] == "637d1cc7fcd6f9e8e1c9ba2133c86a68733f653b8d4a996175e9debfda3e993e"
    for option in ({"learning_rate": 0.2}, {"train_images": 79}, {"channels": 4}, {"crop_padding": 2}):
        assert content_hash(_other(benchmark, **option).manifest()) != content_hash(manifest)


def _other(benchmark: NB201Training, **option: object) -> NB201Training:
    plain = {name: getattr(benchmark._config, name) for name in TrainingConfig.__dataclass_fields__}
    config = TrainingConfig(**{**plain, **option})
    train = config.train_images
    query = Query(f"digits/valid@4ep({train}) trial", (), (f"digits/test@2ep({train + 60}) trial",), 4, 2)
    return NB201Training(config, benchmark._place, query)


def test_the_environment_names_what_changes_bits(open_tiny: OpenTiny) -> None:
    environment = open_tiny().environment()
    assert environment["torch"] == torch.__version__
    assert environment["threads"] == 1
    assert environment["deterministic_algorithms"] is True
    assert environment["device"] == "cpu"
    content_hash(environment)


def test_the_estimate_is_of_this_machine(open_tiny: OpenTiny) -> None:
    benchmark = open_tiny()
    estimate = benchmark.estimate()
    assert 0 < estimate.seconds < 60
    assert 0 < estimate.final_seconds < 60
    assert estimate.memory > 10**7
    assert estimate.cost is not None
    assert estimate.cost.epochs == 4
    assert "average cell" in estimate.basis
    assert benchmark.references(Budget("epochs", 10.0, "discard")) == {"ranges": {}}


def test_the_range_of_each_cost_is_that_of_the_whole_space(open_tiny: OpenTiny) -> None:
    benchmark = open_tiny()
    costs = ("digits/multiply-adds", "digits/parameters")
    asked = NB201Training(benchmark._config, benchmark._place, replace(benchmark._query, secondary=costs))
    ranges = asked.references(Budget("epochs", 10.0, "discard"))["ranges"]
    for name, cost in zip(costs, (asked._skeleton.multiply_adds, asked._skeleton.parameters), strict=True):
        every = [cost(arch) / 1e6 for arch in map(asked.space.arch, range(len(asked.space)))]
        assert ranges[name] == {"low": min(every), "high": max(every), "better": "lower"}


def test_engines_are_importable() -> None:
    for engine in settings.ENGINES.values():
        assert callable(engine.load())


def test_an_engine_is_chosen_by_name_and_recorded(tmp_path: Path, mixed: Arch) -> None:
    config = TrainingConfig(engine="fused", train_images=80, valid_images=60, channels=2, batch_size=32)
    query = Query(OBJECTIVE, (), ("digits/test@2ep(140) trial",), 4, 2)
    fused = NB201Training(config, Place(None, tmp_path), query)
    plain = NB201Training(replace(config, engine="reference"), Place(None, tmp_path), query)
    assert fused.manifest() == plain.manifest() | {"engine": "fused"}
    assert fused.manifest()["determinism"] == fused.environment()["mode"] == "bitwise"
    one, other = (_measured(benchmark, Evaluate(mixed, 4)) for benchmark in (fused, plain))
    assert one.cost == other.cost
    assert one.metrics["digits/train-loss@4ep(80) trial"] == pytest.approx(
        other.metrics["digits/train-loss@4ep(80) trial"], rel=1e-3
    )
    assert fused.evaluate(Trial(0, Evaluate(mixed, 4), 5)).result == one
    assert "fused" in fused.estimate().basis


def test_an_engine_that_is_unknown_or_for_another_device_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'fused'"):
        TrainingConfig(engine="fussed")
    with pytest.raises(UsageError, match="'fused' computes on the CPU only"):
        settings.check_engine("fused", "cuda:0")


@pytest.mark.parametrize(("images", "text"), [(25_000, "25k"), (50_000, "50k"), (800, "800"), (1299, "1299")])
def test_images_are_counted_as_metric_names_write_them(images: int, text: str) -> None:
    assert count(images) == text


def test_a_final_evaluation_costs_what_it_trains(open_tiny: OpenTiny, mixed: Arch) -> None:
    one = open_tiny(sealed=("digits/test@2ep(140) trial",))
    per_image = _measured(one, Evaluate(mixed, 4)).cost
    assert per_image.multiply_adds is not None
    cost = one.final_cost(mixed)
    assert (cost.epochs, cost.train_seconds) == (2.0, None)
    assert cost.multiply_adds == pytest.approx(per_image.multiply_adds / (4 * 80) * 2 * 140)
    both = open_tiny(sealed=("digits/test@2ep(140) trial", *SEARCHED)).final_cost(mixed)
    assert both.epochs == 2 + 4, "the search recipe is trained too where its test accuracy is asked for"
    assert both.multiply_adds == pytest.approx(cost.multiply_adds + per_image.multiply_adds)
