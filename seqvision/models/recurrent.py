"""The recurrent layer: an LSTM over the time axis of a batch of sequences."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from seqvision.shapes import Hidden, HiddenSequence, Sequence

Carry = tuple[Hidden, Hidden]
"""The LSTM's memory: cell state and hidden state, each (B, H)."""


class LSTM(nn.Module):
    """A long short-term memory, read left to right (Hochreiter & Schmidhuber, 1997).

    `nn.scan` over Flax's LSTM cell, whose equations and parameter names it keeps: gates i, f, g,
    o, with kernels `ii if ig io` (D, H), `hi hf hg ho` (H, H) and one bias (H,) per gate:

        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)        h' = sigmoid(o) * tanh(c')

    Attributes:
      hidden_size: H.
      forget_bias: where the bias of the forget gate starts; the other biases start at 0. With 1
        the cell remembers from the beginning (Gers et al., 2000; Jozefowicz et al., 2015).
      dtype: precision of the products; parameters and carry are float32.
    """

    hidden_size: int
    forget_bias: float = 1.0
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(
        self, inputs: Sequence, initial_carry: Carry | None = None
    ) -> tuple[HiddenSequence, Carry]:
        """Reads whole sequences.

        Args:
          inputs: (B, T, D).
          initial_carry: the memory before the first step; zeros by default.

        Returns:
          The hidden state after every step (B, T, H), and the carry after the last one.
        """
        cell_class = nn.OptimizedLSTMCell
        if self.is_initializing():
            cell_class = nn.map_variables(
                cell_class, "params", trans_out_fn=self._start_forget_bias, init=True
            )
        scanned = nn.scan(
            cell_class,
            variable_broadcast="params",
            split_rngs={"params": False},
            in_axes=TIME_AXIS,
            out_axes=TIME_AXIS,
        )
        cell = scanned(features=self.hidden_size, dtype=self.dtype, name="cell")
        if initial_carry is None:
            initial_carry = self.initialize_carry(inputs.shape[0])
        carry, outputs = cell(initial_carry, inputs)
        return outputs, carry

    @nn.nowrap
    def initialize_carry(self, batch_size: int) -> Carry:
        """The memory before anything was read: zeros."""
        zeros = jnp.zeros((batch_size, self.hidden_size), jnp.float32)
        return zeros, zeros

    def _start_forget_bias(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Flax starts all biases alike; this sets the forget gate's."""
        params = dict(variables["params"])
        bias = jax.tree.map(lambda b: jnp.full_like(b, self.forget_bias), params["hf"]["bias"])
        params["hf"] = {**params["hf"], "bias": bias}
        return {"params": params}


TIME_AXIS = 1
