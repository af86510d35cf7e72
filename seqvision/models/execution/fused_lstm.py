"""The LSTM of a whole sequence with its gradient written out by hand: fast on CPUs.

Beside what `fused_loop` saves: the inputs, the bias and the hidden state meet all gates in one
product a step, and one tanh serves all gates, sigmoid(z) being (1 + tanh(z / 2)) / 2.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from seqvision.models.cells.base import MemoryPair
from seqvision.models.execution.feature_major import times, with_bias_row
from seqvision.models.execution.fused_loop import (
    FusedCell,
    Options,
    projected_if_wide,
    read_sequences,
)
from seqvision.shapes import Hidden, HiddenSequence, Sequence, StepMask


def fused_lstm(
    input_kernel: Array,
    recurrent_kernel: Array,
    bias: Array,
    inputs: Sequence,
    initial_carry: MemoryPair,
    step_mask: StepMask | None = None,
    candidate_mask: Hidden | None = None,
    *,
    reverse: bool = False,
    dtype: jnp.dtype | None = None,
) -> tuple[HiddenSequence, MemoryPair]:
    """Reads sequences as `cells.LSTM` does, with its parameters.

    Args:
      input_kernel, recurrent_kernel, bias: (D, 4H), (H, 4H), (4H,), gates in the order i, f, g, o.
      inputs: (B, T, D), T at least 1.
      initial_carry: (c, h), each (B, H).
      step_mask: (B, T); where it is False, the carry stays and the output is 0. The inputs there
        must be finite. All True by default.
      candidate_mask: (B, H), multiplies what each step would write. It gets no gradient.
      reverse: reads from step T - 1 to step 0.
      dtype: precision of the products. Their sums, like everything else, are float32, but for the
        one product of wide inputs (D > 4H) before the loop, which is given in `dtype`.

    Returns:
      The hidden state after every step, (B, T, H), in the order of time; and (c, h) after the last
      step that was read.
    """
    dtype = jnp.dtype(jnp.float32) if dtype is None else dtype
    steps, is_projected = projected_if_wide(input_kernel, recurrent_kernel, bias, inputs, dtype)
    # (4H, D + 1 + H), or (4H, H) for projected steps.
    weights = recurrent_kernel.T
    if not is_projected:
        weights = jnp.concatenate([input_kernel, bias[None], recurrent_kernel]).T
    options = Options(dtype, reverse, is_projected)
    outputs, (c, h) = read_sequences(
        _LSTM, options, weights, steps, initial_carry, step_mask, candidate_mask
    )
    return outputs, (c, h)


def _make_step(options: Options, weights: Array, mask: Array | None) -> Callable[..., Any]:
    halves = _halves(weights.shape[0])
    scaled = (weights * halves).astype(options.dtype)

    def step(carry: tuple[Array, Array], x: Array) -> tuple[tuple[Array, Array], Array]:
        """Its activations are the tanh of all gates."""
        c, h = carry
        if options.is_projected:
            gates = jnp.tanh(x * halves + times(scaled, h, options.dtype))
        else:
            gates = jnp.tanh(times(scaled, with_bias_row(x, h), options.dtype))
        i, f, g, o = _split(gates)
        new_c = f * c + i * (g if mask is None else g * mask)
        new_h = o * jnp.tanh(new_c)
        return (new_c, new_h), gates

    return step


def _make_step_back(options: Options, weights: Array, mask: Array | None) -> Callable[..., Any]:
    hidden_size = weights.shape[0] // 4
    to_hidden = weights.astype(options.dtype).T[-hidden_size:]

    def step_back(
        d_carry: tuple[Array, Array],
        new_c: Array,
        x: Array,
        before: tuple[Array, Array],
        gates: Array,
    ) -> tuple[tuple[Array, Array], Array, Array, Array]:
        d_c, d_h = d_carry
        c, h = before
        i, f, g, o = _split(gates)
        tanh_c = jnp.tanh(new_c)
        d_c = d_c + d_h * o * (1 - tanh_c**2)
        # XLA would compute this anew for each gate.
        d_c, tanh_c = lax.optimization_barrier((d_c, tanh_c))
        written, d_written = (g, d_c) if mask is None else (g * mask, d_c * mask)
        d_gates = jnp.concatenate(
            [
                d_c * written * i * (1 - i),
                d_c * c * f * (1 - f),
                d_written * i * (1 - g**2),
                d_h * tanh_c * o * (1 - o),
            ]
        )
        features = h if options.is_projected else with_bias_row(x, h)
        d_before = d_c * f, times(to_hidden, d_gates, options.dtype)
        return d_before, d_gates, d_gates, features

    return step_back


_LSTM = FusedCell(
    _make_step,
    _make_step_back,
    read_back=lambda carry: carry[0],
    input_weights=lambda weights: weights,
)


def _split(gates: Array) -> tuple[Array, Array, Array, Array]:
    """i, f, g, o from the tanh of all four, i, f and o of half their value."""
    i, f, g, o = jnp.split(gates, 4)
    return 0.5 * i + 0.5, 0.5 * f + 0.5, g, 0.5 * o + 0.5


def _halves(num_rows: int) -> Array:
    """(4H, 1): 1/2 for the gates i, f and o, whose sigmoid is a tanh of half their value."""
    return jnp.repeat(jnp.array([0.5, 0.5, 1.0, 0.5], jnp.float32), num_rows // 4)[:, None]
