"""The network that reads a line of writing column by column, with outputs after each column."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from seqvision.models.dropout import Dropout
from seqvision.models.padding import step_mask
from seqvision.models.recurrent import RecurrentStack, StackCarry
from seqvision.shapes import Images, Lengths, StepLogits

ReaderCarry = tuple[Float[Array, "B height context channels"] | None, StackCarry | None]
"""What is kept of the columns read so far: the last few of them for the convolutions (None where
there are none), and the memory of the recurrent layers."""


class LineReader(nn.Module):
    """Columns -> recurrent layers -> dense layer, after every column.

    After each line it reads `delay` more columns, all empty, so that it can still output the last
    symbol. In one direction its outputs depend on no later column, and are the same whether a line
    comes as a whole or in parts.

    Attributes:
      columns: a module from `models.sequences`: images to (B, T, D), a step for each column after
        the first `columns.context`.
      recurrent: the recurrent layers.
      num_classes: K, the blank of CTC being class 0.
      delay: number of columns after the last one of its ink within which a symbol is output.
      dropout: rate on the inputs of the dense layer, in training.
      axis_name: see `dropout.Dropout`.
      dtype: precision of the dense layer; logits are float32.
    """

    columns: Any
    recurrent: RecurrentStack
    num_classes: int
    delay: int
    dropout: float = 0.0
    axis_name: str | None = None
    dtype: jnp.dtype | None = None

    def __call__(
        self, inputs: Images, lengths: Lengths | None = None, *, train: bool = False
    ) -> StepLogits:
        """Reads whole lines of values in [0, 1], light ink on dark.

        Args:
          inputs: (B, height, width, channels).
          lengths: (B,), the columns of each line; the rest changes nothing. All by default.
          train: whether to drop out, with the `dropout` key.

        Returns:
          Logits (B, width + delay, K).
        """
        num_lines, _, width, _ = inputs.shape
        if lengths is None:
            lengths = jnp.full(num_lines, width, jnp.int32)
        mask = step_mask(lengths, width)[:, None, :, None]
        inputs = jnp.where(mask, inputs, jnp.zeros_like(inputs))
        inputs = jnp.pad(inputs, ((0, 0), (0, 0), (0, self.delay), (0, 0)))
        logits, _ = self.read(inputs, lengths + self.delay, train=train)
        return logits

    @nn.compact
    def read(
        self,
        inputs: Images,
        lengths: Lengths,
        carry: ReaderCarry | None = None,
        *,
        train: bool = False,
    ) -> tuple[StepLogits, ReaderCarry]:
        """Reads the next columns of each line.

        Args:
          inputs: (B, height, width, channels).
          lengths: (B,), how many of these columns each line has: 0 to width.
          carry: as returned; by default, lines begin here.
          train: see `__call__`.

        Returns:
          Logits (B, width, K), and the carry after the last column of each line.
        """
        before, memory = (None, None) if carry is None else carry
        if self.columns.context:
            if before is None:
                num_lines, height, _, channels = inputs.shape
                shape = num_lines, height, self.columns.context, channels
                before = jnp.zeros(shape, inputs.dtype)
            inputs = jnp.concatenate([before, inputs], axis=2)
            before = jax.vmap(self._last_columns)(inputs, lengths)
        steps = self.columns(inputs)
        outputs, memory = self.recurrent(steps, lengths, memory, train=train)
        features = Dropout(self.dropout, self.axis_name)(outputs, train=train)
        logits = nn.Dense(self.num_classes, dtype=self.dtype, name="classifier")(features)
        return logits.astype(jnp.float32), (before, memory)

    @nn.nowrap
    def _last_columns(self, line: Any, length: Any) -> Any:
        """Of (height, context + width, channels), those before column `context + length`."""
        return jax.lax.dynamic_slice_in_dim(line, length, self.columns.context, axis=1)
