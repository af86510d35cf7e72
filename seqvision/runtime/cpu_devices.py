"""CPU devices of jax and the cores they run on. Imports no jax, which reads XLA_FLAGS once."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from seqvision.errors import UserError

_COUNT = "--xla_force_host_platform_device_count"
_THREADS = "--xla_cpu_multi_thread_eigen"
_VARIABLE = "JAX_NUM_CPU_DEVICES"
# Every device holds a copy of the data, and shards of usual batches get small beyond this.
_MOST_DEVICES = 8
_CPUS = Path("/sys/devices/system/cpu")


def prepare_host(num_devices: int = 0, batch_size: int = 0) -> None:
    """Splits the CPU into jax devices of one thread each; every batch is split over them.

    The small matrix products of a recurrent network run faster on whole examples per core than with
    many threads inside each product. Call it before jax is imported: it sets `XLA_FLAGS`. A number
    of devices in `XLA_FLAGS` or `JAX_NUM_CPU_DEVICES` is kept, and so is a setting of threads.

    Args:
      num_devices: 0 for `most_devices()`, or fewer where `batch_size` is not divisible by that; 1
        for jax's default, one device of many threads.
      batch_size: examples to split evenly over the devices; 0 for no such condition.

    Raises:
      UserError: the environment sets another number of devices, or jax is imported already.
    """
    given = os.environ.get("XLA_FLAGS", "")
    names = {flag.partition("=")[0]: flag.partition("=")[2] for flag in given.split()}
    by_user = {
        f"XLA_FLAGS has {_COUNT}": names.get(_COUNT),
        f"the environment has {_VARIABLE}": os.environ.get(_VARIABLE),
    }
    for source, number in by_user.items():
        if num_devices and number not in (None, str(num_devices)):
            raise UserError(
                f"--host_devices: {num_devices}, but {source}={number}; leave one of them out"
            )
    if any(by_user.values()):
        return
    most = num_devices or most_devices()
    count = num_devices or num_sharing(most, batch_size)
    # XLA sizes its thread pool by the machine, not by a quota; one core needs no pool.
    is_one_core = not num_devices and most == 1
    flags = [f"{_COUNT}={count}"] if count > 1 else []
    if (count > 1 or is_one_core) and _THREADS not in names:
        flags.append(f"{_THREADS}=false")
    if not flags:
        return
    if "jax" in sys.modules:
        raise UserError(
            "prepare_host() comes too late: jax is imported already; call it in a fresh process"
            " before anything that imports jax"
        )
    os.environ["XLA_FLAGS"] = " ".join([given, *flags]).strip()


def most_devices() -> int:
    """The default number of CPU devices: one per usable core, at most 8."""
    return min(usable_cores(), _MOST_DEVICES)


def num_sharing(num_devices: int, batch_size: int) -> int:
    """The largest number of devices, at most `num_devices`, that divides the batch size."""
    return next(n for n in range(num_devices, 0, -1) if batch_size % n == 0)


def usable_cores() -> int:
    """Number of physical cores that this process may use, by its affinity and its cgroup's quota.

    On other systems than Linux, the number of all logical CPUs.
    """
    if sys.platform != "linux":
        return os.cpu_count() or 1
    cores = len(group_cores(os.sched_getaffinity(0), _CPUS))
    try:
        own = Path("/proc/self/cgroup").read_text()
    except OSError:
        return cores
    return max(1, int(min(cores, cpu_quota(own, Path("/sys/fs/cgroup")))))


def split_cores(num_processes: int) -> list[set[int]]:
    """The logical CPUs of each of several processes: the same number of whole cores for each.

    The sets are disjoint as long as there are enough cores. They are empty, for no restriction,
    where there is one process, and on other systems than Linux.
    """
    if num_processes == 1 or sys.platform != "linux":
        return [set() for _ in range(num_processes)]
    cores = group_cores(os.sched_getaffinity(0), _CPUS)
    size = max(1, usable_cores() // num_processes)
    return [
        set().union(*(cores[(process * size + n) % len(cores)] for n in range(size)))
        for process in range(num_processes)
    ]


def group_cores(cpus: Iterable[int], folder: Path) -> list[set[int]]:
    """Groups logical CPUs by their physical core, in order.

    Args:
      cpus: numbers of logical CPUs.
      folder: Linux's `/sys/devices/system/cpu`; where it lacks a CPU, each CPU counts as a core.
    """
    cpus = sorted(cpus)
    try:
        # Threads of one core list the same siblings.
        siblings = [
            (folder / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text().strip()
            for cpu in cpus
        ]
    except OSError:
        return [{cpu} for cpu in cpus]
    groups: dict[str, set[int]] = {}
    for cpu, names in zip(cpus, siblings, strict=True):
        groups.setdefault(names, set()).add(cpu)
    return list(groups.values())


def cpu_quota(own: str, folder: Path) -> float:
    """The number of CPUs whose time a process may use; infinity where there is no limit.

    Args:
      own: content of Linux's `/proc/self/cgroup`.
      folder: `/sys/fs/cgroup`: of cgroups version 2 itself, of version 1 its folder `cpu`.
    """
    quota = float("inf")
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = folder / "cpu" if controllers else folder
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if controllers else ("cpu.max",)
        group = root / path.lstrip("/")
        for level in (group, *group.parents):
            if not level.is_relative_to(root):
                break
            try:
                limit, period = " ".join((level / name).read_text() for name in names).split()
            except OSError:
                continue
            if limit not in ("max", "-1"):
                quota = min(quota, int(limit) / int(period))
    return quota


def has_vectors(name: str, cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether Linux lists these instructions, such as `avx512f`; False on other systems."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return False
    return any(line.startswith("flags") and name in line.split() for line in lines)
