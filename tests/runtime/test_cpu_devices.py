"""CPU devices: cores, quotas, XLA flags, and that their number changes no result."""

import math
import os
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from seqvision.config.validation import validate
from seqvision.data.from_config import load_dataset
from seqvision.errors import UserError
from seqvision.runs import header
from seqvision.runtime import cpu_devices
from seqvision.runtime.cpu_devices import (
    cpu_quota,
    group_cores,
    has_vectors,
    num_sharing,
    prepare_host,
    split_cores,
    usable_cores,
)
from seqvision.train import train_and_evaluate
from seqvision.training import from_config
from tests.same_run import interrupt_at, rows

COUNT, THREADS = "--xla_force_host_platform_device_count", "--xla_cpu_multi_thread_eigen"


def test_vectors_of_the_processor(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    assert not has_vectors("avx2", cpuinfo)
    cpuinfo.write_text("model name\t: X avx512f\nflags\t\t: fpu avx2 avx512bw\n\n")
    assert has_vectors("avx2", cpuinfo) and not has_vectors("avx512f", cpuinfo)


@pytest.mark.parametrize(
    ("siblings", "cpus", "cores"),
    [
        (["0", "1"], {0, 1}, 2),
        (["0-1", "0-1", "2-3", "2-3"], {0, 1, 2, 3}, 2),
        (["0,2", "1,3", "0,2", "1,3"], {0, 1, 2, 3}, 2),
        (["0,2", "1,3", "0,2", "1,3"], {0, 2}, 1),  # Both threads of one core.
        (["0,2", "1,3", "0,2", "1,3"], {2, 3}, 2),
        (["0", "1"], {0, 1, 2}, 3),  # Nothing is known of the third.
        ([], {4, 5}, 2),
    ],
)
def test_threads_of_one_core_count_once(
    tmp_path: Path, siblings: list[str], cpus: set[int], cores: int
) -> None:
    for number, text in enumerate(siblings):
        folder = tmp_path / f"cpu{number}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{text}\n")
    assert len(group_cores(cpus, tmp_path)) == cores


@pytest.mark.parametrize(
    ("own", "limits", "quota"),
    [
        ("0::/\n", {}, math.inf),
        ("0::/\n", {".": "250000 100000"}, 2.5),
        ("0::/a/b\n", {"a/b": "max 100000", "a": "150000 50000"}, 3),
        ("0::/a/b\n", {"a/b": "100000 100000", "a": "max 100000"}, 1),
        ("0::/a\n", {"b": "100000 100000"}, math.inf),
        ("9:cpu:/a\n0::/\n", {"a": "100000 100000"}, math.inf),
        ("9:cpuset:/a\n4:cpu,cpuacct:/a\n", {"cpu/a": "-1 100000", "cpu": "150000 100000"}, 1.5),
        ("4:cpu,cpuacct:/of/the/host\n", {"cpu": "50000 100000"}, 0.5),
        ("9:cpuset:/a\n", {"cpu/a": "100000 100000"}, math.inf),
        ("", {".": "100000 100000"}, math.inf),
    ],
)
def test_the_quota_of_a_cgroup_and_of_those_above_it(
    tmp_path: Path, own: str, limits: dict[str, str], quota: float
) -> None:
    for name, text in limits.items():
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        if name.startswith("cpu"):  # The first version of cgroups.
            for file, number in zip(("quota", "period"), text.split(), strict=True):
                (tmp_path / name / f"cpu.cfs_{file}_us").write_text(f"{number}\n")
        else:
            (tmp_path / name / "cpu.max").write_text(f"{text}\n")
    assert cpu_quota(own, tmp_path) == quota


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process its CPUs")
def test_no_more_cores_than_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= usable_cores() <= len(os.sched_getaffinity(0))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    assert usable_cores() == 1


@pytest.mark.parametrize(
    ("given", "asked", "cores", "flags"),
    [
        ("", 0, 4, f"{COUNT}=4 {THREADS}=false"),
        ("", 0, 64, f"{COUNT}=8 {THREADS}=false"),
        ("", 16, 64, f"{COUNT}=16 {THREADS}=false"),
        ("", 0, 1, f"{THREADS}=false"),  # A quota of one, perhaps, on a machine of many.
        ("", 1, 1, ""),
        ("", 1, 4, ""),
        ("--other=1", 0, 4, f"--other=1 {COUNT}=4 {THREADS}=false"),
        (f"{COUNT}=3", 0, 4, f"{COUNT}=3"),
        (f"{COUNT}=3", 3, 4, f"{COUNT}=3"),
        (f"{THREADS}=true", 0, 4, f"{THREADS}=true {COUNT}=4"),
    ],
)
def test_what_the_user_says_in_xla_flags_is_kept(
    monkeypatch: pytest.MonkeyPatch, given: str, asked: int, cores: int, flags: str
) -> None:
    monkeypatch.setenv("XLA_FLAGS", given)
    monkeypatch.setattr(cpu_devices, "usable_cores", lambda: cores)
    monkeypatch.delitem(sys.modules, "jax")
    prepare_host(asked)
    assert os.environ["XLA_FLAGS"] == flags


