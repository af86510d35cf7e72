"""Cells whose gates read the inputs alone, so that whole sequences are read without a loop."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float32

from seqvision.models.cells.base import TIME_AXIS, Cell
from seqvision.models.cells.operations import Operations, Parameters, masked
from seqvision.shapes import Hidden, HiddenSequence, StepMask


class MinimalCell(Cell):
    """A memory that is linear in itself: h_t = keep_t h_{t-1} + write_t m candidate_t.

    (Feng et al., 2024, "Were RNNs all we needed?", arXiv 2410.01201.) It has no recurrent kernel,
    and takes no `recurrent_init` therefore.
    """

    def setup(self) -> None:
        if self.options.recurrent_init != "orthogonal":
            raise ValueError("recurrent_init: min_lstm and min_gru have no recurrent kernel")
        super().setup()

    @classmethod
    def keep_write_candidate(cls, ops: Operations, projected: Any) -> tuple[Any, Any, Any]:
        """What is kept and what is written of the candidate, each (..., H)."""
        raise NotImplementedError

    @classmethod
    def next_memory(
        cls, ops: Operations, p: Parameters, memory: Any, projected: Any, refine: bool, mask: Any
    ) -> Any:
        keep, write, candidate = cls.keep_write_candidate(ops, projected)
        return keep * memory + write * masked(candidate, mask)

    def read(
        self,
        carry: Hidden,
        projected: Float32[Array, "B T GH"],
        step_mask: StepMask | None,
        candidate_mask: Hidden | None,
    ) -> tuple[Hidden, HiddenSequence]:
        """All time steps, by a parallel scan over the pairs (a, b) of h_t = a_t h_{t-1} + b_t.

        Args:
          carry: the memory before the first step, (B, H).
          projected: (B, T, G*H), from `project`.
          step_mask: (B, T), False in the padding.
          candidate_mask: (B, H), see `step`.

        Returns:
          The memory after the last step, and the outputs (B, T, H), 0 in the padding.
        """
        a, write, candidate = self.keep_write_candidate(self._operations, projected)
        if candidate_mask is not None:
            candidate = candidate * candidate_mask[:, None]
        b = write * candidate
        if step_mask is not None:
            step_mask = step_mask[..., None]
            a, b = jnp.where(step_mask, a, 1.0), jnp.where(step_mask, b, 0.0)
        a, b = jax.lax.associative_scan(_one_after_another, (a, b), axis=TIME_AXIS)
        outputs = a * carry[:, None] + b
        carry = outputs[:, -1]
        return carry, outputs if step_mask is None else jnp.where(step_mask, outputs, 0.0)


def _one_after_another(first: tuple[Array, Array], second: tuple[Array, Array]) -> tuple:
    """h -> a h + b, then the second such map, as one map."""
    return second[0] * first[0], second[0] * first[1] + second[1]


class MinLSTM(MinimalCell):
    """minLSTM (Feng et al., 2024, arXiv 2410.01201), its forget and input gate adding up to 1.

    Gates in the order i, f, g, each W x + b:

        h' = (sigmoid(f) h + sigmoid(i) m g) / (sigmoid(f) + sigmoid(i))
    """

    gates: ClassVar = ("input", "keep", "candidate")

    @classmethod
    def keep_write_candidate(cls, ops: Operations, projected: Any) -> tuple[Any, Any, Any]:
        i, f, g = ops.split(projected, 3)
        # log(sigmoid(f) / sigmoid(i)): both sigmoids may underflow to 0, and 0/0 is NaN.
        log_ratio = ops.softplus(-i) - ops.softplus(-f)
        return ops.sigmoid(log_ratio), ops.sigmoid(-log_ratio), g


class MinGRU(MinimalCell):
    """minGRU (Feng et al., 2024, arXiv 2410.01201).

    Gates in the order z, g, each W x + b; z writes, so that its bias starts at minus the keeping
    bias:

        h' = (1 - sigmoid(z)) h + sigmoid(z) m g
    """

    gates: ClassVar = ("write", "candidate")

    @classmethod
    def keep_write_candidate(cls, ops: Operations, projected: Any) -> tuple[Any, Any, Any]:
        z, g = ops.split(projected, 2)
        return ops.sigmoid(-z), ops.sigmoid(z), g


MINIMAL_CELLS: dict[str, type[Cell]] = {"min_lstm": MinLSTM, "min_gru": MinGRU}
