"""How many devices the CPU is for JAX. Imports no jax: it has to be said before."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from seqvision.errors import UserError

_COUNT = "--xla_force_host_platform_device_count"
_THREADS = "--xla_cpu_multi_thread_eigen"
# Every device holds a copy of the data, and its share of a usual batch is small by then.
_MOST_DEVICES = 8


def prepare_host(num_devices: int = 0) -> None:
    """Makes the CPU that many devices of one thread each, which share every batch.

    The small products of a recurrent network gain more from whole examples on every core than from
    many threads inside each product. Call it before jax is imported: it writes into `XLA_FLAGS`,
    which jax reads once. What `XLA_FLAGS` says of devices or threads already is kept.

    Args:
      num_devices: 0 takes one per physical core that this process may use, at most 8; 1 leaves the
        CPU one device of many threads, as JAX has it.

    Raises:
      UserError: `XLA_FLAGS` asks for another number, or it is too late: jax is imported already.
    """
    given = os.environ.get("XLA_FLAGS", "")
    names = {flag.partition("=")[0]: flag.partition("=")[2] for flag in given.split()}
    if _COUNT in names:
        if num_devices and names[_COUNT] != str(num_devices):
            raise UserError(
                f"--host_devices: {num_devices}, but XLA_FLAGS says {_COUNT}={names[_COUNT]};"
                " leave one of them out"
            )
        return
    count = num_devices or min(usable_cores(), _MOST_DEVICES)
    if count == 1:
        return
    if "jax" in sys.modules:
        raise UserError(
            "prepare_host() comes too late: jax is imported already; call it in a fresh process"
            " before anything that imports jax"
        )
    flags = [given, f"{_COUNT}={count}", "" if _THREADS in names else f"{_THREADS}=false"]
    os.environ["XLA_FLAGS"] = " ".join(filter(None, flags))


def num_sharing(num_devices: int, batch_size: int) -> int:
    """The most of `num_devices` devices that can share a batch evenly."""
    return next(n for n in range(num_devices, 0, -1) if batch_size % n == 0)


def usable_cores() -> int:
    """Physical cores that this process may use: by its affinity, and by the quota of its cgroup."""
    if sys.platform != "linux":
        return os.cpu_count() or 1
    cores = count_cores(os.sched_getaffinity(0), Path("/sys/devices/system/cpu"))
    try:
        own = Path("/proc/self/cgroup").read_text()
    except OSError:
        return cores
    return max(1, int(min(cores, cpu_quota(own, Path("/sys/fs/cgroup")))))


def count_cores(cpus: Iterable[int], folder: Path) -> int:
    """The physical cores that some logical CPUs lie on.

    Args:
      cpus: numbers of logical CPUs.
      folder: Linux's `/sys/devices/system/cpu`; where it says nothing of a CPU, each is a core.
    """
    cpus = list(cpus)
    try:
        # Threads of one core list the same siblings.
        siblings = [
            (folder / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text().strip()
            for cpu in cpus
        ]
    except OSError:
        return len(cpus)
    return len(set(siblings))


def cpu_quota(own: str, folder: Path) -> float:
    """How many CPUs' time a process may take; infinity where nothing limits it.

    Args:
      own: Linux's `/proc/self/cgroup`.
      folder: `/sys/fs/cgroup`, of the second version of cgroups.
    """
    quota = float("inf")
    for line in own.splitlines():
        hierarchy, _, path = line.split(":", 2)
        if hierarchy != "0":
            continue
        group = folder / path.lstrip("/")
        for level in (group, *group.parents):
            if not level.is_relative_to(folder):
                break
            try:
                limit, period = (level / "cpu.max").read_text().split()
            except OSError:
                continue
            if limit != "max":
                quota = min(quota, int(limit) / int(period))
    return quota
