"""An image read row by row by an LSTM; the last output says the class."""

import flax.linen as nn
import jax.numpy as jnp

from seqvision.models.recurrent import LSTM
from seqvision.models.sequences import rows
from seqvision.shapes import Images, Logits


class RowLSTM(nn.Module):
    """Rows of an image -> LSTM -> dense layer on the last output.

    Attributes:
      num_classes: K.
      hidden_size: units of the LSTM.
      forget_bias: where the bias of the forget gate starts.
      dtype: precision of the matrix products; parameters, carry and logits are float32.
    """

    num_classes: int
    hidden_size: int = 128
    forget_bias: float = 1.0
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, images: Images) -> Logits:
        """Classifies images (B, height, width, channels) of values in [0, 1]; logits (B, K)."""
        lstm = LSTM(self.hidden_size, self.forget_bias, self.dtype, name="lstm")
        outputs, _ = lstm(rows(images))
        logits = nn.Dense(self.num_classes, dtype=self.dtype, name="classifier")(outputs[:, -1])
        return logits.astype(jnp.float32)
