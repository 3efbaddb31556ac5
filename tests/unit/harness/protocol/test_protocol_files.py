"""The protocols that come with the harness, their schema and their documentation."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

import protocols
from harness.core.schema import ProtocolModel
from harness.plan import CATALOGUE, expand
from harness.protocol import key_table, load, packaged, schema_text, title

FOLDER = Path(protocols.__file__).parent
DOCS = FOLDER.parent / "docs"
NAMES = ["cifar10", "nats-bench", "nb201-iclr2020", "quickstart"]


def test_every_protocol_is_found_by_name() -> None:
    assert set(NAMES) <= set(packaged())
    assert set(packaged()) == {path.stem for path in FOLDER.glob("*.yaml")}


@pytest.mark.parametrize("name", packaged())
def test_a_protocol_is_valid_by_name_and_by_path_and_says_what_it_is(name: str) -> None:
    loaded = load(name, CATALOGUE)
    assert loaded.model.protocol == name
    assert load(FOLDER / f"{name}.yaml", CATALOGUE).hash == loaded.hash
    assert title(name) == loaded.model.title != ""
    assert loaded.model.study.question


@pytest.mark.parametrize("name", packaged())
def test_a_protocol_is_explained_and_its_version_is_on_record(name: str) -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert f"| `{name}` |" in readme
    changes = (FOLDER / "CHANGES.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {re.escape(name)}\n(.*?)(?=^## |\Z)", changes, re.MULTILINE | re.DOTALL)
    assert section is not None
    newest = re.search(r"\*\*(\d+\.\d+\.\d+)\*\*", section[1])
    assert newest is not None
    assert newest[1] == load(name, CATALOGUE).model.version


@pytest.mark.parametrize("name", packaged())
def test_a_protocol_names_no_secret_metric_as_its_objective(name: str) -> None:
    for track in load(name, CATALOGUE).model.tracks:
        assert "test" not in track.objective.metric
        assert track.objective.metric not in track.final.metrics
        assert any("/test" in metric for metric in track.final.metrics[:1])


def test_the_published_protocols_differ_where_their_scripts_differ() -> None:
    first, second = (load(name, CATALOGUE).model for name in ("nb201-iclr2020", "nats-bench"))
    assert [(track.budget.limit, track.budget.overrun) for track in first.tracks] == [(12_000, "discard")]
    assert [(track.id, track.budget.limit, track.budget.overrun) for track in second.tracks] == [
        ("cifar10", 20_000, "keep"),
        ("cifar100", 40_000, "keep"),
        ("imagenet16-120", 120_000, "keep"),
    ]
    for model, provenance in ((first, "secondary"), (second, "recalled")):
        assert {track.replicates for track in model.tracks} == {500}
        evolution = next(row for row in model.methods if row.name == "regularized_evolution")
        assert (evolution.options["population"], evolution.options["sample"]) == (10, 3)
        assert {figure.provenance for figure in model.analysis.published} == {provenance}
        assert len(model.analysis.published) == 12


def test_the_quickstart_tests_what_has_the_replicates_for_it_and_trains_for_real() -> None:
    model = load("quickstart", CATALOGUE).model
    table, training = model.tracks
    assert (table.purpose, table.replicates, table.benchmark.name) == ("confirmatory", 30, "digits201")
    assert (training.purpose, training.replicates, training.budget.unit) == ("descriptive", 3, "epochs")
    trained = [spec for spec in expand(model) if spec.track == training.id]
    assert len(trained) * training.budget.limit / training.fidelity.search >= 30


def test_the_schema_for_editors_is_up_to_date() -> None:
    written = (FOLDER / "protocol.schema.json").read_text(encoding="utf-8")
    assert written == schema_text(), "write it again: python -m harness schema > protocols/protocol.schema.json"


def test_the_schema_knows_every_key_that_the_protocols_use() -> None:
    schema = json.loads(schema_text())
    for path in FOLDER.glob("*.yaml"):
        assert set(yaml.safe_load(path.read_text(encoding="utf-8"))) <= set(schema["properties"])
    assert {"extends", "schema"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["protocol", "version"]


def test_the_documentation_explains_every_key() -> None:
    text = (DOCS / "adding_a_protocol.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- keys: .*? -->\n(.*)<!-- end of keys -->", text, re.DOTALL)
    assert block is not None
    assert block[1].strip() == key_table().strip(), "put the text of harness.protocol.key_table() between the markers"
    assert all(f"| `{key}` |" in block[1] for key in ProtocolModel.model_fields)
    assert not re.search(r"\|\s*\|$", block[1], re.MULTILINE), "a key has no description"


def test_the_example_of_the_documentation_is_a_valid_protocol(tmp_path: Path) -> None:
    text = (DOCS / "adding_a_protocol.md").read_text(encoding="utf-8")
    example = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert example is not None
    path = tmp_path / "my-study.yaml"
    path.write_text(re.sub(r"^ {3}", "", example[1], flags=re.MULTILINE), encoding="utf-8")
    assert len(expand(load(path, CATALOGUE).model)) == 20
