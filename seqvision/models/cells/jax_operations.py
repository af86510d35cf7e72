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
        product = jnp.matmul(inputs.astype(self._dtype), kernel.astype(self._dtype))
        return product.astype(jnp.float32)

    def split(self, array: Array, num_parts: int) -> list[Array]:
        return jnp.split(array, num_parts, axis=-1)

    def mean(self, array: Array) -> Array:
        return array.mean(axis=-1, keepdims=True)

    def like(self, vector: Array, array: Array) -> Array:
        return jnp.broadcast_to(vector, array.shape)
