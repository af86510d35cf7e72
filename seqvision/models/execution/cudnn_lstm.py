"""The LSTM on NVIDIA GPUs: all time steps in one call of cuDNN, through `jax.experimental.rnn`.

What surrounds the call is tested on CPU, with `jax.experimental.rnn.lstm_ref` in place of cuDNN; a
test of the call itself runs where there is a GPU. On an H200 it was slower than `fused` at every
size, see docs/speed.md.

The call has a gradient (its custom VJP), but no second one, no forward mode and no `vmap`. The
compiler cannot divide it over devices: under `jit` with a sharded batch each GPU reads all of it.
Each call, forward or backward, copies the lengths to the host and waits for them.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jax.experimental import rnn
from jaxtyping import Float32

from seqvision.models.cells.base import MemoryPair
from seqvision.models.execution.nvidia import available
from seqvision.models.padding import reversed_steps, step_mask
from seqvision.shapes import HiddenSequence, Lengths, Sequence

InputKernel = Float32[Array, "D GH"]
RecurrentKernel = Float32[Array, "H GH"]
Bias = Float32[Array, "GH"]


def cudnn_lstm(
    input_kernel: InputKernel,
    recurrent_kernel: RecurrentKernel,
    bias: Bias,
    inputs: Sequence,
    initial_carry: MemoryPair,
    lengths: Lengths | None = None,
    *,
    reverse: bool = False,
    precision: jax.lax.PrecisionLike = None,
) -> tuple[HiddenSequence, MemoryPair]:
    """Reads whole sequences as `cells.LSTM` does, with its parameters.

    Padding is on the right and changes nothing, whatever it holds.

    Args:
      input_kernel: (D, 4H), the gates in the order i, f, g, o.
      recurrent_kernel: (H, 4H).
      bias: (4H,).
      inputs: (B, T, D); read in float32.
      initial_carry: c and h before the first step, each (B, H).
      lengths: (B,), steps of each sequence, 0 to T; T by default.
      reverse: reads from the last step back to the first; the outputs stay in the order of
        time.
      precision: of the matrix products: `highest` for float32, `high` for TF32; by default as
        `jax_default_matmul_precision` says, and TF32 where it is not set.

    Returns:
      The hidden state after every step (B, T, H), 0 in the padding, and the carry (c, h) after the
      last step that was read: the initial one where the length is 0.

    Raises:
      RuntimeError: JAX sees no NVIDIA GPU.
      ValueError: shapes do not fit.
      NotImplementedError: the precision is that of bfloat16.
    """
    if not available():
        raise RuntimeError("the cudnn path of the LSTM needs an NVIDIA GPU, and JAX sees none")
    parameters = (input_kernel, recurrent_kernel, bias)
    return _read(rnn.lstm, *parameters, inputs, initial_carry, lengths, reverse, precision)


def pack(
    input_kernel: InputKernel, recurrent_kernel: RecurrentKernel, bias: Bias
) -> Float32[Array, " weights"]:
    """The parameters as cuDNN's flat vector, (4H (D + H + 2),).

    It holds the input kernel and the recurrent kernel, both transposed, then a bias for each, gates
    in the order i, f, g, o (the docstring of `jax.experimental.rnn`). Ours is the first bias; the
    second is 0.
    """
    weights = (input_kernel.T, recurrent_kernel.T, bias, jnp.zeros_like(bias))
    return jnp.concatenate([weight.ravel() for weight in weights])


def _read(
    lstm: Callable[..., tuple[Array, Array, Array]],
    input_kernel: InputKernel,
    recurrent_kernel: RecurrentKernel,
    bias: Bias,
    inputs: Sequence,
    initial_carry: MemoryPair,
    lengths: Lengths | None,
    reverse: bool,
    precision: jax.lax.PrecisionLike,
) -> tuple[HiddenSequence, MemoryPair]:
    """`cudnn_lstm` with `lstm` in place of `jax.experimental.rnn.lstm`."""
    batch_size, num_steps, input_size = inputs.shape
    hidden_size = recurrent_kernel.shape[0]
    c, h = initial_carry
    # cuDNN goes by these sizes and would read past the end of an array that is smaller.
    for name, array, shape in (
        ("input_kernel", input_kernel, (input_size, 4 * hidden_size)),
        ("recurrent_kernel", recurrent_kernel, (hidden_size, 4 * hidden_size)),
        ("bias", bias, (4 * hidden_size,)),
        ("c", c, (batch_size, hidden_size)),
        ("h", h, (batch_size, hidden_size)),
        ("lengths", jnp.zeros(batch_size) if lengths is None else lengths, (batch_size,)),
    ):
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, not {shape}")

    steps_to_read = jnp.full(batch_size, num_steps, jnp.int32)
    if lengths is not None:
        lengths = jnp.minimum(lengths, num_steps)
        # cuDNN fails on a length of 0 (jax#17966): one step of zeros is read, and then not used.
        steps_to_read = jnp.maximum(lengths, 1)
        mask = step_mask(lengths, num_steps)[..., None]
        # This also keeps whatever cuDNN leaves in the padding of a gradient from going further.
        inputs = jnp.where(mask, inputs, jnp.zeros_like(inputs))
    if reverse:
        inputs = reversed_steps(inputs, lengths)
    outputs, h, c = lstm(
        inputs.astype(jnp.float32),
        h[None],
        c[None],
        pack(input_kernel, recurrent_kernel, bias),
        steps_to_read,
        input_size=input_size,
        hidden_size=hidden_size,
        num_layers=1,
        dropout=0.0,
        bidirectional=False,
        precision=precision,
    )
    carry = (c[0], h[0])
    if lengths is not None:
        outputs = jnp.where(mask, outputs, 0.0)
        was_read = lengths[:, None] > 0
        carry = jax.tree.map(lambda new, old: jnp.where(was_read, new, old), carry, initial_carry)
    return reversed_steps(outputs, lengths) if reverse else outputs, carry
