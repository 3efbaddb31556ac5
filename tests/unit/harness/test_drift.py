"""What may change a number is told, and nothing else is."""

from __future__ import annotations

import copy

import pytest

from harness.environment.drift import Drift, describe, differences
from harness.environment.hardware import record

GPU = {"model": "H100", "driver": "580.1", "mig": False, "uuid_hash": "a", "vbios": "1", "power_limit_watts": 700.0}
BASE = {
    "schema": 1,
    "hardware": {
        "machine": "x86_64",
        "host_hash": "aa",
        "virtualisation": {"hypervisor": True},
        "cpu": {"model": "EPYC", "flags": "avx2 fma", "flags_digest": "d1", "cores": 2, "threads_allowed": 2},
        "memory_bytes": 1,
        "memory_limit_bytes": None,
        "gpus": [GPU, GPU],
    },
    "software": {
        "os": "Debian",
        "kernel": "6.1",
        "libc": "glibc 2.36",
        "python": {"version": "3.11.9", "implementation": "CPython", "build": "x", "compiler": "GCC"},
        "distributions": [
            "numpy==2.4.0",
            "nvidia-cudnn-cu13==9.1",
            "nvidia-ml-py==13.0",
            "rich==14.0",
            "torch==2.15.0",
        ],
        "blas": [{"internal_api": "openblas", "version": "0.3.31", "architecture": "SkylakeX"}],
        "locale": "C",
        "environment": {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "CUDA_VISIBLE_DEVICES": "0"},
    },
    "code": {
        "content": {"harness": "h", "methods": "m", "benchmarks": "b", "reports": "r"},
        "repository": {"commit": "c1", "dirty": False},
    },
    "determinism": {"tf32": False, "cudnn": {"benchmark": False}},
}


def changed(path: tuple[object, ...], value: object) -> dict:
    result = copy.deepcopy(BASE)
    *folders, last = path
    place = result
    for key in folders:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return result


def listed(*entries: str) -> dict:
    return changed(("software", "distributions"), list(entries))


def test_equal_records_do_not_differ():
    assert differences(BASE, copy.deepcopy(BASE)) == []
    real = record({"determinism": {"tf32": False}})
    assert differences(real, copy.deepcopy(real)) == []


@pytest.mark.parametrize(
    ("path", "value", "field", "before", "after"),
    [
        (("schema",), 2, "schema", 1, 2),
        (("hardware", "machine"), "aarch64", "hardware.machine", "x86_64", "aarch64"),
        (("hardware", "cpu", "model"), "Xeon", "hardware.cpu.model", "EPYC", "Xeon"),
        (("hardware", "cpu", "flags_digest"), "d2", "hardware.cpu.flags_digest", "d1", "d2"),
        (("hardware", "gpus"), [], "hardware.gpus.model", ["H100"], []),
        (("hardware", "gpus", 1), GPU | {"model": "A100"}, "hardware.gpus.model", ["H100"], ["A100", "H100"]),
        (("hardware", "gpus", 0), GPU | {"driver": "590.2"}, "hardware.gpus.driver", ["580.1"], ["580.1", "590.2"]),
        (("hardware", "gpus", 0), GPU | {"mig": True}, "hardware.gpus.mig", ["False"], ["False", "True"]),
        (("software", "libc"), "glibc 2.41", "software.libc", "glibc 2.36", "glibc 2.41"),
        (("software", "python", "version"), "3.12.1", "software.python.version", "3.11.9", "3.12.1"),
        (("software", "python", "implementation"), "PyPy", "software.python.implementation", "CPython", "PyPy"),
        (("software", "environment", "OMP_NUM_THREADS"), "4", "software.environment.OMP_NUM_THREADS", "1", "4"),
        (("software", "environment", "OMP_NUM_THREADS"), None, "software.environment.OMP_NUM_THREADS", "1", None),
        (("software", "environment", "MKL_CBWR"), "AVX2", "software.environment.MKL_CBWR", None, "AVX2"),
        (("code", "content", "harness"), "x", "code.content.harness", "h", "x"),
        (("code", "content", "methods"), "x", "code.content.methods", "m", "x"),
        (("code", "content", "benchmarks"), "x", "code.content.benchmarks", "b", "x"),
        (("determinism", "tf32"), True, "determinism.tf32", False, True),
        (("determinism", "cudnn", "benchmark"), True, "determinism.cudnn.benchmark", False, True),
    ],
)
def test_what_may_change_a_number_is_told(path, value, field, before, after):
    assert Drift(field, before, after) in differences(BASE, changed(path, value))


