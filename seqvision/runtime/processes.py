"""The processes that train as one: how they meet, what they agree on, how they part.

Every process runs the same program and takes the same decisions, since these follow from what is
the same in all: config, data, and the numbers that the devices add up. What is not the same (a
signal, the time that steps took, a file that only one can read) they agree on here. Alone, each
function is what it is for one process, at no cost.
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
"""How long the processes wait for each other at the start."""

LOST_SECONDS = 100
"""After how long a process that no longer says it is alive counts as lost."""


def join(cluster: Cluster, seconds: float = JOIN_SECONDS) -> None:
    """Returns when all processes have met. Call it before anything that uses a device.

    Where they do not meet in time, it prints a line and ends the process with code 2.

    Args:
      cluster: who they are.
      seconds: how long to wait.

    Raises:
      UserError: they cannot be found.
    """
    # Its handler of SIGTERM would take that signal away from Python.
    jax.config.update("jax_enable_preemption_service", False)
    # Past its own limit, jax ends the process with a stack of C++.
    timer = threading.Timer(seconds, _give_up, (cluster, seconds))
    timer.daemon = True
    timer.start()
    try:
        jax.distributed.initialize(
            **_whereabouts(cluster),
            cluster_detection_method=cluster.kind,
            initialization_timeout=int(seconds) + 60,
            heartbeat_timeout_seconds=LOST_SECONDS,
        )
        # They connect at their first collective, for which each waits 30 seconds at most.
        with _stdout_to_stderr():
            barrier()
    except (RuntimeError, ValueError, OSError) as error:
        raise UserError(
            f"the {cluster.num_processes} processes could not meet ({first_line(error)}); start"
            " all of them, with the same --coordinator_address=host:port, or let SLURM do it"
        ) from error
    finally:
        timer.cancel()


def _whereabouts(cluster: Cluster) -> dict[str, Any]:
    if cluster.kind != FLAGS:
        return {}  # jax knows where to ask.
    return {
        "coordinator_address": cluster.address,
        "num_processes": cluster.num_processes,
        "process_id": cluster.process_id,
    }


def _give_up(cluster: Cluster, seconds: float) -> None:
    where = f" at {cluster.address}" if cluster.address else ""
    print(
        f"error: the {cluster.num_processes} processes did not meet{where} within {seconds:.0f} s;"
        " start all of them, and see that they can reach process 0",
        file=sys.stderr,
        flush=True,
    )
    os._exit(2)


@contextlib.contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """For what gloo says about whom it met; it speaks past Python."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)


def is_primary() -> bool:
    """Whether this is the process that prints and writes; of one, it is."""
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
    """The first process's number, at least 0, in all of them."""
    return all_reduce_max(number if is_primary() else 0)


def barrier() -> None:
    """Returns when all processes are here."""
    all_reduce_max(0)


def check_same(facts: dict[str, Any]) -> None:
    """Refuses to train where the processes do not see the same.

    Args:
      facts: by a name and what to do about it, what is compared as text.

    Raises:
      UserError: names the first that differs; in all processes.
    """
    for name, value in facts.items():
        number = zlib.crc32(repr(value).encode()) // 2
        if all_reduce_max(number) != -all_reduce_max(-number):
            raise UserError(f"the {jax.process_count()} processes do not see the same {name}")


@contextlib.contextmanager
def fail_together() -> Iterator[None]:
    """What fails in one process fails in all of them. They must not meet inside of it.

    Raises:
      UserError: another process failed, which says why.
    """
    try:
        yield
    except Exception:
        _part_if(all_reduce_max(1))
        raise
    if _part_if(all_reduce_max(0)):
        raise UserError("another process cannot train; it says why")


def _part_if(failed: int) -> bool:
    """Once apart, each process may end without waiting for the others."""
    if failed and jax.distributed.is_initialized():
        jax.distributed.shutdown()
    return bool(failed)


@contextlib.contextmanager
def exit_together(way_on: Callable[[], str]) -> Iterator[None]:
    """Ends this process with a line and code 1 where another one was lost.

    At once: whatever is closed on the way out would wait for the lost one. It was lost where its
    connections broke. Where they only fell silent, jax ends this process after `LOST_SECONDS`.

    Args:
      way_on: what the user can do, in words.
    """
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        is_of_jax = isinstance(error, jax.errors.JaxRuntimeError) or "Gloo" in str(error)
        if jax.process_count() == 1 or not is_of_jax or "RESOURCE_EXHAUSTED" in str(error):
            raise
        print(
            f"error: process {jax.process_index()} of {jax.process_count()} lost another one, or"
            f" the way to it ({first_line(error, 120)}); {way_on()}",
            file=sys.stderr,
        )
        end(1)


def end(code: int) -> NoReturn:
    """Ends this process; one of several at once, as it would wait for others that wait for it."""
    if not jax.distributed.is_initialized():
        sys.exit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    if is_primary():
        time.sleep(1)  # jax ends the others without a word as soon as the first is gone.
    os._exit(code)
