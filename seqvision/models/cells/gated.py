"""Cells that need a loop over time: LSTM, GRU, layer-normalised LSTM, JANET."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from seqvision.models.cells.base import Carry, Cell, Projected
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

    name_in_config: ClassVar = "lstm"
    gates: ClassVar = ("input", "keep", "candidate", "output")
    refined_gates: ClassVar = ("refine", "keep", "candidate", "output")


class LayerNormLSTM(LoopCell):
    """LSTM with layer normalisation (Ba et al., 2016, arXiv 1607.06450, eq. 20-22).

    LN sets the mean of an example to 0 and its variance to 1, over all four gates together:

        i, f, g, o = LN(U h) recurrent_scale + LN(W x) input_scale + b
        c' = sigmoid(f) c + sigmoid(i) m tanh(g)
        h' = sigmoid(o) tanh(LN(c') memory_scale + memory_offset)

    The scales of the gates (4H,) and of the memory (H,) start at 1, the memory's offset (H,) at 0.
    The gates' normalisations have no offsets, since b would make them redundant.
    """

    name_in_config: ClassVar = "layer_norm_lstm"
    gates: ClassVar = ("input", "keep", "candidate", "output")

    def setup(self) -> None:
        super().setup()
        ones, zeros = jax.nn.initializers.ones, jax.nn.initializers.zeros
        self.input_scale = self.param("input_scale", ones, (4 * self.hidden_size,))
        self.recurrent_scale = self.param("recurrent_scale", ones, (4 * self.hidden_size,))
        self.memory_scale = self.param("memory_scale", ones, (self.hidden_size,))
        self.memory_offset = self.param("memory_offset", zeros, (self.hidden_size,))


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

    name_in_config: ClassVar = "gru"
    gates: ClassVar = ("reset", "keep", "candidate")
    refined_gates: ClassVar = ("reset", "keep", "candidate", "refine")

    def setup(self) -> None:
        super().setup()
        zeros = jax.nn.initializers.zeros
        self.candidate_bias = self.param("candidate_bias", zeros, (self.hidden_size,))


class JANET(LoopCell):
    """Just another network: the LSTM with its forget gate alone.

    (van der Westhuizen & Lasenby, 2018, "The unreasonable effectiveness of the forget gate", arXiv
    1804.04849.) Gates in the order f, g, each W x + U h + b; the memory is the output:

        h' = sigmoid(f) h + (1 - sigmoid(f - 1)) m tanh(g)

    The 1 is the paper's beta: a little more is written than is forgotten.
    """

    name_in_config: ClassVar = "janet"
    gates: ClassVar = ("keep", "candidate")


GATED_CELLS: dict[str, type[Cell]] = {
    cell.name_in_config: cell for cell in (LSTM, GRU, LayerNormLSTM, JANET)
}
