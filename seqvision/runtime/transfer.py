"""Arrays onto the devices of all processes, and back."""

from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding


def to_devices(tree: Any, sharding: NamedSharding) -> Any:
    """Puts arrays that every process has whole onto the devices, as the sharding says.

    Each process gives its own devices their parts. `jax.device_put` would first send the arrays
    around, to compare them.
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
    """Whole arrays in the memory of every host, wherever their parts lie."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    return multihost_utils.process_allgather(tree, tiled=True)
