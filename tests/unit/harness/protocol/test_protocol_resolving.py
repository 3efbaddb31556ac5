"""The resolved protocol: complete, hashed, and enough to reproduce a run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.canonical import canonical_json
from harness.core.errors import Mistake, UsageError
from harness.protocol import Loaded, build, load, packaged

Read = Callable[..., Loaded]
Find = Callable[..., tuple[Mistake, ...]]

PINNED = "15f8e26354733247ab303af8e20f9c391c99e0227c91f2297f09fb9c992806e1"


def test_the_hash_of_a_protocol_never_changes(valid: str, read: Read) -> None:
    # If this fails, the schema or the way of resolving changed, and with it the hash of every record ever written.
    assert read(valid).hash == PINNED


def test_a_schedule_enters_the_hash_only_where_it_is_recorded(valid: str, read: Read) -> None:
    plain = read(valid.replace("replicates: 2", "replicates: 2\n    workers: 2"))
    virtual = read(valid.replace("replicates: 2", "replicates: 2\n    workers: 2\n    schedule: virtual"))
    recorded = read(valid.replace("replicates: 2", "replicates: 2\n    workers: 2\n    schedule: recorded"))
    assert "schedule" not in virtual.resolved["tracks"][0]
    assert virtual.hash == plain.hash
    assert recorded.resolved["tracks"][0]["schedule"] == "recorded"
    assert recorded.hash != plain.hash


def test_every_default_is_written_out(valid: str, read: Read) -> None:
    resolved = read(valid).resolved
    assert resolved["schema"] == 1
    assert resolved["methods"][1]["options"] == {"population": 5, "sample": 3, "kill": "oldest"}
    assert resolved["tracks"][0]["benchmark"]["options"] == {
        "table": "t",
        "sizes": [8, 16],
        "scale": 1.0,
        "limit": None,
    }
    assert resolved["tracks"][0]["budget"] == {
        "unit": "epochs",
        "limit": 100.0,
        "overrun": "discard",
        "repeats": "charge",
        "max_trials": 100_000,
    }
    assert resolved["tracks"][0]["seeds"] == {"root": 0, "list": None}
    assert resolved["analysis"]["published"][0]["mean"] == 94.0
    assert "extends" not in resolved


def test_the_resolved_protocol_loads_to_itself(valid: str, read: Read) -> None:
    loaded = read(valid)
    for text in (
        json.dumps(loaded.resolved),
        json.dumps(loaded.resolved, indent=2, ensure_ascii=False),
        canonical_json(loaded.resolved),
    ):
        again = read(text, "protocol.json")
        assert again.hash == loaded.hash
        assert canonical_json(again.resolved) == canonical_json(loaded.resolved)
        assert again.model == loaded.model


def test_text_of_any_language_survives_the_round_trip(valid: str, read: Read) -> None:
    loaded = read(f'title: "Suche: é 漢 😀 \\"x\\" # \\t"\ndescription: |\n  two\n  lines\n{valid}')
    assert loaded.model.title == 'Suche: é 漢 😀 "x" # \t'
    for ascii_only in (True, False):
        assert read(json.dumps(loaded.resolved, ensure_ascii=ascii_only), "p.json").hash == loaded.hash


def test_the_order_of_keys_and_the_spelling_of_values_do_not_matter(valid: str, read: Read) -> None:
    loaded = read(valid)
    blocks: list[list[str]] = []
    for line in valid.splitlines():
        if not line.startswith(" "):
            blocks.append([])
        blocks[-1].append(line)
    assert read("\n".join(line for block in reversed(blocks) for line in block)).hash == loaded.hash
    same = valid.replace("{kill: [oldest, worst]}", "\n      kill:\n        - 'oldest'\n        - \"worst\"")
    same = (
        same.replace("limit: 100", "limit: 100.0")
        .replace("mean: 94,", "mean: 9.4e1,")
        .replace(": d/valid", ': "d/valid"')
    )
    assert same != valid
    assert read(f"# a comment\n{same}").hash == loaded.hash


def test_a_default_that_is_written_out_changes_nothing(valid: str, read: Read) -> None:
    explicit = valid.replace("population: 5", "population: 5\n      sample: 3").replace(
        "{table: t}", "{table: t, scale: 1.0}"
    )
    assert read(explicit).hash == read(valid).hash


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("population: 5", "population: 6"),
        ("limit: 100", "limit: 101"),
        ("one", "two"),
        ("version: 1.0.0", "version: 1.0.1"),
    ],
)
def test_a_change_that_can_change_a_number_changes_the_hash(valid: str, read: Read, old: str, new: str) -> None:
    assert read(valid.replace(old, new)).hash != read(valid).hash


def test_the_hash_is_the_same_in_another_process_with_another_hash_seed(valid: str, read: Read) -> None:
    loaded = read(valid)
    Path("resolved.json").write_text(json.dumps(loaded.resolved), encoding="utf-8")
    code = (
        "import json; from harness.core.schema import ProtocolModel; "
        "data = json.load(open('resolved.json', encoding='utf-8')); del data['schema']; "
        "print(ProtocolModel.model_validate(data).hash())"
    )
    root = str(Path(__file__).resolve().parents[4])
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": root, "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == loaded.hash


CHILD = """\
extends: base.yaml
protocol: child
version: 2.0.0
analysis: {alpha: 0.01}
methods:
  - name: random
