"""Transfer of arrays between the hosts' memory and the devices of all processes."""

import math
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding

_ALIGNMENT = 64


def to_devices(tree: Any, sharding: NamedSharding) -> Any:
    """Places arrays, of which every process holds a whole copy, on the devices.

    Each process copies the shards of its own devices. `jax.device_put` would first send the arrays
    between the processes to compare them.

    Args:
      tree: arrays of the host, or of devices.
      sharding: of each of the arrays.
    """
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)

    def put(leaf: Any) -> jax.Array:
        if isinstance(leaf, jax.Array) and leaf.sharding == sharding:
            return leaf
        array = np.asarray(leaf)
        return jax.make_array_from_callback(array.shape, sharding, array.__getitem__)

    return jax.tree.map(put, tree)


def shareable(array: np.ndarray) -> np.ndarray:
    """The array at an address from which the devices of a CPU read it without copies of their own.

    XLA takes a host's array as it is where it is contiguous and begins at a multiple of 64 bytes;
    numpy's rarely do. It must not be changed afterwards.
    """
    if array.flags.c_contiguous and array.ctypes.data % _ALIGNMENT == 0:
        return array
    placed = shareable_memory(array.shape, array.dtype)
    placed[...] = array
    placed.flags.writeable = False
    return placed


def shareable_memory(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array to be filled, at an address as `shareable` needs it."""
    num_bytes = math.prod(shape) * dtype.itemsize
    memory = np.empty(num_bytes + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + num_bytes].view(dtype).reshape(shape)


def to_host(tree: Any) -> Any:
    """Gathers the shards of arrays into whole arrays in every process (collective; blocks)."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    return multihost_utils.process_allgather(tree, tiled=True)
