"""What of a sequence the classifier sees."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from seqvision.models.padding import step_mask
from seqvision.shapes import Features, HiddenSequence, Lengths

READOUTS = ("last", "mean", "max", "attention", "per_step")


class Readout(nn.Module):
    """Sums up the outputs of a recurrent network, padding left out.

    Attributes:
      kind:
        `last`: the hidden state after the last step; of a bidirectional network, also that after
        reading back to the first one.
        `mean`, `max`: over all steps, feature by feature.
        `attention`: a weighted mean with learned weights, the softmax over time of
        `v . tanh(W h + b)` (Yang et al., 2016, equations 5-7, with a vector `v` for the context).
        `per_step`: nothing is summed up; the classifier speaks after every step.
    """

    kind: str = "last"

    @nn.compact
    def __call__(
        self, outputs: HiddenSequence, final: Features, lengths: Lengths | None = None
    ) -> Features | HiddenSequence:
        """Returns (B, H), or (B, T, H) for `per_step`; zeros where a length is 0.

        Args:
          outputs: (B, T, H).
          final: the final hidden state (B, H).
          lengths: steps of each sequence; all by default.

        Raises:
          ValueError: there is no such readout.
        """
        if self.kind == "last":
            return final
        if self.kind == "per_step":
            return outputs
        real = step_mask(lengths, *outputs.shape[:2])[..., None]
        if self.kind == "mean":
            num_steps = jnp.maximum(real.sum(axis=1), 1).astype(outputs.dtype)
            return jnp.where(real, outputs, 0).sum(axis=1) / num_steps
        if self.kind == "max":
            highest = jnp.where(real, outputs, -jnp.inf).max(axis=1)
            return jnp.where(real.any(axis=1), highest, 0)
        if self.kind == "attention":
            outputs = outputs.astype(jnp.float32)
            hidden = nn.tanh(nn.Dense(outputs.shape[-1], name="hidden")(outputs))
            scores = nn.Dense(1, use_bias=False, name="score")(hidden)
            weights = jax.nn.softmax(scores, axis=1, where=real)
            return (jnp.where(real, weights, 0) * outputs).sum(axis=1)
        raise ValueError(f"readout '{self.kind}' is not known; choose one of {', '.join(READOUTS)}")
