"""Record the software: system, Python, every installed distribution, numerical libraries, settings."""

from __future__ import annotations

import locale
import os
import platform
import warnings
from importlib import metadata
from pathlib import Path

from harness.core.canonical import Json, sha256_text

# The only environment variables that are ever recorded.
VARIABLES = (
    "BLIS_NUM_THREADS",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_DEVICE_ORDER",
    "CUDA_LAUNCH_BLOCKING",
    "CUDA_VISIBLE_DEVICES",
    "CUDNN_LOGINFO_DBG",
    "KMP_AFFINITY",
    "MKL_CBWR",
    "MKL_DYNAMIC",
    "MKL_NUM_THREADS",
    "NPY_DISABLE_CPU_FEATURES",
    "NUMEXPR_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_DYNAMIC",
    "OMP_NUM_THREADS",
    "OMP_PROC_BIND",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_NUM_THREADS",
    "PYTHONHASHSEED",
    "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF",
    "TORCHDYNAMO_DISABLE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "TORCH_BLAS_PREFER_CUBLASLT",
    "TORCH_COMPILE_DISABLE",
    "TORCH_CUDNN_V8_API_DISABLED",
    "TORCH_CUDNN_V8_API_LRU_CACHE_LIMIT",
    "VECLIB_MAXIMUM_THREADS",
)


def software() -> dict[str, Json]:
    """Return the software that this process runs on."""
    return {
        "os": _os(),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "build": " ".join(platform.python_build()),
            "compiler": platform.python_compiler(),
        },
        "distributions": distributions(),
        "blas": blas(),
        "locale": locale.setlocale(locale.LC_ALL),
        "environment": environment(),
    }


def distributions() -> list[Json]:
    """Return `name==version` of every installed distribution, sorted; of two with one name, the one in use."""
    found: dict[str, str] = {}
    for each in metadata.distributions():
        name = each.metadata["Name"]
        if name:
            found.setdefault(name.lower().replace("_", "-").replace(".", "-"), each.version)
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def blas() -> list[Json]:
    """Return the linear algebra library that numpy uses, with the processor it chose its code for.

    Whatever else this process has loaded (scipy and torch bring their own) is left out: the record must not depend
    on what was imported before.
    """
    import numpy as np  # noqa: F401, PLC0415 - so that its library is loaded
    import threadpoolctl  # noqa: PLC0415 - with numpy, or not at all

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # two kinds of OpenMP: known, and not ours to mend
        loaded = [each for each in threadpoolctl.threadpool_info() if each["user_api"] == "blas"]
    folders = {each["filepath"]: Path(each["filepath"]).parent.name for each in loaded}
    bundled = [each for each in loaded if folders[each["filepath"]] == "numpy.libs"]
    shared = [each for each in loaded if not folders[each["filepath"]].endswith(".libs")]
    keys = ("internal_api", "version", "architecture", "threading_layer")
    found = {tuple(str(each.get(key)) for key in keys) for each in bundled or shared}
    return [dict(zip(keys, each, strict=True)) for each in sorted(found)]


def environment() -> dict[str, Json]:
    """Return the listed environment variables that are set; a value with a path or a device name only as a hash."""
    return {name: _veiled(os.environ[name]) for name in VARIABLES if name in os.environ}


def _veiled(value: str) -> str:
    private = "/" in value or "GPU-" in value or "MIG-" in value
    return f"sha256:{sha256_text(value)[:16]}" if private else value


def _os() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()
