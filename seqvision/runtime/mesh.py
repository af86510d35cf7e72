"""Meshes of devices, and how arrays lie on them."""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from seqvision.runtime.cpu_devices import num_sharing

DATA_AXIS = "data"
"""The mesh axis that shares out every batch."""


SEED_AXIS = "seed"
"""The mesh axis that shares out the seeds of a run that trains several at once; others have none"""


def create_mesh(num_devices: int = 0) -> Mesh:
    """The first devices (0: all) in one row, named `data`: each takes its share of every batch."""
    devices = jax.devices()[: num_devices or None]
    return jax.make_mesh((len(devices),), (DATA_AXIS,), (AxisType.Auto,), devices=devices)


def training_mesh(batch_size: int, num_seeds: int = 1) -> Mesh:
    """All devices; of one process's CPU, the most that can share the work evenly.

    Of several seeds each device takes its share, as far as that goes, and whole batches: it waits
    for no other. Devices that are more than can share the seeds share their batches.
    """
    count = jax.device_count()
    if jax.default_backend() == "cpu" and jax.process_count() == 1:
        count = num_sharing(count, batch_size * num_seeds)
    return create_mesh(count) if num_seeds == 1 else seeds_mesh(num_seeds, count)


def seeds_mesh(num_seeds: int, num_devices: int = 0) -> Mesh:
    """The first devices (0: all) in rows, (`seed`, `data`): as many rows as can share the seeds."""
    devices = jax.devices()[: num_devices or None]
    rows = math.gcd(len(devices), num_seeds)
    return jax.make_mesh(
        (rows, len(devices) // rows),
        (SEED_AXIS, DATA_AXIS),
        (AxisType.Auto, AxisType.Auto),
        devices=devices,
    )


def data_mesh(mesh: Mesh) -> Mesh:
    """The same devices in one row, named `data`: all of them share every batch."""
    return Mesh(mesh.devices.reshape(-1), (DATA_AXIS,), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec())


def state_sharding(mesh: Mesh) -> NamedSharding:
    """How a state lies: whole on every device; of several seeds, each device has its share."""
    return NamedSharding(mesh, state_spec(mesh))


def state_spec(mesh: Mesh) -> PartitionSpec:
    return PartitionSpec(SEED_AXIS) if SEED_AXIS in mesh.axis_names else PartitionSpec()


BATCH_SPEC = PartitionSpec(DATA_AXIS)


INDEX_SPEC = PartitionSpec(None, DATA_AXIS)


SEEDS_INDEX_SPEC = PartitionSpec(SEED_AXIS, None, DATA_AXIS)


def index_sharding(mesh: Mesh) -> NamedSharding:
    """Each device takes its share of every row of an index table (S, B), or (R, S, B)."""
    has_seeds = SEED_AXIS in mesh.axis_names
    return NamedSharding(mesh, SEEDS_INDEX_SPEC if has_seeds else INDEX_SPEC)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Each device takes its share of the examples of a batch."""
    return NamedSharding(mesh, BATCH_SPEC)


def shard_batch(function: Callable[..., Any], mesh: Mesh, num_replicated: int) -> Any:
    """Compiles a function of which each device takes its share of the examples.

    The first `num_replicated` arguments are the same for all; the others, and what it returns, have
    the batch as their first axis.
    """
    everywhere = PartitionSpec()

    def shared(*arguments: Any) -> Any:
        specs = [everywhere] * num_replicated + [BATCH_SPEC] * (len(arguments) - num_replicated)
        return map_shards(function, mesh, tuple(specs), BATCH_SPEC)(*arguments)

    return jax.jit(shared)


def map_shards(function: Callable[..., Any], mesh: Mesh, in_specs: Any, out_specs: Any) -> Any:
    # The check of what is equal on all devices knows nothing of hand-written gradients.
    return jax.shard_map(
        function, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False
    )
