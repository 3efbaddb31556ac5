"""Read the limits that a control group sets on this process (versions 1 and 2)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

UNLIMITED = 1 << 60  # version 1 writes the largest multiple of the page size for "no limit"


def cpu_quota(root: Path) -> float | None:
    """Return how many cores' worth of time this process may use; None where there is no quota."""
    texts = [_read(folder / "cpu.max").partition(" ")[::2] for folder in _unified(root)]
    texts += [
        (_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")) for folder in _legacy(root, "cpu")
    ]
    quotas = [_ratio(quota, period) for quota, period in texts]
    return min((quota for quota in quotas if quota is not None), default=None)


def memory_limit(root: Path) -> int | None:
    """Return how many bytes this process and its group may use; None where there is no limit."""
    texts = [_read(folder / "memory.max") for folder in _unified(root)]
    texts += [_read(folder / "memory.limit_in_bytes") for folder in _legacy(root, "memory")]
    limits = [int(text) for text in texts if text.isdecimal()]
    return min((limit for limit in limits if limit < UNLIMITED), default=None)


def _unified(root: Path) -> Iterator[Path]:
    mount = root / "sys/fs/cgroup"
    return _upwards(mount / "unified" if (mount / "unified").is_dir() else mount, _group(root, ""))


def _legacy(root: Path, controller: str) -> Iterator[Path]:
    return _upwards(root / "sys/fs/cgroup" / controller, _group(root, controller))


def _upwards(mount: Path, group: str) -> Iterator[Path]:
    """Yield the folders from the group up to its mount; each may set a limit, and the tightest holds."""
    folder = mount / group.strip("/")
    yield folder
    while folder != mount:
        folder = folder.parent
        yield folder


def _group(root: Path, controller: str) -> str:
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if controller in controllers.split(","):
            return "" if ".." in group else group  # a group outside of this namespace
    return ""


def _ratio(quota: str, period: str) -> float | None:
    if not quota.isdecimal() or not period.isdecimal() or int(period) == 0:
        return None  # absent, "max" or -1
    return int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
