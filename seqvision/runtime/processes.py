"""Several processes that train together: start, collective operations, common failure, end.

Every process runs the same program on the same config and data, and so takes the same decisions.
Facts that may differ between processes (a signal, measured times, a file that only one can read)
are exchanged with the functions of this module. In a single process they return at once.
"""

import contextlib
import functools
import os
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from seqvision.errors import UserError, first_line
from seqvision.runtime.cluster import FLAGS, Cluster

JOIN_SECONDS = 300.0
"""Seconds that the processes wait for each other at the start."""

LOST_SECONDS = 100
"""Seconds without a heartbeat after which a process counts as lost."""


def join(cluster: Cluster, seconds: float = JOIN_SECONDS) -> None:
    """Connects this process with the others. Call it before anything that uses a device.

    When the others do not connect in time, it prints a line and ends this process with code 2.

    Args:
      cluster: the processes.
      seconds: time limit.

    Raises:
      UserError: the connection failed.
    """
    # Its handler of SIGTERM would replace Python's.
    jax.config.update("jax_enable_preemption_service", False)
    # At its own time limit jax would end the process with a C++ stack trace.
    timer = threading.Timer(seconds, _give_up, (cluster, seconds))
    timer.daemon = True
    timer.start()
    try:
        jax.distributed.initialize(
            **_address_of(cluster),
            cluster_detection_method=cluster.kind,
            initialization_timeout=int(seconds) + 60,
            heartbeat_timeout_seconds=LOST_SECONDS,
        )
        # The first collective connects the processes; each waits 30 seconds for it at most.
        with _stdout_to_stderr():
            barrier()
    except (RuntimeError, ValueError, OSError) as error:
        raise UserError(
            f"the {cluster.num_processes} processes could not connect ({first_line(error)}); start"
            " all of them, with the same --coordinator_address=host:port, or let SLURM do it"
        ) from error
    finally:
        timer.cancel()


def _address_of(cluster: Cluster) -> dict[str, Any]:
    if cluster.kind != FLAGS:
        return {}  # jax reads it from the environment.
    arguments = {
        "coordinator_address": cluster.address,
        "num_processes": cluster.num_processes,
        "process_id": cluster.process_id,
    }
    if cluster.address.startswith(("127.", "localhost:", "[::1]:")):
        # jax would listen on all interfaces. The address of another host may be one of a
        # gateway, which process 0 cannot listen on.
        arguments["coordinator_bind_address"] = cluster.address
    return arguments


def _give_up(cluster: Cluster, seconds: float) -> None:
    where = f" at {cluster.address}" if cluster.address else ""
    print(
        f"error: the {cluster.num_processes} processes did not connect{where} within"
        f" {seconds:.0f} s; start all of them, and see that they can reach process 0",
        file=sys.stderr,
        flush=True,
    )
    os._exit(2)


@contextlib.contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Redirects the messages of gloo, which bypass Python's `sys.stdout`."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)


def is_primary() -> bool:
    """Whether this is process 0, the one that prints and writes files; True in a single process."""
    return not jax.distributed.is_initialized() or jax.process_index() == 0


def all_reduce_max(number: int) -> int:
    """Maximum over processes (collective; blocks)."""
    if not jax.distributed.is_initialized():
        return number
    sharding, maximum = _maximum()
    own = jax.make_array_from_callback(
        (sharding.num_devices,), sharding, lambda _: np.full(1, number, np.int32)
    )
    return int(maximum(own))


@functools.cache
def _maximum() -> tuple[NamedSharding, Callable[[Array], Array]]:
    mesh = Mesh(np.array(jax.devices()), "all")
    everywhere = NamedSharding(mesh, PartitionSpec())
    return NamedSharding(mesh, PartitionSpec("all")), jax.jit(jnp.max, out_shardings=everywhere)


def broadcast(number: int) -> int:
    """The primary process's number, at least 0, in all processes (collective; blocks)."""
    return all_reduce_max(number if is_primary() else 0)


def barrier() -> None:
    """Waits until all processes have called it (collective; blocks)."""
    all_reduce_max(0)


def check_same(facts: dict[str, Any]) -> None:
    """Checks that facts are equal in all processes (collective; blocks).

    Args:
      facts: values to compare as text; the keys complete the error message.

    Raises:
      UserError: in all processes, naming the first fact that differs.
    """
    for name, value in facts.items():
        number = zlib.crc32(repr(value).encode()) // 2
        if all_reduce_max(number) != -all_reduce_max(-number):
            raise UserError(f"the {jax.process_count()} processes do not see the same {name}")


@contextlib.contextmanager
def fail_together() -> Iterator[None]:
    """A context in which an error of one process becomes an error of all (collective; blocks).

    For work before training that each process does alone, such as loading data: the processes wait
    for each other at the end of the context, where those without an error learn of the others'. No
    collective operation may be called inside. For processes that are lost, see `exit_together`.

    Raises:
      Exception: the error of this process, unchanged.
      UserError: another process failed; it prints its reason.
    """
    try:
        yield
    except Exception:
        _disconnect_if(all_reduce_max(1))
        raise
    if _disconnect_if(all_reduce_max(0)):
        raise UserError("another process failed; see its output for the reason")


def _disconnect_if(failed: int) -> bool:
    """Disconnects the processes after a failure, so that none waits for the others at its end."""
    if failed and jax.distributed.is_initialized():
        jax.distributed.shutdown()
    return bool(failed)


@contextlib.contextmanager
def exit_together(way_on: Callable[[], str]) -> Iterator[None]:
    """A context that ends this process with a line and code 1 when another process was lost.

    For collective work, such as training steps: they fail in this process when the connection to
    another breaks. The process ends at once, since closing files properly would wait for the lost
    process. When the connection falls silent without breaking, jax ends this process after
    `LOST_SECONDS`. For errors of a process that is still there, see `fail_together`.

    Args:
      way_on: returns the advice at the end of the line.
    """
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        is_of_jax = isinstance(error, jax.errors.JaxRuntimeError) or "Gloo" in str(error)
        if jax.process_count() == 1 or not is_of_jax or "RESOURCE_EXHAUSTED" in str(error):
            raise
        print(
            f"error: process {jax.process_index()} of {jax.process_count()} lost another one, or"
            f" the connection to it ({first_line(error, 120)}); {way_on()}",
            file=sys.stderr,
        )
        end(1)


def end(code: int) -> NoReturn:
    """Ends this process with an exit code; of several, without waiting for the others."""
    if not jax.distributed.is_initialized():
        sys.exit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    if is_primary():
        time.sleep(1)  # jax ends the others silently as soon as process 0 is gone.
    os._exit(code)
