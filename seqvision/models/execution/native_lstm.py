"""The LSTM of a whole batch in one call of compiled C++ (`native/`): the fastest on CPUs.

XLA calls it through its foreign function interface (`jax.ffi`). It is compiled on the machine that
runs it, see `runtime.native_library`. The call has a gradient, but no second one and no forward
mode. Under `jit` with a sharded batch, `shard_map` must divide it over devices.
"""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import CustomVJPPrimal, SymbolicZero

from seqvision.models.cells.base import MemoryPair
from seqvision.runtime.cpu_devices import usable_cores
from seqvision.runtime.native_library import NoLibraryError, load_library
from seqvision.shapes import Hidden, HiddenSequence, Sequence, StepMask

_SOURCE = Path(__file__).parent / "native" / "lstm.cc"
_FORWARD, _BACKWARD = "seqvision_lstm_forward", "seqvision_lstm_backward"
# Each thread has a gradient of the weights of its own, and reads at least as many sequences as the
# rows of a tile.
_MOST_THREADS, _FEWEST_SEQUENCES = 8, 6


class Options(NamedTuple):
    """What is fixed when the program of a layer is made.

    Attributes:
      reverse: the last step is read first.
      blocks: into which the sequences are divided, each for a thread of its own.
      bfloat16: products are of bfloat16 and summed in float32.
      with_outputs: the hidden state after every step is wanted.
    """

    reverse: bool
    blocks: int
    bfloat16: bool
    with_outputs: bool


class Given(NamedTuple):
    """What no gradient is asked for; empty arrays where there is none."""

    step_mask: Array
    candidate_mask: Array


