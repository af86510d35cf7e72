"""Readouts: from the outputs of a recurrent network to the features that are classified."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from seqvision.models.padding import step_mask
from seqvision.shapes import Features, HiddenSequence, Lengths

READOUTS = ("last", "mean", "max", "attention", "per_step")


class Readout(nn.Module):
    """Sums up the outputs of a recurrent network, without its padding.

    Attributes:
      kind:
        `last`: the hidden state after the last step; of a bidirectional network, also that after
        reading back to the first one.
        `mean`, `max`: over all steps, feature by feature.
        `attention`: a weighted mean with learned weights, the softmax over time of
        `v . tanh(W h + b)` (Yang et al., 2016, equations 5-7, with a vector `v` for the context).
        `per_step`: the outputs themselves; the classifier is applied after every step.
    """

    kind: str = "last"

    @property
    def needs_outputs(self) -> bool:
        """Whether the final hidden state is not enough."""
        return self.kind != "last"

    @nn.compact
    def __call__(
        self, outputs: HiddenSequence | None, final: Features, lengths: Lengths | None = None
    ) -> Features | HiddenSequence:
        """Returns (B, H), or (B, T, H) for `per_step`; zeros where a length is 0.

        Args:
          outputs: (B, T, H); or None, where they are not needed.
          final: the final hidden state (B, H).
          lengths: steps of each sequence; all by default.

        Raises:
          ValueError: there is no such readout, or there are no outputs for it.
        """
        if not self.needs_outputs:
            return final
        if outputs is None:
            raise ValueError(f"readout '{self.kind}' needs the outputs of all steps")
        if self.kind == "per_step":
            return outputs
        batch_size, num_steps, _ = outputs.shape
        every_step = jnp.ones((batch_size, num_steps), jnp.bool_)
        mask = (every_step if lengths is None else step_mask(lengths, num_steps))[..., None]
        if self.kind == "mean":
            counts = jnp.maximum(mask.sum(axis=1), 1).astype(outputs.dtype)
            return jnp.where(mask, outputs, 0).sum(axis=1) / counts
        if self.kind == "max":
            highest = jnp.where(mask, outputs, -jnp.inf).max(axis=1)
            return jnp.where(mask.any(axis=1), highest, 0)
        if self.kind == "attention":
            outputs = outputs.astype(jnp.float32)
            hidden = nn.tanh(nn.Dense(outputs.shape[-1], name="hidden")(outputs))
            scores = nn.Dense(1, use_bias=False, name="score")(hidden)
            weights = jax.nn.softmax(scores, axis=1, where=mask)
            return (jnp.where(mask, weights, 0) * outputs).sum(axis=1)
        raise ValueError(f"readout '{self.kind}' is not known; choose one of {', '.join(READOUTS)}")
