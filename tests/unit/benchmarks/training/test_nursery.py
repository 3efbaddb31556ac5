"""Attachments and growths of the training benchmarks: what they answer, what they cost, what they refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.spaces.nb201_moves import GrowingNasBench201
from benchmarks.training.hybrid import HybridConfig, NB201Hybrid
from benchmarks.training.naming import Names
from benchmarks.training.nursery import phase_cost
from harness.core.canonical import canonical_json
from harness.core.codec import result_to_json
from harness.core.errors import Unsupported, UsageError
from harness.core.interfaces import Place, Query
from harness.core.types import Attach, Capability, Evaluate, Failure, Grow, Measurement, Move, Trial

SPACE = GrowingNasBench201()
DIRECT, *_, CHAIN = SPACE.seeds()
ADD = Move("add 0-3 nor_conv_3x3")
FOUNDER = Evaluate(CHAIN, 2)
ATTACHED = Attach(FOUNDER, (ADD, Move("add 0-2 avg_pool_3x3")), "sg", 1)
GROWN = Grow(ATTACHED, (ADD,), SPACE.grow(CHAIN, [ADD]), 2)


def answer(benchmark, work, seed: int = 3):
    return benchmark.evaluate(Trial(0, work, seed))


def measured(benchmark, work, seed: int = 3) -> Measurement:
    result = answer(benchmark, work, seed).result
    assert isinstance(result, Measurement), result
    return result


def short(metrics) -> set[str]:
    return {name.partition("/")[2] for name in metrics}


SIZES = {"multiply-adds", "parameters"}


def test_an_attachment_tells_the_parent_before_and_after_with_candidates_and_without(open_tiny):
    benchmark = open_tiny(drift=True)
    found = measured(benchmark, ATTACHED)
    names = {"valid", "valid-before", "train-loss", "valid-attached", "valid-attached-before", "drift"}
    assert short(found.metrics) == {f"{name}@attach(80) trial" for name in names} | SIZES
    assert found.metrics["digits/valid-before@attach(80) trial"] == measured(benchmark, FOUNDER).value
    assert found.value == found.metrics["digits/valid@attach(80) trial"] == found.curve[-1]
    assert found.metrics["digits/drift@attach(80) trial"] > 0
    assert set(found.metrics) <= benchmark.metrics.open
    exact = measured(benchmark, replace(ATTACHED, arm="sg+sf")).metrics
    assert exact["digits/drift@attach(80) trial"] == 0
    assert "digits/valid-attached@attach(80) trial" not in exact


def test_a_growth_is_tested_only_where_trials_are(open_tiny):
    sealed = answer(open_tiny(), GROWN).sealed
    assert sealed == {}
    tested = open_tiny(sealed=("digits/test@4ep(80) trial",))
    outcome = answer(tested, GROWN)
    assert set(outcome.sealed) == {"digits/test@grow(80) trial"} <= tested.metrics.sealed
    assert (
        short(outcome.result.metrics)
        == {f"{name}@grow(80) trial" for name in ("valid", "valid-before", "train-loss")} | SIZES
    )


def test_a_phase_is_charged_with_every_candidate(open_tiny):
    benchmark = open_tiny()
    images, scored = 80, 60
    bare = measured(benchmark, FOUNDER).cost
    assert bare.multiply_adds is not None
    forward = bare.multiply_adds / (3 * 2 * images)
    candidate = benchmark._skeleton.operation_multiply_adds([3])  # the convolution; pooling is free
    cost = measured(benchmark, ATTACHED).cost
    assert cost.multiply_adds == 3 * (forward + candidate) * (images + scored)
    assert cost.epochs == pytest.approx(cost.multiply_adds / (3 * forward * images))
    grown = measured(benchmark, GROWN).cost
    assert grown.epochs == 2
    assert grown.multiply_adds == 3 * 2 * images * benchmark._skeleton.multiply_adds(GROWN.arch)


def test_without_candidates_a_phase_costs_what_the_bare_network_does():
    cost = phase_cost(Attach(FOUNDER, (), "sg+sf", 5), 7.0, 7.0, 100, 5, 60)
    assert (cost.epochs, cost.multiply_adds) == (5.0, 3 * 7.0 * 500)


def test_the_arms_cost_the_same(open_tiny):
    benchmark = open_tiny()
    costs = {measured(benchmark, replace(ATTACHED, arm=arm)).cost for arm in ("sg+sf", "joint", "soft")}
    assert len(costs) == 1


def test_a_phase_that_diverges_costs_what_it_trained_and_ends_its_line(open_tiny):
    benchmark = open_tiny(phase_learning_rate=1e30)
    attached = answer(benchmark, ATTACHED).result
    assert isinstance(attached, Failure)
    assert attached.cost.epochs > 1
    grown = answer(benchmark, GROWN).result
    assert isinstance(grown, Failure)
    assert grown.reason.startswith("the training that it goes on from failed: diverged")


def test_the_learning_rate_of_phases_is_an_option_of_its_own(open_tiny):
    usual, slow = open_tiny(), open_tiny(phase_learning_rate=0.001)
    assert measured(usual, FOUNDER) == measured(slow, FOUNDER)
    assert measured(usual, ATTACHED).scores != measured(slow, ATTACHED).scores
    assert usual.manifest() != slow.manifest()


@pytest.mark.parametrize(
    ("work", "error", "message"),
    [
        (replace(ATTACHED, arm="both"), UsageError, "arm: no 'both'"),
        (replace(ATTACHED, moves=(Move("add 0-3 conv"),)), UsageError, "is no move of"),
        (replace(ATTACHED, epochs=-1), UsageError, "attach: -1 epochs"),
        (replace(GROWN, epochs=0), UsageError, "grow: 0 epochs"),
        (replace(ATTACHED, after=Evaluate(CHAIN, 99)), Unsupported, "fidelities"),
        (replace(GROWN, arch=CHAIN), UsageError, "ask the space to grow"),
    ],
)
def test_work_that_makes_no_sense_is_refused(open_tiny, work, error, message):
    with pytest.raises(error, match=message):
        answer(open_tiny(), work)


def test_every_training_benchmark_says_that_it_grows(open_tiny):
    assert {Capability.ATTACH, Capability.GROW} <= open_tiny().offers


def test_metrics_of_phases_are_no_objective(open_tiny):
    names = Names("digits", 4, 2, 80, 140)
    assert names.phase("valid", "grow") in open_tiny().metrics.open
    with pytest.raises(UsageError, match="no 'digits/test@grow"):
        open_tiny(sealed=(names.phase("test", "grow"),))


# Hybrid: candidates trained here, children looked up.

QUERY = Query("cifar10/valid@12ep(25k) mean-of-trials", ("cifar10/multiply-adds",), (), 12, 200)
LOCAL = {"train_images": 80, "valid_images": 60, "channels": 2, "batch_size": 32, "parent_epochs": 2}


@pytest.fixture(scope="module")
def hybrid(data_dir, cache_dir) -> NB201Hybrid:
    return NB201Hybrid(HybridConfig(**LOCAL), Place(data_dir, cache_dir), QUERY)


LOOKED_UP = replace(GROWN, after=replace(ATTACHED, after=Evaluate(CHAIN, 12)), epochs=12, inherit="nothing")


def test_hybrid_children_are_the_tables(hybrid):
    assert measured(hybrid, LOOKED_UP) == measured(hybrid, Evaluate(LOOKED_UP.arch, 12))


def test_hybrid_candidates_are_trained_on_a_parent_that_was_trained_here(hybrid, open_tiny):
    found = measured(hybrid, LOOKED_UP.after)
    assert set(found.metrics) <= hybrid.metrics.open
    assert set(found.scores) >= set(ATTACHED.moves)
    assert "digits/valid-before@attach(80) trial" in found.metrics
    deeper = replace(ATTACHED, after=replace(LOOKED_UP, moves=(ATTACHED.moves[1],), arch=CHAIN))
    assert measured(hybrid, deeper).scores == found.scores  # whatever came before, the local parent is the cell's


def test_hybrid_charges_parent_phase_and_scoring_at_the_pace_of_the_table(hybrid):
    skeleton, images, scored = hybrid._skeleton, 80, 60
    forward = skeleton.multiply_adds(CHAIN)
    work = 3 * (2 * images * forward + (images + scored) * (forward + skeleton.operation_multiply_adds([3])))
    cost = measured(hybrid, LOOKED_UP.after).cost
    assert cost.multiply_adds == work
    assert cost == hybrid.think_cost(work)
    assert cost.train_seconds is not None


def test_hybrid_attachments_that_were_killed_come_to_the_same_bytes(data_dir, cache_dir, tmp_path, live):
    def train(folder: str) -> list[bytes]:
        benchmark = NB201Hybrid(HybridConfig(**LOCAL), Place(data_dir, cache_dir), QUERY)
        benchmark._place = Place(data_dir, tmp_path / folder)  # where it keeps what it trains; the table stays
        work = replace(LOOKED_UP.after, epochs=2)
        answered = canonical_json(result_to_json(measured(benchmark, work)))
        local = replace(work, after=Evaluate(work.arch, LOCAL["parent_epochs"]))
        weights = benchmark._nursery.lineage.stage(local, 3).network.state_dict()
        return [answered.encode(), *[value.numpy().tobytes() for value in weights.values()]]

    expected = train("whole")
    found, deaths = live(lambda: train("killed"), steps=7)
    # An epoch of the parent has three steps, one of the attachment six: the second life dies in its first epoch, the
    # third in its second.
    assert deaths == 2
    assert found == expected


@pytest.mark.parametrize(
    ("change", "said"),
    [({"inherit": "weights"}, "inherit: .*; give nothing"), ({"epochs": 4}, "epochs: 4 .*; give 12")],
)
def test_hybrid_refuses_what_no_table_holds(hybrid, change, said):
    with pytest.raises(UsageError, match=said):
        answer(hybrid, replace(LOOKED_UP, **change))


def test_hybrid_says_in_its_manifest_what_is_trained_here(hybrid):
    manifest = hybrid.manifest()
    assert manifest["local"]["data"]["train"] == 80
    assert "candidates are trained here" in manifest["simulated"]


@pytest.mark.parametrize("option", [{"parent_epochs": 0}, {"fidelities": (1, 2)}])
def test_hybrid_options_are_checked(option):
    with pytest.raises(UsageError):
        HybridConfig(**option)
