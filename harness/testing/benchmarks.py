"""Publish the contract tests of benchmarks."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import ClassVar

import pytest

from harness.core.budget import Budget
from harness.core.canonical import canonical_json, content_hash
from harness.core.codec import result_to_json
from harness.core.errors import HarnessError, Unsupported
from harness.core.interfaces import Benchmark, Encodable, Finite, Growable
from harness.core.seeds import SeedTree
from harness.core.types import (
    Advance,
    Arch,
    Attach,
    Capability,
    Evaluate,
    Failure,
    Grow,
    Measurement,
    Move,
    Outcome,
    Probe,
    Trial,
    Unit,
    Work,
)
from harness.testing.world import Opening, fresh_process


def text_of(outcome: Outcome) -> str:
    """Return an outcome as canonical JSON."""
    return canonical_json([result_to_json(outcome.result), dict(outcome.sealed)])


def answers_of(opening: Opening, trials: list[Trial]) -> list[str]:
    """Open a benchmark and answer trials; other processes call this."""
    benchmark = opening.open()
    return [text_of(benchmark.evaluate(trial)) for trial in trials]


class BenchmarkContract:
    """What the harness demands of a benchmark.

    Fixture to supply: `opening`. Real training may lower `draws`, the number of architectures that are tried.
    """

    draws: ClassVar[int] = 8

    @pytest.fixture(scope="class")
    @classmethod
    def opening(cls) -> Opening:
        """How to open the benchmark under test."""
        raise NotImplementedError("supply the fixture `opening`: an harness.testing.Opening")

    @pytest.fixture(scope="class")
    @classmethod
    def benchmark_(cls, opening: Opening) -> Benchmark:
        """The benchmark under test (pytest-benchmark owns the name without the underscore)."""
        return opening.open()

    @pytest.fixture(scope="class")
    @classmethod
    def other_process(cls) -> Iterator[ProcessPoolExecutor]:
        """A fresh process with another hash seed."""
        with fresh_process() as pool:
            yield pool

    @pytest.fixture(scope="class")
    @classmethod
    def trials(cls, opening: Opening, benchmark_: Benchmark) -> list[Trial]:
        """Random architectures at the search fidelity and, where it is partial, at the first and last rung."""
        rng = SeedTree(("benchmark contract",)).generator()
        rungs = {opening.query.search_epochs, benchmark_.fidelities[0], benchmark_.fidelities[-1]}
        archs = [benchmark_.space.sample(rng) for _ in range(cls.draws)]
        works = [Evaluate(arch, epochs) for arch in archs for epochs in sorted(rungs)]
        return [Trial(index, work, SeedTree(("trial",)).child(work.arch).seed()) for index, work in enumerate(works)]

    @pytest.fixture(scope="class")
    @classmethod
    def outcomes(cls, benchmark_: Benchmark, trials: list[Trial]) -> list[Outcome]:
        """The answers to the trials."""
        return [benchmark_.evaluate(trial) for trial in trials]

    def test_describes_itself(self, opening: Opening, benchmark_: Benchmark) -> None:
        """Name, fidelities that rise and hold the search fidelity, units, a manifest that can be hashed."""
        fidelities = benchmark_.fidelities
        assert benchmark_.name
        assert list(fidelities) == sorted(set(fidelities))
        assert fidelities[0] >= 1
        assert opening.query.search_epochs in fidelities
        assert (len(fidelities) > 1) == (Capability.PARTIAL in benchmark_.offers)
        assert benchmark_.manifest()["kind"] in ("tabular", "training")
        assert content_hash(benchmark_.manifest()) == content_hash(opening.open().manifest())
        assert benchmark_.estimate().seconds >= 0
        assert benchmark_.estimate().basis

    def test_offers_what_its_space_can_do(self, benchmark_: Benchmark) -> None:
        """A finite space says so and answers; so does one with features, and one that grows."""
        space = benchmark_.space
        assert (Capability.FINITE in benchmark_.offers) == isinstance(space, Finite)
        assert (Capability.ENCODABLE in benchmark_.offers) == isinstance(space, Encodable)
        assert (Capability.GROWABLE in benchmark_.offers) == isinstance(space, Growable)
        if isinstance(space, Finite):
            for arch in (space.arch(0), space.arch(len(space) - 1)):
                neighbours = space.neighbours(arch)
                assert arch in space
                assert len(set(neighbours)) == len(neighbours)
                assert arch not in neighbours
                assert all(neighbour in space for neighbour in neighbours)
                assert list(neighbours) == list(space.neighbours(arch))

    def test_samples_its_space(self, benchmark_: Benchmark) -> None:
        """A generator with the same seed draws the same architectures, all in the space; other text is not."""
        space = benchmark_.space
        first, second = (SeedTree(("samples",)).generator() for _ in range(2))
        draws = [space.sample(first) for _ in range(20)]
        assert draws == [space.sample(second) for _ in range(20)]
        assert all(draw in space for draw in draws)
        assert len(set(draws)) > 1
        assert "no such architecture" not in space
        assert None not in space  # anything may be asked for

    def test_same_trial_same_outcome(
        self, opening: Opening, benchmark_: Benchmark, trials: list[Trial], outcomes: list[Outcome]
    ) -> None:
        """A pure function of the trial: in another order, with another id, from another opening."""
        expected = [text_of(outcome) for outcome in outcomes]
        backwards = [text_of(benchmark_.evaluate(trial)) for trial in reversed(trials)]
        renumbered = [Trial(trial.id + 1000, trial.work, trial.seed) for trial in trials]
        assert backwards[::-1] == expected
        assert answers_of(pickle.loads(pickle.dumps(opening)), renumbered) == expected  # noqa: S301 - our own bytes

    def test_other_process_same_outcome(
        self, opening: Opening, trials: list[Trial], outcomes: list[Outcome], other_process: ProcessPoolExecutor
    ) -> None:
        """Another process with another hash seed answers the same bytes."""
        expected = [text_of(outcome) for outcome in outcomes]
        assert other_process.submit(answers_of, opening, trials).result() == expected

    def test_seals_what_is_sealed(self, opening: Opening, benchmark_: Benchmark, outcomes: list[Outcome]) -> None:
        """No sealed name among the open metrics, and the objective among them at the search fidelity."""
        schema = benchmark_.metrics
        assert not schema.open & schema.sealed
        assert opening.query.objective in schema.open
        for outcome in outcomes:
            assert set(outcome.sealed) <= schema.sealed
            if isinstance(outcome.result, Measurement):
                assert set(outcome.result.metrics) <= schema.open
                assert outcome.result.value in outcome.result.metrics.values()

    def test_objective_is_the_value(self, opening: Opening, trials: list[Trial], outcomes: list[Outcome]) -> None:
        """At the search fidelity, `value` is the metric that the query names."""
        full = [
            outcome.result
            for trial, outcome in zip(trials, outcomes, strict=True)
            if isinstance(trial.work, Evaluate) and trial.work.epochs == opening.query.search_epochs
        ]
        measured = [result for result in full if isinstance(result, Measurement)]
        assert measured
        assert all(result.value == result.metrics[opening.query.objective] for result in measured)

    def test_costs_in_its_units(self, benchmark_: Benchmark, outcomes: list[Outcome]) -> None:
        """Every answer, failures too, has a price in each unit that the benchmark accounts in."""
        units: set[Unit] = {"train_seconds", "epochs", "multiply_adds", "evaluations"}
        assert benchmark_.units
        assert benchmark_.units <= units
        for unit in units & benchmark_.units:
            budget = Budget(unit, 1.0, "discard")
            assert all(budget.price(outcome.result.cost) > 0 for outcome in outcomes)

    def test_charges_the_rest_only(self, benchmark_: Benchmark, trials: list[Trial]) -> None:
        """Where fidelities are partial, going on from paid epochs costs less, and reaches the same measurement."""
        if Capability.PARTIAL not in benchmark_.offers:
            pytest.skip("this benchmark offers a single fidelity")
        low, high = benchmark_.fidelities[0], benchmark_.fidelities[-1]
        arch, seed = _arch_of(trials[0]), trials[0].seed
        fresh = benchmark_.evaluate(Trial(0, Evaluate(arch, high), seed)).result
        continued = benchmark_.evaluate(Trial(1, Evaluate(arch, high, start=low), seed)).result
        assert continued.cost.epochs == pytest.approx(fresh.cost.epochs - low)
        assert isinstance(fresh, Failure) or isinstance(continued, Failure) or fresh.value == continued.value

    def test_refuses_what_it_does_not_offer(self, benchmark_: Benchmark, trials: list[Trial]) -> None:
        """Work of a kind that is not offered is Unsupported; an unknown architecture or fidelity is an error."""
        arch, seed = _arch_of(trials[0]), trials[0].seed
        attached = Attach(Evaluate(arch, benchmark_.fidelities[-1]), (Move("no such move"),), "no such arm", 1)
        works: dict[Capability, Work] = {
            Capability.SUPERNET: Advance(1),
            Capability.PROXY: Probe(arch, "no such signal"),
            Capability.ATTACH: attached,
            Capability.GROW: Grow(attached, (Move("no such move"),), arch, 1),
        }
        for capability, work in works.items():
            if capability not in benchmark_.offers:
                with pytest.raises(Unsupported):
                    benchmark_.evaluate(Trial(0, work, seed))
        if Capability.THINK not in benchmark_.offers:
            with pytest.raises(Unsupported):
                benchmark_.think_cost(1e9)
        epochs = benchmark_.fidelities[-1]
        for bad in (Evaluate(Arch("no such architecture"), epochs), Evaluate(arch, epochs + 1)):
            with pytest.raises(HarnessError):
                benchmark_.evaluate(Trial(0, bad, seed))

    def test_prices_thought(self, benchmark_: Benchmark) -> None:
        """Where it is offered, a method's own computation is priced in every unit, in proportion."""
        if Capability.THINK not in benchmark_.offers:
            pytest.skip("this benchmark does not price a method's own computation")
        one, three = benchmark_.think_cost(1e12), benchmark_.think_cost(3e12)
        units: set[Unit] = {"train_seconds", "epochs", "multiply_adds"}
        for unit in units & benchmark_.units:
            budget = Budget(unit, 1.0, "discard")
            assert budget.price(three) == pytest.approx(3 * budget.price(one))
            assert budget.price(one) > 0

    def test_final_metrics_are_sealed(self, opening: Opening, benchmark_: Benchmark, trials: list[Trial]) -> None:
        """The final metrics hold what the query asks for and this benchmark has, and repeat."""
        arch = _arch_of(trials[0])
        final = benchmark_.final(arch, 1)
        schema = benchmark_.metrics
        assert set(final) <= schema.sealed
        assert {name for name in opening.query.sealed if name not in schema.unavailable} <= set(final)
        assert dict(final) == dict(opening.open().final(arch, 1))

    def test_final_cost_is_known_in_epochs(self, opening: Opening, benchmark_: Benchmark, trials: list[Trial]) -> None:
        """A final training costs epochs; what is unknown in other units is None, and the answer repeats."""
        arch = _arch_of(trials[0])
        cost = benchmark_.final_cost(arch)
        assert cost.epochs > 0
        assert all(part is None or part > 0 for part in (cost.train_seconds, cost.multiply_adds))
        assert cost == opening.open().final_cost(arch)


def _arch_of(trial: Trial) -> Arch:
    assert isinstance(trial.work, Evaluate)
    return trial.work.arch
