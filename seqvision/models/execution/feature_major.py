"""Products of arrays with the features first and the batch last, (F, B), and of pairs of steps.

On CPUs this order keeps each gate contiguous and makes every product of a recurrent layer one that
needs no transposition.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_derivatives import CustomVJPPrimal
from jaxtyping import Float, Float32


class Options(NamedTuple):
    """What is fixed when the program of a fused layer is made.

    Attributes:
      dtype: of the products.
      reverse: the last step is read first.
      is_projected: the steps have met their kernel and bias already.
    """

    dtype: jnp.dtype
    reverse: bool
    is_projected: bool


def from_batch_major(sequences: Float[Array, "B T F"]) -> Float[Array, "T F B"]:
    return sequences.transpose(1, 2, 0)


def to_batch_major(sequences: Float[Array, "T F B"]) -> Float[Array, "B T F"]:
    return sequences.transpose(2, 0, 1)


def times(
    weights: Float[Array, "G F"], features: Float[Array, "F B"], dtype: jnp.dtype
) -> Float32[Array, "G B"]:
    """weights @ features, multiplied in `dtype` and summed in float32."""
    return lax.dot_general(
        weights.astype(dtype),
        features.astype(dtype),
        (((1,), (0,)), ((), ())),
        preferred_element_type=jnp.float32,
    )


def outer(
    gradient: Float[Array, "G B"], features: Float[Array, "F B"], dtype: jnp.dtype
) -> Float32[Array, "G F"]:
    """The gradient of weights (G, F), summed over the batch: gradient @ features^T."""
    return lax.dot_general(
        gradient.astype(dtype),
        features.astype(dtype),
        (((1,), (1,)), ((), ())),
        preferred_element_type=jnp.float32,
    )


def with_bias_row(*features: Float32[Array, "_ B"]) -> Float32[Array, "_ B"]:
    """The first features, a row of ones, which meets the bias, and the other features."""
    first, *others = features
    ones = jnp.ones((1, first.shape[1]), jnp.float32)
    return jnp.concatenate([first, ones, *others])


def grouped(tree: Any, size: int) -> Any:
    """(T, ...) as (T / size, size, ...)."""
    return jax.tree.map(lambda leaf: leaf.reshape(-1, size, *leaf.shape[1:]), tree)


def ungrouped(tree: Any) -> Any:
    """(T / size, size, ...) as (T, ...)."""
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), tree)


def group_size(num_steps: int) -> int:
    """How many steps share one product for the gradient of the weights: it grows more efficient."""
    return 2 if num_steps % 2 == 0 else 1


def values(arguments: Any) -> Any:
    """The arguments of a forward rule with symbolic zeros, without the word on their gradients."""
    return jax.tree.map(
        lambda leaf: leaf.value, arguments, is_leaf=lambda leaf: isinstance(leaf, CustomVJPPrimal)
    )


def flag(is_set: bool) -> tuple[()] | None:
    """A fact that a forward rule can hand to its backward rule, which takes no Python values."""
    return () if is_set else None
