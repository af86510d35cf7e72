"""Random keys: of a step, and of each example of a batch."""

import jax
import jax.numpy as jnp

from seqvision.shapes import Count, ExampleKeys, PRNGKey


def example_keys(key: PRNGKey, num_examples: int, axis_name: str | None = None) -> ExampleKeys:
    """A key for each example, derived from `key` and the example's place in the whole batch.

    So the number of devices does not change what is drawn for an example.

    Args:
      key: the key of the batch.
      num_examples: B, examples of this device's shard.
      axis_name: the mesh axis along which the batch is split; None outside `shard_map`.
    """
    places = jnp.arange(num_examples, dtype=jnp.int32)
    if axis_name is not None:
        places = places + num_examples * jax.lax.axis_index(axis_name)
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, places)


_STREAMS = {"init": 0, "augment": 1, "window": 2, "dropout": 3, "corruption": 4}


def key_of(seed: Count | int, stream: str, step: Count | int = 0) -> PRNGKey:
    """The random key of a stream at a step: a pure function of its arguments.

    So a run resumes exactly without saving any random state.

    Args:
      seed: of the run.
      stream: the use of the key: init, augment, window, dropout or corruption.
      step: completed steps; of corruption, the number of the example.
    """
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), _STREAMS[stream]), step)
