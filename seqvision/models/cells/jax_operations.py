"""The operations of cells and running readouts in JAX."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array


class JaxOperations:
    """`operations.Operations` of JAX arrays."""

    sigmoid = staticmethod(jax.nn.sigmoid)
    tanh = staticmethod(jnp.tanh)
    softplus = staticmethod(jax.nn.softplus)
    rsqrt = staticmethod(jax.lax.rsqrt)
    where = staticmethod(jnp.where)
    exp = staticmethod(jnp.exp)
    maximum = staticmethod(jnp.maximum)
    reciprocal = staticmethod(jnp.reciprocal)

    def __init__(self, dtype: Any = None) -> None:
        """`dtype`: precision of the matrix products, float32 by default."""
        self._dtype = jnp.dtype(jnp.float32) if dtype is None else dtype

    def matmul(self, inputs: Array, kernel: Array) -> Array:
        """The product, multiplied in `dtype` and given in float32."""
        # As one matrix: on CPUs, jax 0.12 derives products of more axes in bfloat16 ten times less
        # exactly (findings/jax_bfloat16_gradient_of_three_axes.sh).
        rows = inputs.reshape(-1, inputs.shape[-1]).astype(self._dtype)
        product = jnp.matmul(rows, kernel.astype(self._dtype))
        return product.reshape(*inputs.shape[:-1], kernel.shape[-1]).astype(jnp.float32)

    def split(self, array: Array, num_parts: int) -> list[Array]:
        return jnp.split(array, num_parts, axis=-1)

    def mean(self, array: Array) -> Array:
        return array.mean(axis=-1, keepdims=True)

    def like(self, vector: Array, array: Array) -> Array:
        return jnp.broadcast_to(vector, array.shape)
