"""Detection of the cluster that a process belongs to, by flags or environment. Imports no jax.

jax's own detection takes a SLURM job of one task, or a shell within a larger job, for a cluster
whose processes it waits for.
"""

import dataclasses
import importlib.util
import os
from pathlib import Path

from seqvision.errors import UserError

# Names of `cluster_detection_method` in `jax.distributed.initialize`.
FLAGS, SLURM, OPEN_MPI, TPU_POD = "deactivate", "slurm", "ompi", None
DEVICES = Path("/dev")
_METADATA = "http://{}/computeMetadata/v1/instance/attributes/worker-network-endpoints"


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Several processes on one or more hosts that train together.

    Attributes:
      kind: the way the processes find each other, one of the constants above.
      num_processes: their number.
      address: with FLAGS, the `host:port` on which process 0 waits for the others.
      process_id: with FLAGS, the number of this process, from 0.
    """

    kind: str | None
    num_processes: int
    address: str = ""
    process_id: int = 0


def find_cluster(address: str, num_processes: int | None, process_id: int | None) -> Cluster | None:
    """Finds the cluster that this process belongs to; None where it runs alone.

    SLURM and Open MPI set the number of tasks in the environment, GKE the names of the TPU workers;
    Google's metadata server lists those of a TPU VM.

    Args:
      address, num_processes, process_id: the user's flags, see `Cluster`; "" and None where they
        are not given. `num_processes=1` means alone, whatever the environment contains.

    Raises:
      UserError: only some of the three flags are given, or they are invalid.
    """
    if num_processes == 1:
        return None
    given = {
        "--coordinator_address": address or None,
        "--num_processes": num_processes,
        "--process_id": process_id,
    }
    missing = [name for name, value in given.items() if value is None]
    if not missing:
        return _of_flags(address, num_processes or 0, process_id or 0)
    if len(missing) < len(given):
        raise UserError(
            f"{missing[0]}: missing; {', '.join(given)} are given all three, to each process, or"
            " none of them"
        )
    # Not SLURM_NTASKS: a shell within a job of many tasks has it, too.
    for kind, variable in ((SLURM, "SLURM_STEP_NUM_TASKS"), (OPEN_MPI, "OMPI_COMM_WORLD_SIZE")):
        count = os.environ.get(variable, "")
        if count.isdecimal() and int(count) > 1:
            return Cluster(kind, int(count))
    num_workers = _tpu_workers()
    return Cluster(TPU_POD, num_workers) if num_workers > 1 else None


def _of_flags(address: str, num_processes: int, process_id: int) -> Cluster:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UserError(
            f"--coordinator_address: '{address}' is not host:port, such as 10.0.0.1:8476: where"
            " process 0 runs, and a port that is free there"
        )
    if process_id >= num_processes:
        raise UserError(
            f"--process_id: {process_id} is out of range; {num_processes} processes are numbered 0"
            f" to {num_processes - 1}"
        )
    return Cluster(FLAGS, num_processes, address, process_id)


def _tpu_workers() -> int:
    """Number of hosts of the TPU slices that this machine belongs to; 1 where there is no TPU."""
    platforms = os.environ.get("JAX_PLATFORMS", "tpu")
    chips = [*DEVICES.glob("accel*"), *DEVICES.glob("vfio/[0-9]*")]
    if "tpu" not in platforms or not chips or importlib.util.find_spec("libtpu") is None:
        return 1
    names = os.environ.get("TPU_PROCESS_ADDRESSES") or os.environ.get("TPU_WORKER_HOSTNAMES")
    if names is None and "TPU_SKIP_MDS_QUERY" not in os.environ:
        names = _metadata()
    num_slices = int(os.environ.get("MEGASCALE_NUM_SLICES") or 1)
    return num_slices * len((names or "localhost").split(","))


def _metadata() -> str | None:
    """The hosts of a TPU slice, separated by commas; None where no metadata server responds."""
    import urllib.request  # Only needed on TPU machines.

    server = os.environ.get("GCE_METADATA_IP", "metadata.google.internal")
    request = urllib.request.Request(
        _METADATA.format(server), headers={"Metadata-Flavor": "Google"}
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.read().decode()
    except OSError:
        return None
