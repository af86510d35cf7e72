"""The GRU of a whole sequence with its gradient written out by hand; see `fused_lstm`.

The hidden state meets the gates apart from the inputs, since the reset gate stands between them.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero

from seqvision.models.cells.base import product
from seqvision.models.execution.feature_major import (
    Options,
    flag,
    from_batch_major,
    group_size,
    grouped,
    outer,
    times,
    to_batch_major,
    ungrouped,
    values,
    with_bias_row,
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
    real: StepMask | None = None,
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
    inputs = inputs.astype(jnp.float32)
    hidden_size = len(candidate_bias)
    is_projected = input_kernel.shape[0] > recurrent_kernel.shape[1]
    from_input = None
    if is_projected:
        projected = product(inputs, input_kernel, dtype)
        inputs = projected + jnp.broadcast_to(bias, projected.shape)
    else:
        from_input = jnp.concatenate([input_kernel, bias[None]]).T
    hidden_bias = jnp.concatenate([jnp.zeros(2 * hidden_size, jnp.float32), candidate_bias])
    outputs, h = _gru(
        Options(dtype, reverse, is_projected),
        _Weights(from_input, jnp.concatenate([recurrent_kernel, hidden_bias[None]]).T),
        from_batch_major(inputs),
        initial_carry.T,
        None if real is None else real.T[:, None],
        None if candidate_mask is None else lax.stop_gradient(candidate_mask.T),
    )
    outputs = to_batch_major(outputs)
    if real is not None:
        outputs = jnp.where(real[..., None], outputs, 0.0)
    return outputs, h.T


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _gru(
    options: Options,
    weights: _Weights,
    steps: Array,
    h: Array,
    real: Array | None,
    mask: Array | None,
) -> tuple[Array, Array]:
    """The same with features first.

    Steps are (T, D, B) or (T, 3H, B), h and mask (H, B), real (T, 1, B), outputs (T, H, B).
    """
    h, (outputs, _) = _read(options, weights, steps, h, real, mask, keep=False)
    return outputs, h


def _read(
    options: Options,
    weights: _Weights,
    steps: Array,
    h: Array,
    real: Array | None,
    mask: Array | None,
    *,
    keep: bool,
) -> tuple[Array, tuple[Array, Any]]:
    """Returns h, the outputs, and (if kept) each step's r, z, n, share of n from h, and old h."""
    weights = jax.tree.map(lambda leaf: leaf.astype(options.dtype), weights)

    def step(h: Array, inputs: tuple[Array, Array | None]) -> tuple[Array, tuple[Array, Any]]:
        x, is_real = inputs
        if weights.input is not None:
            x = times(weights.input, with_bias_row(x), options.dtype)
        from_h = times(weights.recurrent, with_bias_row(h), options.dtype)
        size = len(h)
        r_and_z = 0.5 * jnp.tanh(0.5 * (x[: 2 * size] + from_h[: 2 * size])) + 0.5
        r, z = jnp.split(r_and_z, 2)
        n = jnp.tanh(x[2 * size :] + r * from_h[2 * size :])
        new_h = (1 - z) * (n if mask is None else n * mask) + z * h
        if is_real is not None:
            new_h = jnp.where(is_real, new_h, h)
        return new_h, (new_h, (r_and_z, n, from_h[2 * size :], h) if keep else None)

    return lax.scan(step, h, (steps, real), reverse=options.reverse, unroll=group_size(len(steps)))


def _forward(
    options: Options, weights: Any, steps: Any, h: Any, real: Any, mask: Any
) -> tuple[tuple[Array, Array], Any]:
    steps_want_gradient = steps.perturbed
    weights, steps, h, real, mask = values((weights, steps, h, real, mask))
    after, (outputs, kept) = _read(options, weights, steps, h, real, mask, keep=True)
    return (outputs, after), (weights, steps, real, mask, kept, flag(steps_want_gradient))


def _backward(options: Options, saved: Any, gradients: Any) -> Any:
    weights, steps, real, mask, kept, steps_want_gradient = saved
    of_outputs, of_h = gradients
    num_steps, size = len(steps), kept[-1].shape[1]
    of_outputs = None if isinstance(of_outputs, SymbolicZero) else of_outputs
    if isinstance(of_h, SymbolicZero):
        of_h = jnp.zeros(kept[-1].shape[1:], jnp.float32)
    to_hidden = weights.recurrent.astype(options.dtype).T[:size]
    to_steps = None
    if weights.input is not None:
        to_steps = weights.input.astype(options.dtype).T[: steps.shape[1]]

    def one_step(of_h: Array, step: Any) -> tuple[Array, Array, Array, Any]:
        """Gradients of the memory before, of the gates' shares from x and from h, and of x."""
        of_output, is_real, (r_and_z, n, from_h, h) = step
        r, z = jnp.split(r_and_z, 2)
        of_h = of_h if of_output is None else of_h + of_output
        passed: Any = 0.0
        if is_real is not None:
            passed, of_h = jnp.where(is_real, 0.0, of_h), jnp.where(is_real, of_h, 0.0)
        written, of_written = (n, of_h) if mask is None else (n * mask, of_h * mask)
        of_n = of_written * (1 - z) * (1 - n**2)
        of_r_and_z = [of_n * from_h * r * (1 - r), of_h * (h - written) * z * (1 - z)]
        of_x = jnp.concatenate([*of_r_and_z, of_n])
        of_from_h = jnp.concatenate([*of_r_and_z, of_n * r])
        of_step = None
        if steps_want_gradient is not None:
            of_step = of_x if to_steps is None else times(to_steps, of_x, options.dtype)
        before = of_h * z + times(to_hidden, of_from_h, options.dtype) + passed
        return before, of_x, of_from_h, of_step

    group = group_size(num_steps)
    order = list(range(group)) if options.reverse else list(reversed(range(group)))

    def group_of_steps(carry: Any, members: Any) -> tuple[Any, Any]:
        of_h, of_weights = carry
        of_x, of_from_h, features, memories = [], [], [], []
        of_steps: Any = [None] * group
        for at in order:
            x, *step = jax.tree.map(lambda leaf, at=at: leaf[at], members)
            of_h, *of_shares, of_steps[at] = one_step(of_h, step)
            of_x.append(of_shares[0])
            of_from_h.append(of_shares[1])
            memories.append(with_bias_row(step[-1][-1]))
            features.append(None if options.is_projected else with_bias_row(x))

        def gradient(d_gates: list[Array], read: list[Any]) -> Array:
            return outer(
                jnp.concatenate(d_gates, axis=1), jnp.concatenate(read, axis=1), options.dtype
            )

        of_input = None
        if of_weights.input is not None:
            of_input = of_weights.input + gradient(of_x, features)
        of_recurrent = of_weights.recurrent + gradient(of_from_h, memories)
        of_steps = None if steps_want_gradient is None else jnp.stack(of_steps)
        return (of_h, _Weights(of_input, of_recurrent)), of_steps

    (before, of_weights), of_steps = lax.scan(
        group_of_steps,
        (of_h, jax.tree.map(jnp.zeros_like, weights)),
        grouped((steps, of_outputs, real, kept), group),
        reverse=not options.reverse,
    )
    of_steps = jnp.zeros_like(steps) if of_steps is None else ungrouped(of_steps)
    return of_weights, of_steps, before, None, None


_gru.defvjp(_forward, _backward, symbolic_zeros=True)
