"""Tell whether a benchmark that a row is tuned on is one that it is reported on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def shared_ground(choice: Mapping[str, Any], track: Mapping[str, Any]) -> str:
    """Return what a benchmark choice and a reported track have in common, in words, or an empty string.

    The same benchmark with the same options is common ground, and so is a data set that the track is opened on or
    reports a metric of: the validation images of a reported data set are no place to choose hyper-parameters on,
    whichever table or recipe they are looked at through.

    Args:
        choice: `name` and `options` of the benchmark, as plain data.
        track: a track of the protocol, as plain data.
    """
    theirs = _mapping(track, "benchmark")
    if choice.get("name") == theirs.get("name") and _mapping(choice, "options") == _mapping(theirs, "options"):
        return "the same benchmark"
    dataset = _mapping(choice, "options").get("dataset")
    return f"the data set {dataset!r}" if isinstance(dataset, str) and dataset in set(_datasets(track)) else ""


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, Mapping) else {}


def _datasets(track: Mapping[str, Any]) -> Iterator[str]:
    """Yield the data sets of a track: its benchmark's, and those that its qualified metric names begin with."""
    dataset = _mapping(_mapping(track, "benchmark"), "options").get("dataset")
    if isinstance(dataset, str):
        yield dataset
    metrics = _mapping(track, "final").get("metrics")
    names = [_mapping(track, "objective").get("metric"), *(metrics if isinstance(metrics, list) else [])]
    for name in names:
        if isinstance(name, str) and "/" in name:
            yield name.partition("/")[0]
