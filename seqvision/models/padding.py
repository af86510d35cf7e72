"""Sequences read backwards."""

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool

from seqvision.models.cells.base import TIME_AXIS
from seqvision.shapes import Lengths


def reversed_steps(sequences: Array, lengths: Array | None) -> Array:
    """(B, T, D) with the real steps of each sequence backwards, the padding where it was.

    Args:
      sequences: (B, T, D).
      lengths: (B,), real steps of each sequence, 0 to T; T by default.
    """
    if lengths is None:
        return jnp.flip(sequences, axis=TIME_AXIS)
    step, length = jnp.arange(sequences.shape[TIME_AXIS])[None], lengths[:, None]
    source = jnp.where(step < length, length - 1 - step, step)
    return jnp.take_along_axis(sequences, source[..., None], axis=TIME_AXIS)


def step_mask(lengths: Lengths | None, num_sequences: int, num_steps: int) -> Bool[Array, "B T"]:
    """True at the steps of each sequence, False at its padding."""
    if lengths is None:
        return jnp.ones((num_sequences, num_steps), jnp.bool_)
    return jnp.arange(num_steps, dtype=jnp.int32)[None] < lengths[:, None]
