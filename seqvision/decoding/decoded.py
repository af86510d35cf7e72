"""A text that was decoded from the outputs of a network trained with the CTC loss."""

from typing import NamedTuple

from jax import Array
from jaxtyping import Float32, Int32

BLANK = 0
"""The class number of the blank, in every network; it pads texts as well."""


class Decoded(NamedTuple):
    """Texts of at most N symbols, one for each place of `batch`: (B,) or (B, W).

    Attributes:
      symbols: int32 (*batch, N), 1 to K - 1, padded with the blank, 0.
      num_symbols: int32 (*batch,). More than N: the arrays hold the first N of them only.
      starts, ends: int32 (*batch, N), the first and the last column of each symbol, both
        included; -1 for padding. Blanks belong to no symbol.
      confidences: float32 (*batch, N), the highest probability that a column between start and
        end gives to the symbol; 0 for padding.
      log_probability: float32 (*batch,), nats; see the function that returns it.
    """

    symbols: Int32[Array, "*batch N"]
    num_symbols: Int32[Array, "*batch"]
    starts: Int32[Array, "*batch N"]
    ends: Int32[Array, "*batch N"]
    confidences: Float32[Array, "*batch N"]
    log_probability: Float32[Array, "*batch"]
