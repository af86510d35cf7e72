"""Transfer of arrays between the hosts' memory and the devices of all processes."""

from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding


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


def to_host(tree: Any) -> Any:
    """Gathers the shards of arrays into whole arrays in every process (collective; blocks)."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    return multihost_utils.process_allgather(tree, tiled=True)
