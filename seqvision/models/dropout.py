"""Dropout that does not depend on the number of devices over which a batch is sharded."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from seqvision.runtime.random_keys import example_keys
from seqvision.shapes import ExampleKeys, PRNGKey


class Dropout(nn.Module):
    """Sets features to 0 in training, and scales the others so that the mean stays.

    (Srivastava et al., 2014.) Takes the rng `dropout`.

    Attributes:
      rate: fraction of features that is dropped, below 1.
      axis_name: see `runtime.random_keys.example_keys`.
    """

    rate: float
    axis_name: str | None = None

    @nn.compact
    def __call__(self, features: Float[Array, "B ..."], *, train: bool) -> Float[Array, "B ..."]:
        """Returns features of the same shape; the same ones unless `train`."""
        if not train or self.rate == 0:
            return features
        keys = example_keys(self.make_rng("dropout"), len(features), self.axis_name)
        kept = _kept(keys, 1 - self.rate, features.shape[1:])
        return jnp.where(kept, features / (1 - self.rate), 0)


def _kept(keys: ExampleKeys, probability: float, shape: tuple[int, ...]) -> Array:
    def one(key: PRNGKey) -> Array:
        return jax.random.bernoulli(key, probability, shape)

    return jax.vmap(one)(keys)
