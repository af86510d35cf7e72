"""The GRU of a whole sequence with its gradient written out by hand; see `fused_loop`.

The hidden state meets the gates apart from the inputs, since the reset gate stands between them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from seqvision.models.execution.feature_major import times, with_bias_row
from seqvision.models.execution.fused_loop import (
    FusedCell,
    Options,
    projected_if_wide,
    read_sequences,
)
from seqvision.shapes import Hidden, HiddenSequence, Sequence, StepMask


class _Weights(NamedTuple):
    """With the gates r, z, n on top of each other.

    Attributes:
      input: (3H, D + 1), the last column the bias; None for projected steps.
      recurrent: (3H, H + 1), the last column the bias inside the reset gate's reach, which r and z
        do not have.
    """

    input: Array | None
    recurrent: Array


def fused_gru(
    input_kernel: Array,
    recurrent_kernel: Array,
    bias: Array,
    candidate_bias: Array,
    inputs: Sequence,
    initial_carry: Hidden,
    step_mask: StepMask | None = None,
    candidate_mask: Hidden | None = None,
    *,
    reverse: bool = False,
    dtype: jnp.dtype | None = None,
) -> tuple[HiddenSequence, Hidden]:
    """Reads sequences as `cells.GRU` does, with its parameters.

    Args:
      input_kernel, recurrent_kernel, bias: (D, 3H), (H, 3H), (3H,), gates in the order r, z, n.
      candidate_bias: (H,), the bias that r multiplies.
      initial_carry: h, (B, H).
      Others: see `fused_lstm`.

    Returns:
      The hidden state after every step, (B, T, H), and after the last step that was read.
    """
    dtype = jnp.dtype(jnp.float32) if dtype is None else dtype
    steps, is_projected = projected_if_wide(input_kernel, recurrent_kernel, bias, inputs, dtype)
    from_input = None
    if not is_projected:
        from_input = jnp.concatenate([input_kernel, bias[None]]).T
    zeros = jnp.zeros(2 * len(candidate_bias), jnp.float32)
    hidden_bias = jnp.concatenate([zeros, candidate_bias])
    weights = _Weights(from_input, jnp.concatenate([recurrent_kernel, hidden_bias[None]]).T)
    options = Options(dtype, reverse, is_projected)
    outputs, (h,) = read_sequences(
        _GRU, options, weights, steps, (initial_carry,), step_mask, candidate_mask
    )
    return outputs, h


def _make_step(options: Options, weights: _Weights, mask: Array | None) -> Callable[..., Any]:
    weights = jax.tree.map(lambda leaf: leaf.astype(options.dtype), weights)

    def step(carry: tuple[Array], x: Array) -> tuple[tuple[Array], tuple[Array, Array, Array]]:
        """Its activations are r and z, n, and what h adds to n."""
        (h,) = carry
        if weights.input is not None:
            x = times(weights.input, with_bias_row(x), options.dtype)
        from_h = times(weights.recurrent, with_bias_row(h), options.dtype)
        size = len(h)
        r_and_z = 0.5 * jnp.tanh(0.5 * (x[: 2 * size] + from_h[: 2 * size])) + 0.5
        r, z = jnp.split(r_and_z, 2)
        n = jnp.tanh(x[2 * size :] + r * from_h[2 * size :])
        new_h = (1 - z) * (n if mask is None else n * mask) + z * h
        return (new_h,), (r_and_z, n, from_h[2 * size :])

    return step


def _make_step_back(options: Options, weights: _Weights, mask: Array | None) -> Callable[..., Any]:
    hidden_size = weights.recurrent.shape[0] // 3
    to_hidden = weights.recurrent.astype(options.dtype).T[:hidden_size]

    def step_back(
        d_carry: tuple[Array],
        after: None,
        x: Array,
        before: tuple[Array],
        activations: tuple[Array, Array, Array],
    ) -> tuple[tuple[Array], Array, _Weights, _Weights]:
        (d_h,), (h,) = d_carry, before
        r_and_z, n, from_h = activations
        r, z = jnp.split(r_and_z, 2)
        written, d_written = (n, d_h) if mask is None else (n * mask, d_h * mask)
        d_n = d_written * (1 - z) * (1 - n**2)
        d_r_and_z = [d_n * from_h * r * (1 - r), d_h * (h - written) * z * (1 - z)]
        d_input = jnp.concatenate([*d_r_and_z, d_n])
        d_from_h = jnp.concatenate([*d_r_and_z, d_n * r])
        has_input = weights.input is not None
        d_gates = _Weights(d_input if has_input else None, d_from_h)
        features = _Weights(with_bias_row(x) if has_input else None, with_bias_row(h))
        d_before = d_h * z + times(to_hidden, d_from_h, options.dtype)
        return (d_before,), d_input, d_gates, features

    return step_back


_GRU = FusedCell(
    _make_step,
    _make_step_back,
    read_back=lambda carry: None,
    input_weights=lambda weights: weights.input,
)
