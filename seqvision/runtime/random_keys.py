"""A random key for each example of a batch."""

import jax
import jax.numpy as jnp

from seqvision.shapes import Count, ExampleKeys, PRNGKey


def example_keys(key: PRNGKey, num_examples: int, axis_name: str | None = None) -> ExampleKeys:
    """Keys that are functions of `key` and of each example's place in the whole batch.

    What is random about an example is then the same however many devices share the batch.

    Args:
      key: what the keys are a function of.
      num_examples: B, of this device's share.
      axis_name: the mesh axis that shares out the batch; None outside `shard_map`.
    """
    places = jnp.arange(num_examples, dtype=jnp.int32)
    if axis_name is not None:
        places = places + num_examples * jax.lax.axis_index(axis_name)
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, places)


_STREAMS = {"init": 0, "augment": 1, "window": 2, "dropout": 3}


def key_of(seed: Count | int, stream: str, step: Count | int = 0) -> PRNGKey:
    """The random key of one use at one step: a pure function of its arguments.

    Nothing random has to be saved or restored for a run to resume exactly.
    """
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), _STREAMS[stream]), step)
