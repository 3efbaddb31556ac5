"""The environment record says what made a number, stays the same between starts, and gives nobody away."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pynvml
import pytest

import harness
from harness.core.canonical import canonical_json, content_hash
from harness.environment import cgroup, gpu
from harness.environment.code_state import PACKAGES, content, repository
from harness.environment.energy import Energy, Meter, energy_counter
from harness.environment.hardware import cpu, gpus, record, sample, virtualisation
from harness.environment.software import blas, distributions, environment

CODE = Path(harness.__file__).parents[1]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def in_another_process(statement: str) -> str:
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(CODE)!r}); {statement}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def still(monkeypatch):
    """Code that nobody edits while a test runs."""
    monkeypatch.setattr("harness.environment.hardware.code", lambda: {"content": {}, "repository": None})


def test_the_record_is_plain_data_and_holds_still(still):
    first, second = record(), record()
    assert canonical_json(first) == canonical_json(second)
    assert json.loads(canonical_json(first)) == first
    assert list(first) == ["schema", "hardware", "software", "code"]


def test_the_record_does_not_depend_on_what_is_imported():
    tell = "from harness.environment.hardware import record; from harness.core.canonical import canonical_json; "
    tell += "found = record(); del found['code']; print(canonical_json(found))"
    assert in_another_process(tell) == in_another_process("import scipy.linalg, sklearn.cluster; " + tell)


def test_the_record_loads_no_torch():
    assert (
        in_another_process("from harness.environment.hardware import record; record(); print('torch' in sys.modules)")
        == "False\n"
    )


def test_the_caller_adds_sections(still):
    extra = {"determinism": {"tf32": False}}
    assert record(extra) == {**record(), **extra}


def test_the_record_gives_nobody_away(monkeypatch):
    monkeypatch.setattr(platform, "node", lambda: "marias-laptop.example.org")
    monkeypatch.setenv("HOME", "/home/maria")
    monkeypatch.setenv("USER", "maria")
    monkeypatch.setenv("HF_TOKEN", "maria-secret")
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "snapshot:/home/maria/log")
    text = canonical_json(record()).lower()
    assert "maria" not in text
    assert "/home/" not in text
    assert str(CODE).lower() not in text
    assert sys.prefix.lower() not in text


def test_only_listed_variables_are_recorded_and_private_values_are_hashed(monkeypatch):
    for name in environment():
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-8932f937-d72c")
    monkeypatch.setenv("TORCH_HOME", "/data/torch")
    found = environment()
    assert found.keys() == {"OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"}
    assert found["OMP_NUM_THREADS"] == "3"
    assert str(found["CUDA_VISIBLE_DEVICES"]).startswith("sha256:")


def test_every_distribution_is_listed_once():
    listed = distributions()
    assert f"numpy=={metadata.version('numpy')}" in listed
    assert f"scikit-learn=={metadata.version('scikit-learn')}" in listed
    names = [str(entry).partition("==")[0] for entry in listed]
    assert names == sorted(set(names))


def test_the_linear_algebra_library_of_numpy_is_told():
    for entry in blas():
        assert entry.keys() == {"internal_api", "version", "architecture", "threading_layer"}


def test_a_sample_is_plain_data():
    found = sample()
    assert json.loads(canonical_json(found)) == found
    assert len(found["load_average"]) == 3
    assert found["memory_available_bytes"] > 0


CPUINFO = "\n\n".join(
    f"processor\t: {n}\nmodel name\t: Planted 9000\nphysical id\t: {n // 4}\ncore id\t\t: {n % 2}\nflags\t\t: {flags}"
    for n, flags in enumerate(["sse2 fma avx2"] * 8)
)


def test_processors_are_counted(tmp_path):
    write(tmp_path / "proc/cpuinfo", CPUINFO + "\n")
    write(tmp_path / "proc/self/cgroup", "0::/\n")
    write(tmp_path / "sys/fs/cgroup/cpu.max", "150000 100000\n")
    assert cpu(tmp_path) == {
        "model": "Planted 9000",
        "flags": "avx2 fma sse2",
        "flags_digest": content_hash(["avx2", "fma", "sse2"])[:16],
        "sockets": 2,
        "cores": 4,
        "threads": 8,
        "threads_allowed": len(os.sched_getaffinity(0)),
        "quota_cores": 1.5,
    }


def test_a_processor_that_proc_does_not_name_is_asked_slowly(tmp_path, monkeypatch):
    write(tmp_path / "proc/cpuinfo", "processor : 0\nFeatures : fp asimd\n\nprocessor : 1\nFeatures : fp asimd\n")
    monkeypatch.setattr("cpuinfo.get_cpu_info", lambda: {"brand_raw": "Neoverse-N1"})
    found = cpu(tmp_path)
    assert (found["model"], found["flags"], found["sockets"], found["cores"], found["threads"]) == (
        "Neoverse-N1",
        "asimd fp",
        1,
        2,
        2,
    )


def test_the_slow_way_names_this_processor_as_proc_does(tmp_path):
    assert cpu(tmp_path)["model"] == cpu()["model"]


def test_signs_of_a_container_and_a_virtual_machine(tmp_path):
    nothing = {"hypervisor": False, "vendor": None, "product": None, "container": None}
    assert virtualisation(tmp_path) == nothing
    write(tmp_path / "proc/cpuinfo", "processor : 0\nflags : fma hypervisor\n")
    write(tmp_path / "sys/class/dmi/id/sys_vendor", "QEMU\n")
    write(tmp_path / ".dockerenv", "")
    assert virtualisation(tmp_path) == nothing | {"hypervisor": True, "vendor": "QEMU", "container": "docker"}


@pytest.mark.parametrize(
    ("files", "quota", "limit"),
    [
        ({}, None, None),
        ({"cpu.max": "max 100000", "memory.max": "max"}, None, None),
        ({"cpu.max": "250000 100000", "memory.max": "1000000"}, 2.5, 1_000_000),
        (
            {
                "job/step/cpu.max": "400000 100000",
                "job/cpu.max": "100000 100000",
                "job/memory.max": "5",
                "memory.max": "9",
            },
            1,
            5,
        ),
        ({"unified/job/step/memory.max": "77"}, None, 77),
        ({"cpu/job/step/cpu.cfs_quota_us": "50000", "cpu/job/step/cpu.cfs_period_us": "100000"}, 0.5, None),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None, None),
        (
            {"memory/job/step/memory.limit_in_bytes": "9223372036854771712", "memory/memory.limit_in_bytes": "123"},
            None,
            123,
        ),
    ],
)
def test_limits_of_control_groups(tmp_path, files, quota, limit):
    write(tmp_path / "proc/self/cgroup", "4:memory:/job/step\n3:cpu,cpuacct:/job/step\n0::/job/step\n")
    for name, text in files.items():
        write(tmp_path / "sys/fs/cgroup" / name, text + "\n")
    assert cgroup.cpu_quota(tmp_path) == quota
    assert cgroup.memory_limit(tmp_path) == limit


def test_a_group_outside_of_the_namespace_is_read_at_the_mount(tmp_path):
    write(tmp_path / "proc/self/cgroup", "0::/../../other\n")
    write(tmp_path / "sys/fs/cgroup/memory.max", "42\n")
    assert cgroup.memory_limit(tmp_path) == 42


@pytest.fixture
def planted_gpu(monkeypatch):
    """One GPU that knows everything but its VBIOS and has no NVLink, behind the library's own functions."""
    answers = {
        "nvmlInit": None,
        "nvmlShutdown": None,
        "nvmlDeviceGetCount": 1,
        "nvmlDeviceGetHandleByIndex": "handle",
        "nvmlDeviceGetName": "NVIDIA Planted",
        "nvmlDeviceGetUUID": "GPU-1234-5678",
        "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=80_000),
        "nvmlSystemGetDriverVersion": "580.1",
        "nvmlSystemGetCudaDriverVersion_v2": 13000,
        "nvmlDeviceGetComputeMode": 0,
        "nvmlDeviceGetMigMode": [0, 1],
        "nvmlDeviceGetEccMode": [1, 1],
        "nvmlDeviceGetPersistenceMode": 1,
        "nvmlDeviceGetPowerManagementLimit": 700_000,
        "nvmlDeviceGetMaxClockInfo": 1980,
        "nvmlDeviceGetApplicationsClock": 1755,
        "nvmlDeviceGetMaxPcieLinkGeneration": 5,
        "nvmlDeviceGetMaxPcieLinkWidth": 16,
        "nvmlDeviceGetPowerUsage": 123_456,
        "nvmlDeviceGetClockInfo": 1500,
        "nvmlDeviceGetTemperature": 40,
        "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=97),
        "nvmlDeviceGetCurrentClocksEventReasons": pynvml.nvmlClocksEventReasonGpuIdle
        | pynvml.nvmlClocksEventReasonSwPowerCap,
        "nvmlDeviceGetTotalEnergyConsumption": 5_000,
    }
    for name, answer in answers.items():
        monkeypatch.setattr(pynvml, name, lambda *_, answer=answer: answer)

    def refuse(*_: object) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    for name in ("nvmlDeviceGetVbiosVersion", "nvmlDeviceGetNvLinkState"):
        monkeypatch.setattr(pynvml, name, refuse)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return answers


