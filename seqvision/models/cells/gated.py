"""Cells that need a loop over time: LSTM, GRU, layer-normalised LSTM, JANET."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jax.nn import sigmoid
from jax.numpy import tanh
from jaxtyping import Float

from seqvision.models.cells.base import Carry, Cell, MemoryPair, Projected, product
from seqvision.models.cells.initializers import recurrent_kernels
from seqvision.shapes import Features, Hidden, Mask


class LoopCell(Cell):
    """A cell whose gates read the hidden state; its parameter `recurrent_kernel` is (H, G*H)."""

    def setup(self) -> None:
        super().setup()
        width = len(self.gate_names) * self.hidden_size
        self.recurrent_kernel = self.param(
            "recurrent_kernel",
            recurrent_kernels(self.options.recurrent_init),
            (self.hidden_size, width),
        )

    def recur(self, hidden: Hidden) -> Projected:
        """What the hidden state adds to the gates, (B, G*H)."""
        return product(hidden, self.recurrent_kernel, self.dtype)

    def masked_step(
        self,
        carry: Carry,
        projected: Projected,
        is_step: Mask | None,
        candidate_mask: Hidden | None,
    ) -> tuple[Carry, Hidden]:
        """`step` for examples where `is_step` (B,); others keep their carry and output 0."""
        new_carry, output = self.step(carry, projected, candidate_mask)
        if is_step is None:
            return new_carry, output
        is_step = is_step[:, None]
        new_carry = jax.tree.map(lambda new, old: jnp.where(is_step, new, old), new_carry, carry)
        return new_carry, jnp.where(is_step, output, 0.0)

    def project_and_masked_step(
        self,
        carry: Carry,
        inputs: Features,
        is_step: Mask | None,
        candidate_mask: Hidden | None,
    ) -> tuple[Carry, Hidden]:
        """`masked_step` from the inputs (B, D) themselves."""
        return self.masked_step(carry, self.project(inputs), is_step, candidate_mask)


class LSTM(LoopCell):
    """Long short-term memory (Hochreiter & Schmidhuber, 1997; forget gate: Gers et al., 2000).

    Gates in the order i, f, g, o, each W x + U h + b; m is the candidate mask:

        c' = sigmoid(f) c + sigmoid(i) m tanh(g)        h' = sigmoid(o) tanh(c')

    With `refine_gates` the first gate is the refine gate r, and the input gate is what the
    effective forget gate e leaves (Gu et al., 2020, arXiv 1910.09890):

        e = sigmoid(r) (1 - (1 - sigmoid(f))^2) + (1 - sigmoid(r)) sigmoid(f)^2
        c' = e c + (1 - e) m tanh(g)                    h' = sigmoid(o) tanh(c')
    """

    gates: ClassVar = ("input", "keep", "candidate", "output")
    refined_gates: ClassVar = ("refine", "keep", "candidate", "output")

    @nn.nowrap
    def initialize_carry(self, batch_size: int) -> MemoryPair:
        zeros = jnp.zeros((batch_size, self.hidden_size), jnp.float32)
        return zeros, zeros

    def step(
        self, carry: MemoryPair, projected: Projected, candidate_mask: Hidden | None = None
    ) -> tuple[MemoryPair, Hidden]:
        c, h = carry
        i, f, g, o = jnp.split(projected + self.recur(h), 4, axis=-1)
        keep, write = sigmoid(f), sigmoid(i)
        if self.options.refine_gates:
            keep = refined(keep, sigmoid(i))
            write = 1 - keep
        c = keep * c + write * masked(tanh(g), candidate_mask)
        h = sigmoid(o) * tanh(c)
        return (c, h), h


class LayerNormLSTM(LoopCell):
    """LSTM with layer normalisation (Ba et al., 2016, arXiv 1607.06450, eq. 20-22).

    LN sets the mean of an example to 0 and its variance to 1, over all four gates together:

        i, f, g, o = LN(U h) recurrent_scale + LN(W x) input_scale + b
        c' = sigmoid(f) c + sigmoid(i) m tanh(g)
        h' = sigmoid(o) tanh(LN(c') memory_scale + memory_offset)

    The scales of the gates (4H,) and of the memory (H,) start at 1, the memory's offset (H,) at 0.
    The gates' normalisations have no offsets, since b would make them redundant.
    """

    gates: ClassVar = ("input", "keep", "candidate", "output")

    def setup(self) -> None:
        super().setup()
        ones, zeros = jax.nn.initializers.ones, jax.nn.initializers.zeros
        self.input_scale = self.param("input_scale", ones, (4 * self.hidden_size,))
        self.recurrent_scale = self.param("recurrent_scale", ones, (4 * self.hidden_size,))
        self.memory_scale = self.param("memory_scale", ones, (self.hidden_size,))
        self.memory_offset = self.param("memory_offset", zeros, (self.hidden_size,))

    @nn.nowrap
    def initialize_carry(self, batch_size: int) -> MemoryPair:
        zeros = jnp.zeros((batch_size, self.hidden_size), jnp.float32)
        return zeros, zeros

    def project(self, inputs: Float[Array, "*steps D"]) -> Projected:
        projected = normalized(product(inputs, self.input_kernel, self.dtype), self.input_scale)
        return projected + jnp.broadcast_to(self.bias, projected.shape)

    def step(
        self, carry: MemoryPair, projected: Projected, candidate_mask: Hidden | None = None
    ) -> tuple[MemoryPair, Hidden]:
        c, h = carry
        recurrent = normalized(self.recur(h), self.recurrent_scale)
        i, f, g, o = jnp.split(projected + recurrent, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * masked(tanh(g), candidate_mask)
        offset = jnp.broadcast_to(self.memory_offset, c.shape)
        h = sigmoid(o) * tanh(normalized(c, self.memory_scale) + offset)
        return (c, h), h


class GRU(LoopCell):
    """Gated recurrent unit (Cho et al., 2014, arXiv 1406.1078, its first version, as in cuDNN).

    Gates in the order r, z, n:

        r = sigmoid(W_r x + U_r h + b_r)        z = sigmoid(W_z x + U_z h + b_z)
        n = tanh(W_n x + b_n + r (U_n h + candidate_bias))
        h' = (1 - z) m n + z h

    With `refine_gates` there is a fourth gate, q = sigmoid(W_q x + U_q h + b_q), and e takes the
    place of z in h' (Gu et al., 2020, arXiv 1910.09890):

        e = q (1 - (1 - z)^2) + (1 - q) z^2
    """

    gates: ClassVar = ("reset", "keep", "candidate")
    refined_gates: ClassVar = ("reset", "keep", "candidate", "refine")

    def setup(self) -> None:
        super().setup()
        zeros = jax.nn.initializers.zeros
        self.candidate_bias = self.param("candidate_bias", zeros, (self.hidden_size,))

    def step(
        self, carry: Hidden, projected: Projected, candidate_mask: Hidden | None = None
    ) -> tuple[Hidden, Hidden]:
        h = carry
        num_gates = len(self.gate_names)
        from_input = jnp.split(projected, num_gates, axis=-1)
        from_hidden = jnp.split(self.recur(h), num_gates, axis=-1)
        r, z = (sigmoid(from_input[gate] + from_hidden[gate]) for gate in (0, 1))
        if self.options.refine_gates:
            z = refined(z, sigmoid(from_input[3] + from_hidden[3]))
        hidden_candidate = from_hidden[2] + jnp.broadcast_to(self.candidate_bias, h.shape)
        n = tanh(from_input[2] + r * hidden_candidate)
        h = (1 - z) * masked(n, candidate_mask) + z * h
        return h, h


class JANET(LoopCell):
    """Just another network: the LSTM with its forget gate alone.

    (van der Westhuizen & Lasenby, 2018, "The unreasonable effectiveness of the forget gate", arXiv
    1804.04849.) Gates in the order f, g, each W x + U h + b; the memory is the output:

        h' = sigmoid(f) h + (1 - sigmoid(f - 1)) m tanh(g)

    The 1 is the paper's beta: a little more is written than is forgotten.
    """

    gates: ClassVar = ("keep", "candidate")

    def step(
        self, carry: Hidden, projected: Projected, candidate_mask: Hidden | None = None
    ) -> tuple[Hidden, Hidden]:
        h = carry
        f, g = jnp.split(projected + self.recur(h), 2, axis=-1)
        h = sigmoid(f) * h + sigmoid(1 - f) * masked(tanh(g), candidate_mask)
        return h, h


def refined(gate: Array, refine: Array) -> Array:
    """Between the gate's square and its mirror image, (B, H): Gu et al., 2020, arXiv 1910.09890."""
    return refine * (1 - (1 - gate) ** 2) + (1 - refine) * gate**2


def masked(candidate: Array, mask: Array | None) -> Array:
    return candidate if mask is None else candidate * mask


def normalized(array: Array, scale: Array) -> Array:
    """Layer normalisation over the last axis (Ba et al., 2016, eq. 3-4), times scale.

    The variance grows by 1e-5. Where it is smaller than that, as of an empty memory, the result is
    0 and no gradient goes through, which would grow 300 times larger with each blank row.
    """
    centred = array - array.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    unit = centred * jax.lax.rsqrt(variance + 1e-5)
    return jnp.where(variance < 1e-5, 0.0, unit) * jnp.broadcast_to(scale, array.shape)


GATED_CELLS: dict[str, type[Cell]] = {
    "lstm": LSTM,
    "gru": GRU,
    "layer_norm_lstm": LayerNormLSTM,
    "janet": JANET,
}
