"""The LSTM of a whole sequence with its gradient written out by hand: fast on CPUs.

Against `nn.scan` and automatic differentiation: the inputs, the bias and the hidden state meet all
gates in one product a step; one tanh serves all gates, sigmoid(z) being (1 + tanh(z / 2)) / 2; the
gradient of all weights is one product for two steps; and what no one asks for, such as the gradient
of the pixels, is not computed.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero

from seqvision.models.cells.base import MemoryPair, product
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


def fused_lstm(
    input_kernel: Array,
    recurrent_kernel: Array,
    bias: Array,
    inputs: Sequence,
    initial_carry: MemoryPair,
    real: StepMask | None = None,
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
      real: (B, T); where it is False, the carry stays and the output is 0. The inputs there must be
        finite. All True by default.
      candidate_mask: (B, H), multiplies what each step would write. It gets no gradient.
      reverse: reads from step T - 1 to step 0.
      dtype: precision of the products. Their sums, like everything else, are float32, but for the
        one product of wide inputs (D > 4H) before the loop, which is given in `dtype`.

    Returns:
      The hidden state after every step, (B, T, H), in the order of time; and (c, h) after the last
      step that was read.
    """
    dtype = jnp.dtype(jnp.float32) if dtype is None else dtype
    inputs = inputs.astype(jnp.float32)
    # Few products of wide inputs cost more in the loop than one big product before it.
    is_projected = input_kernel.shape[0] > recurrent_kernel.shape[1]
    if is_projected:
        projected = product(inputs, input_kernel, dtype)
        inputs = projected + jnp.broadcast_to(bias, projected.shape)
        weights = recurrent_kernel.T
    else:
        weights = jnp.concatenate([input_kernel, bias[None], recurrent_kernel]).T
    c, h = initial_carry
    outputs, (c, h) = _lstm(
        Options(dtype, reverse, is_projected),
        weights,
        from_batch_major(inputs),
        (c.T, h.T),
        None if real is None else real.T[:, None],
        None if candidate_mask is None else lax.stop_gradient(candidate_mask.T),
    )
    outputs = to_batch_major(outputs)
    if real is not None:
        outputs = jnp.where(real[..., None], outputs, 0.0)
    return outputs, (c.T, h.T)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _lstm(
    options: Options,
    weights: Array,
    steps: Array,
    carry: tuple[Array, Array],
    real: Array | None,
    mask: Array | None,
) -> tuple[Array, tuple[Array, Array]]:
    """The same with features first: weights (4H, D + 1 + H), or (4H, H) for projected steps.

    Steps are (T, D, B) or (T, 4H, B), carry and mask (H, B), real (T, 1, B), outputs (T, H, B).
    """
    carry, (outputs, _) = _read(options, weights, steps, carry, real, mask, keep=False)
    return outputs, carry


def _read(
    options: Options,
    weights: Array,
    steps: Array,
    carry: tuple[Array, Array],
    real: Array | None,
    mask: Array | None,
    *,
    keep: bool,
) -> tuple[tuple[Array, Array], tuple[Array, Any]]:
    """Returns the carry, the outputs, and (if kept) each step's tanh of all gates, old c, old h."""
    halves = _halves(weights.shape[0])
    scaled = (weights * halves).astype(options.dtype)

    def step(
        carry: tuple[Array, Array], inputs: tuple[Array, Array | None]
    ) -> tuple[tuple[Array, Array], tuple[Array, Any]]:
        c, h = carry
        x, is_real = inputs
        if options.is_projected:
            gates = jnp.tanh(x * halves + times(scaled, h, options.dtype))
        else:
            gates = jnp.tanh(times(scaled, with_bias_row(x, h), options.dtype))
        i, f, g, o = _split(gates)
        new_c = f * c + i * (g if mask is None else g * mask)
        new_h = o * jnp.tanh(new_c)
        if is_real is not None:
            new_c, new_h = jnp.where(is_real, new_c, c), jnp.where(is_real, new_h, h)
        return (new_c, new_h), (new_h, (gates, c, h) if keep else None)

    return lax.scan(
        step, carry, (steps, real), reverse=options.reverse, unroll=group_size(len(steps))
    )


def _forward(
    options: Options, weights: Any, steps: Any, carry: Any, real: Any, mask: Any
) -> tuple[tuple[Array, tuple[Array, Array]], Any]:
    steps_want_gradient = steps.perturbed
    weights, steps, carry, real, mask = values((weights, steps, carry, real, mask))
    after, (outputs, kept) = _read(options, weights, steps, carry, real, mask, keep=True)
    saved = weights, steps, real, mask, kept, after[0], flag(steps_want_gradient)
    return (outputs, after), saved


