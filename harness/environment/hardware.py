"""Record the machine, its software and the code, so that a number can be traced to what made it.

The record holds no time, no load and nothing else that changes between two starts on one machine: its content
hash is the identity of the environment. It holds no user name, no home path and no plain host name either.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import psutil

from harness.core.canonical import Json, content_hash, sha256_text
from harness.environment import cgroup
from harness.environment.code_state import code
from harness.environment.gpu import gpu_samples, gpus
from harness.environment.software import software

__all__ = ["gpus", "record", "sample"]

SCHEMA = 1
ROOT = Path("/")
_NOTHING: Mapping[str, Json] = MappingProxyType({})


def record(extra: Mapping[str, Json] = _NOTHING) -> dict[str, Json]:
    """Return the environment: sections `hardware`, `software` and `code`, and the sections of `extra`.

    `extra` is for what only the caller knows and what may change a number (device, CUDA runtime, determinism
    settings); `harness.environment.drift` compares all of it.
    """
    return {"schema": SCHEMA, "hardware": hardware(), "software": software(), "code": code(), **extra}


def sample() -> dict[str, Json]:
    """Return what changes all the time (load, free memory, GPU power and clocks), for a segment and never a hash."""
    return {
        "load_average": list(os.getloadavg()),
        "memory_available_bytes": psutil.virtual_memory().available,
        "gpus": gpu_samples(),
    }


def hardware(root: Path = ROOT) -> dict[str, Json]:
    """Return the machine; `root` is where /proc, /sys and /run are found."""
    return {
        "machine": platform.machine(),
        "host_hash": sha256_text(platform.node())[:16],
        "virtualisation": virtualisation(root),
        "cpu": cpu(root),
        "memory_bytes": psutil.virtual_memory().total,
        "memory_limit_bytes": cgroup.memory_limit(root),
        "gpus": gpus(),
    }


def cpu(root: Path = ROOT) -> dict[str, Json]:
    """Return the processor: model, instruction flags, what is built in and what this process may use of it."""
    processors = _processors(root)
    first = processors[0] if processors else {}
    flags = sorted((first.get("flags") or first.get("Features") or "").split())
    return {
        "model": first.get("model name") or _model_asked_slowly(),
        "flags": " ".join(flags),
        "flags_digest": content_hash(flags)[:16],
        "sockets": len({each.get("physical id") for each in processors}),
        "cores": len({(each.get("physical id"), each.get("core id", each.get("processor"))) for each in processors}),
        "threads": len(processors),
        "threads_allowed": len(os.sched_getaffinity(0)),
        "quota_cores": cgroup.cpu_quota(root),
    }


def virtualisation(root: Path = ROOT) -> dict[str, Json]:
    """Return hints that this is a virtual machine or a container, as far as the system tells."""
    dmi = root / "sys/class/dmi/id"
    first = next(iter(_processors(root)), {})
    return {
        "hypervisor": "hypervisor" in first.get("flags", "").split(),
        "vendor": _text(dmi / "sys_vendor"),
        "product": _text(dmi / "product_name"),
        "container": _container(root),
    }


def _container(root: Path) -> str | None:
    marks = {".dockerenv": "docker", "run/.containerenv": "podman", ".singularity.d": "apptainer"}
    named = _text(root / "run/systemd/container")
    return named or next((name for mark, name in marks.items() if (root / mark).exists()), None)


def _processors(root: Path) -> list[dict[str, str]]:
    blocks = (_text(root / "proc/cpuinfo") or "").split("\n\n")
    entries = [dict(_pair(line) for line in block.splitlines() if ":" in line) for block in blocks]
    return [entry for entry in entries if "processor" in entry]


def _pair(line: str) -> tuple[str, str]:
    key, _, value = line.partition(":")
    return key.strip(), value.strip()


def _model_asked_slowly() -> str:
    from cpuinfo import get_cpu_info  # noqa: PLC0415 - takes a second; only where /proc does not name the model

    return get_cpu_info().get("brand_raw") or platform.machine()


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None