def native_lstm(
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
    with_outputs: bool = True,
) -> tuple[HiddenSequence | None, MemoryPair]:
    """Reads sequences as `fused_lstm` does, which explains arguments and results.

    The products of wide inputs are summed in float32, too. XLA does not know what the call
    does, so that it writes outputs that nobody uses: without `with_outputs` there are none.

    Raises:
      NoLibraryError: it cannot be compiled here, see `why_not`.
      ValueError: shapes do not fit, or products of this `dtype` cannot be computed.
    """
    dtype = jnp.dtype(jnp.float32) if dtype is None else jnp.dtype(dtype)
    if dtype not in (jnp.float32, jnp.bfloat16):
        raise ValueError(f"dtype is {dtype}; native multiplies float32 or bfloat16")
    batch_size, num_steps, input_size = inputs.shape
    hidden_size = recurrent_kernel.shape[0]
    c, h = initial_carry
    # The compiled code goes by these sizes and would read past the end of an array that is smaller.
    for name, array, shape in (
        ("input_kernel", input_kernel, (input_size, 4 * hidden_size)),
        ("recurrent_kernel", recurrent_kernel, (hidden_size, 4 * hidden_size)),
        ("bias", bias, (4 * hidden_size,)),
        ("c", c, (batch_size, hidden_size)),
        ("h", h, (batch_size, hidden_size)),
        ("step_mask", step_mask, (batch_size, num_steps)),
        ("candidate_mask", candidate_mask, (batch_size, hidden_size)),
    ):
        if array is not None and array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, not {shape}")
    threads = min(usable_cores() // jax.local_device_count("cpu"), _MOST_THREADS)
    outputs, c, h = _read(
        Options(
            reverse,
            max(1, min(threads, batch_size // _FEWEST_SEQUENCES)),
            dtype == jnp.bfloat16,
            with_outputs,
        ),
        jnp.concatenate(
            [part.astype(jnp.float32) for part in (input_kernel, bias[None], recurrent_kernel)]
        ),
        inputs.astype(jnp.float32),
        c.astype(jnp.float32),
        h.astype(jnp.float32),
        Given(
            jnp.zeros((0, 0), bool) if step_mask is None else step_mask.astype(bool),
            jnp.zeros((0, 0), jnp.float32)
            if candidate_mask is None
            else jax.lax.stop_gradient(candidate_mask.astype(jnp.float32)),
        ),
    )
    return outputs if with_outputs else None, (c, h)


class Compiled(NamedTuple):
    """What was compiled.

    Attributes:
      lanes: to a multiple of which units are padded in what is kept for the way back.
      has_bfloat16: whether it multiplies bfloat16.
    """

    lanes: int
    has_bfloat16: bool


@functools.cache
def why_not(dtype: str = "float32") -> str:
    """The reason that this machine has no compiled functions for products in `dtype`, or ""."""
    compiled = _compiled()
    if isinstance(compiled, NoLibraryError):
        return str(compiled)
    if dtype == "bfloat16" and not compiled.has_bfloat16:
        return "this processor does not multiply bfloat16"
    return ""


@functools.cache
def _compiled() -> Compiled | NoLibraryError:
    try:
        library = load_library(_SOURCE)
        forward, backward = getattr(library, _FORWARD), getattr(library, _BACKWARD)
        compiled = Compiled(library.seqvision_lanes(), bool(library.seqvision_has_bfloat16()))
    except NoLibraryError as error:
        return error
    except AttributeError as error:
        return NoLibraryError(f"{error}; CXX names another compiler")
    for name, function in ((_FORWARD, forward), (_BACKWARD, backward)):
        jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(function), platform="cpu")
    return compiled


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _read(
    options: Options, weights: Array, inputs: Array, c: Array, h: Array, given: Given
) -> tuple[Array, Array, Array]:
    """Outputs (B, T, H) or (0,), c and h; weights are (D + 1 + H, 4H): inputs', bias, recurrent."""
    outputs, c, h, *_ = _call_forward(options, weights, inputs, c, h, given, keep=False)
    return outputs, c, h


def _call_forward(
    options: Options,
    weights: Array,
    inputs: Array,
    c: Array,
    h: Array,
    given: Given,
    *,
    keep: bool,
) -> Any:
    batch_size, num_steps, input_size = inputs.shape
    hidden_size = c.shape[1]
    compiled = _compiled()
    if isinstance(compiled, NoLibraryError):
        raise compiled
    lanes = compiled.lanes
    padded = -(-hidden_size // lanes) * lanes
    # Of every step: what meets the weights (of bfloat16, two in a float), the cells, the gates.
    features = input_size + 1 + padded
    kept = (
        num_steps * batch_size * (-(-features // 2) if options.bfloat16 else features),
        (num_steps + 1) * batch_size * padded,
        num_steps * batch_size * 4 * padded,
    )
    outputs_shape = (batch_size, num_steps, hidden_size) if options.with_outputs else (0,)
    shapes = [outputs_shape, c.shape, h.shape]
    shapes += [(size if keep else 0,) for size in kept]
    arguments = weights, inputs, c, h, *given
    return _call(_FORWARD, shapes, num_steps, options, arguments)


def _forward(options: Options, *arguments: Any) -> tuple[Any, Any]:
    # With symbolic zeros, arguments come with a word on whether their gradients are wanted.
    inputs_want_gradient = arguments[1].perturbed
    values = jax.tree.map(
        lambda leaf: leaf.value, arguments, is_leaf=lambda leaf: isinstance(leaf, CustomVJPPrimal)
    )
    outputs, c, h, *kept = _call_forward(options, *values, keep=True)
    weights, inputs, *_, given = values
    # A backward rule takes no Python values: an empty tuple stands for True.
    saved = weights, inputs, given, kept, () if inputs_want_gradient else None
    return (outputs, c, h), saved


def _backward(options: Options, residuals: Any, gradients: Any) -> Any:
    weights, inputs, given, kept, inputs_want_gradient = residuals
    d_outputs, *d_carry = gradients
    if isinstance(d_outputs, SymbolicZero):
        d_outputs = jnp.zeros((0,), jnp.float32)
    d_carry = [
        jnp.zeros(leaf.shape, jnp.float32) if isinstance(leaf, SymbolicZero) else leaf
        for leaf in d_carry
    ]
    num_steps, input_size = inputs.shape[1:]
    wants_inputs = inputs_want_gradient is not None
    d_gates_shape = (*inputs.shape[:2], weights.shape[1]) if wants_inputs else (0,)
    shapes = [weights.shape, *(leaf.shape for leaf in d_carry), d_gates_shape]
    arguments = weights, *given, *kept, d_outputs, *d_carry
    d_weights, d_c, d_h, d_gates = _call(_BACKWARD, shapes, num_steps, options, arguments)
    d_inputs = jnp.zeros_like(inputs)
    if wants_inputs:
        factors = d_gates, weights[:input_size].T
        if options.bfloat16:
            factors = jax.tree.map(lambda factor: factor.astype(jnp.bfloat16), factors)
        d_inputs = jnp.matmul(*factors, preferred_element_type=jnp.float32)
    return d_weights, d_inputs, d_c, d_h, None


_read.defvjp(_forward, _backward, symbolic_zeros=True)


def _call(
    name: str,
    shapes: list[tuple[int, ...]],
    num_steps: int,
    options: Options,
    arguments: tuple[Array, ...],
) -> Any:
    """float32 arrays of these shapes; under `vmap`, one network after another."""
    results = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    call = jax.ffi.ffi_call(name, results, vmap_method="sequential")
    reverse, blocks, bfloat16, _ = options
    return call(*arguments, steps=num_steps, reverse=reverse, blocks=blocks, bfloat16=bfloat16)
