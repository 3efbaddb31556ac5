"""The data commands: where, import, verify; and what is said when data are absent or damaged."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.tabular.catalogue import KNOWN
from benchmarks.tabular.commands import import_table, verify, where
from benchmarks.tabular.nb201 import NB201Table
from benchmarks.tabular.store import open_table
from benchmarks.tabular.user import UserTable
from harness.core.errors import DataCorrupt, DataMissing, OutputUnwritable, UsageError
from harness.core.interfaces import Place, Query

Write = Callable[..., Path]
QUERY = Query("cifar10/valid@12ep(25k) mean-of-trials", (), ("cifar10/test@200ep(50k) mean-of-trials",), 12, 200)


def test_where_lists_every_source_with_its_home(small_place: Place) -> None:
    entries = where(small_place)
    assert {entry.table for entry in entries} == set(KNOWN)
    assert all(entry.home and entry.licence and entry.size and entry.files for entry in entries)
    assert {(entry.table, entry.form) for entry in entries if entry.found} == {
        ("nb201-v1.1", "parquet"),
        ("nats-tss", "parquet"),
    }
    assert not any(entry.imported for entry in entries)
    folder = import_table("nb201", small_place)
    assert [entry.imported for entry in where(small_place) if entry.imported] == [folder]


@pytest.mark.parametrize("data", [None, "empty"])
def test_an_absent_table_names_file_home_size_and_command(tmp_path: Path, data: str | None) -> None:
    place = Place(None if data is None else tmp_path, tmp_path / "cache")
    for run in (lambda: import_table("nb201", place), lambda: NB201Table(NB201Table.Config(), place, QUERY)):
        with pytest.raises(DataMissing) as refusal:
            run()
        message = str(refusal.value)
        for part in ("arch.parquet", "4.34 MB", "096897.pth", "4.7 GB", "https://github.com/D-X-Y/NAS-Bench-201"):
            assert part in message
        assert f"python -m harness data import nb201-v1.1 --data-dir {place.data or 'DIR'}" in message
        assert "\n" not in message


def test_an_unknown_table_is_refused_with_the_nearest(small_place: Place) -> None:
    for run in (import_table, verify):
        with pytest.raises(UsageError, match=r"did you mean 'nb201'"):
            run("nb210", small_place)
        with pytest.raises(UsageError, match=r"NAME:parquet or NAME:official"):
            run("nb201:csv", small_place)


def test_one_form_can_be_imported(real_place: Place) -> None:
    folder = import_table("nats-tss:official", real_place)
    assert len(open_table(folder, "").archs) == 3
    assert all(finding.ok for finding in verify("nats-tss:official", real_place))


def test_verify_finds_a_flipped_byte_and_import_repairs_it(small_place: Place) -> None:
    folder = import_table("nb201", small_place)
    assert [finding.ok for finding in verify("nb201", small_place) if finding.path == folder] == [True]
    victim = next(folder.glob("*-mean.npy"))
    damaged = bytearray(victim.read_bytes())
    damaged[200] ^= 1
    victim.write_bytes(bytes(damaged))
    (finding,) = [finding for finding in verify("nb201", small_place) if finding.path == folder]
    assert not finding.ok
    assert str(victim) in finding.message
    with pytest.raises(DataCorrupt, match=r"python -m harness data import nb201-v1\.1"):
        NB201Table(NB201Table.Config(), small_place, QUERY)
    assert import_table("nb201", small_place) == folder
    NB201Table(NB201Table.Config(), small_place, QUERY)


def test_verify_says_where_a_file_is_not_the_released_one(small_place: Place) -> None:
    findings = {finding.path.name: finding for finding in verify("nb201", small_place)}
    assert not findings["arch.parquet"].ok
    assert "expected SHA-256 60860c55" in findings["arch.parquet"].message


def test_verify_of_nothing_says_how_to_import(tmp_path: Path) -> None:
    (finding,) = verify("nats-tss", Place(None, tmp_path))
    assert not finding.ok
    assert "python -m harness data import nats-tss" in finding.message


def test_the_released_files_verify(real_place: Place) -> None:
    import_table("nb201", real_place)
    findings = verify("nb201", real_place)
    assert len(findings) == 3
    assert all(finding.ok for finding in findings)


def test_a_damaged_copy_of_a_released_file_is_refused(data_dir: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(
        data_dir / "nb201", tmp_path / "data" / "nb201", ignore=shutil.ignore_patterns("official*")
    )
    path = folder / "arch.parquet"
    path.chmod(0o644)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 3] ^= 1
    path.write_bytes(bytes(damaged))
    with pytest.raises(DataCorrupt, match="a damaged copy of the known file") as refusal:
        NB201Table(NB201Table.Config(), Place(tmp_path / "data", tmp_path / "cache"), QUERY)
    assert str(path) in str(refusal.value)


def test_changed_files_are_imported_anew(tmp_path: Path, write_table_files: Write) -> None:
    place, query = Place(tmp_path, tmp_path / "cache"), Query("toys/valid@9ep(25k) mean-of-trials", (), (), 9, 9)
    path = write_table_files(tmp_path)
    first = UserTable(UserTable.Config(path.name), place, query)
    write_table_files(tmp_path, change_rows=lambda rows: rows[0].update(test=12.5))
    second = UserTable(UserTable.Config(path.name), place, query)
    assert first.manifest() != second.manifest()
    tests = [table.table.series["toys/test@9ep(25k)"].mean for table in (first, second)]
    assert all(mean is not None for mean in tests)
    assert [mean[0] for mean in tests if mean is not None][1] == 12.5


def test_a_users_table_is_imported_and_verified_by_its_manifest(tmp_path: Path, write_table_files: Write) -> None:
    place = Place(tmp_path, tmp_path / "cache")
    path = write_table_files(tmp_path, "graph")
    (before,) = verify(path.name, place)
    assert not before.ok
    for name in (path.name, str(path)):
        assert open_table(import_table(name, place), "").name == "invented"
        (finding,) = verify(name, place)
        assert finding.ok


def test_a_cache_that_is_a_file_is_one_line(small_place: Place) -> None:
    small_place.cache.write_text("not a folder")
    with pytest.raises(OutputUnwritable, match="name a writable cache folder"):
        import_table("nb201", small_place)
