"""The plan: which runs a protocol means, in which order, and what their options stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.core.budget import Budget
from harness.core.errors import HarnessError, UsageError
from harness.core.schema import ProtocolModel
from harness.core.types import RunSpec
from harness.plan import CATALOGUE, benchmark_config, budget_of, config_of, expand, variant_name
from harness.protocol import load

TRACK = """\
  - id: {id}
    benchmark: {{name: nb201}}
    splits: {{train: a, search: b, final: c}}
    fidelity: {{search: 12, final: 200}}
    objective: {{metric: m}}
    budget: {{unit: epochs, limit: 36, overrun: keep}}
    final: {{metrics: [t]}}
    replicates: {replicates}
"""
ROWS = """\
methods:
  - name: random_search
  - {name: regularized_evolution, id: evolution, options: {population: 5}}
  - {name: local_search, tracks: [second]}
ablations:
  - {method: evolution, vary: {kill: [oldest, worst], population: [2, 5, 20]}, tracks: [first]}
"""


def protocol(folder: Path, rows: str = ROWS, seeds: str = "") -> ProtocolModel:
    path = folder / "p.yaml"
    tracks = TRACK.format(id="first", replicates=2) + seeds + TRACK.format(id="second", replicates=1)
    path.write_text(f"protocol: p\nversion: 1.2.3\ntracks:\n{tracks}{rows}", encoding="utf-8")
    return load(path, CATALOGUE).model


def test_the_order_is_track_replicate_row_variant(tmp_path: Path) -> None:
    names = [spec.id.removeprefix("p@1.2.3/") for spec in expand(protocol(tmp_path))]
    one_replicate = ["random_search/base", "evolution/base", "evolution/kill=worst"]
    one_replicate += ["evolution/population=2", "evolution/population=20"]
    assert names == [
        *(f"first/{name}/r0000" for name in one_replicate),
        *(f"first/{name}/r0001" for name in one_replicate),
        "second/random_search/base/r0000",
        "second/evolution/base/r0000",
        "second/local_search/base/r0000",
    ]


def test_a_stopped_study_is_balanced(tmp_path: Path) -> None:
    specs = [spec for spec in expand(protocol(tmp_path)) if spec.track == "first"]
    for end in range(len(specs) + 1):
        counts = {(spec.method, spec.variant): 0 for spec in specs}
        for spec in specs[:end]:
            counts[spec.method, spec.variant] += 1
        assert max(counts.values()) - min(counts.values()) <= 1


def test_a_variant_differs_from_its_row_in_one_option(tmp_path: Path) -> None:
    specs = {spec.variant: spec for spec in expand(protocol(tmp_path)) if spec.method == "evolution"}
    base = specs["base"]
    assert base.implementation == "regularized_evolution"
    assert dict(base.options) == {"population": 5, "sample": 3, "kill": "oldest"}
    assert dict(specs["kill=worst"].options) == {**base.options, "kill": "worst"}
    assert dict(specs["population=20"].options) == {**base.options, "population": 20}


def test_run_ids_are_unique(tmp_path: Path) -> None:
    specs = expand(protocol(tmp_path))
    assert len({spec.id for spec in specs}) == len(specs)


def test_seeds_come_from_the_list_and_are_the_same_for_every_method(tmp_path: Path) -> None:
    specs = expand(protocol(tmp_path, seeds="    seeds: {list: [70, 3]}\n"))
    for method in ("random_search", "evolution"):
        first = [spec for spec in specs if (spec.track, spec.method, spec.variant) == ("first", method, "base")]
        assert [(spec.replicate, spec.seed) for spec in first] == [(0, 70), (1, 3)]
    assert {spec.seed for spec in specs if spec.track == "second"} == {0}


def test_options_become_the_config_of_the_method(tmp_path: Path) -> None:
    spec = next(spec for spec in expand(protocol(tmp_path)) if spec.variant == "kill=worst")
    config = config_of(spec)
    assert config == CATALOGUE.config("methods", "regularized_evolution")(population=5, sample=3, kill="worst")


def test_options_of_a_foreign_run_are_checked() -> None:
    spec = RunSpec("p", "1.0.0", "t", "evolution", "regularized_evolution", "base", {"populaton": 5}, 0, 0)
    with pytest.raises(UsageError, match="did you mean 'population'"):
        config_of(spec)
    with pytest.raises(HarnessError, match="did you mean 'random_search'"):
        config_of(RunSpec("p", "1.0.0", "t", "m", "random_serch", "base", {}, 0, 0))


def test_a_track_gives_its_benchmark_and_its_budget(tmp_path: Path) -> None:
    track = protocol(tmp_path).track("first")
    assert benchmark_config(track) == CATALOGUE.config("benchmarks", "nb201")()
    assert budget_of(track) == Budget("epochs", 36.0, "keep")


@pytest.mark.parametrize(
    ("value", "name"),
    [("worst", "o=worst"), (20, "o=20"), (0.5, "o=0.5"), (True, "o=true"), (None, "o=null"), (-1, "o=-1")],
)
def test_a_short_value_names_its_variant(value: Any, name: str) -> None:
    assert variant_name("o", value) == name


def test_a_value_that_no_folder_can_be_called_is_named_by_its_hash() -> None:
    awkward: list[Any] = ["../up", "a b", "", "é", "x" * 200, [1, 2], {"a": 1}]
    names = [variant_name("o", value) for value in awkward]
    assert len(set(names)) == len(names)
    assert all(name.startswith("o=~") and len(name) == 15 and "/" not in name for name in names)