@pytest.mark.parametrize(
    ("cores", "batch_size", "flags"),
    [
        (8, 256, f"{COUNT}=8 {THREADS}=false"),
        (64, 256, f"{COUNT}=8 {THREADS}=false"),
        (6, 64, f"{COUNT}=4 {THREADS}=false"),
        (8, 127, ""),  # One device: the cores are its threads.
        (1, 127, f"{THREADS}=false"),
    ],
)
def test_as_many_devices_as_share_the_batch(
    monkeypatch: pytest.MonkeyPatch, cores: int, batch_size: int, flags: str
) -> None:
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setattr(cpu_devices, "usable_cores", lambda: cores)
    monkeypatch.delitem(sys.modules, "jax")
    prepare_host(0, batch_size)
    assert os.environ["XLA_FLAGS"] == flags


def test_jaxs_own_variable_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "3")
    for asked in (0, 3):
        prepare_host(asked)
        assert os.environ["XLA_FLAGS"] == ""
    with pytest.raises(UserError, match="2, but the environment has JAX_NUM_CPU_DEVICES=3"):
        prepare_host(2)


def test_contradictions_and_calls_too_late_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", f"{COUNT}=3")
    with pytest.raises(UserError, match=f"--host_devices: 2, but XLA_FLAGS has {COUNT}=3"):
        prepare_host(2)
    monkeypatch.setenv("XLA_FLAGS", "")
    with pytest.raises(UserError, match="too late: jax is imported already"):
        prepare_host(2)


@pytest.mark.parametrize(
    ("num_devices", "batch_size", "used"), [(8, 256, 8), (8, 250, 5), (2, 125, 1), (6, 8, 4)]
)
def test_the_most_devices_that_share_evenly(num_devices: int, batch_size: int, used: int) -> None:
    assert num_sharing(num_devices, batch_size) == used


def test_workers_split_the_cores(tmp_path: Path) -> None:
    for cpu, siblings in enumerate(("0,4", "1,5", "2,6", "3,7") * 2):
        (tmp_path / f"cpu{cpu}" / "topology").mkdir(parents=True)
        (tmp_path / f"cpu{cpu}" / "topology" / "thread_siblings_list").write_text(siblings)
    assert group_cores(range(8), tmp_path) == [{0, 4}, {1, 5}, {2, 6}, {3, 7}]
    assert split_cores(1) == [set()]
    usable = os.sched_getaffinity(0)
    parts = split_cores(3)
    assert len(parts) == 3
    assert all(part and part <= usable for part in parts)
    assert len({len(part) for part in parts}) == 1


def test_accelerators_are_never_left_out(
    tiny_config: ConfigDict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    tiny_config.data.batch_size = 63
    settings = validate(tiny_config)
    with pytest.raises(UserError, match="63 examples cannot be shared evenly by 2 devices"):
        from_config.create_training(settings, load_dataset(settings))


@pytest.mark.parametrize(
    ("batch_size", "present", "used", "text"),
    [
        (256, 8, 8, "256 = 8 device(s) x 32"),
        (250, 5, 5, "250 = 5 device(s) x 50 (not all 8: choose a batch that is a multiple of 8)"),
        (127, 1, 1, "127 = 1 device(s) x 127 (not all 8: choose a batch that is a multiple of 8)"),
        (64, 1, 1, "64 = 1 device(s) x 64"),  # The user's choice: 8 could share it.
        (64, 3, 2, "64 = 2 device(s) x 32 (not all 3: choose a batch that is a multiple of 3)"),
    ],
)
def test_what_the_header_advises_on_eight_cores(
    monkeypatch: pytest.MonkeyPatch, batch_size: int, present: int, used: int, text: str
) -> None:
    monkeypatch.setattr(cpu_devices, "usable_cores", lambda: 8)
    environment = {"devices": ["cpu"] * present, "devices_used": used, "processes": 1}
    assert header.batch_per_device(batch_size, environment) == text


def test_one_and_two_devices_train_alike_and_resume_each_other(
    tiny_config: ConfigDict,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With movements and dropout drawn for each example; windows of clips, too: `test_steps`."""
    tiny_config.augment.max_shift, tiny_config.augment.max_rotation = 2.0, 10.0
    tiny_config.model.recurrent_dropout = tiny_config.model.readout_dropout = 0.3
    tiny_config.duration, tiny_config.model.execution = "6 steps", "fused"
    two, one, mixed = tmp_path / "two", tmp_path / "one", tmp_path / "mixed"
    train_and_evaluate(tiny_config, two)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 3)
        train_and_evaluate(tiny_config, mixed)
    capsys.readouterr()
    tiny_config.model.execution = "scan"
    with monkeypatch.context() as patch:
        patch.setattr(jax, "device_count", lambda: 1)
        train_and_evaluate(tiny_config, mixed)
        words = "with 1 device(s) where it had 2 and execution scan where it had fused: equal but"
        assert words in capsys.readouterr().out
        train_and_evaluate(tiny_config, one)
    for other in (one, mixed):
        for expected, row in zip(rows(two), rows(other), strict=True):
            assert (row["step"], row["split"]) == (expected["step"], expected["split"])
            np.testing.assert_allclose(row["loss"], expected["loss"], rtol=1e-4)
