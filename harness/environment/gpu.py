"""Ask NVIDIA's management library about the GPUs; without one, or without the library, there are none."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pynvml

from harness.core.canonical import Json, sha256_text

COMPUTE_MODES = ("default", "exclusive thread", "prohibited", "exclusive process")
THROTTLES = (
    "ApplicationsClocksSetting",
    "DisplayClockSetting",
    "GpuIdle",
    "HwPowerBrakeSlowdown",
    "HwSlowdown",
    "HwThermalSlowdown",
    "SwPowerCap",
    "SwThermalSlowdown",
    "SyncBoost",
)


def gpus() -> list[dict[str, Json]]:
    """Return what does not change while a study runs: model, memory, driver, modes, limits; one entry for each GPU.

    There are none where CUDA_VISIBLE_DEVICES hides all. What a GPU or a driver does not tell is None.
    """
    with _handles() as handles:
        return [_describe(handle) for handle in handles]


def gpu_samples() -> list[dict[str, Json]]:
    """Return what changes all the time: power, clocks, temperature, load, and what holds the clocks back."""
    with _handles() as handles:
        return [_sample(handle) for handle in handles]


def gpu_joules() -> list[float] | None:
    """Return the joules that each GPU has used since its driver was loaded; None unless all count them (Volta+)."""
    with _handles() as handles:
        millijoules = [_ask(pynvml.nvmlDeviceGetTotalEnergyConsumption, handle) for handle in handles]
    return [each / 1000 for each in millijoules] if millijoules and None not in millijoules else None


@contextmanager
def _handles() -> Iterator[list[Any]]:
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        yield []
        return
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield []
        return
    try:
        count = _ask(pynvml.nvmlDeviceGetCount) or 0
        found = [_ask(pynvml.nvmlDeviceGetHandleByIndex, index) for index in range(count)]
        yield [handle for handle in found if handle is not None]
    finally:
        pynvml.nvmlShutdown()


def _ask(question: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return question(*arguments)
    except pynvml.NVMLError:  # not supported by this GPU or driver, or not permitted
        return None


def _describe(handle: Any) -> dict[str, Json]:
    memory = _ask(pynvml.nvmlDeviceGetMemoryInfo, handle)
    uuid = _ask(pynvml.nvmlDeviceGetUUID, handle)
    limit = _ask(pynvml.nvmlDeviceGetPowerManagementLimit, handle)
    compute = _ask(pynvml.nvmlDeviceGetComputeMode, handle)
    return {
        "model": _ask(pynvml.nvmlDeviceGetName, handle),
        "uuid_hash": uuid and sha256_text(uuid)[:16],
        "memory_bytes": memory and memory.total,
        "driver": _ask(pynvml.nvmlSystemGetDriverVersion),
        "driver_cuda": _ask(pynvml.nvmlSystemGetCudaDriverVersion_v2),
        "vbios": _ask(pynvml.nvmlDeviceGetVbiosVersion, handle),
        "compute_mode": None if compute is None else COMPUTE_MODES[compute],
        "mig": _current(pynvml.nvmlDeviceGetMigMode, handle),
        "ecc": _current(pynvml.nvmlDeviceGetEccMode, handle),
        "persistence": _switch(_ask(pynvml.nvmlDeviceGetPersistenceMode, handle)),
        "power_limit_watts": None if limit is None else limit / 1000,
        "clocks_max_mhz": _clocks(pynvml.nvmlDeviceGetMaxClockInfo, handle),
        "clocks_application_mhz": _clocks(pynvml.nvmlDeviceGetApplicationsClock, handle),
        "pcie_generation": _ask(pynvml.nvmlDeviceGetMaxPcieLinkGeneration, handle),
        "pcie_width": _ask(pynvml.nvmlDeviceGetMaxPcieLinkWidth, handle),
        "nvlinks": sum(
            _ask(pynvml.nvmlDeviceGetNvLinkState, handle, link) == 1 for link in range(pynvml.NVML_NVLINK_MAX_LINKS)
        ),
    }


def _sample(handle: Any) -> dict[str, Json]:
    power = _ask(pynvml.nvmlDeviceGetPowerUsage, handle)
    load = _ask(pynvml.nvmlDeviceGetUtilizationRates, handle)
    reasons = _ask(pynvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
    return {
        "power_watts": None if power is None else power / 1000,
        "clocks_mhz": _clocks(pynvml.nvmlDeviceGetClockInfo, handle),
        "temperature_celsius": _ask(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU),
        "load_percent": load and load.gpu,
        "throttled_by": None
        if reasons is None
        else [name for name in THROTTLES if reasons & getattr(pynvml, f"nvmlClocksEventReason{name}")],
    }


def _clocks(question: Callable[..., Any], handle: Any) -> Json:
    return {
        "sm": _ask(question, handle, pynvml.NVML_CLOCK_SM),
        "memory": _ask(question, handle, pynvml.NVML_CLOCK_MEM),
    }


def _current(question: Callable[..., Any], handle: Any) -> bool | None:
    modes = _ask(question, handle)  # current and pending
    return _switch(modes[0]) if modes else None


def _switch(value: int | None) -> bool | None:
    return None if value is None else bool(value)
