"""The network that classifies: an image or clip is read as a sequence."""

import flax.linen as nn
import jax.numpy as jnp

from seqvision.models.dropout import Dropout
from seqvision.models.readouts import Readout
from seqvision.models.recurrent import RecurrentStack
from seqvision.shapes import Inputs, Lengths, Logits, StepLogits


class SequenceClassifier(nn.Module):
    """Sequence maker -> recurrent layers -> readout -> dense layer.

    Attributes:
      sequence: a module from `models.sequences`: images or clips to (B, T, D).
      recurrent: the recurrent layers.
      readout: turns their outputs into the inputs of the dense layer.
      num_classes: K.
      dropout: rate on the inputs of the dense layer, in training.
      axis_name: see `dropout.Dropout`.
      dtype: precision of the dense layer; logits are float32.
    """

    sequence: nn.Module
    recurrent: RecurrentStack
    readout: Readout
    num_classes: int
    dropout: float = 0.0
    axis_name: str | None = None
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(
        self, inputs: Inputs, lengths: Lengths | None = None, *, train: bool = False
    ) -> Logits | StepLogits:
        """Classifies images or clips of values in [0, 1].

        Args:
          inputs: (B, height, width, channels) or (B, T, height, width, channels).
          lengths: (B,), the frames of each clip; the rest is padding and changes nothing. All
            frames by default; none for images.
          train: whether to drop out, with the `dropout` key.

        Returns:
          Logits (B, K); with the readout `per_step`, (B, T, K): after each step.
        """
        steps = self.sequence(inputs)
        with_outputs = self.readout.needs_outputs
        outputs, carry = self.recurrent(steps, lengths, train=train, with_outputs=with_outputs)
        features = self.readout(outputs, self.recurrent.final_hidden(carry), lengths)
        features = Dropout(self.dropout, self.axis_name)(features, train=train)
        logits = nn.Dense(self.num_classes, dtype=self.dtype, name="classifier")(features)
        return logits.astype(jnp.float32)
