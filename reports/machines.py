"""Tabulate the machines and the software of a study: the page says what a reader needs, the CSV everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from harness.core.canonical import Json
from harness.core.records import Table
from reports.frame import Frame
from reports.wording import ABSENT, listed

Record = Mapping[str, Any]

_VERSIONS = ("numpy", "scipy", "torch")
_PACKAGES = frozenset({*_VERSIONS, "pandas", "torchvision", "pyarrow", "scikit-learn", "nas-harness"})
_LEFT_OUT = frozenset({"flags", "locale"})  # long, and of no use to a reader; the full record has them
_SHORT = 12  # characters of a hash that a page shows


def machines_table(frame: Frame) -> Table:
    """Return the machine and software records, one column per environment that the study ran in."""
    records = {name[:_SHORT]: dict(record) for name, record in frame.study.environments.items()}
    rows = [(item, *(read(record) or ABSENT for record in records.values())) for item, read in _ROWS.items()]
    data: tuple[Mapping[str, Json], ...] = tuple(
        {"environment": name, "item": item, "value": value}
        for name, record in records.items()
        for item, value in _leaves(record, ())
    )
    return Table(
        name="machines",
        title="Machines and software",
        columns=("item", *records),
        rows=tuple(row for row in rows if any(text != ABSENT for text in row[1:])),
        note=(
            "The CSV holds all that was recorded; every installed package stands in the study's environments folder. "
            "The code's content is the first twelve digits of the SHA-256 over its sources."
        ),
        data=data,
    )


def _at(record: Record, *path: str) -> Any:
    found: Any = record
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _text(*path: str) -> Callable[[Record], str]:
    def read(record: Record) -> str:
        found = _at(record, *path)
        return "" if found is None else str(found)

    return read


def _cores(record: Record) -> str:
    cpu = _at(record, "hardware", "cpu") or {}
    counts = [f"{key} {cpu[key]}" for key in ("sockets", "cores", "threads") if cpu.get(key) is not None]
    allowed = cpu.get("threads_allowed")
    return ", ".join([*counts, *([f"{allowed} threads allowed"] if allowed is not None else [])])


def _memory(record: Record) -> str:
    size, limit = (_at(record, "hardware", key) for key in ("memory_bytes", "memory_limit_bytes"))
    texts = [f"{size / 2**30:.1f} GiB"] if size else []
    return ", limited to ".join([*texts, *([f"{limit / 2**30:.1f} GiB"] if limit else [])])


def _gpus(record: Record) -> str:
    gpus = _at(record, "hardware", "gpus")
    if gpus is None:
        return ""
    named = [f"{_at(gpu, 'model')} (driver {_at(gpu, 'driver') or 'not recorded'})" for gpu in gpus]
    return listed(f"{named.count(name)} x {name}" for name in dict.fromkeys(named)) or "none"


def _versions(record: Record) -> str:
    pairs = (str(item).partition("==") for item in _at(record, "software", "distributions") or ())
    known = {name: version for name, _, version in pairs}
    return ", ".join(f"{name} {known[name]}" for name in _VERSIONS if name in known)


def _commit(record: Record) -> str:
    repository = _at(record, "code", "repository") or {}
    commit = repository.get("commit")
    changes = " with uncommitted changes" if repository.get("dirty") else ""
    return f"{commit}{changes}" if commit else ""


def _content(record: Record) -> str:
    content = _at(record, "code", "content") or {}
    return ", ".join(f"{package} {str(digest)[:_SHORT]}" for package, digest in content.items())


_ROWS: Mapping[str, Callable[[Record], str]] = {
    "processor": _text("hardware", "cpu", "model"),
    "cores": _cores,
    "memory": _memory,
    "GPUs": _gpus,
    "system": _text("software", "os"),
    "Python": _text("software", "python", "version"),
    "libraries": _versions,
    "code, commit": _commit,
    "code, content": _content,
    "device": _text("settings", "device"),
    "threads per run": _text("settings", "threads"),
    "determinism": _text("determinism", "mode"),
}


def _leaves(value: Json, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield 'group, item' and text for every recorded fact; the long lists are cut to what matters."""
    if path and path[-1] in _LEFT_OUT:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*path, str(index)))
    elif isinstance(value, list):
        chosen = [str(item) for item in value if path[-1] != "distributions" or _package(item) in _PACKAGES]
        yield _name(path), ", ".join(chosen) or "none"
    else:
        yield _name(path), _fact(path, value)


def _name(path: tuple[str, ...]) -> str:
    return ", ".join(path).removesuffix("_bytes").replace("_", " ")


def _package(distribution: object) -> str:
    return str(distribution).partition("==")[0]


def _fact(path: tuple[str, ...], value: Json) -> str:
    if value is None:
        return "not recorded"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if path[-1].endswith("_bytes") and isinstance(value, int):
        return f"{value / 2**30:.1f} GiB"
    return str(value)
