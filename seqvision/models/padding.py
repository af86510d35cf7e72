"""Padding on the right of sequences."""

from typing import Any

import jax.numpy as jnp
from jax import Array

from seqvision.models.cells.base import TIME_AXIS
from seqvision.shapes import Lengths, StepMask


def step_mask(lengths: Lengths, num_steps: Any) -> StepMask:
    """True at the steps of each sequence, False in its padding.

    Args:
      lengths: (B,).
      num_steps: T; it may be a dimension of any size.
    """
    return jnp.arange(num_steps, dtype=jnp.int32)[None] < lengths[:, None]


def reversed_steps(sequences: Array, lengths: Lengths | None) -> Array:
    """(B, T, D) with the steps of each sequence in reverse order, the padding where it was.

    Args:
      sequences: (B, T, D).
      lengths: (B,), steps of each sequence, 0 to T; T by default.
    """
    if lengths is None:
        return jnp.flip(sequences, axis=TIME_AXIS)
    num_steps = sequences.shape[TIME_AXIS]
    step = jnp.arange(num_steps)[None]
    source = jnp.where(step_mask(lengths, num_steps), lengths[:, None] - 1 - step, step)
    return jnp.take_along_axis(sequences, source[..., None], axis=TIME_AXIS)