def test_a_gpu_is_described_and_its_number_hashed(planted_gpu):
    (found,) = gpus()
    assert found == {
        "model": "NVIDIA Planted",
        "uuid_hash": found["uuid_hash"],
        "memory_bytes": 80_000,
        "driver": "580.1",
        "driver_cuda": 13000,
        "vbios": None,
        "compute_mode": "default",
        "mig": False,
        "ecc": True,
        "persistence": True,
        "power_limit_watts": 700.0,
        "clocks_max_mhz": {"sm": 1980, "memory": 1980},
        "clocks_application_mhz": {"sm": 1755, "memory": 1755},
        "pcie_generation": 5,
        "pcie_width": 16,
        "nvlinks": 0,
    }
    assert len(str(found["uuid_hash"])) == 16
    assert "GPU-1234" not in canonical_json(record())


def test_a_gpu_is_sampled(planted_gpu):
    assert sample()["gpus"] == [
        {
            "power_watts": 123.456,
            "clocks_mhz": {"sm": 1500, "memory": 1500},
            "temperature_celsius": 40,
            "load_percent": 97,
            "throttled_by": ["GpuIdle", "SwPowerCap"],
        }
    ]


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_hidden_gpus_are_none(planted_gpu, monkeypatch, hidden):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert gpus() == []


