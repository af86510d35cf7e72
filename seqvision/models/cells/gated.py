"""Cells that need a loop over time: LSTM, GRU in two forms, layer-normalised LSTM, JANET."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from seqvision.models.cells.base import Carry, Cell, Projected
from seqvision.models.cells.initializers import recurrent_kernels
from seqvision.models.cells.operations import Operations, Parameters, masked, normalized, refined
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

    memory_is_pair: ClassVar = True
    gates: ClassVar = ("input", "keep", "candidate", "output")
    refined_gates: ClassVar = ("refine", "keep", "candidate", "output")

    @classmethod
    def next_memory(
        cls, ops: Operations, p: Parameters, memory: Any, projected: Any, refine: bool, mask: Any
    ) -> Any:
        c, h = memory
        gates = projected + ops.matmul(h, p["recurrent_kernel"])
        i, f, g, o = ops.split(gates, 4)
        keep, write = ops.sigmoid(f), ops.sigmoid(i)
        if refine:
            keep = refined(keep, write)
            write = 1 - keep
        c = keep * c + write * masked(ops.tanh(g), mask)
        return c, ops.sigmoid(o) * ops.tanh(c)


class LayerNormLSTM(LoopCell):
    """LSTM with layer normalisation (Ba et al., 2016, arXiv 1607.06450, eq. 20-22).

    LN sets the mean of an example to 0 and its variance to 1, over all four gates together:

        i, f, g, o = LN(U h) recurrent_scale + LN(W x) input_scale + b
        c' = sigmoid(f) c + sigmoid(i) m tanh(g)
        h' = sigmoid(o) tanh(LN(c') memory_scale + memory_offset)

    The scales of the gates (4H,) and of the memory (H,) start at 1, the memory's offset (H,) at 0.
    The gates' normalisations have no offsets, since b would make them redundant.
    """

    memory_is_pair: ClassVar = True
    gates: ClassVar = ("input", "keep", "candidate", "output")

    def setup(self) -> None:
        super().setup()
        ones, zeros = jax.nn.initializers.ones, jax.nn.initializers.zeros
        self.input_scale = self.param("input_scale", ones, (4 * self.hidden_size,))
        self.recurrent_scale = self.param("recurrent_scale", ones, (4 * self.hidden_size,))
        self.memory_scale = self.param("memory_scale", ones, (self.hidden_size,))
        self.memory_offset = self.param("memory_offset", zeros, (self.hidden_size,))

    @classmethod
    def project_inputs(cls, ops: Operations, p: Parameters, inputs: Any) -> Any:
        projected = normalized(ops, ops.matmul(inputs, p["input_kernel"]), p["input_scale"])
        return projected + ops.like(p["bias"], projected)

    @classmethod
    def next_memory(
        cls, ops: Operations, p: Parameters, memory: Any, projected: Any, refine: bool, mask: Any
    ) -> Any:
        c, h = memory
        recurrent = normalized(ops, ops.matmul(h, p["recurrent_kernel"]), p["recurrent_scale"])
        i, f, g, o = ops.split(projected + recurrent, 4)
        c = ops.sigmoid(f) * c + ops.sigmoid(i) * masked(ops.tanh(g), mask)
        offset = ops.like(p["memory_offset"], c)
        return c, ops.sigmoid(o) * ops.tanh(normalized(ops, c, p["memory_scale"]) + offset)


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

    @classmethod
    def next_memory(
        cls, ops: Operations, p: Parameters, memory: Any, projected: Any, refine: bool, mask: Any
    ) -> Any:
        h, num_gates = memory, 4 if refine else 3
        from_input = ops.split(projected, num_gates)
        from_hidden = ops.split(ops.matmul(h, p["recurrent_kernel"]), num_gates)
        r, z = (ops.sigmoid(from_input[gate] + from_hidden[gate]) for gate in (0, 1))
        if refine:
            z = refined(z, ops.sigmoid(from_input[3] + from_hidden[3]))
        hidden_candidate = from_hidden[2] + ops.like(p["candidate_bias"], h)
        n = ops.tanh(from_input[2] + r * hidden_candidate)
        return (1 - z) * masked(n, mask) + z * h


class ResetBeforeGRU(LoopCell):
    """GRU that resets h before its product (Cho et al., 2014, arXiv 1406.1078, its third version).

    As TensorFlow's GRUCell and Keras's GRU with `reset_after=False`. Gates in the order r, z, n:

        r = sigmoid(W_r x + U_r h + b_r)        z = sigmoid(W_z x + U_z h + b_z)
        n = tanh(W_n x + b_n + U_n (r h))       h' = (1 - z) m n + z h
    """

    gates: ClassVar = ("reset", "keep", "candidate")

    @classmethod
    def next_memory(
        cls, ops: Operations, p: Parameters, memory: Any, projected: Any, refine: bool, mask: Any
    ) -> Any:
        h = memory
        u_r, u_z, u_n = ops.split(p["recurrent_kernel"], 3)
        r, z, n = ops.split(projected, 3)
        r = ops.sigmoid(r + ops.matmul(h, u_r))
        z = ops.sigmoid(z + ops.matmul(h, u_z))
        n = ops.tanh(n + ops.matmul(r * h, u_n))
        return (1 - z) * masked(n, mask) + z * h


class JANET(LoopCell):
    """Just another network: the LSTM with its forget gate alone.

    (van der Westhuizen & Lasenby, 2018, "The unreasonable effectiveness of the forget gate", arXiv
    1804.04849.) Gates in the order f, g, each W x + U h + b; the memory is the output:

        h' = sigmoid(f) h + (1 - sigmoid(f - 1)) m tanh(g)

    The 1 is the paper's beta: a little more is written than is forgotten.
    """

    gates: ClassVar = ("keep", "candidate")

    @classmethod
    def next_memory(
        cls, ops: Operations, p: Parameters, memory: Any, projected: Any, refine: bool, mask: Any
    ) -> Any:
        f, g = ops.split(projected + ops.matmul(memory, p["recurrent_kernel"]), 2)
        return ops.sigmoid(f) * memory + ops.sigmoid(1 - f) * masked(ops.tanh(g), mask)


GATED_CELLS: dict[str, type[Cell]] = {
    "lstm": LSTM,
    "gru": GRU,
    "gru_reset_before": ResetBeforeGRU,
    "layer_norm_lstm": LayerNormLSTM,
    "janet": JANET,
}