def test_another_linear_algebra_library_is_told():
    (drift,) = differences(BASE, changed(("software", "blas", 0, "architecture"), "Zen"))
    assert drift.field == "software.blas"


@pytest.mark.parametrize(
    ("entries", "field"),
    [
        (("numpy==2.4.1", "nvidia-cudnn-cu13==9.1", "torch==2.15.0"), "numpy"),
        (("numpy==2.4.0", "nvidia-cudnn-cu13==9.2", "torch==2.15.0"), "nvidia-cudnn-cu13"),
        (("numpy==2.4.0", "nvidia-cudnn-cu13==9.1", "torch==2.15.0+cpu"), "torch"),
        (("numpy==2.4.0", "nvidia-cudnn-cu13==9.1"), "torch"),
        (("numpy==2.4.0", "nvidia-cudnn-cu13==9.1", "scipy==1.15", "torch==2.15.0"), "scipy"),
    ],
)
def test_numerical_packages_are_told_by_name(entries, field):
    assert [drift.field for drift in differences(BASE, listed(*entries))] == [f"software.distributions.{field}"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("hardware", "host_hash"), "bb"),
        (("hardware", "virtualisation"), {}),
        (("hardware", "memory_bytes"), 2),
        (("hardware", "memory_limit_bytes"), 3),
        (("hardware", "cpu", "cores"), 64),
        (("hardware", "cpu", "threads_allowed"), 1),
        (("hardware", "gpus"), [GPU]),
        (("hardware", "gpus", 1), GPU | {"uuid_hash": "b", "vbios": "2", "power_limit_watts": 500.0}),
        (("software", "os"), "Ubuntu"),
        (("software", "kernel"), "6.18"),
        (("software", "locale"), "de_DE"),
        (("software", "environment", "PYTHONHASHSEED"), "1"),
        (("software", "environment", "CUDA_VISIBLE_DEVICES"), "1"),
        (("code", "content", "reports"), "x"),
        (("code", "repository"), {"commit": "c2", "dirty": True}),
        (("code", "repository"), None),
    ],
)
def test_what_changes_no_number_is_not_told(path, value):
    assert differences(BASE, changed(path, value)) == []


def test_other_packages_are_not_told():
    assert differences(BASE, listed("numpy==2.4.0", "nvidia-cudnn-cu13==9.1", "rich==15.0", "torch==2.15.0")) == []


def test_a_section_that_one_record_lacks_is_told():
    without = {key: value for key, value in BASE.items() if key != "determinism"}
    assert [drift.field for drift in differences(without, BASE)] == ["determinism.cudnn.benchmark", "determinism.tf32"]


def test_differences_are_sorted_and_go_both_ways():
    other = copy.deepcopy(BASE)
    other["software"]["libc"] = "musl"
    other["code"]["content"]["harness"] = "x"
    there, back = differences(BASE, other), differences(other, BASE)
    assert [drift.field for drift in there] == ["code.content.harness", "software.libc"]
    assert [(drift.field, drift.after, drift.before) for drift in back] == [
        (drift.field, drift.before, drift.after) for drift in there
    ]


def test_a_record_that_is_no_record_differs_in_everything_it_lacks():
    assert {drift.field for drift in differences({}, BASE)} >= {"schema", "hardware.cpu.model", "software.libc"}


def test_the_description_is_one_line():
    drifts = [
        Drift("hardware.cpu.model", "EPYC", "Xeon"),
        Drift("software.environment.MKL_CBWR", None, "AVX2"),
        Drift("code.content.harness", "a" * 64, "b\nc"),
    ]
    assert describe(drifts) == (
        "hardware.cpu.model: EPYC -> Xeon; software.environment.MKL_CBWR: absent -> AVX2; "
        f"code.content.harness: {'a' * 39}… -> b c"
    )
    assert describe([]) == ""