def test_a_machine_without_nvidias_library_has_no_gpus(monkeypatch):
    def absent() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", absent)
    assert gpus() == []
    assert gpu.gpu_samples() == []
    assert gpu.gpu_joules() is None


@pytest.mark.gpu
def test_a_real_gpu_tells_what_matters(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = gpus()
    if not found:
        pytest.skip("no NVIDIA GPU on this machine")
    assert all(each["model"] and each["driver"] and each["memory_bytes"] for each in found)


def packages(folder: Path) -> Path:
    for name in PACKAGES:
        write(folder / name / "__init__.py", f"'''{name}'''\n")
    write(folder / "benchmarks/tables/manifest.yaml", "space: nb201\n")
    write(folder / "protocols/quickstart.yaml", "protocol: quickstart\n")
    return folder


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("harness/__init__.py", "harness"),
        ("methods/new.py", "methods"),
        ("benchmarks/tables/manifest.yaml", "benchmarks"),
        ("reports/__init__.py", "reports"),
        ("harness/__pycache__/x.pyc", None),
        ("protocols/quickstart.yaml", None),
    ],
)
def test_the_content_hash_follows_the_sources_of_each_package(tmp_path, name, package):
    before = content(packages(tmp_path))
    write(tmp_path / name, "changed\n")
    after = content(tmp_path)
    assert {each for each in PACKAGES if before[each] != after[each]} == ({package} if package else set())


def test_the_content_hash_is_the_same_elsewhere_and_notices_a_move(tmp_path):
    one, two = packages(tmp_path / "one"), packages(tmp_path / "two")
    assert content(one) == content(two)
    (two / "methods/__init__.py").rename(two / "methods/other.py")
    assert content(one)["methods"] != content(two)["methods"]


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=trunk")
    done = subprocess.run(("git", *identity, "-C", str(folder), *words), check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    folder = packages(tmp_path / "checkout")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


def test_a_clean_checkout_is_told_by_its_commit(checkout):
    git(checkout, "remote", "add", "origin", "https://maria:token@example.org/nas/harness.git")
    assert repository(checkout) == {
        "url": "https://example.org/nas/harness.git",
        "commit": git(checkout, "rev-parse", "HEAD"),
        "branch": "trunk",
        "dirty": False,
        "diff_sha256": content_of_nothing(),
        "untracked": 0,
        "untracked_hash": content_hash([]),
    }


def content_of_nothing() -> str:
    return "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # SHA-256 of no bytes


def test_changes_are_told_staged_or_not_and_untracked_sources_too(checkout):
    states = [repository(checkout)]
    write(checkout / "methods/__init__.py", "changed\n")
    states.append(repository(checkout))
    git(checkout, "add", ".")
    assert repository(checkout) == states[-1]
    write(checkout / "methods/new.py", "one\n")
    states.append(repository(checkout))
    write(checkout / "methods/new.py", "two\n")
    states.append(repository(checkout))
    write(checkout / "results.csv", "1\n")
    assert repository(checkout) == states[-1]
    assert [(state["dirty"], state["untracked"]) for state in states] == [(False, 0), (True, 0), (True, 1), (True, 1)]
    assert len({(state["diff_sha256"], state["untracked_hash"]) for state in states}) == 4


def test_a_detached_head_has_no_branch(checkout):
    git(checkout, "checkout", "-q", "--detach")
    assert repository(checkout)["branch"] is None


def test_the_settings_of_a_user_do_not_change_the_diff(checkout):
    write(checkout / "methods/__init__.py", "changed\n")
    before = repository(checkout)
    for name, value in {"diff.noprefix": "true", "color.ui": "always", "diff.external": "false"}.items():
        git(checkout, "config", name, value)
    assert repository(checkout) == before


def test_code_inside_a_foreign_repository_is_not_of_it(tmp_path):
    git(tmp_path, "init", "-q")
    write(tmp_path / "own.py", "")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "a project of its own")
    assert repository(packages(tmp_path / ".venv/site-packages")) is None


