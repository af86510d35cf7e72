"""Meshes of devices, and the shardings of arrays and functions on them."""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from seqvision.runtime.cpu_devices import num_sharing

DATA_AXIS = "data"
"""The mesh axis along which every batch is split."""
SEED_AXIS = "seed"
"""The mesh axis along which the seeds of a run are split; only runs of several seeds have it."""

BATCH_SPEC = PartitionSpec(DATA_AXIS)
"""Of arrays whose first axis is the batch."""
_INDEX_SPEC = PartitionSpec(None, DATA_AXIS)
_SEEDS_INDEX_SPEC = PartitionSpec(SEED_AXIS, None, DATA_AXIS)

# --- meshes ---


def create_mesh(num_devices: int = 0) -> Mesh:
    """A mesh of the first devices (0: all) with the one axis `data`."""
    devices = jax.devices()[: num_devices or None]
    return jax.make_mesh((len(devices),), (DATA_AXIS,), (AxisType.Auto,), devices=devices)


def seeds_mesh(num_seeds: int, num_devices: int = 0) -> Mesh:
    """A mesh of the first devices (0: all) with the axes `seed` and `data`.

    The axis `seed` is as long as divides both the devices and the seeds.
    """
    devices = jax.devices()[: num_devices or None]
    rows = math.gcd(len(devices), num_seeds)
    return jax.make_mesh(
        (rows, len(devices) // rows),
        (SEED_AXIS, DATA_AXIS),
        (AxisType.Auto, AxisType.Auto),
        devices=devices,
    )


def training_mesh(batch_size: int, num_seeds: int = 1) -> Mesh:
    """The mesh to train on: all devices; of one process's CPU, the most that divide the work.

    Several seeds are split over the devices first: devices with whole batches need not wait for
    each other. Only devices left over split the batches.

    Args:
      batch_size: examples of a batch, of each seed.
      num_seeds: seeds trained at once.
    """
    count = jax.device_count()
    if jax.default_backend() == "cpu" and jax.process_count() == 1:
        count = num_sharing(count, batch_size * num_seeds)
    return create_mesh(count) if num_seeds == 1 else seeds_mesh(num_seeds, count)


def data_mesh(mesh: Mesh) -> Mesh:
    """The devices of a mesh with the one axis `data`: all of them split every batch."""
    return Mesh(mesh.devices.reshape(-1), (DATA_AXIS,), axis_types=(AxisType.Auto,))


# --- shardings of arrays ---


def replicated(mesh: Mesh) -> NamedSharding:
    """A whole copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def state_sharding(mesh: Mesh) -> NamedSharding:
    """The sharding of a training state: replicated; with several seeds, split by seed."""
    return NamedSharding(mesh, state_spec(mesh))


def state_spec(mesh: Mesh) -> PartitionSpec:
    """See `state_sharding`."""
    return PartitionSpec(SEED_AXIS) if SEED_AXIS in mesh.axis_names else PartitionSpec()


def index_sharding(mesh: Mesh) -> NamedSharding:
    """The sharding of a table of batch indices, (S, B) or (R, S, B), split by example and seed."""
    has_seeds = SEED_AXIS in mesh.axis_names
    return NamedSharding(mesh, _SEEDS_INDEX_SPEC if has_seeds else _INDEX_SPEC)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The sharding of a batch, split by example."""
    return NamedSharding(mesh, BATCH_SPEC)


# --- sharded functions ---


def shard_function(
    function: Callable[..., Any], mesh: Mesh, in_specs: Any, out_specs: Any
) -> Callable[..., Any]:
    """`jax.shard_map` without its check of replication, which fails on custom gradients."""
    return jax.shard_map(
        function, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False
    )


def shard_batch(function: Callable[..., Any], mesh: Mesh, num_replicated: int) -> Any:
    """Compiles a function that each device calls with its shard of the batch.

    Args:
      function: its first `num_replicated` arguments are the same on all devices; the batch is the
        first axis of the others and of the outputs.
      mesh: the devices, with the axis `data`.
      num_replicated: see `function`.
    """

    def sharded(*arguments: Any) -> Any:
        num_split = len(arguments) - num_replicated
        specs = (*[PartitionSpec()] * num_replicated, *[BATCH_SPEC] * num_split)
        return shard_function(function, mesh, specs, BATCH_SPEC)(*arguments)

    return jax.jit(sharded)
