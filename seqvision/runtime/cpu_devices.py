"""How many devices the CPU is for JAX. Imports no jax: it has to be said before."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from seqvision.errors import UserError

_COUNT = "--xla_force_host_platform_device_count"
_THREADS = "--xla_cpu_multi_thread_eigen"
_VARIABLE = "JAX_NUM_CPU_DEVICES"
# Every device holds a copy of the data, and its share of a usual batch is small by then.
_MOST_DEVICES = 8
_CPUS = Path("/sys/devices/system/cpu")


def prepare_host(num_devices: int = 0, batch_size: int = 0) -> None:
    """Makes the CPU that many devices of one thread each, which share every batch.

    The small products of a recurrent network gain more from whole examples on every core than from
    many threads inside each product. Call it before jax is imported: it writes into `XLA_FLAGS`,
    which jax reads once. A number of devices that `XLA_FLAGS` or `JAX_NUM_CPU_DEVICES` says already
    is kept, and so are threads.

    Args:
      num_devices: 0 takes `most_devices()`, or as many of them as can share a batch evenly; 1
        leaves the CPU one device of many threads, as JAX has it.
      batch_size: examples that the devices are to share evenly; 0 where any number will do.

    Raises:
      UserError: the environment asks for another number, or it is too late: jax is imported
        already.
    """
    given = os.environ.get("XLA_FLAGS", "")
    names = {flag.partition("=")[0]: flag.partition("=")[2] for flag in given.split()}
    by_user = {
        f"XLA_FLAGS says {_COUNT}": names.get(_COUNT),
        f"the environment says {_VARIABLE}": os.environ.get(_VARIABLE),
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
    # A single core needs no pool of threads: XLA would size it by the machine, not by a quota.
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
    """The devices a CPU is where nobody says otherwise: one per usable core, at most 8."""
    return min(usable_cores(), _MOST_DEVICES)


def num_sharing(num_devices: int, batch_size: int) -> int:
    """The most of `num_devices` devices that can share a batch evenly."""
    return next(n for n in range(num_devices, 0, -1) if batch_size % n == 0)


def usable_cores() -> int:
    """Physical cores that this process may use: by its affinity, and by the quota of its cgroup.

    Elsewhere than on Linux, all logical CPUs.
    """
    if sys.platform != "linux":
        return os.cpu_count() or 1
    cores = count_cores(os.sched_getaffinity(0), _CPUS)
    try:
        own = Path("/proc/self/cgroup").read_text()
    except OSError:
        return cores
    return max(1, int(min(cores, cpu_quota(own, Path("/sys/fs/cgroup")))))


def core_shares(num_shares: int) -> list[set[int]]:
    """Logical CPUs for processes that share the machine: as many whole cores for each of them.

    They are disjoint while there are cores enough. Empty sets, which say nothing, where there is
    one share, and elsewhere than on Linux.
    """
    if num_shares == 1 or sys.platform != "linux":
        return [set() for _ in range(num_shares)]
    cores = group_cores(os.sched_getaffinity(0), _CPUS)
    size = max(1, usable_cores() // num_shares)
    return [
        set().union(*(cores[(share * size + n) % len(cores)] for n in range(size)))
        for share in range(num_shares)
    ]


def count_cores(cpus: Iterable[int], folder: Path) -> int:
    """The physical cores that some logical CPUs lie on; see `group_cores`."""
    return len(group_cores(cpus, folder))


def group_cores(cpus: Iterable[int], folder: Path) -> list[set[int]]:
    """Logical CPUs by the physical core they lie on, in order.

    Args:
      cpus: numbers of logical CPUs.
      folder: Linux's `/sys/devices/system/cpu`; where it says nothing of a CPU, each is a core.
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
    """How many CPUs' time a process may take; infinity where nothing limits it.

    Args:
      own: Linux's `/proc/self/cgroup`.
      folder: `/sys/fs/cgroup`, of the second version of cgroups; the first has `cpu` below it.
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
