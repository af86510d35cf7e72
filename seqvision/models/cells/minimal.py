"""Cells whose gates read the inputs alone, so that whole sequences are read without a loop."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array
from jax.nn import sigmoid, softplus
from jaxtyping import Bool, Float32

from seqvision.models.cells.base import TIME_AXIS, Cell, Projected
from seqvision.shapes import Hidden, HiddenSequence


class MinimalCell(Cell):
    """A memory that is linear in itself: h_t = keep_t h_{t-1} + write_t m candidate_t.

    (Feng et al., 2024, "Were RNNs all we needed?", arXiv 2410.01201.) It has no recurrent kernel,
    and takes no `recurrent_init` therefore.
    """

    def setup(self) -> None:
        if self.recurrent_init != "orthogonal":
            raise ValueError("recurrent_init: min_lstm and min_gru have no recurrent kernel")
        super().setup()

    def keep_write_candidate(self, projected: Projected) -> tuple[Array, Array, Array]:
        """What is kept and what is written of the candidate, each (..., H)."""
        raise NotImplementedError

    def step(
        self, carry: Hidden, projected: Projected, candidate_mask: Hidden | None = None
    ) -> tuple[Hidden, Hidden]:
        keep, write, candidate = self.keep_write_candidate(projected)
        if candidate_mask is not None:
            candidate = candidate * candidate_mask
        h = keep * carry + write * candidate
        return h, h

    def read(
        self,
        carry: Hidden,
        projected: Float32[Array, "B T GH"],
        real: Bool[Array, "B T"] | None,
        candidate_mask: Hidden | None,
    ) -> tuple[Hidden, HiddenSequence]:
        """All time steps, by a parallel scan over the pairs (a, b) of h_t = a_t h_{t-1} + b_t.

        Args:
          carry: the memory before the first step, (B, H).
          projected: (B, T, G*H), from `project`.
          real: (B, T), the steps that are no padding.
          candidate_mask: (B, H), see `step`.

        Returns:
          The memory after the last real step, and the outputs (B, T, H), 0 in the padding.
        """
        a, write, candidate = self.keep_write_candidate(projected)
        if candidate_mask is not None:
            candidate = candidate * candidate_mask[:, None]
        b = write * candidate
        if real is not None:
            real = real[..., None]
            a, b = jnp.where(real, a, 1.0), jnp.where(real, b, 0.0)
        a, b = jax.lax.associative_scan(_one_after_another, (a, b), axis=TIME_AXIS)
        outputs = a * carry[:, None] + b
        carry = outputs[:, -1]
        return carry, outputs if real is None else jnp.where(real, outputs, 0.0)


def _one_after_another(first: tuple[Array, Array], second: tuple[Array, Array]) -> tuple:
    """h -> a h + b, then the second such map, as one map."""
    return second[0] * first[0], second[0] * first[1] + second[1]


class MinLSTM(MinimalCell):
    """minLSTM (Feng et al., 2024, arXiv 2410.01201), its forget and input gate adding up to 1.

    Gates in the order i, f, g, each W x + b:

        h' = (sigmoid(f) h + sigmoid(i) m g) / (sigmoid(f) + sigmoid(i))
    """

    gates: ClassVar = ("input", "keep", "candidate")

    def keep_write_candidate(self, projected: Projected) -> tuple[Array, Array, Array]:
        i, f, g = jnp.split(projected, 3, axis=-1)
        # log(sigmoid(f) / sigmoid(i)): both sigmoids may underflow to 0, and 0/0 is no share.
        log_ratio = softplus(-i) - softplus(-f)
        return sigmoid(log_ratio), sigmoid(-log_ratio), g


class MinGRU(MinimalCell):
    """minGRU (Feng et al., 2024, arXiv 2410.01201).

    Gates in the order z, g, each W x + b; z writes, so that its bias starts at minus the keeping
    bias:

        h' = (1 - sigmoid(z)) h + sigmoid(z) m g
    """

    gates: ClassVar = ("write", "candidate")

    def keep_write_candidate(self, projected: Projected) -> tuple[Array, Array, Array]:
        z, g = jnp.split(projected, 2, axis=-1)
        return sigmoid(-z), sigmoid(z), g
