"""The network that reads a line of writing column by column, with outputs after each column."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from seqvision.models.dropout import Dropout
from seqvision.models.padding import step_mask
from seqvision.models.recurrent import RecurrentStack
from seqvision.shapes import Images, Lengths, StepLogits


class LineReader(nn.Module):
    """Columns -> recurrent layers -> dense layer, after every column.

    After each line it reads `delay` more columns, all empty, so that it can still output the last
    symbol. In one direction its outputs depend on no later column, and `line_steps` reads lines in
    parts.

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

    @nn.compact
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
        inputs = jnp.pad(inputs, ((0, 0), (0, 0), (self.columns.context, self.delay), (0, 0)))
        steps = self.columns(inputs)
        outputs: Any
        outputs, _ = self.recurrent(steps, lengths + self.delay, train=train)
        features = Dropout(self.dropout, self.axis_name)(outputs, train=train)
        logits = nn.Dense(self.num_classes, dtype=self.dtype, name="classifier")(features)
        return logits.astype(jnp.float32)
