"""The LSTM on NVIDIA GPUs, all steps in one kernel that keeps the weights on the chip.

Around the kernels of `persistent_kernels`: the products over all steps at once, which are those of
the inputs and of the gradients of the weights, and sizes that the kernels do not take, which are
filled up with zeros. Units of zeros stay 0 and change nothing.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import CustomVJPPrimal, SymbolicZero

from seqvision.models.cells.base import MemoryPair
from seqvision.models.execution import persistent_kernels as kernels
from seqvision.models.execution.nvidia import available
from seqvision.models.execution.persistent_kernels import COLUMNS, Given, Options
from seqvision.shapes import Hidden, HiddenSequence, Sequence, StepMask

_MIN_HIDDEN_SIZE = 16


class Weights(NamedTuple):
    """Parameters with their features first: (4, H, D + 1), the bias last, and (4, H, H)."""

    inputs: Array
    recurrent: Array


def persistent_lstm(
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
    interpret: bool = False,
) -> tuple[HiddenSequence, MemoryPair]:
    """Reads sequences as `cells.LSTM` does, with its parameters.

    Args:
      input_kernel, recurrent_kernel, bias: (D, 4H), (H, 4H), (4H,), gates in the order i, f, g, o;
        H at most `choose.MAX_PERSISTENT_SIZE`.
      inputs: (B, T, D), T at least 1.
      initial_carry: (c, h), each (B, H).
      step_mask: (B, T); where it is False, the carry stays and the output is 0. The inputs there
        must be finite. All True by default.
      candidate_mask: (B, H), multiplies what each step would write. It gets no gradient.
      reverse: reads from step T - 1 to step 0.
      dtype: precision of the products. bfloat16 is multiplied as such. float32 is multiplied in the
        loop with the 11 significant bits of TF32: as float16, gradients scaled to its range. Sums
        and everything else are float32.
      interpret: runs on any device, slowly, for tests.

    Returns:
      The hidden state after every step, (B, T, H), in the order of time; and (c, h) after the last
      step that was read.

    Raises:
      RuntimeError: JAX sees no NVIDIA GPU.
    """
    if not interpret and not available():
        raise RuntimeError("the persistent path of the LSTM needs an NVIDIA GPU, and JAX sees none")
    batch_size, hidden_size = inputs.shape[0], recurrent_kernel.shape[0]
    is_bfloat16 = dtype is not None and jnp.dtype(dtype) == jnp.bfloat16
    options = Options(
        dtype=jnp.dtype(jnp.bfloat16 if is_bfloat16 else jnp.float16),
        reverse=reverse,
        interpret=interpret,
    )
    more_units = max(_power_of_two(hidden_size), _MIN_HIDDEN_SIZE) - hidden_size
    more_rows = -batch_size % COLUMNS
    weights = Weights(
        _by_gate(jnp.concatenate([input_kernel, bias[None]]), more_units),
        jnp.pad(_by_gate(recurrent_kernel, more_units), ((0, 0), (0, 0), (0, more_units))),
    )
    # With a feature of ones, which meets the bias.
    steps = jnp.pad(inputs.astype(jnp.float32), ((0, more_rows), (0, 0), (0, 1)), constant_values=1)
    fill = functools.partial(jnp.pad, pad_width=((0, more_rows), (0, more_units)))
    outputs, carry = _read(
        options,
        weights,
        _in_groups(steps),
        tuple(_in_groups(fill(memory)) for memory in initial_carry),
        None if step_mask is None else _in_groups(jnp.pad(step_mask, ((0, more_rows), (0, 0)))),
        None if candidate_mask is None else _in_groups(fill(jax.lax.stop_gradient(candidate_mask))),
    )
    outputs = _in_a_row(outputs)[:batch_size, :, :hidden_size]
    if step_mask is not None:
        outputs = jnp.where(step_mask[..., None], outputs, 0.0)
    c, h = (_in_a_row(memory)[:batch_size, :hidden_size] for memory in carry)
    return outputs, (c, h)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _read(
    options: Options,
    weights: Weights,
    steps: Array,
    carry: tuple[Array, ...],
    step_mask: Array | None,
    candidate_mask: Array | None,
) -> tuple[Array, tuple[Array, Array]]:
    outputs, last, _ = _run(options, (weights, steps, carry, step_mask, candidate_mask), keep=False)
    return outputs, last


def _run(options: Options, arguments: Any, *, keep: bool) -> tuple[Array, Any, Any]:
    """Returns h after every step, the last carry, and what is kept: every c, and the gates."""
    weights, steps, (c, h), step_mask, candidate_mask = arguments
    projected = _multiply("khd,ntdc->ntkhc", weights.inputs, steps, options)
    given = _given(options, weights.recurrent, c, step_mask, candidate_mask)
    hs, cs, gates = kernels.forward(options, given, projected, h, keep=keep)
    last = 0 if options.reverse else -1
    return hs, (cs[:, last] if keep else cs, hs[:, last]), (cs, gates)


def _forward(options: Options, *arguments: Any) -> tuple[Any, Any]:
    values = jax.tree.map(
        lambda leaf: leaf.value, arguments, is_leaf=lambda leaf: isinstance(leaf, CustomVJPPrimal)
    )
    hs, last, kept = _run(options, values, keep=True)
    return (hs, last), (values, hs, kept)


def _backward(options: Options, residuals: Any, gradients: Any) -> Any:
    (weights, steps, (c, h), step_mask, candidate_mask), hs, (cs, gates) = residuals
    d_outputs, d_carry = gradients
    d_outputs = None if isinstance(d_outputs, SymbolicZero) else d_outputs
    d_carry = tuple(
        jnp.zeros(leaf.shape, jnp.float32) if isinstance(leaf, SymbolicZero) else leaf
        for leaf in d_carry
    )
    given = _given(options, weights.recurrent.swapaxes(1, 2), c, step_mask, candidate_mask)
    scales = _scales(d_outputs, d_carry, is_even=d_outputs is None and step_mask is None)
    d_gates, d_c, d_h = kernels.backward(options, given, cs, gates, d_outputs, d_carry, scales)
    before = [hs[:, 1:], h[:, None]] if options.reverse else [h[:, None], hs[:, :-1]]
    read = jnp.concatenate([steps, jnp.concatenate(before, axis=1)], axis=2)
    # One product for all weights.
    product = _multiply("ntkhc,ntfc->khf", d_gates, read, options)
    num_inputs = steps.shape[2]
    d_weights = Weights(product[..., :num_inputs], product[..., num_inputs:])
    d_steps = _multiply("ntkhc,khd->ntdc", d_gates, weights.inputs, options)
    return d_weights, d_steps, (d_c, d_h), None, None


_read.defvjp(_forward, _backward, symbolic_zeros=True)


def _given(
    options: Options, recurrent: Array, c: Array, step_mask: Any, candidate_mask: Any
) -> Given:
    is_step = None if step_mask is None else step_mask.astype(jnp.int32)
    return Given(recurrent.astype(options.dtype), c, is_step, candidate_mask)


def _scales(d_outputs: Array | None, d_carry: Any, *, is_even: bool) -> Array:
    """(2,), of gradients in float16: at the first step that is gone back, and at most.

    Each step brings the gradients of the step before to 1, far from both ends of float16, so that
    they may vanish or explode over time as in float32. But where gradients also come in later on,
    at outputs or at the ends of shorter sequences, these must not overflow.
    """
    leaves = [leaf for leaf in (d_outputs, *d_carry) if leaf is not None]
    largest = functools.reduce(jnp.maximum, [jnp.max(jnp.abs(leaf)) for leaf in leaves])
    largest = jnp.maximum(largest, 1e-30)
    return jnp.stack([1 / largest, jnp.float32(1e30) if is_even else 4096 / largest])


def _multiply(indices: str, left: Array, right: Array, options: Options) -> Array:
    """A product over all steps, in bfloat16 or as the default precision says; float32."""
    if options.dtype == jnp.bfloat16:
        left, right = left.astype(jnp.bfloat16), right.astype(jnp.bfloat16)
    return jnp.einsum(indices, left, right, preferred_element_type=jnp.float32)


def _by_gate(kernel: Array, more_units: int) -> Array:
    """(F, 4H) as (4, H + more, F)."""
    by_gate = kernel.reshape(kernel.shape[0], 4, -1).transpose(1, 2, 0)
    return jnp.pad(by_gate, ((0, 0), (0, more_units), (0, 0)))


def _in_groups(array: Array) -> Array:
    """(B, ...) as (N, ..., COLUMNS)."""
    return jnp.moveaxis(array.reshape(-1, COLUMNS, *array.shape[1:]), 1, -1)


def _in_a_row(array: Array) -> Array:
    """(N, ..., COLUMNS) as (B, ...)."""
    return jnp.moveaxis(array, -1, 1).reshape(-1, *array.shape[1:-1])


def _power_of_two(number: int) -> int:
    """The smallest one that is not smaller."""
    return 1 << (number - 1).bit_length()