ablations: []
"""


def test_a_child_merges_mappings_and_replaces_lists(valid: str, read: Read) -> None:
    Path("base.yaml").write_text(valid, encoding="utf-8")
    loaded = read(CHILD)
    assert loaded.files == ("p.yaml", "base.yaml")
    assert (loaded.model.protocol, loaded.model.version) == ("child", "2.0.0")
    assert loaded.model.analysis.alpha == 0.01
    assert loaded.model.analysis.published[0].mean == 94  # merged from the parent
    assert [row.key for row in loaded.model.methods] == ["random"]  # replaced
    assert loaded.model.tracks[0].id == "one"


def test_a_protocol_written_out_has_the_hash_of_the_one_that_extends(valid: str, read: Read) -> None:
    Path("base.yaml").write_text(valid, encoding="utf-8")
    child = read(CHILD)
    assert read(json.dumps(child.resolved), "whole.json").hash == child.hash


def test_mistakes_in_the_parent_name_the_parent(valid: str, mistakes: Find, tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(valid.replace("unit: epochs", "unit: days"), encoding="utf-8")
    found = mistakes(CHILD.replace("alpha: 0.01", "alpha: 2"))
    assert [(one.file, one.line, one.key) for one in found] == [
        ("base.yaml", 10, "tracks[0].budget.unit"),
        ("p.yaml", 4, "analysis.alpha"),
    ]


@pytest.mark.parametrize(
    ("child", "line", "key", "words"),
    [
        ("extends: bse.yaml\nprotocol: c\nversion: 1.0.0\n", 1, "extends", "no such file"),
        ("extends: quickstrat\nprotocol: c\nversion: 1.0.0\n", 1, "extends", "did you mean 'quickstart'"),
        ("extends: [a]\nprotocol: c\nversion: 1.0.0\n", 1, "extends", "needs a name or path, got a list"),
        ("protocol: c\nextends: base.yaml\n", 1, "version", "has its own"),
        ("extends: base.yaml\nprotocol: small\nversion: 2.0.0\n", 2, "protocol", "choose another"),
    ],
)
def test_a_wrong_extends_says_so(
    valid: str, mistakes: Find, tmp_path: Path, child: str, line: int, key: str, words: str
) -> None:
    (tmp_path / "base.yaml").write_text(valid, encoding="utf-8")
    found = mistakes(child)
    assert [(one.file, one.line, one.key) for one in found] == [("p.yaml", line, key)]
    assert words in found[0].message


def test_only_one_level_of_extends_is_followed(valid: str, mistakes: Find, tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(f"extends: p.yaml\n{valid}", encoding="utf-8")
    (only,) = mistakes(CHILD)
    assert (only.file, only.line, only.key) == ("base.yaml", 1, "extends")


def test_a_path_is_found_beside_the_file_that_extends_it(valid: str, read: Read) -> None:
    Path("sub").mkdir()
    Path("sub/base.yaml").write_text(valid, encoding="utf-8")
    assert read(CHILD, "sub/child.yaml").files == ("sub/child.yaml", "sub/base.yaml")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("quickstrat", "did you mean 'quickstart'"),
        ("quickstrat", "./mine.yaml"),
        ("./quickstrat.yaml", "no such file"),
        (".", "is a directory"),
        ("a\0b.yaml", "null"),
        ("x" * 5000 + ".yaml", "too long"),
    ],
)
def test_an_unknown_protocol_is_a_wrong_command_line(source: str, words: str, catalogue: object) -> None:
    with pytest.raises(UsageError) as caught:
        load(source, catalogue)  # type: ignore[arg-type]
    assert words in str(caught.value)
    assert all(name in str(caught.value) for name in packaged())
    assert "\n" not in str(caught.value)


def test_a_config_comes_back_from_plain_options(catalogue: object, valid: str, read: Read) -> None:
    table = catalogue.config("benchmarks", "table")  # type: ignore[attr-defined]
    options = json.loads(json.dumps(read(valid).resolved["tracks"][0]["benchmark"]["options"]))
    assert build(table, options) == table(table="t", sizes=(8, 16), scale=1.0)
    with pytest.raises(UsageError, match=r"options\.tabel is not a key here \(did you mean 'table'\?\)"):
        build(table, {"tabel": "t"})


def test_an_option_that_came_later_is_in_the_hash_only_where_it_is_set(valid: str, read: Read) -> None:
    plain = read(valid)
    assert "noise" not in plain.resolved["tracks"][0]["benchmark"]["options"]
    assert read(valid.replace("{table: t}", "{table: t, noise: 0}")).hash == plain.hash
    noisy = read(valid.replace("{table: t}", "{table: t, noise: 0.5}"))
    assert noisy.resolved["tracks"][0]["benchmark"]["options"]["noise"] == 0.5
    assert noisy.hash != plain.hash
