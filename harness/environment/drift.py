"""Compare two environment records in what may change a number, and in nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.core.canonical import Json

FIELDS = (
    "schema",
    "hardware.machine",
    "hardware.cpu.model",
    "hardware.cpu.flags_digest",
    "software.libc",
    "software.python.implementation",
    "software.python.version",
    "software.blas",
    "code.content.harness",
    "code.content.methods",
    "code.content.benchmarks",
)
DISTRIBUTIONS = frozenset({"numpy", "torch", "torchvision", "triton", "scipy", "pandas", "pyarrow", "scikit-learn"})
# These choose which devices or addresses are used, or an order that no result may depend on.
HARMLESS_VARIABLES = frozenset({"CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "PYTHONHASHSEED", "CUDNN_LOGINFO_DBG"})
OWN_SECTIONS = frozenset({"schema", "hardware", "software", "code"})
SHOWN = 40  # characters of one value


@dataclass(frozen=True, slots=True)
class Drift:
    """One field that may change a number, and differs; None stands for 'absent'."""

    field: str
    before: Json
    after: Json


def differences(first: Mapping[str, Json], now: Mapping[str, Json]) -> list[Drift]:
    """Return the fields in which two records differ and that may change a number, sorted by name.

    Compared are processor and GPU models, drivers, Python, the C library, numerical packages, variables that set
    threads or arithmetic, the code of harness, methods and benchmarks, and all sections that the caller added to
    the record. Not compared are hosts, memory, core counts, clocks, other packages, commits, and the code of
    reports, which are made anew from the records.
    """
    before, after = _telling(first), _telling(now)
    return [
        Drift(name, before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def describe(drifts: Sequence[Drift]) -> str:
    """Return the differences in one line: `field: before -> after; …`."""
    return "; ".join(f"{drift.field}: {_shown(drift.before)} -> {_shown(drift.after)}" for drift in drifts)


def _telling(record: Mapping[str, Json]) -> dict[str, Json]:
    """Return the fields that may change a number, flat."""
    fields = {name: _at(record, name) for name in FIELDS}
    fields |= _of_gpus(record) | _of_distributions(record)
    for name, value in _mapping(_at(record, "software.environment")).items():
        if name not in HARMLESS_VARIABLES:
            fields[f"software.environment.{name}"] = value
    for section in record.keys() - OWN_SECTIONS:
        fields |= _flat(section, record[section])
    return fields


def _of_gpus(record: Mapping[str, Json]) -> dict[str, Json]:
    gpus = _at(record, "hardware.gpus")
    entries = [_mapping(gpu) for gpu in gpus] if isinstance(gpus, list) else []
    return {
        f"hardware.gpus.{key}": sorted({str(gpu.get(key)) for gpu in entries}) for key in ("model", "driver", "mig")
    }


def _of_distributions(record: Mapping[str, Json]) -> dict[str, Json]:
    listed = _at(record, "software.distributions")
    pairs = (str(entry).partition("==") for entry in listed) if isinstance(listed, list) else ()
    return {f"software.distributions.{name}": version for name, _, version in pairs if _is_numerical(name)}


def _is_numerical(name: str) -> bool:
    return name in DISTRIBUTIONS or (name.startswith("nvidia-") and name != "nvidia-ml-py")


def _at(record: Mapping[str, Json], path: str) -> Json:
    value: Json = dict(record)
    for key in path.split("."):
        value = _mapping(value).get(key)
    return value


def _flat(name: str, value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        return {name: value}
    return {path: leaf for key, each in value.items() for path, leaf in _flat(f"{name}.{key}", each).items()}


def _mapping(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _shown(value: Json) -> str:
    if value is None:
        return "absent"
    text = " ".join(str(value).split())
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
