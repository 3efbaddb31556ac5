"""Any user's table from a manifest: what it says arrives, and every mistake in it is named with file, line and key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from benchmarks.tabular.series import Content, Series
from benchmarks.tabular.user_import import import_user
from harness.core.errors import DataCorrupt, DataMissing, HarnessError, ProtocolError

Write = Callable[..., Path]
Change = Callable[[Any], None]

VALID = "toys/valid@9ep(25k)"


def by_name(content: Content) -> dict[str, Series]:
    return {str(series.name): series for series in content.series}


@pytest.mark.parametrize("kind", ["chain", "graph", "ids"])
def test_everything_in_the_file_arrives(tmp_path: Path, write_table_files: Write, kind: str) -> None:
    content = import_user(write_table_files(tmp_path, kind))
    frame = pd.read_csv(tmp_path / "results.csv", dtype={"net": str})
    series = by_name(content)
    valid, test = series[VALID], series["toys/test@9ep(25k)"]
    assert content.archs == frame.net.tolist()
    assert content.total == len(frame)
    assert (valid.stops, valid.labels, valid.sealed, test.sealed) == ((1, 3, 9), ("1", "2"), False, True)
    assert valid.curves is not None
    np.testing.assert_array_equal(valid.mean, frame.valid_9)
    np.testing.assert_array_equal(valid.trials, frame[["valid_1_9", "valid_2_9"]])
    np.testing.assert_array_equal(valid.curve, frame[["valid_1", "valid_3", "valid_9"]])
    np.testing.assert_array_equal(valid.curves[:, 1], frame[["valid_2_1", "valid_2_3", "valid_2_9"]])
    np.testing.assert_array_equal(test.mean, frame.test)
    np.testing.assert_array_equal(series["toys/multiply-adds"].mean, frame["size"])
    np.testing.assert_array_equal(series["toys/epoch-seconds(25k)"].mean, frame.time)
    np.testing.assert_array_equal(series["toys/validation-seconds(25k)"].mean, 0.5)
    assert set(content.sources) == {f"{kind}.yaml", "results.csv"}


def test_parquet_is_the_same_table(tmp_path: Path, write_table_files: Write) -> None:
    text = import_user(write_table_files(tmp_path))
    frame = pd.read_csv(tmp_path / "results.csv")
    frame.to_parquet(tmp_path / "results.parquet")
    parquet = import_user(write_table_files(tmp_path, change=lambda m: m.update(file="results.parquet")))
    assert text.archs == parquet.archs
    for one, other in zip(text.series, parquet.series, strict=True):
        assert one.name == other.name
        for part, array in one.arrays().items():
            np.testing.assert_array_equal(array, other.arrays()[part])


def long_curves(folder: Path, *, seeds: bool) -> None:
    """Write the learning curves of the table in `folder` into a file with one value a row."""
    frame = pd.read_csv(folder / "results.csv")
    labels = (1, 2) if seeds else (None,)
    rows = [
        {
            "net": row["net"],
            "ep": epoch,
            "run": label,
            "acc": row[f"valid_{label}_{epoch}" if label else f"valid_{epoch}"],
        }
        for _, row in frame.iterrows()
        for epoch in (1, 3, 9)
        for label in labels
    ]
    pd.DataFrame(rows).sample(frac=1, random_state=0).to_csv(folder / "curves.csv", index=False)


@pytest.mark.parametrize("seeds", [False, True])
def test_curves_from_a_file_with_one_value_a_row(tmp_path: Path, write_table_files: Write, *, seeds: bool) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["metrics"][int(seeds)]["curve"] = {"file": "curves.csv", "epoch": "ep", "seed": "run", "value": "acc"}

    plain = by_name(import_user(write_table_files(tmp_path)))
    long_curves(tmp_path, seeds=seeds)
    long = import_user(write_table_files(tmp_path, change=change))
    part = "curves" if seeds else "curve"
    np.testing.assert_array_equal(by_name(long)[VALID].arrays()[part], plain[VALID].arrays()[part])
    assert "curves.csv" in long.sources


def test_a_gap_in_the_file_is_a_gap_in_the_table(tmp_path: Path, write_table_files: Write) -> None:
    def change_rows(rows: list[dict[str, Any]]) -> None:
        rows[3] |= dict.fromkeys(("valid_9", "valid_1_9", "size"), "")

    content = by_name(import_user(write_table_files(tmp_path, change_rows=change_rows)))
    for values in (content[VALID].mean, content[VALID].trials[:, 0], content["toys/multiply-adds"].mean):
        assert np.flatnonzero(np.isnan(values)).tolist() == [3]


def test_the_end_of_a_curve_may_stand_for_the_value(tmp_path: Path, write_table_files: Write) -> None:
    def change(manifest: dict[str, Any]) -> None:
        del manifest["metrics"][0]["column"]
        manifest["metrics"][0]["curve"]["epochs"] = [1, 3, 9]

    content = by_name(import_user(write_table_files(tmp_path, change=change)))
    np.testing.assert_array_equal(content[VALID].mean, pd.read_csv(tmp_path / "results.csv").valid_9)


def test_names_that_look_like_numbers_stay_as_they_stand(tmp_path: Path, write_table_files: Write) -> None:
    assert import_user(write_table_files(tmp_path, "ids")).archs[:2] == ["000", "001"]


def at(manifest: dict[str, Any], *path: Any) -> Any:
    for step in path:
        manifest = manifest[step]
    return manifest


def put(*path: Any, value: Any) -> Change:
    return lambda manifest: at(manifest, *path[:-1]).__setitem__(path[-1], value)


def drop(*path: Any) -> Change:
    return lambda manifest: at(manifest, *path[:-1]).__delitem__(path[-1])


MISTAKES: dict[str, tuple[Change, str, str]] = {
    "unknown key": (put("dateset", value="x"), "dateset", "unknown key (did you mean 'dataset'?)"),
    "unknown inner key": (put("metrics", 0, "colum", value="x"), "metrics[0].colum", "did you mean 'column'?"),
    "missing key": (drop("metrics", 0, "sealed"), "metrics[0].sealed", "missing; it has no default"),
    "wrong type": (put("metrics", 0, "epochs", value="9"), "metrics[0].epochs", "given: '9'"),
    "no boolean": (put("metrics", 0, "sealed", value="yes"), "metrics[0].sealed", "given: 'yes'"),
    "upper case": (put("dataset", value="Toys"), "dataset", "given: 'Toys'"),
    "unknown policy": (put("metrics", 0, "policy", value="best"), "metrics[0].policy", "'mean-of-trials' or 'trial'"),
    "no policy": (drop("metrics", 0, "policy"), "metrics[0].policy", "together with epochs"),
    "trials without policy": (
        put("metrics", 1, "policy", value="mean-of-trials"),
        "metrics[1].trials",
        "policy: trial",
    ),
    "policy without trials": (drop("metrics", 1, "trials"), "metrics[1].trials", "needs `trials`"),
    "no column": (drop("metrics", 2, "column"), "metrics[2].column", "missing"),
    "absent column": (
        put("metrics", 2, "column", value="tests"),
        "metrics[2].column",
        "no column 'tests' (did you mean 'test'?)",
    ),
    "absent cost column": (
        put("costs", 0, "seconds_per_epoch", value="tim"),
        "costs[0].seconds_per_epoch",
        "did you mean 'time'?",
    ),
    "absent arch column": (put("arch", value="nets"), "arch", "did you mean 'net'?"),
    "text column": (put("metrics", 2, "column", value="net"), "metrics[2].column", "holds string, not numbers"),
    "absent curve column": (
        put("metrics", 0, "curve", "columns", value="v_{epoch}"),
        "metrics[0].curve.columns",
        "no column 'v_9'",
    ),
    "pattern without epoch": (
        put("metrics", 0, "curve", "columns", value="valid_9"),
        "metrics[0].curve.columns",
        "lacks {epoch}",
    ),
    "two homes of a curve": (put("metrics", 0, "curve", "file", value="x.csv"), "metrics[0].curve", "give either"),
    "curve of a cost": (put("metrics", 3, "curve", value={"columns": "a{epoch}"}), "metrics[3].curve", "no curve"),
    "beyond the schedule": (put("fidelities", value=[1, 3, 9, 12]), "metrics[0].curve", "lies beyond the schedule"),
    "falling fidelities": (put("fidelities", value=[3, 1, 9]), "fidelities", "must rise"),
    "no data set": (drop("dataset"), "metrics[0].dataset", "every metric needs one"),
    "twice": (lambda m: m["metrics"].append(dict(m["metrics"][2])), "metrics[4]", "described twice"),
    "all sealed": (
        lambda m: [metric.update(sealed=True) for metric in m["metrics"]],
        "metrics",
        "nothing to search for",
    ),
    "no metrics": (put("metrics", value=[]), "metrics", "at least 1 item"),
    "negative cost": (put("costs", 0, "seconds_per_epoch", value=-1.0), "costs[0].seconds_per_epoch", "given: -1.0"),
    "unknown kind of space": (put("space", "kind", value="chioces"), "space", "did you mean 'choices'?"),
    "wrong space": (put("space", "length", value=4), "space", "5 choices where the space declares 4 positions"),
    "unknown space key": (put("space", "sepparator", value=","), "space", "did you mean 'separator'?"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, write_table_files: Write, mistake: str) -> None:
    change, key, message = MISTAKES[mistake]
    path = write_table_files(tmp_path, change=change)
    with pytest.raises(ProtocolError) as refusal:
        import_user(path)
    found = {entry.key: entry for entry in refusal.value.mistakes}
    assert key in found
    assert message in found[key].message
    assert found[key].file == str(path)
    assert 1 <= found[key].line <= len(path.read_text().splitlines())


def test_the_line_is_the_line_of_the_key(tmp_path: Path, write_table_files: Write) -> None:
    path = write_table_files(tmp_path, change=put("metrics", 2, "colour", value="red"))
    lines = path.read_text().splitlines()
    with pytest.raises(ProtocolError) as refusal:
        import_user(path)
    (mistake,) = refusal.value.mistakes
    assert lines[mistake.line - 1].strip() == "colour: red"


def test_all_mistakes_are_reported_at_once(tmp_path: Path, write_table_files: Write) -> None:
    def schema(manifest: dict[str, Any]) -> None:
        manifest |= {"dateset": 1, "fidelities": ["a"]}
        del manifest["arch"]

    def columns(manifest: dict[str, Any]) -> None:
        manifest["metrics"][2]["column"] = "tests"
        manifest["metrics"][3]["column"] = "net"
        manifest["costs"][0]["seconds_per_epoch"] = "tim"

    for change, keys in (
        (schema, {"dateset", "fidelities[0]", "arch"}),
        (columns, {"metrics[2].column", "metrics[3].column", "costs[0].seconds_per_epoch"}),
    ):
        with pytest.raises(ProtocolError) as refusal:
            import_user(write_table_files(tmp_path, change=change))
        assert {mistake.key for mistake in refusal.value.mistakes} == keys


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("table: a\n  b: c\n", 2, "not YAML"),
        ("table: a\nfile: [x\n", 3, "not YAML"),
        ("table: a\nfile: x\ntable: b\n", 3, "given twice"),
        ("- a\n- b\n", 1, "must be a mapping"),
        ("", 1, "must be a mapping"),
        ("table: !!python/object/apply:os.system ['true']\n", 1, "not YAML"),
    ],
)
def test_malformed_yaml_is_named_with_its_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    path = tmp_path / "table.yaml"
    path.write_text(text)
    with pytest.raises(ProtocolError, match=message) as refusal:
        import_user(path)
    assert refusal.value.mistakes[0].line == line


def test_a_manifest_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "table.yaml"
    path.write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(ProtocolError, match="not YAML"):
        import_user(path)


DAMAGE: dict[str, tuple[Callable[[list[dict[str, Any]]], Any], type[HarnessError], str]] = {
    "architecture twice": (lambda r: r.append(dict(r[0])), DataCorrupt, "'000' stands in rows 1 and 51"),
    "no rows": (lambda r: r.__setitem__(slice(1, None), []) or r[0].update(net=""), ProtocolError, "is empty in row 1"),
    "line break": (lambda r: r[4].update(net="a\nb"), DataCorrupt, "row 5 has a line break"),
    "no number": (lambda r: r[2].update(test="n.a."), ProtocolError, "not numbers ('n.a.' in row 3)"),
    "infinity": (lambda r: r[2].update(test="inf"), ProtocolError, "infinite in row 3"),
    "negative seconds": (lambda r: r[2].update(time=-1), ProtocolError, "below 0"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_rows_are_named(tmp_path: Path, write_table_files: Write, damage: str) -> None:
    change, kind, message = DAMAGE[damage]
    with pytest.raises(kind) as refusal:
        import_user(write_table_files(tmp_path, "ids", change_rows=change))
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (put("metrics", 0, "column", value="test"), "toys/valid@9ep(25k)"),
        (put("metrics", 1, "trials", "2", value="valid_1_9"), "toys/valid@9ep(25k)"),
    ],
)
def test_a_curve_that_ends_elsewhere_is_named(
    tmp_path: Path, write_table_files: Write, change: Change, name: str
) -> None:
    with pytest.raises(DataCorrupt, match="does not end at its") as refusal:
        import_user(write_table_files(tmp_path, "ids", change=change))
    assert name in str(refusal.value)
    assert "'000'" in str(refusal.value)


def test_a_repeated_point_of_a_curve_is_named(tmp_path: Path, write_table_files: Write) -> None:
    curve = {"file": "curves.csv", "epoch": "ep", "value": "acc"}
    path = write_table_files(tmp_path, change=put("metrics", 0, "curve", value=curve))
    long_curves(tmp_path, seeds=False)
    with (tmp_path / "curves.csv").open("a") as stream:
        stream.write('"conv3,conv3,conv3,conv3,conv3",3,,50.0\n')
    with pytest.raises(DataCorrupt, match=r"row 730 repeats 'conv3,conv3,conv3,conv3,conv3' at epoch 3"):
        import_user(path)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("net,test\na,1\nb\n", DataCorrupt, "not a whole CSV file"),
        ("", DataCorrupt, "not a whole CSV file"),
        ("net,test\n", DataCorrupt, "no rows"),
        (None, DataMissing, "no such file"),
    ],
)
def test_a_broken_file_is_one_line(
    tmp_path: Path, write_table_files: Write, text: str | None, kind: type[HarnessError], message: str
) -> None:
    path = write_table_files(tmp_path)
    (tmp_path / "results.csv").unlink()
    if text is not None:
        (tmp_path / "results.csv").write_text(text)
    with pytest.raises(kind, match=message) as refusal:
        import_user(path)
    assert "\n" not in str(refusal.value)


def test_a_truncated_parquet_is_one_line(tmp_path: Path, write_table_files: Write) -> None:
    path = write_table_files(tmp_path, change=put("file", value="results.parquet"))
    pd.read_csv(tmp_path / "results.csv").to_parquet(tmp_path / "results.parquet")
    whole = (tmp_path / "results.parquet").read_bytes()
    (tmp_path / "results.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataCorrupt, match="not a whole parquet file"):
        import_user(path)


def test_a_missing_manifest_says_where_to_read_on(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"docs/data\.md"):
        import_user(tmp_path / "absent.yaml")


def test_the_manifest_of_the_documentation_is_whole(tmp_path: Path) -> None:
    """What docs/data.md shows imports as it stands."""
    text = (Path(__file__).parents[4] / "docs" / "data.md").read_text(encoding="utf-8")
    shown = text.partition("```yaml\n")[2].partition("```")[0]
    rows_shown = text.partition("```csv\n")[2].partition("```")[0]
    manifest = yaml.safe_load(shown)
    (tmp_path / "table.yaml").write_text(shown)
    (tmp_path / manifest["file"]).write_text(rows_shown)
    content = import_user(tmp_path / "table.yaml")
    assert len(content.archs) == len(rows_shown.splitlines()) - 1
    assert any(series.sealed for series in content.series)
    assert any(series.curve is not None for series in content.series)