def test_code_without_a_repository_or_without_git_has_none(tmp_path, checkout, monkeypatch):
    assert repository(packages(tmp_path / "plain")) is None
    assert repository(checkout) is not None
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert repository(checkout) is None


def test_a_hooks_variables_do_not_lead_to_another_repository(checkout, tmp_path, monkeypatch):
    before = repository(checkout)
    git(tmp_path, "init", "-q", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other/.git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "none"))
    assert repository(checkout) == before


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("https://example.org/a/b.git", "https://example.org/a/b.git"),
        ("https://maria:s3cret@example.org:8443/a.git?token=x#y", "https://example.org:8443/a.git"),
        ("https://maria:p@ss@example.org/a.git", "https://example.org/a.git"),
        ("ssh://git@example.org/a.git", "ssh://example.org/a.git"),
        ("git@example.org:a/b.git", "example.org:a/b.git"),
        ("/home/maria/a.git", "local"),
        ("../a.git", "local"),
        ("file:///home/maria/a.git", "local"),
    ],
)
def test_addresses_lose_what_is_private(checkout, given, told):
    git(checkout, "config", "remote.origin.url", given)
    assert repository(checkout)["url"] == told


def test_this_code_has_an_identity():
    found = record()["code"]
    assert tuple(found["content"]) == PACKAGES
    assert all(len(digest) == 64 and digest != content_hash([]) for digest in found["content"].values())


def test_energy_of_gpus_comes_first(planted_gpu, tmp_path):
    found = energy_counter(rapl(tmp_path))
    assert found == Energy((5.0,), (0.0,), "1 GPU(s), nothing else", "NVML counter")


def rapl(folder: Path, first: int = 1_500_000) -> Path:
    zones = {"intel-rapl:0": first, "intel-rapl:0:0": 900_000, "intel-rapl:1": 2_000_000, "intel-rapl-mmio:0": 7}
    for zone, microjoules in zones.items():
        write(folder / zone / "energy_uj", f"{microjoules}\n")
        write(folder / zone / "max_energy_range_uj", "10000000\n")
    return folder


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def test_energy_of_processor_packages_without_their_parts(no_gpu, tmp_path):
    found = energy_counter(rapl(tmp_path))
    assert found == Energy((1.5, 2.0), (10.0, 10.0), "2 processor package(s), nothing else", "RAPL counter")
    assert found.joules == 3.5


def test_energy_between_readings_allows_for_a_counter_that_starts_again(no_gpu, tmp_path):
    before, after = energy_counter(rapl(tmp_path, 9_500_000)), energy_counter(rapl(tmp_path, 500_000))
    assert after.since(before) == 1.0
    assert after.since(Energy((0.0,), (0.0,), "1 GPU(s), nothing else", "NVML counter")) is None


def test_a_reset_counter_gives_no_energy_rather_than_a_negative_one():
    earlier, later = (Energy((joules,), (0.0,), "1 GPU(s), nothing else", "NVML counter") for joules in (9.0, 2.0))
    assert later.since(earlier) is None


def test_no_counter_is_no_energy(no_gpu, tmp_path):
    assert energy_counter(tmp_path) is None
    write(tmp_path / "intel-rapl:0/energy_uj", "not a number")
    assert energy_counter(tmp_path) is None


def readings(*joules: float | None):
    """A counter that gives these readings one after the other."""
    left = [
        None if value is None else Energy((value,), (0.0,), "1 GPU(s), nothing else", "NVML counter")
        for value in joules
    ]
    return lambda: left.pop(0)


def test_a_meter_sums_what_its_counter_counts():
    meter = Meter(readings(10.0, 14.0, 20.5), every=0.0)
    meter.tick()
    assert meter.total() == {"joules": 10.5, "covers": "1 GPU(s), nothing else", "method": "NVML counter"}


def test_a_meter_reads_no_more_often_than_it_was_told():
    meter = Meter(readings(10.0, 20.5), every=1e6)
    meter.tick()
    meter.tick()
    assert meter.total()["joules"] == 10.5


@pytest.mark.parametrize("values", [(None,), (10.0, None), (10.0, 4.0, 30.0), (10.0, None, 30.0)])
def test_what_a_meter_cannot_follow_is_not_measured(values):
    meter = Meter(readings(*values), every=0.0)
    for _ in values[2:]:
        meter.tick()
    assert meter.total() is None