def _backward(options: Options, saved: Any, gradients: Any) -> Any:
    weights, steps, real, mask, kept, last_c, steps_want_gradient = saved
    of_outputs, (d_c, of_h) = gradients
    num_steps, hidden_size = len(steps), len(last_c)
    of_outputs = None if isinstance(of_outputs, SymbolicZero) else of_outputs
    d_c, of_h = (
        jnp.zeros(last_c.shape, jnp.float32) if isinstance(leaf, SymbolicZero) else leaf
        for leaf in (d_c, of_h)
    )
    from_gates = weights.astype(options.dtype).T
    to_steps, to_hidden = from_gates[: steps.shape[1]], from_gates[-hidden_size:]

    def one_step(d_c: Array, of_h: Array, new_c: Array, step: Any) -> tuple[Any, Array, Any]:
        """Gradients of the memory before the step, of its gates and of its inputs."""
        of_output, is_real, (gates, c, _) = step
        of_h = of_h if of_output is None else of_h + of_output
        passed_c: Any = 0.0
        passed_h: Any = 0.0
        if is_real is not None:
            passed_c, passed_h = jnp.where(is_real, 0.0, d_c), jnp.where(is_real, 0.0, of_h)
            d_c, of_h = jnp.where(is_real, d_c, 0.0), jnp.where(is_real, of_h, 0.0)
        i, f, g, o = _split(gates)
        tanh_c = jnp.tanh(new_c)
        d_c = d_c + of_h * o * (1 - tanh_c**2)
        # XLA would compute this anew for each gate.
        d_c, tanh_c = lax.optimization_barrier((d_c, tanh_c))
        written, of_written = (g, d_c) if mask is None else (g * mask, d_c * mask)
        d_gates = jnp.concatenate(
            [
                d_c * written * i * (1 - i),
                d_c * c * f * (1 - f),
                of_written * i * (1 - g**2),
                of_h * tanh_c * o * (1 - o),
            ]
        )
        of_step = None
        if steps_want_gradient is not None:
            of_step = d_gates
            if not options.is_projected:
                of_step = times(to_steps, d_gates, options.dtype)
        before = d_c * f + passed_c, times(to_hidden, d_gates, options.dtype) + passed_h
        return before, d_gates, of_step

    size = group_size(num_steps)
    order = list(range(size)) if options.reverse else list(reversed(range(size)))

    def group_of_steps(carry: Any, group: Any) -> tuple[Any, Any]:
        (d_c, of_h), new_c, of_weights = carry
        d_gates, features = [], []
        of_steps: Any = [None] * size
        for at in order:
            x, *step = jax.tree.map(lambda leaf, at=at: leaf[at], group)
            (d_c, of_h), of_gate, of_steps[at] = one_step(d_c, of_h, new_c, step)
            _, new_c, h = step[-1]
            d_gates.append(of_gate)
            features.append(h if options.is_projected else with_bias_row(x, h))
        of_weights = of_weights + outer(
            jnp.concatenate(d_gates, axis=1), jnp.concatenate(features, axis=1), options.dtype
        )
        of_steps = None if steps_want_gradient is None else jnp.stack(of_steps)
        return ((d_c, of_h), new_c, of_weights), of_steps

    (before, _, of_weights), of_steps = lax.scan(
        group_of_steps,
        ((d_c, of_h), last_c, jnp.zeros(weights.shape, jnp.float32)),
        grouped((steps, of_outputs, real, kept), size),
        reverse=not options.reverse,
    )
    of_steps = jnp.zeros_like(steps) if of_steps is None else ungrouped(of_steps)
    return of_weights, of_steps, before, None, None


_lstm.defvjp(_forward, _backward, symbolic_zeros=True)


def _split(gates: Array) -> tuple[Array, Array, Array, Array]:
    """i, f, g, o from the tanh of all four, i, f and o of half their value."""
    i, f, g, o = jnp.split(gates, 4)
    return 0.5 * i + 0.5, 0.5 * f + 0.5, g, 0.5 * o + 0.5


def _halves(num_rows: int) -> Array:
    """(4H, 1): 1/2 for the gates i, f and o, whose sigmoid is a tanh of half their value."""
    return jnp.repeat(jnp.array([0.5, 0.5, 1.0, 0.5], jnp.float32), num_rows // 4)[:, None]
