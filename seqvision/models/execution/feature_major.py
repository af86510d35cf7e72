"""Products of arrays with the features first and the batch last, (F, B).

On CPUs this order keeps each gate contiguous and makes every product of a recurrent layer one that
needs no transposition.
"""

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float, Float32


def from_batch_major(sequences: Float[Array, "B T F"]) -> Float[Array, "T F B"]:
    return sequences.transpose(1, 2, 0)


def to_batch_major(sequences: Float[Array, "T F B"]) -> Float[Array, "B T F"]:
    return sequences.transpose(2, 0, 1)


def times(
    weights: Float[Array, "G F"], features: Float[Array, "F B"], dtype: jnp.dtype
) -> Float32[Array, "G B"]:
    """weights @ features, multiplied in `dtype` and summed in float32."""
    return _product(weights, features, 0, dtype)


def outer(
    gradient: Float[Array, "G B"], features: Float[Array, "F B"], dtype: jnp.dtype
) -> Float32[Array, "G F"]:
    """The gradient of weights (G, F), summed over the batch: gradient @ features^T."""
    return _product(gradient, features, 1, dtype)


def with_bias_row(*features: Float32[Array, "_ B"]) -> Float32[Array, "_ B"]:
    """The first features, a row of ones, which meets the bias, and the other features."""
    first, *others = features
    ones = jnp.ones((1, first.shape[1]), jnp.float32)
    return jnp.concatenate([first, ones, *others])


def _product(left: Array, right: Array, right_axis: int, dtype: jnp.dtype) -> Array:
    """Contracts the last axis of `left` with that axis of `right`."""
    return lax.dot_general(
        left.astype(dtype),
        right.astype(dtype),
        (((1,), (right_axis,)), ((), ())),
        preferred_element_type=jnp.float32,
    )
