"""GPU kernels of the LSTM that keep weights and memory on the chip over all time steps.

Each program reads some sequences of the batch from their first step to their last. The
recurrent weights lie in its shared memory and the memory (c, h) in its registers, so that a step
fetches only its projected inputs, which are asked for one step ahead, and no program waits for
another (Diamos et al., 2016, "Persistent RNNs"). The kernels are Pallas, lowered through Triton.

The batch is cut into N groups of `COLUMNS` sequences, one for each program. What a program reads or
writes in a step lies together, features first: (N, T, features, COLUMNS). Gates are in the order
i, f, g, o.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as pallas_triton

COLUMNS = 8
"""The fewest columns of a product of the tensor cores: the most programs, with the least to do."""

FORWARD_AHEAD, BACKWARD_AHEAD = 1, 2
"""Steps before its use at which something is asked for, as measured on an H200."""

_NUM_GATES = 4
LOG2_E = math.log2(math.e)


class Options(NamedTuple):
    """What is fixed when the kernels are made.

    Attributes:
      dtype: of what is multiplied, float16 or bfloat16; sums and everything else are float32.
      reverse: the last step is read first.
      interpret: runs on any device, slowly, for tests.
    """

    dtype: jnp.dtype
    reverse: bool = False
    interpret: bool = False


class Given(NamedTuple):
    """What both kernels read; H is a power of two from 16 on.

    Attributes:
      weights: (4, H, H) in `Options.dtype`: forward, row j of gate k has the weights that unit j
        gives to the units of h; backward, each transposed.
      c: (N, H, COLUMNS), before the first step.
      is_step: (N, T, COLUMNS), int32, 0 in the padding; None without padding.
      candidate_mask: (N, H, COLUMNS), or None.
    """

    weights: Any
    c: Any
    is_step: Any
    candidate_mask: Any


def forward(
    options: Options, given: Given, projected: Array, h: Array, *, keep: bool
) -> tuple[Array, Array, Array | None]:
    """Reads all steps.

    Args:
      options: as in `Options`.
      given: as in `Given`.
      projected: (N, T, 4, H, COLUMNS), inputs times their kernel, with the bias.
      h: (N, H, COLUMNS), before the first step.
      keep: whether the backward pass will follow.

    Returns:
      h after every step, (N, T, H, COLUMNS); c after every step, or without `keep` after the last
      one, (N, H, COLUMNS); the gates (N, T, 4, H, COLUMNS) as in `_packed`, or None without `keep`.
    """
    num_steps = projected.shape[1]
    every_step = jax.ShapeDtypeStruct((*projected.shape[:2], *h.shape[1:]), jnp.float32)
    last = jax.ShapeDtypeStruct(h.shape, jnp.float32)
    gates = jax.ShapeDtypeStruct(projected.shape, jnp.float16)

    def kernel(given: Any, projected: Any, h: Any, hs: Any, cs: Any, gates: Any = None) -> None:
        _forward_kernel(options, num_steps, given, projected, h, hs, cs, gates)

    kernel.__name__ = "persistent_lstm_forward"
    outputs = _call(
        options, kernel, [every_step, every_step, gates] if keep else [every_step, last]
    )
    hs, cs, *kept = outputs(given, projected, h)
    return hs, cs, kept[0] if kept else None


def backward(
    options: Options,
    given: Given,
    cs: Array,
    gates: Array,
    d_outputs: Array | None,
    d_carry: tuple[Array, Array],
    scales: Array,
) -> tuple[Array, Array, Array]:
    """The gradients, from the last step read to the first.

    Args:
      options: as in `Options`.
      given: as in `Given`.
      cs, gates: as `forward` kept them.
      d_outputs: (N, T, H, COLUMNS), or None for zeros.
      d_carry: of (c, h) after the last step, (N, H, COLUMNS) each.
      scales: (2,), by which gradients are multiplied where they are float16: at the first step that
        is gone back, and at most.

    Returns:
      The gradients of what the gates are the functions of, (N, T, 4, H, COLUMNS); of c and of h
      before the first step, (N, H, COLUMNS) each.
    """
    num_steps = gates.shape[1]
    memory = jax.ShapeDtypeStruct(given.c.shape, jnp.float32)

    def kernel(*refs: Any) -> None:
        _backward_kernel(options, num_steps, *refs)

    kernel.__name__ = "persistent_lstm_backward"
    d_gates = jax.ShapeDtypeStruct(gates.shape, _d_gates_dtype(options))
    outputs = _call(options, kernel, [d_gates, memory, memory])
    return outputs(given, cs, gates, d_outputs, d_carry, scales)


def _call(options: Options, kernel: Any, out_shape: Any) -> Any:
    num_groups, *_, hidden_size, _ = out_shape[0].shape
    return pl.pallas_call(
        kernel,
        grid=(num_groups,),
        out_shape=out_shape,
        # One warp for 16 units, the rows of the smallest product of the tensor cores.
        compiler_params=pallas_triton.CompilerParams(num_warps=hidden_size // 16, num_stages=1),
        interpret=options.interpret,
    )


def _forward_kernel(
    options: Options,
    num_steps: int,
    given: Given,
    projected: Any,
    h: Any,
    hs: Any,
    cs: Any,
    gates: Any,
) -> None:
    own = pl.program_id(0)
    weights = [given.weights[gate] for gate in range(_NUM_GATES)]
    mask = None if given.candidate_mask is None else given.candidate_mask[own]

    def fetch(number: Any) -> Any:
        at = _step_at(number, num_steps, options.reverse)
        is_step = None if given.is_step is None else given.is_step[own, at]
        return is_step, [projected[own, at, gate] for gate in range(_NUM_GATES)]

    def read_step(number: Any, carry: Any) -> Any:
        c, h, ((is_step, inputs), *ahead) = carry
        ahead = [*ahead, fetch(jnp.minimum(number + FORWARD_AHEAD, num_steps - 1))]
        multiplied = h.astype(options.dtype)
        i, f, g, o = (
            add + _times(weight, multiplied) for add, weight in zip(inputs, weights, strict=True)
        )
        shares = i, f, g, o = [_sigmoid(options, z) for z in (i, f, 2 * g, o)]
        written = 2 * g - 1  # The tanh.
        new_c = f * c + i * (written if mask is None else written * mask)
        new_h = o * _tanh(options, new_c)
        if is_step is not None:
            new_c = jnp.where(is_step[None] > 0, new_c, c)
            new_h = jnp.where(is_step[None] > 0, new_h, h)
        at = _step_at(number, num_steps, options.reverse)
        hs[own, at] = new_h
        if gates is not None:
            cs[own, at] = new_c
            for gate, share in enumerate(shares):
                gates[own, at, gate] = _packed(share)
        return new_c, new_h, ahead

    ahead = [fetch(min(number, num_steps - 1)) for number in range(FORWARD_AHEAD)]
    first = given.c[own], h[own], ahead
    last_c, _, _ = _each_step(num_steps, read_step, first)
    if gates is None:
        cs[own] = last_c


def _backward_kernel(
    options: Options,
    num_steps: int,
    given: Given,
    cs: Any,
    gates: Any,
    d_outputs: Any,
    d_carry: Any,
    scales: Any,
    d_gates: Any,
    d_first_c: Any,
    d_first_h: Any,
) -> None:
    own = pl.program_id(0)
    weights = [given.weights[gate] for gate in range(_NUM_GATES)]
    mask = None if given.candidate_mask is None else given.candidate_mask[own]
    first_c = given.c[own]

    def fetch(number: Any) -> Any:
        at = _step_at(number, num_steps, options.reverse)
        before = _step_at(jnp.maximum(number - 1, 0), num_steps, options.reverse)
        return (
            [gates[own, at, gate] for gate in range(_NUM_GATES)],
            cs[own, before],
            None if d_outputs is None else d_outputs[own, at],
            None if given.is_step is None else given.is_step[own, at],
        )

    def step_back(done: Any, carry: Any) -> Any:
        number = num_steps - 1 - done
        d_c, d_h, c, scale, ((kept, c_before, d_output, is_step), *ahead) = carry
        ahead = [*ahead, fetch(jnp.maximum(number - BACKWARD_AHEAD, 0))]
        c_before = jnp.where(number > 0, c_before, first_c)
        if d_output is not None:
            d_h = d_h + d_output
        tanh_c = _tanh(options, c)
        of_gates, d_old_c = _gradients_of_gates(kept, tanh_c, c_before, mask, d_c, d_h)
        if is_step is not None:
            of_gates = [jnp.where(is_step[None] > 0, value, 0.0) for value in of_gates]
            d_old_c = jnp.where(is_step[None] > 0, d_old_c, d_c)
        d_old_h = _sum_of_products(weights, of_gates, scale, options.dtype)
        if is_step is not None:
            d_old_h = jnp.where(is_step[None] > 0, d_old_h, d_h)
        at = _step_at(number, num_steps, options.reverse)
        for gate, value in enumerate(of_gates):
            d_gates[own, at, gate] = value.astype(_d_gates_dtype(options))
        if scale is not None:
            largest = functools.reduce(jnp.maximum, map(jnp.abs, of_gates)).max()
            scale = jnp.minimum(1 / largest, scales[1])
        return d_old_c, d_old_h, c_before, scale, ahead

    last = _step_at(num_steps - 1, num_steps, options.reverse)
    d_c, d_h = d_carry[0][own], d_carry[1][own]
    scale = scales[0] if options.dtype == jnp.float16 else None
    ahead = [fetch(max(num_steps - 1 - done, 0)) for done in range(BACKWARD_AHEAD)]
    carry = d_c, d_h, cs[own, last], scale, ahead
    d_c, d_h, *_ = _each_step(num_steps, step_back, carry)
    d_first_c[own] = d_c
    d_first_h[own] = d_h


def _gradients_of_gates(
    kept: list[Array],
    tanh_c: Array,
    c_before: Array,
    candidate_mask: Array | None,
    d_c: Array,
    d_h: Array,
) -> tuple[list[Array], Array]:
    """Those of one step, and that of c before it; each array is (H, COLUMNS)."""
    (i, not_i), (f, not_f), (g, not_g), (o, not_o) = map(_unpacked, kept)
    d_new_c = d_c + d_h * o * (1 - tanh_c * tanh_c)
    written, d_written = g - not_g, d_new_c
    if candidate_mask is not None:
        written, d_written = written * candidate_mask, d_written * candidate_mask
    of_gates = [
        d_new_c * written * i * not_i,
        d_new_c * c_before * f * not_f,
        d_written * i * (4 * g * not_g),
        d_h * tanh_c * o * not_o,
    ]
    return of_gates, d_new_c * f


def _each_step(num_steps: int, step: Callable[[Any, Any], Any], carry: Any) -> Any:
    """The carry after all steps, of which `step` takes the number and the carry before.

    Not a `fori_loop`: into a loop that counts, Triton moves the loads of the weights from shared
    memory, next to their use, where each product waits for its own; so they stay in registers.
    """
    state = lax.while_loop(
        lambda state: state[0] < num_steps,
        lambda state: (state[0] + 1, step(*state)),
        (jnp.int32(0), carry),
    )
    return state[1]


def _sum_of_products(
    weights: list[Array], values: list[Array], scale: Array | None, dtype: jnp.dtype
) -> Array:
    """The sum of weights times values, each (H, B), which are scaled before they are rounded."""
    if scale is not None:
        values = [value * scale for value in values]
    i, f, g, o = (
        _times(weight, value.astype(dtype)) for weight, value in zip(weights, values, strict=True)
    )
    total = (i + f) + (g + o)
    return total if scale is None else total * (1 / scale)


def _d_gates_dtype(options: Options) -> jnp.dtype:
    """float32 where there is no scale that fits all steps."""
    return options.dtype if options.dtype == jnp.bfloat16 else jnp.dtype(jnp.float32)


def _packed(share: Array) -> Array:
    """A number from 0 to 1 as float16, above 1/2 less 1: precise near 0 and near 1."""
    return jnp.where(share > 0.5, share - 1, share).astype(jnp.float16)


def _unpacked(packed: Array) -> tuple[Array, Array]:
    """What was packed, and what it lacks to 1."""
    packed = packed.astype(jnp.float32)
    return jnp.where(packed < 0, 1 + packed, packed), jnp.where(packed < 0, -packed, 1 - packed)


def _step_at(number: Any, num_steps: int, reverse: bool) -> Any:
    """Where in time the step lies that is read as this number."""
    return num_steps - 1 - number if reverse else number


def _times(weight: Array, features: Array) -> Array:
    return jnp.dot(weight, features, preferred_element_type=jnp.float32)


def _sigmoid(options: Options, z: Array) -> Array:
    """1 / (1 + exp(-z)) by instructions that the hardware has.

    Two are wrong by 3e-7 at most; for products of bfloat16, one by 3e-4.
    """
    if options.dtype == jnp.bfloat16 and not options.interpret:
        return 0.5 * pallas_triton.approx_tanh(0.5 * z) + 0.5
    root = lax.rsqrt(1.0 + jnp.exp2(-LOG2_E * z))
    return root * root


def _tanh(options: Options, z: Array) -> Array:
    return 2.0 * _sigmoid(options, 2.0 * z) - 1.0
